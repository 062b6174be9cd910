/*
 * Virtual hosts: top-level options as they hold there (host_config, append_host_config, keywords of the host) and the
 * modules with their options. Runs when a configuration is loaded.
 */
#include "core/auth/auth_method.h"
#include "core/config/config_internal.h"
#include "core/config/config_module.h"
#include "xmpp/jid.h"

#include <stdio.h>
#include <stdlib.h>

struct host_source {
    struct str name;
    const struct yaml *own, *added; /* of host_config, append_host_config; NULL: none */
    struct words words;
    bool own_words;
    struct yaml *map; /* options that differ from the global ones */
};

/* The entry for a host; hosts_known has prepared the keys. */
static int entry_for(struct loader *l, const struct yaml *map, struct str host, const struct yaml **out)
{
    *out = NULL;
    for (size_t i = 0; map && map->kind == YAML_MAP && i < map->n; i++) {
        if (!str_eq(map->keys[i], host))
            continue;
        char got[96];
        if (*out)
            return yaml_error(map->key_nodes[i], l->err, "host '%.*s' is given twice", STR_ARG(host));
        if (map->items[i]->kind != YAML_MAP && map->items[i]->kind != YAML_NULL)
            return yaml_error(map->items[i], l->err, "options of host '%.*s' must be a map, got %s", STR_ARG(host),
                              yaml_got(map->items[i], got));
        *out = map->items[i];
    }
    return 0;
}

static int hosts_known(struct loader *l, const char *option)
{
    const struct yaml *map = yaml_get(l->top, str_of(option));
    for (size_t i = 0; map && map->kind == YAML_MAP && i < map->n; i++) {
        struct str key;
        const struct vhost *h = jid_nameprep(l->arena, map->keys[i], &key) ? config_host(l->config, key) : NULL;
        if (h) {
            map->keys[i] = h->name;
            continue;
        }
        const char **names = (const char **)ARENA_ARRAY(l->arena, char *, l->config->host_count);
        for (size_t k = 0; k < l->config->host_count; k++)
            names[k] = arena_cstr(l->arena, l->config->hosts[k].name);
        const char *near = str_near(map->keys[i], names, l->config->host_count);
        char got[96];
        return yaml_error(map->key_nodes[i], l->err, "%s in option '%s' is not one of the hosts%s%s%s",
                          yaml_got(map->key_nodes[i], got), option, near ? "; did you mean '" : "", near ? near : "",
                          near ? "'?" : "");
    }
    return 0;
}

static void put(struct yaml *map, struct yaml *key, struct yaml *value)
{
    for (size_t i = 0; i < map->n; i++)
        if (str_eq(map->keys[i], key->text)) {
            map->items[i] = value;
            map->key_nodes[i] = key;
            return;
        }
    map->keys[map->n] = key->text;
    map->key_nodes[map->n] = key;
    map->items[map->n++] = value;
}

static bool keyword_free(struct str option)
{
    return str_eq(option, S("modules")) || str_eq(option, S("define_keyword"));
}

static struct yaml *with_words(struct loader *l, const struct host_source *s, struct str option, struct yaml *y)
{
    return keyword_free(option) ? y : words_expand(l, &s->words, y);
}

/* Global options whose text is another one with the host's own keywords. */
static int take_global(struct loader *l, struct host_source *s)
{
    const struct opt_group *top = opt_group_find(OPT_TOP, S(""));
    for (size_t i = 0; s->own_words && i < l->top->n; i++) {
        const struct opt_def *d = opt_def_find(top, l->top->keys[i]);
        if (!d || !(d->flags & OPT_FLAG_HOST) || keyword_free(l->top->keys[i]))
            continue;
        struct yaml *here = words_expand(l, &s->words, l->top->items[i]);
        struct yaml *there = here ? words_expand(l, &l->keywords, l->top->items[i]) : NULL;
        if (!there)
            return -1;
        if (!yaml_equal(here, there))
            put(s->map, l->top->key_nodes[i], here);
    }
    return 0;
}

static int take_own(struct loader *l, struct host_source *s)
{
    ptrdiff_t dup = s->own ? yaml_duplicate(s->own) : -1;
    if (dup >= 0)
        return yaml_error(s->own->key_nodes[dup], l->err, "option '%.*s' of host '%.*s' is given twice",
                          STR_ARG(s->own->keys[dup]), STR_ARG(s->name));
    if (s->own && s->own->n > CONFIG_TOP_MAX)
        return yaml_error(s->own, l->err, "more than %d options", CONFIG_TOP_MAX);
    for (size_t i = 0; s->own && i < s->own->n; i++) {
        struct yaml *v = with_words(l, s, s->own->keys[i], s->own->items[i]);
        if (!v)
            return -1;
        put(s->map, s->own->key_nodes[i], v);
    }
    return 0;
}

static struct yaml *list_joined(struct arena *a, struct yaml *x, struct yaml *y)
{
    struct yaml *parts[] = {x, y};
    size_t n = 0;
    for (int k = 0; k < 2; k++)
        n += parts[k]->kind == YAML_LIST ? parts[k]->n : parts[k]->kind == YAML_SCALAR;
    struct yaml *out = yaml_collection(a, YAML_LIST, n, y);
    out->n = 0;
    for (int k = 0; k < 2; k++) {
        if (parts[k]->kind == YAML_SCALAR)
            out->items[out->n++] = parts[k];
        for (size_t i = 0; parts[k]->kind == YAML_LIST && i < parts[k]->n; i++)
            out->items[out->n++] = parts[k]->items[i];
    }
    return out;
}

/* COMPAT(ejabberd): an appended acl or rule replaces the one of its name; an appended module must be a new one. */
static struct yaml *map_joined(struct loader *l, struct str option, struct yaml *x, struct yaml *y)
{
    struct yaml *out = yaml_collection(l->arena, YAML_MAP, x->n + y->n, y);
    out->n = 0;
    for (size_t i = 0; i < x->n; i++)
        put(out, x->key_nodes[i], x->items[i]);
    for (size_t i = 0; i < y->n; i++) {
        if (str_eq(option, S("modules")) && yaml_get(x, y->keys[i])) {
            yaml_error(y->key_nodes[i], l->err,
                       "module '%.*s' is loaded for all hosts already; use host_config to change it",
                       STR_ARG(y->keys[i]));
            return NULL;
        }
        put(out, y->key_nodes[i], y->items[i]);
    }
    return out;
}

static int append_one(struct loader *l, struct host_source *s, struct yaml *key, struct yaml *value)
{
    const struct opt_def *d = opt_def_find(opt_group_find(OPT_TOP, S("")), key->text);
    struct yaml *was = (struct yaml *)(uintptr_t)yaml_get(s->map, key->text);
    struct yaml *global = (struct yaml *)(uintptr_t)yaml_get(l->top, key->text);
    struct yaml *made = value = with_words(l, s, key->text, value);
    if (!value)
        return -1;
    if (d && d->kind != OPT_LIST && d->kind != OPT_NODE)
        return yaml_error(key, l->err, "option '%s' cannot be appended to: only lists and maps can; use host_config",
                          d->name);
    if (!was && global)
        was = with_words(l, s, key->text, global);
    if (global && !was)
        return -1;
    if (was && was->kind == YAML_MAP && value->kind == YAML_MAP)
        made = map_joined(l, key->text, was, value);
    else if (was && was->kind != YAML_MAP && value->kind != YAML_MAP)
        made = list_joined(l->arena, was, value);
    if (!made)
        return -1;
    put(s->map, key, made);
    return 0;
}

static int take_added(struct loader *l, struct host_source *s)
{
    ptrdiff_t dup = s->added ? yaml_duplicate(s->added) : -1;
    if (dup >= 0)
        return yaml_error(s->added->key_nodes[dup], l->err, "option '%.*s' of host '%.*s' is given twice",
                          STR_ARG(s->added->keys[dup]), STR_ARG(s->name));
    for (size_t i = 0; s->added && i < s->added->n; i++)
        if (append_one(l, s, s->added->key_nodes[i], s->added->items[i]))
            return -1;
    return 0;
}

static int gather(struct loader *l, struct host_source *s)
{
    if (entry_for(l, yaml_get(l->top, S("host_config")), s->name, &s->own) ||
        entry_for(l, yaml_get(l->top, S("append_host_config")), s->name, &s->added))
        return -1;
    const struct yaml *keywords = yaml_get(s->own, S("define_keyword"));
    s->own_words = keywords != NULL;
    if (words_extend(l, &l->keywords, keywords, &s->words))
        return -1;
    size_t most = l->top->n + (s->own ? s->own->n : 0) + (s->added ? s->added->n : 0);
    s->map = yaml_collection(l->arena, YAML_MAP, most, NULL);
    s->map->n = 0;
    return take_global(l, s) || take_own(l, s) || take_added(l, s) ? -1 : 0;
}

static int unknown_module(struct loader *l, const struct yaml *key)
{
    const char *near = opt_near_group(OPT_MODULE, key->text);
    char got[96];
    return yaml_error(key, l->err, "unknown module %s%s%s%s", yaml_got(key, got), near ? "; did you mean '" : "",
                      near ? near : "", near ? "'?" : "");
}

/* Its options are checked when the module is there to say what they are. */
static int contributed_module(struct loader *l, const struct yaml *key, const struct yaml *map, struct module_conf *out)
{
    enum contrib_state state = config_contrib(l, key->text);
    if (state == CONTRIB_UNKNOWN)
        return unknown_module(l, key);
    if (state == CONTRIB_AVAILABLE)
        loader_warn(l, key, "module '%.*s' is not installed: use module_install, or install_contrib_modules", STR_ARG(key->text));
    *out = (struct module_conf){.name = key->text, .options = config_module_opaque(), .node = map, .where = key};
    return 0;
}

/* What the store of a module adds to its options: those of group "mod_vcard_ldap" stand in mod_vcard with db_type ldap. */
static const struct opt_group *store_group(struct loader *l, const struct vhost *h, const struct opt_group *g,
                                           const struct yaml *map)
{
    const struct opt_def *d = opt_def_find(g, S("db_type"));
    const struct yaml *y = d ? yaml_get(map, S("db_type")) : NULL;
    struct str type = y ? y->text : d && d->def ? str_of(d->def) : STR_NULL;
    if (str_eq(type, S("=default_db")))
        type = opt_str(h->options, "default_db");
    return type.n ? opt_group_find(OPT_MODULE, arena_printf(l->arena, "%s_%.*s", g->name, STR_ARG(type))) : NULL;
}

/* Whoever moves here has data elsewhere then, and should hear that nobody looks there. */
static void warn_store(struct loader *l, const struct option_source *src, const struct vhost *h)
{
    const struct opt_def *d = opt_def_find(src->group, S("db_type"));
    const struct yaml *y = d && src->map ? yaml_get(src->map, S("db_type")) : NULL;
    struct str store = opt_str(h->options, "default_db");
    bool elsewhere = src->common && opt_has_effect(src->common->name, "ldap_base");
    if (y && !elsewhere && d->def && !strcmp(d->def, "=default_db") && opt_has_effect(src->group->name, "db_type") &&
        !str_eq(y->text, store))
        loader_warn(l, y, "db_type '%.*s' of %s has no effect yet: all data is in one place, which default_db '%.*s' names",
                    STR_ARG(y->text), src->of, STR_ARG(store));
}

static int build_module(struct loader *l, const struct vhost *h, const struct yaml *key, const struct yaml *map,
                        struct module_conf *out)
{
    const struct opt_group *g = opt_group_find(OPT_MODULE, key->text);
    if (!g)
        return contributed_module(l, key, map, out);
    bool works = opt_has_effect(g->name, NULL);
    if (!works)
        loader_warn(l, key, "module '%s' has no effect yet", g->name);
    char of[100];
    snprintf(of, sizeof(of), "module %s", g->name);
    struct option_source src = {.group = g, .common = store_group(l, h, g, map), .map = map, .of = of, .host = h->name,
                                .top = h->options, .quiet = !works};
    out->name = str_of(g->name);
    out->where = key;
    if (works)
        warn_store(l, &src, h);
    return options_build(l, &src, &out->options);
}

static int by_name(const void *a, const void *b)
{
    const struct module_conf *x = a, *y = b;
    return str_cmp(x->name, y->name);
}

static int build_modules(struct loader *l, struct host_source *s, struct vhost *h)
{
    const struct yaml *map = yaml_get(s->map, S("modules"));
    char got[96];
    if (!map)
        map = yaml_get(l->top, S("modules"));
    if (!map || map->kind == YAML_NULL)
        return 0;
    if (map->kind != YAML_MAP)
        return yaml_error(map, l->err, "option 'modules' must be a map, got %s", yaml_got(map, got));
    if (!words_get(&s->words, S("HOST")))
        words_set(l->arena, &s->words, S("HOST"), yaml_scalar(l->arena, h->name, true, NULL));
    map = words_expand(l, &s->words, (struct yaml *)(uintptr_t)map);
    if (!map)
        return -1;
    struct module_conf *v = ARENA_ARRAY(l->arena, struct module_conf, map->n + 1);
    for (size_t i = 0; i < map->n; i++)
        if (build_module(l, h, map->key_nodes[i], map->items[i], &v[i]))
            return -1;
    qsort(v, map->n, sizeof(*v), by_name);
    h->modules = v;
    h->module_count = map->n;
    return 0;
}

static void warn_methods(struct loader *l, const struct options *o)
{
    const struct str *v;
    size_t n = opt_list(o, "auth_method", &v);
    const struct yaml *where = opt_node(o, "auth_method");
    for (size_t i = 0; where && i < n; i++)
        if (!auth_method_known(v[i]))
            loader_warn(l, where, "authentication method '%.*s' of option 'auth_method' has no effect yet",
                        STR_ARG(v[i]));
    struct str type = opt_str(o, "sql_type");
    if (str_eq(opt_str(o, "default_db"), S("sql")) && !str_eq(type, S("sqlite"))) {
        const struct yaml *at = opt_is_set(o, "sql_type") ? opt_node(o, "sql_type") : opt_node(o, "default_db");
        loader_warn(l, at, "sql_type '%.*s' has no effect yet: only sqlite is supported, the embedded store is used",
                    STR_ARG(type));
    }
}

static int build_host(struct loader *l, struct vhost *h)
{
    struct host_source s = {.name = h->name};
    if (gather(l, &s))
        return -1;
    const struct opt_group *top = opt_group_find(OPT_TOP, S(""));
    struct option_source src = {
        .group = top, .map = s.map, .host = h->name, .below = l->config->global, .host_config = true};
    h->options = l->config->global;
    l->scope = NULL;
    if (s.map->n && options_build(l, &src, &h->options))
        return -1;
    h->scope = l->config->scope;
    if (s.map->n && config_scope(l, h->options, l->config->scope, &h->scope))
        return -1;
    h->acl = opt_node(h->options, "acl");
    h->access_rules = opt_node(h->options, "access_rules");
    h->shaper_rules = opt_node(h->options, "shaper_rules");
    h->shaper = opt_node(h->options, "shaper");
    warn_methods(l, h->options);
    l->scope = h->scope;
    return build_modules(l, &s, h);
}

static int host_order(const void *a, const void *b)
{
    return str_cmp((*(const struct vhost *const *)a)->name, (*(const struct vhost *const *)b)->name);
}

int config_hosts(struct loader *l)
{
    const struct str *names;
    size_t n = opt_list(l->config->global, "hosts", &names);
    if (!n)
        return yaml_error(l->top, l->err, "option 'hosts' is missing: name at least one domain");
    struct vhost *v = ARENA_ARRAY(l->arena, struct vhost, n);
    const struct vhost **sorted = (const struct vhost **)ARENA_ARRAY(l->arena, struct vhost *, n);
    for (size_t i = 0; i < n; i++) {
        v[i].name = names[i];
        v[i].index = (unsigned)i;
        sorted[i] = &v[i];
    }
    qsort(sorted, n, sizeof(*sorted), host_order);
    l->config->hosts_by_name = sorted;
    l->config->hosts = v;
    l->config->host_count = n;
    if (hosts_known(l, "host_config") || hosts_known(l, "append_host_config"))
        return -1;
    for (size_t i = 0; i < n; i++)
        if (build_host(l, &v[i]))
            return -1;
    return 0;
}
