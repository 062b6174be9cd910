/*
 * Old configurations into new ones; see the header. Order: terms are read, included files put in their place, macros expanded,
 * then every term is turned into options, and at last what this server would refuse is taken out (erlang_cfg_check.c).
 */
#include "core/config/erlang_cfg_internal.h"

#include <stdio.h>

typedef void (*option_fn)(struct conv *c, struct yaml *scope, const struct term *t);

/* --- files and macros --- */

struct macros {
    const struct term **items; /* {define_macro, Name, Value} */
    size_t n;
};

static bool is_tagged(const struct term *t, const char *word)
{
    return t->kind == TERM_TUPLE && t->n && term_is_atom(t->items[0], word);
}

static void add_term(struct arena *a, struct terms *list, struct term *t)
{
    ARENA_MORE(a, list->items, list->n);
    list->items[list->n++] = t;
}

static bool lists_word(const struct term *list, struct str word)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i]->kind == TERM_ATOM && str_eq(list->items[i]->text, word))
            return true;
    return false;
}

/* {disallow, [..]} and {allow_only, [..]}: which options the included file may set. */
static bool may_include(const struct term *include, const struct term *t)
{
    if (include->n < 3 || t->kind != TERM_TUPLE || !t->n || t->items[0]->kind != TERM_ATOM)
        return true;
    for (size_t i = 0; i < include->items[2]->n; i++) {
        const struct term *rule = include->items[2]->items[i];
        if (rule->n != 2)
            continue;
        bool listed = lists_word(rule->items[1], t->items[0]->text);
        if ((is_tagged(rule, "disallow") && listed) || (is_tagged(rule, "allow_only") && !listed))
            return false;
    }
    return true;
}

static void add_terms(struct conv *c, struct terms *out, const struct terms *from);

static void include(struct conv *c, struct terms *out, const struct term *t)
{
    struct error err = ERROR_INIT;
    struct terms inner;
    if (t->n < 2 || !term_is_text(t->items[1]) || !c->env->read || c->includes == ERLANG_INCLUDES_MAX) {
        note(c, t, "include_config_file: not followed: %.*s", STR_ARG(term_print(c->a, t)));
        return;
    }
    c->includes++;
    struct str name = t->items[1]->text;
    const char *path = arena_cstr(c->a, str_starts(name, S("/")) ? name
                                                                 : arena_printf(c->a, "%s/%.*s", c->env->dir, STR_ARG(name)));
    struct str text = c->env->read(c->a, path, &err);
    if (!text.p || erlang_terms_parse(c->a, text, &inner, &err) != 0) {
        note(c, t, "include_config_file: %s: %s", path, err.text);
        return;
    }
    struct terms allowed = {0};
    for (size_t i = 0; i < inner.n; i++) {
        if (may_include(t, inner.items[i]))
            add_term(c->a, &allowed, inner.items[i]);
        else
            note(c, t, "include_config_file: %s: the option %.*s was not to be taken from there", path,
                 STR_ARG(inner.items[i]->items[0]->text));
    }
    add_terms(c, out, &allowed);
}

static void add_terms(struct conv *c, struct terms *out, const struct terms *from)
{
    for (size_t i = 0; i < from->n; i++) {
        if (is_tagged(from->items[i], "include_config_file"))
            include(c, out, from->items[i]);
        else
            add_term(c->a, out, from->items[i]);
    }
}

static const struct term *macro(const struct macros *m, struct str name)
{
    for (size_t i = m->n; i-- > 0;)
        if (term_is_text(m->items[i]->items[1]) && str_eq(m->items[i]->items[1]->text, name))
            return m->items[i]->items[2];
    return NULL;
}

/* A macro stands alone, or in {use_macro, Name} and {use_macro, Name, Otherwise}. */
static const struct term *macro_of(const struct macros *m, const struct term *t)
{
    if (t->kind == TERM_ATOM)
        return macro(m, t->text);
    if (!is_tagged(t, "use_macro") || t->n < 2 || t->items[1]->kind != TERM_ATOM)
        return NULL;
    const struct term *value = macro(m, t->items[1]->text);
    return value ? value : t->n == 3 ? t->items[2] : NULL;
}

/* Macros may use earlier ones; depth and size are bounded, so one that uses itself ends as a note. */
static struct term *expand(struct conv *c, const struct macros *m, const struct term *t, unsigned depth)
{
    const struct term *value = depth ? macro_of(m, t) : NULL;
    if (value)
        return expand(c, m, value, depth - 1);
    if (!t->n || c->budget <= t->n) {
        if (t->n)
            c->budget = 0;
        return (struct term *)t;
    }
    c->budget -= t->n;
    struct term *copy = ARENA_NEW(c->a, struct term);
    *copy = *t;
    copy->items = ARENA_ARRAY(c->a, struct term *, t->n);
    for (size_t i = 0; i < t->n; i++)
        copy->items[i] = expand(c, m, t->items[i], depth ? depth - 1 : 0);
    return copy;
}

static void expand_all(struct conv *c, struct terms *list)
{
    struct macros m = {.items = ARENA_ARRAY(c->a, const struct term *, list->n + 1)};
    struct terms rest = {0};
    for (size_t i = 0; i < list->n; i++) {
        if (is_tagged(list->items[i], "define_macro") && list->items[i]->n == 3)
            m.items[m.n++] = list->items[i];
        else
            add_term(c->a, &rest, list->items[i]);
    }
    for (size_t i = 0; m.n && i < rest.n; i++)
        rest.items[i] = expand(c, &m, rest.items[i], ERLANG_MAX_DEPTH);
    if (!c->budget)
        note(c, NULL, "define_macro: macros grow beyond %d terms; some are not expanded", ERLANG_MAX_NODES);
    *list = rest;
}

/* --- options that changed their form --- */

/* Numbers of old became words. */
static void set_loglevel(struct conv *c, struct yaml *scope, const struct term *t)
{
    static const char *const words[] = {"none", "critical", "error", "warning", "info", "debug"};
    const struct term *v = t->items[1];
    bool number = v->kind == TERM_INT && v->num >= 0 && v->num < (int64_t)ARRAY_LEN(words);
    ymap_set(c, scope, S("loglevel"), number ? value_word(c, str_of(words[v->num])) : value_of(c, v));
}

static void set_auth_method(struct conv *c, struct yaml *scope, const struct term *t)
{
    const struct term *v = t->items[1];
    struct yaml *list = ylist_new(c);
    for (size_t i = 0; i < (v->kind == TERM_LIST ? v->n : 1); i++) {
        const struct term *m = v->kind == TERM_LIST ? v->items[i] : v;
        ylist_add(c, list, term_is_atom(m, "odbc") ? value_word(c, S("sql"))
                          : term_is_atom(m, "internal") || term_is_atom(m, "mnesia") ? value_word(c, S("mnesia")) : value_of(c, m));
    }
    ymap_set(c, scope, S("auth_method"), list);
    if (list->n && list->items[0]->text.p && str_eq(list->items[0]->text, S("sql")))
        ymap_set(c, scope, S("default_db"), value_word(c, S("sql")));
}

/* {s2s_certfile, "path"}, {domain_certfile, "host", "path"} */
static void set_certificate(struct conv *c, struct yaml *scope, const struct term *t)
{
    (void)scope;
    add_certificate(c, t->items[t->n - 1]);
}

/* {mysql, "server", "database", "user", "password"}, with a port after the server; or "DSN=..." for ODBC. */
static void set_sql(struct conv *c, struct yaml *scope, const struct term *t)
{
    static const char *const five[] = {"sql_type", "sql_server", "sql_database", "sql_username", "sql_password"};
    static const char *const six[] = {"sql_type", "sql_server", "sql_port", "sql_database", "sql_username", "sql_password"};
    const struct term *v = t->items[1];
    if (v->kind == TERM_TUPLE && (v->n == 5 || v->n == 6)) {
        for (size_t i = 0; i < v->n; i++)
            ymap_set(c, scope, str_of(v->n == 5 ? five[i] : six[i]), value_of(c, v->items[i]));
    } else if (v->kind == TERM_TUPLE && v->n == 2 && term_is_atom(v->items[0], "sqlite")) {
        ymap_set(c, scope, S("sql_type"), value_word(c, S("sqlite")));
        ymap_set(c, scope, S("sql_database"), value_of(c, v->items[1]));
    } else if (term_is_text(v)) {
        ymap_set(c, scope, S("sql_type"), value_word(c, S("odbc")));
        ymap_set(c, scope, S("sql_server"), value_of(c, v));
    } else {
        note(c, t, "odbc_server: of unknown form");
    }
}

/* {outgoing_s2s_options, [ipv4, ipv6], 10000}: families, and milliseconds, of which seconds are left today. */
static void set_outgoing_s2s(struct conv *c, struct yaml *scope, const struct term *t)
{
    ymap_set(c, scope, S("outgoing_s2s_families"), value_of(c, t->items[1]));
    if (t->n == 3 && t->items[2]->kind == TERM_INT)
        ymap_set(c, scope, S("outgoing_s2s_timeout"),
                value_word(c, arena_printf(c->a, "%lld", (long long)(t->items[2]->num / 1000 + (t->items[2]->num % 1000 > 0)))));
}

/* {s2s_dns_options, [{timeout, 10}, {retries, 2}]} */
static void set_s2s_dns(struct conv *c, struct yaml *scope, const struct term *t)
{
    for (size_t i = 0; i < t->items[1]->n; i++) {
        const struct term *o = t->items[1]->items[i];
        if (is_tagged(o, "timeout") && o->n == 2)
            ymap_set(c, scope, S("s2s_dns_timeout"), value_of(c, o->items[1]));
        else if (is_tagged(o, "retries") && o->n == 2)
            ymap_set(c, scope, S("s2s_dns_retries"), value_of(c, o->items[1]));
        else
            note(c, o, "s2s_dns_options: %.*s has no counterpart", STR_ARG(term_print(c->a, o)));
    }
}

/* {extauth_cache, false}, {extauth_cache, 600} */
static void set_extauth_cache(struct conv *c, struct yaml *scope, const struct term *t)
{
    if (t->items[1]->kind == TERM_INT)
        ymap_set(c, scope, S("auth_cache_life_time"), value_of(c, t->items[1]));
    else
        ymap_set(c, scope, S("auth_use_cache"), value_word(c, S("false")));
}

static void set_listen(struct conv *c, struct yaml *scope, const struct term *t)
{
    convert_listen(c, scope, t->items[1]);
}

static void set_modules(struct conv *c, struct yaml *scope, const struct term *t)
{
    convert_modules(c, scope, t->items[1]);
}

/* {ldap_uids, [{"mail", "%u@example.org"}, {"uid"}]}: a list of maps and names. */
static void set_ldap_uids(struct conv *c, struct yaml *scope, const struct term *t)
{
    struct yaml *map = ymap_new(c);
    for (size_t i = 0; i < t->items[1]->n; i++) {
        const struct term *u = t->items[1]->items[i];
        if (u->kind == TERM_TUPLE && u->n && term_is_text(u->items[0]))
            ymap_set(c, map, u->items[0]->text, u->n > 1 ? value_of(c, u->items[1]) : value_text(c, S("%u")));
        else if (term_is_text(u))
            ymap_set(c, map, u->text, value_text(c, S("%u")));
    }
    ymap_set(c, scope, S("ldap_uids"), map);
}

static void set_host_config(struct conv *c, struct yaml *scope, const struct term *t);

static const struct {
    const char *name;
    size_t least; /* elements of the tuple */
    option_fn fn;
} special[] = {{"access", 3, convert_access},
               {"acl", 3, convert_acl},
               {"auth_method", 2, set_auth_method},
               {"domain_certfile", 3, set_certificate},
               {"extauth_cache", 2, set_extauth_cache},
               {"host_config", 3, set_host_config},
               {"ldap_uids", 2, set_ldap_uids},
               {"listen", 2, set_listen},
               {"loglevel", 2, set_loglevel},
               {"modules", 2, set_modules},
               {"odbc_server", 2, set_sql},
               {"outgoing_s2s_options", 2, set_outgoing_s2s},
               {"s2s_certfile", 2, set_certificate},
               {"s2s_default_policy", 2, convert_s2s_policy},
               {"s2s_dns_options", 2, set_s2s_dns},
               {"shaper", 3, convert_shaper}};

/* Only another name. */
static const struct {
    const char *old, *name;
} renamed[] = {{"extauth_instances", "extauth_pool_size"},        {"odbc_keepalive_interval", "sql_keepalive_interval"},
               {"odbc_pool_size", "sql_pool_size"},               {"odbc_start_interval", "sql_start_interval"},
               {"odbc_type", "sql_type"},                         {"odbc_database", "sql_database"},
               {"odbc_username", "sql_username"},                 {"odbc_password", "sql_password"},
               {"odbc_port", "sql_port"},                         {"s2s_max_retry_delay", "s2s_max_retry_delay"}};

static struct str name_today(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(renamed); i++)
        if (str_eq(name, str_of(renamed[i].old)))
            return str_of(renamed[i].name);
    return name;
}

static bool convert_special(struct conv *c, struct yaml *scope, const struct term *t)
{
    for (size_t i = 0; i < ARRAY_LEN(special); i++)
        if (is_tagged(t, special[i].name) && t->n >= special[i].least) {
            special[i].fn(c, scope, t);
            return true;
        }
    return false;
}

static void convert_term(struct conv *c, struct yaml *scope, const struct term *t)
{
    bool tuple = t->kind == TERM_TUPLE && t->n >= 2;
    if (t->kind == TERM_ATOM && str_starts(t->text, S("override_")))
        return; /* where old options were kept in the database; there is nothing to override */
    if (convert_special(c, scope, t))
        return;
    if (tuple && is_tagged(t->items[0], "s2s_host") && t->items[0]->n == 2)
        convert_s2s_host(c, scope, t);
    else if (tuple && t->n == 2 && t->items[0]->kind == TERM_ATOM)
        ymap_set(c, scope, name_today(t->items[0]->text), value_of(c, t->items[1]));
    else
        note(c, t, "not understood: %.*s", STR_ARG(term_print(c->a, t)));
}

/* {host_config, "host", [{acl, ..}, {{add, modules}, [..]}]} */
static void set_host_config(struct conv *c, struct yaml *scope, const struct term *t)
{
    const struct term *list = t->items[2];
    if (!term_is_text(t->items[1]) || scope != c->root) {
        note(c, t, "host_config: of unknown form");
        return;
    }
    const char *host = arena_cstr(c->a, t->items[1]->text);
    for (size_t i = 0; i < list->n; i++) {
        const struct term *o = list->items[i];
        bool add = o->kind == TERM_TUPLE && o->n >= 2 && is_tagged(o->items[0], "add") && o->items[0]->n == 2;
        if (add) {
            struct term *plain = ARENA_NEW(c->a, struct term);
            *plain = *o;
            plain->items = ARENA_ARRAY(c->a, struct term *, o->n);
            memcpy(plain->items, o->items, o->n * sizeof(struct term *));
            plain->items[0] = o->items[0]->items[1];
            o = plain;
        }
        convert_term(c, ymap_in(c, ymap_in(c, c->root, add ? "append_host_config" : "host_config"), host), o);
    }
}

/* --- the result --- */

static void write_notes(struct conv *c, struct buf *out, bool accepted)
{
    buf_add_str(out, S("# Made from an Erlang configuration by convert_to_yaml.\n"));
    if (!accepted)
        buf_add_str(out, S("# NOT USABLE YET: see the last of these notes.\n"));
    if (c->note_count)
        buf_add_str(out, S("# Not taken over, or changed:\n"));
    for (size_t i = 0; i < c->note_count && c->notes[i].p; i++) {
        buf_add_str(out, S("#   "));
        for (size_t k = 0; k < c->notes[i].n; k++) { /* nothing of it may end the comment */
            unsigned char ch = (unsigned char)c->notes[i].p[k];
            buf_add_c(out, ch < 0x20 || ch == 0x7f || ch >= 0x80 ? '?' : (char)ch);
        }
        buf_add_c(out, '\n');
    }
    buf_add_c(out, '\n');
}

static struct str write_result(struct conv *c, bool accepted)
{
    struct buf b = BUF_INIT;
    write_notes(c, &b, accepted);
    yaml_write(&b, c->root, NULL);
    struct str s = arena_str(c->a, buf_str(&b));
    buf_deinit(&b);
    return s;
}

int erlang_cfg_convert(struct arena *a, struct str text, const struct erlang_cfg_env *env, struct erlang_cfg *out,
                       struct error *err)
{
    struct conv c = {.a = a, .env = env, .budget = ERLANG_MAX_NODES};
    struct terms own, all = {0};
    c.root = ymap_new(&c);
    if (erlang_terms_parse(a, text, &own, err) != 0)
        return -1;
    add_terms(&c, &all, &own);
    expand_all(&c, &all);
    for (size_t i = 0; i < all.n; i++)
        convert_term(&c, c.root, all.items[i]);
    out->accepted = check_result(&c);
    out->left_out = c.note_count;
    out->yaml = write_result(&c, out->accepted);
    return 0;
}
