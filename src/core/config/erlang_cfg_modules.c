/* The option modules of old configurations. Pure; any thread. Modules once had a twin for SQL; today an option says so. */
#include "core/config/erlang_cfg_internal.h"

static const struct {
    const char *old, *name, *db_type;
} renamed[] = {{"mod_http_bind", "mod_bosh", NULL},
               {"mod_vcard_ldap", "mod_vcard", "ldap"},
               {"mod_muc_log_http", "mod_http_fileserver", NULL},
               {"mod_admin_p1", "mod_admin_extra", NULL}};

static struct str module_name(struct conv *c, struct str old, struct yaml *options)
{
    const struct str odbc = S("_odbc");
    if (old.n > odbc.n && str_eq(str_n(old.p + old.n - odbc.n, odbc.n), odbc)) {
        ymap_set(c, options, S("db_type"), value_word(c, S("sql")));
        return str_n(old.p, old.n - odbc.n);
    }
    for (size_t i = 0; i < ARRAY_LEN(renamed); i++)
        if (str_eq(old, str_of(renamed[i].old))) {
            if (renamed[i].db_type)
                ymap_set(c, options, S("db_type"), value_word(c, str_of(renamed[i].db_type)));
            return str_of(renamed[i].name);
        }
    return old;
}

/* {"Subject", "Body"} */
static struct yaml *welcome_message(struct conv *c, const struct term *v)
{
    struct yaml *map = ymap_new(c);
    ymap_set(c, map, S("subject"), value_of(c, v->items[0]));
    ymap_set(c, map, S("body"), value_of(c, v->items[1]));
    return map;
}

/* [{all, "abuse-addresses", ["mailto:a@b"]}] */
static struct yaml *server_info(struct conv *c, const struct term *v)
{
    struct yaml *list = ylist_new(c);
    for (size_t i = 0; i < v->n; i++) {
        const struct term *e = v->items[i];
        if (!term_is(e, TERM_TUPLE, 3)) {
            note(c, e, "mod_disco: server_info: an entry of unknown form: %.*s", STR_ARG(term_print(c->a, e)));
            continue;
        }
        struct yaml *map = ymap_new(c);
        ymap_set(c, map, S("modules"), value_of(c, e->items[0]));
        ymap_set(c, map, S("name"), value_of(c, e->items[1]));
        ymap_set(c, map, S("urls"), value_of(c, e->items[2]));
        ylist_add(c, list, map);
    }
    return list;
}

static struct yaml *storage(struct conv *c, const struct term *v)
{
    return value_word(c, term_is_atom(v, "odbc") ? S("sql") : term_is_atom(v, "internal") ? S("mnesia") : v->text);
}

static void set_option(struct conv *c, struct yaml *scope, struct str module, struct yaml *options, const struct term *t)
{
    struct str name = t->items[0]->text;
    const struct term *v = t->items[1];
    if (str_eq(name, S("iqdisc")))
        note(c, t, "modules: %.*s: iqdisc: how requests are scheduled is no setting any more", STR_ARG(module));
    else if (str_eq(name, S("db_type")) && v->kind == TERM_ATOM)
        ymap_set(c, options, name, storage(c, v));
    else if (str_eq(name, S("welcome_message")) && term_is(v, TERM_TUPLE, 2))
        ymap_set(c, options, name, welcome_message(c, v));
    else if (str_eq(name, S("ip_access")) && v->kind == TERM_LIST)
        convert_ip_access(c, scope, options, v);
    else if (str_eq(name, S("server_info")) && v->kind == TERM_LIST)
        ymap_set(c, options, name, server_info(c, v));
    else if (str_eq(name, S("default_room_opts")))
        ymap_set(c, options, S("default_room_options"), value_of(c, v));
    else
        ymap_set(c, options, name, value_of(c, v));
}

static void convert_module(struct conv *c, struct yaml *scope, struct yaml *modules, const struct term *t)
{
    const struct term *name = t->kind == TERM_TUPLE && t->n ? t->items[0] : t;
    const struct term *list = term_is(t, TERM_TUPLE, 2) && t->items[1]->kind == TERM_LIST ? t->items[1] : NULL;
    if (name->kind != TERM_ATOM || (t->kind == TERM_TUPLE && !list)) {
        note(c, t, "modules: an entry of unknown form: %.*s", STR_ARG(term_print(c->a, t)));
        return;
    }
    struct yaml *options = ymap_new(c);
    struct str today = module_name(c, name->text, options);
    for (size_t i = 0; list && i < list->n; i++) {
        const struct term *o = list->items[i];
        if (o->kind == TERM_ATOM)
            ymap_set(c, options, o->text, value_word(c, S("true")));
        else if (term_is(o, TERM_TUPLE, 2) && term_is_text(o->items[0]))
            set_option(c, scope, name->text, options, o);
        else
            note(c, o, "modules: %.*s: an option of unknown form: %.*s", STR_ARG(name->text), STR_ARG(term_print(c->a, o)));
    }
    ymap_set(c, modules, today, options);
}

void convert_modules(struct conv *c, struct yaml *scope, const struct term *entries)
{
    struct yaml *modules = ymap_in(c, scope, "modules");
    for (size_t i = 0; i < entries->n; i++)
        convert_module(c, scope, modules, entries->items[i]);
}
