/* Listeners of the configuration, and what differs between two configurations. Pure functions over frozen data after
 * loading. */
#include "core/config/config_internal.h"

#include <stdio.h>

static int bad_listener(struct loader *l, const struct yaml *y, const struct yaml *module)
{
    if (!module)
        return yaml_error(y, l->err, "a listener has no 'module'");
    const char *near = module->kind == YAML_SCALAR ? opt_near_group(OPT_LISTENER, module->text) : NULL;
    char got[96];
    return yaml_error(module, l->err, "unknown listener module %s%s%s%s", yaml_got(module, got),
                      near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* The values have been checked as options of their types already. */
static int place(struct loader *l, struct listen_conf *lc, const char *of)
{
    const struct yaml *port = opt_node(lc->options, "port");
    int64_t n;
    char got[96];
    if (!port)
        return yaml_error(lc->where, l->err, "%s has no 'port'", of);
    if (yaml_int(port, &n) && n >= 0 && n <= 65535) {
        lc->port = (uint16_t)n;
    } else if (str_starts(port->text, S("unix:")) && port->text.n > 5 && port->text.n < 5 + 108) {
        lc->unix_path = str_n(port->text.p + 5, port->text.n - 5); /* sun_path has 108 bytes */
    } else {
        return yaml_error(port, l->err,
                          "option 'port' of %s must be an integer from 0 to 65535 or \"unix:PATH\", got %s", of,
                          yaml_got(port, got));
    }
    lc->udp = str_eq(opt_str(lc->options, "transport"), S("udp"));
    return ip_parse(opt_str(lc->options, "ip"), &lc->ip)
               ? 0
               : yaml_error(lc->where, l->err, "option 'ip' of %s is wrong", of);
}

static int handlers(struct loader *l, const struct listen_conf *lc)
{
    const struct yaml *map = str_eq(lc->module, S("ejabberd_http")) ? opt_node(lc->options, "request_handlers") : NULL;
    for (size_t i = 0; map && i < map->n; i++) {
        const struct yaml *y = map->items[i];
        const char *near =
            opt_http_handler(y->text) ? NULL : str_near(y->text, opt_http_handlers, opt_http_handler_count);
        char got[96], name[64];
        if (map->keys[i].n == 0 || map->keys[i].p[0] != '/')
            return yaml_error(map->key_nodes[i], l->err,
                              "a path of option 'request_handlers' must begin with '/', got %s",
                              yaml_got(map->key_nodes[i], got));
        enum contrib_state contrib = opt_http_handler(y->text) ? CONTRIB_UNKNOWN : config_contrib(l, y->text);
        if (contrib == CONTRIB_AVAILABLE)
            loader_warn(l, y, "module '%.*s' is not installed: use module_install, or install_contrib_modules", STR_ARG(y->text));
        if (contrib != CONTRIB_UNKNOWN)
            continue;
        if (!opt_http_handler(y->text))
            return yaml_error(y, l->err, "unknown request handler %s%s%s%s", yaml_got(y, got),
                              near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        snprintf(name, sizeof(name), "%.*s", STR_ARG(y->text));
        if (!opt_has_effect(name, NULL) && !loader_warned(l, "module", name))
            loader_warn(l, y, "request handler '%s' has no effect yet", name);
    }
    return 0;
}

static bool any_address(const struct ip *ip)
{
    static const uint8_t zero[16];
    return !memcmp(ip->b, zero, ip->family == 4 ? 4 : 16);
}

static bool overlap(const struct listen_conf *a, const struct listen_conf *b)
{
    if (a->unix_path.n || b->unix_path.n)
        return str_eq(a->unix_path, b->unix_path);
    if (a->port != b->port || !a->port || a->udp != b->udp || a->ip.family != b->ip.family)
        return false;
    return ip_eq(&a->ip, &b->ip) || any_address(&a->ip) || any_address(&b->ip);
}

static int overlap_check(struct loader *l, const struct listen_conf *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (overlap(&v[i], &v[n]))
            return yaml_error(v[n].where, l->err, "this listener takes the address of the one at %s:%u:%u",
                              v[i].where->file, v[i].where->line, v[i].where->column);
    return 0;
}

static int build_listener(struct loader *l, const struct yaml *y, struct listen_conf *lc)
{
    char got[96], of[100];
    if (y->kind != YAML_MAP)
        return yaml_error(y, l->err, "every entry of option 'listen' must be a map of options, got %s",
                          yaml_got(y, got));
    const struct yaml *module = yaml_get(y, S("module"));
    const struct opt_group *g =
        module && module->kind == YAML_SCALAR ? opt_group_find(OPT_LISTENER, module->text) : NULL;
    if (!g)
        return bad_listener(l, y, module);
    bool works = opt_has_effect(g->name, NULL);
    if (!works && !loader_warned(l, "module", g->name))
        loader_warn(l, module, "listener '%s' has no effect yet", g->name);
    snprintf(of, sizeof(of), "listener %s", g->name);
    struct option_source src = {.group = g,
                                .common = opt_group_find(OPT_LISTEN_COMMON, S("listen")),
                                .map = y,
                                .of = of,
                                .top = l->config->global,
                                .quiet = !works};
    lc->module = str_of(g->name);
    lc->where = y;
    return options_build(l, &src, &lc->options) || place(l, lc, of) || handlers(l, lc) ? -1 : 0;
}

int config_listeners(struct loader *l)
{
    const struct yaml *list = opt_node(l->config->global, "listen");
    struct listen_conf *v = ARENA_ARRAY(l->arena, struct listen_conf, (list ? list->n : 0) + 1);
    l->scope = l->config->scope;
    for (size_t i = 0; list && i < list->n; i++)
        if (build_listener(l, list->items[i], &v[i]) || overlap_check(l, v, i))
            return -1;
    l->config->listeners = v;
    l->config->listener_count = list ? list->n : 0;
    return 0;
}

struct str config_listener_key(struct arena *a, const struct config *c, const struct listen_conf *l)
{
    static const char *const c2s[] = {"c2s_cafile", "c2s_ciphers", "c2s_dhfile", "c2s_protocol_options"};
    struct buf b = BUF_INIT;
    yaml_write(&b, l->where, NULL);
    for (size_t i = 0; i < ARRAY_LEN(c2s) && str_eq(l->module, S("ejabberd_c2s")); i++) {
        const struct yaml *y = opt_node(c->global, c2s[i]);
        if (!y)
            continue;
        buf_printf(&b, "%s: ", c2s[i]);
        yaml_write(&b, y, NULL);
    }
    struct str key = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return key;
}

static bool same_place(const struct listen_conf *a, const struct listen_conf *b)
{
    return a->udp == b->udp && a->port == b->port && str_eq(a->unix_path, b->unix_path) && ip_eq(&a->ip, &b->ip);
}

static const struct listen_conf *find_place(const struct config *c, const struct listen_conf *l)
{
    for (size_t i = 0; c && i < c->listener_count; i++)
        if (same_place(&c->listeners[i], l))
            return &c->listeners[i];
    return NULL;
}

size_t config_diff_listeners(struct arena *a, const struct config *was, const struct config *now,
                             const struct listener_change **out)
{
    size_t n = 0;
    struct listener_change *v =
        ARENA_ARRAY(a, struct listener_change, (was ? was->listener_count : 0) + (now ? now->listener_count : 0) + 1);
    for (size_t i = 0; was && i < was->listener_count; i++)
        if (!find_place(now, &was->listeners[i]))
            v[n++] = (struct listener_change){LISTENER_STOP, &was->listeners[i], NULL};
    for (size_t i = 0; now && i < now->listener_count; i++) {
        const struct listen_conf *l = &now->listeners[i], *old = find_place(was, l);
        if (!old)
            v[n++] = (struct listener_change){LISTENER_START, NULL, l};
        else if (!str_eq(config_listener_key(a, was, old), config_listener_key(a, now, l)))
            v[n++] = (struct listener_change){LISTENER_RESTART, old, l};
    }
    *out = v;
    return n;
}
