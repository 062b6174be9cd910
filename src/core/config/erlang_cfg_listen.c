/*
 * The option listen of old configurations: {Port, Module, Options}, {{Port, Address}, ...}, {{Port, Address, Transport}, ...}.
 * Pure; any thread. Certificates named there move to certfiles, where today's server looks for all of them.
 */
#include "core/config/erlang_cfg_internal.h"

#define POLLING "HTTP polling (XEP-0025) is obsolete; clients use BOSH or WebSocket"

void add_certificate(struct conv *c, const struct term *file)
{
    struct yaml *files = ylist_in(c, c->root, "certfiles");
    if (!term_is_text(file))
        return;
    for (size_t i = 0; i < files->n; i++)
        if (str_eq(files->items[i]->text, file->text))
            return;
    ylist_add(c, files, value_text(c, file->text));
}

/* --- where --- */

static bool set_place(struct conv *c, struct yaml *l, const struct term *t)
{
    struct str ip;
    if (t->kind == TERM_INT || (t->kind == TERM_STRING && str_starts(t->text, S("unix:"))))
        ymap_set(c, l, S("port"), value_of(c, t));
    else if (term_ip(c->a, t, &ip))
        ymap_set(c, l, S("ip"), value_text(c, ip));
    else if (t->kind == TERM_STRING || t->kind == TERM_BINARY)
        ymap_set(c, l, S("ip"), value_text(c, t->text));
    else if (term_is_atom(t, "udp") || term_is_atom(t, "tcp"))
        ymap_set(c, l, S("transport"), value_word(c, t->text));
    else if (term_is_atom(t, "inet6"))
        ymap_set(c, l, S("ip"), value_text(c, S("::")));
    else
        return term_is_atom(t, "inet");
    return true;
}

static bool set_places(struct conv *c, struct yaml *l, const struct term *t)
{
    struct str ip;
    if (t->kind != TERM_TUPLE || term_ip(c->a, t, &ip))
        return set_place(c, l, t);
    for (size_t i = 0; i < t->n; i++)
        if (!set_place(c, l, t->items[i]))
            return false;
    return t->n > 0;
}

/* --- options of HTTP listeners --- */

static const struct {
    const char *old, *path, *handler;
} flags[] = {{"web_admin", "/admin", "ejabberd_web_admin"}, {"http_bind", "/http-bind", "mod_bosh"},
             {"captcha", "/captcha", "ejabberd_captcha"},   {"register", "/register", "mod_register_web"},
             {"xmlrpc", "/xmlrpc", "ejabberd_xmlrpc"}};

static bool http_flag(struct conv *c, struct yaml *l, struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (str_eq(name, str_of(flags[i].old))) {
            ymap_set(c, ymap_in(c, l, "request_handlers"), str_of(flags[i].path), value_word(c, str_of(flags[i].handler)));
            return true;
        }
    return false;
}

/* ["web", "sub"] */
static bool path_of(struct conv *c, const struct term *t, struct str *out)
{
    struct buf b = BUF_INIT;
    bool ok = t->kind == TERM_LIST || term_is_text(t);
    if (term_is_text(t))
        buf_printf(&b, "%s%.*s", str_starts(t->text, S("/")) ? "" : "/", STR_ARG(t->text));
    for (size_t i = 0; ok && i < t->n; i++) {
        ok = term_is_text(t->items[i]);
        buf_printf(&b, "/%.*s", ok ? (int)t->items[i]->text.n : 0, ok ? t->items[i]->text.p : "");
    }
    *out = b.n ? arena_str(c->a, buf_str(&b)) : S("/");
    buf_deinit(&b);
    return ok;
}

static void add_handler(struct conv *c, struct yaml *l, const struct term *e)
{
    struct str path;
    if (!term_is(e, TERM_TUPLE, 2) || !path_of(c, e->items[0], &path) || !term_is_text(e->items[1])) {
        note(c, e, "listen: request_handlers: an entry of unknown form: %.*s", STR_ARG(term_print(c->a, e)));
        return;
    }
    struct str module = e->items[1]->text;
    if (str_eq(module, S("mod_http_bind")))
        module = S("mod_bosh");
    if (str_eq(module, S("ejabberd_http_poll")) || str_eq(module, S("mod_http_poll")))
        note(c, e, "listen: request_handlers: %.*s: " POLLING, STR_ARG(path));
    else
        ymap_set(c, ymap_in(c, l, "request_handlers"), path, value_word(c, module));
}

/* --- options of component listeners --- */

static void add_component(struct conv *c, struct yaml *l, const struct term *host, const struct term *options)
{
    struct yaml *o = ymap_new(c);
    for (size_t i = 0; options && i < options->n; i++) {
        const struct term *t = options->items[i];
        if (term_is(t, TERM_TUPLE, 2) && term_is_atom(t->items[0], "password"))
            ymap_set(c, o, S("password"), value_of(c, t->items[1]));
        else
            note(c, t, "listen: hosts: option %.*s has no counterpart", STR_ARG(term_print(c->a, t)));
    }
    if (term_is_text(host))
        ymap_set(c, ymap_in(c, l, "hosts"), host->text, o);
}

/* {hosts, ["a", "b"], [{password, "x"}]}, {host, "a", [{password, "x"}]} */
static void add_components(struct conv *c, struct yaml *l, const struct term *t)
{
    const struct term *hosts = t->items[1], *options = t->n == 3 ? t->items[2] : NULL;
    if (term_is_text(hosts))
        add_component(c, l, hosts, options);
    for (size_t i = 0; i < hosts->n; i++)
        add_component(c, l, hosts->items[i], options);
}

/* --- options --- */

static void set_flag(struct conv *c, struct yaml *l, const struct term *t)
{
    if (term_is_atom(t, "http_poll"))
        note(c, t, "listen: http_poll: " POLLING);
    else if (!http_flag(c, l, t->text) && !set_place(c, l, t))
        ymap_set(c, l, t->text, value_word(c, S("true")));
}

static void set_pair(struct conv *c, struct yaml *l, const struct term *t)
{
    struct str name = t->items[0]->text;
    const struct term *v = t->items[1];
    if (str_eq(name, S("certfile")) && term_is_text(v))
        add_certificate(c, v);
    else if (str_eq(name, S("ip")))
        set_place(c, l, v);
    else if (str_eq(name, S("hosts")) || str_eq(name, S("host")))
        add_components(c, l, t);
    else if (str_eq(name, S("service_check_from")))
        ymap_set(c, l, S("check_from"), value_of(c, v));
    else if (str_eq(name, S("request_handlers")))
        for (size_t i = 0; i < v->n; i++)
            add_handler(c, l, v->items[i]);
    else if (term_is_atom(v, "true") && http_flag(c, l, name))
        return;
    else
        ymap_set(c, l, name, value_of(c, v));
}

static void set_option(struct conv *c, struct yaml *l, const struct term *t)
{
    if (t->kind == TERM_ATOM)
        set_flag(c, l, t);
    else if (t->kind == TERM_TUPLE && t->n >= 2 && t->items[0]->kind == TERM_ATOM)
        set_pair(c, l, t);
    else
        note(c, t, "listen: an option of unknown form: %.*s", STR_ARG(term_print(c->a, t)));
}

static void convert_listener(struct conv *c, struct yaml *list, const struct term *t)
{
    struct yaml *l = ymap_new(c);
    if (t->kind != TERM_TUPLE || t->n < 2 || !term_is_text(t->items[1]) || !set_places(c, l, t->items[0]) ||
        !ymap_find(l, S("port"))) {
        note(c, t, "listen: an entry of unknown form: %.*s", STR_ARG(term_print(c->a, t)));
        return;
    }
    ymap_set(c, l, S("module"), value_word(c, t->items[1]->text));
    for (size_t i = 0; t->n > 2 && i < t->items[2]->n; i++)
        set_option(c, l, t->items[2]->items[i]);
    ylist_add(c, list, l);
}

void convert_listen(struct conv *c, struct yaml *scope, const struct term *entries)
{
    struct yaml *list = ylist_in(c, scope, "listen");
    for (size_t i = 0; i < entries->n; i++)
        convert_listener(c, list, entries->items[i]);
}
