/*
 * acl, access, shaper and the server-to-server policy of old configurations. Pure; any thread. An access rule whose answers are
 * only allow and deny is an access rule today; any other one is a shaper rule.
 */
#include "core/config/erlang_cfg_internal.h"

/* --- acl --- */

/* Entries of an acl are lists by kind: user: [..], ip: [..]. */
static void add_acl(struct conv *c, struct yaml *acl, struct str kind, struct yaml *value)
{
    struct yaml *list = ymap_find(acl, kind);
    if (!list) {
        list = ylist_new(c);
        ymap_set(c, acl, kind, list);
    }
    ylist_add(c, list, value);
}

static struct yaml *pair(struct conv *c, struct str key, struct str value)
{
    struct yaml *map = ymap_new(c);
    ymap_set(c, map, key, value_text(c, value));
    return map;
}

static struct str number_text(struct conv *c, const struct term *t)
{
    return arena_printf(c->a, "%lld", (long long)t->num);
}

/* {ip, {127,0,0,0}, 8}, {ip, "127.0.0.0/8"} */
static struct yaml *network(struct conv *c, const struct term *spec)
{
    struct str ip;
    if (!term_ip(c->a, spec->items[1], &ip)) {
        if (!term_is_text(spec->items[1]))
            return NULL;
        ip = spec->items[1]->text;
    }
    if (spec->n == 3 && spec->items[2]->kind == TERM_INT)
        ip = arena_printf(c->a, "%.*s/%.*s", STR_ARG(ip), STR_ARG(number_text(c, spec->items[2])));
    return value_text(c, ip);
}

/* {user, "name", "host"} and {user_regexp, "re", "host"}: one user of one host. */
static struct yaml *acl_value(struct conv *c, const struct term *spec)
{
    if (term_is_atom(spec->items[0], "ip"))
        return network(c, spec);
    if (!term_is_text(spec->items[1]))
        return NULL;
    struct str first = spec->items[1]->text;
    if (spec->n == 2)
        return value_text(c, first);
    if (!term_is_text(spec->items[2]))
        return NULL;
    if (term_is_atom(spec->items[0], "user"))
        return value_text(c, arena_printf(c->a, "%.*s@%.*s", STR_ARG(first), STR_ARG(spec->items[2]->text)));
    return pair(c, first, spec->items[2]->text);
}

void convert_acl(struct conv *c, struct yaml *scope, const struct term *t)
{
    if (t->n != 3 || !term_is_text(t->items[1])) {
        note(c, t, "acl: an entry of unknown form: %.*s", STR_ARG(term_print(c->a, t)));
        return;
    }
    const struct term *spec = t->items[2];
    struct yaml *acls = ymap_in(c, scope, "acl"), *acl = ymap_find(acls, t->items[1]->text);
    if (!acl) {
        acl = ymap_new(c);
        ymap_set(c, acls, t->items[1]->text, acl);
    }
    struct yaml *value = spec->kind == TERM_TUPLE && (spec->n == 2 || spec->n == 3) && term_is_text(spec->items[0])
                             ? acl_value(c, spec) : NULL;
    if (term_is_atom(spec, "all"))
        add_acl(c, acl, S("server_regexp"), value_text(c, S(".*")));
    else if (value)
        add_acl(c, acl, spec->items[0]->text, value);
    else if (!term_is_atom(spec, "none"))
        note(c, t, "acl: %.*s: an entry of unknown form: %.*s", STR_ARG(t->items[1]->text), STR_ARG(term_print(c->a, spec)));
}

/* --- access, shaper --- */

static bool is_permission(const struct term *t)
{
    return term_is_atom(t, "allow") || term_is_atom(t, "deny");
}

static bool rule_forms(const struct term *list, bool *permissions_out)
{
    *permissions_out = true;
    if (list->kind != TERM_LIST)
        return false;
    for (size_t i = 0; i < list->n; i++) {
        const struct term *e = list->items[i];
        if (!term_is(e, TERM_TUPLE, 2) || !term_is_text(e->items[1]) ||
            (!term_is_text(e->items[0]) && e->items[0]->kind != TERM_INT))
            return false;
        *permissions_out &= is_permission(e->items[0]);
    }
    return true;
}

void convert_access(struct conv *c, struct yaml *scope, const struct term *t)
{
    bool permissions;
    if (t->n != 3 || !term_is_text(t->items[1]) || !rule_forms(t->items[2], &permissions)) {
        note(c, t, "access: a rule of unknown form: %.*s", STR_ARG(term_print(c->a, t)));
        return;
    }
    const struct term *list = t->items[2];
    struct yaml *rules = ymap_in(c, scope, permissions ? "access_rules" : "shaper_rules");
    struct yaml *rule = ymap_find(rules, t->items[1]->text); /* the same name again: more of the same rule */
    if (!rule) {
        rule = ylist_new(c);
        ymap_set(c, rules, t->items[1]->text, rule);
    }
    for (size_t i = 0; i < list->n; i++) {
        const struct term *e = list->items[i];
        struct yaml *entry = ymap_new(c);
        ymap_set(c, entry, e->items[0]->kind == TERM_INT ? number_text(c, e->items[0]) : e->items[0]->text,
                value_word(c, e->items[1]->text));
        ylist_add(c, rule, entry);
    }
    if (!rule->n) { /* no entry matches: nobody may */
        struct yaml *entry = ymap_new(c);
        ymap_set(c, entry, S("deny"), value_word(c, S("all")));
        ylist_add(c, rule, entry);
    }
}

void convert_shaper(struct conv *c, struct yaml *scope, const struct term *t)
{
    struct yaml *shapers = ymap_in(c, scope, "shaper");
    const struct term *rate = t->n == 3 ? t->items[2] : NULL;
    if (rate && term_is_text(t->items[1]) && term_is(rate, TERM_TUPLE, 2) && term_is_atom(rate->items[0], "maxrate"))
        ymap_set(c, shapers, t->items[1]->text, value_of(c, rate->items[1]));
    else if (rate && term_is_text(t->items[1]) && term_is_atom(rate, "none"))
        ymap_set(c, shapers, t->items[1]->text, value_word(c, S("none")));
    else
        note(c, t, "shaper: one of unknown form: %.*s", STR_ARG(term_print(c->a, t)));
}

/* --- other servers --- */

static struct yaml *rule_entry(struct conv *c, const char *answer, const char *acl)
{
    struct yaml *entry = ymap_new(c);
    ymap_set(c, entry, str_of(answer), value_word(c, str_of(acl)));
    return entry;
}

#define POLICY "s2s_policy"

/* The rule the two options make: denied servers, allowed servers, the policy for the rest (allow, when none was given). */
static struct yaml *s2s_rule(struct conv *c, struct yaml *scope)
{
    struct yaml *rules = ymap_in(c, scope, "access_rules"), *rule = ymap_find(rules, S(POLICY));
    if (rule)
        return rule;
    rule = ylist_in(c, rules, POLICY);
    ylist_add(c, rule, rule_entry(c, "allow", "all"));
    ymap_set(c, scope, S("s2s_access"), value_word(c, S(POLICY)));
    return rule;
}

void convert_s2s_policy(struct conv *c, struct yaml *scope, const struct term *t)
{
    struct yaml *rule = s2s_rule(c, scope);
    rule->items[rule->n - 1] = rule_entry(c, term_is_atom(t->items[1], "deny") ? "deny" : "allow", "all");
}

/* {{s2s_host, "example.org"}, deny}: before the policy for the rest. */
void convert_s2s_host(struct conv *c, struct yaml *scope, const struct term *t)
{
    const struct term *host = t->items[0]->items[1];
    bool deny = term_is_atom(t->items[1], "deny");
    const char *acl_name = deny ? "s2s_denied" : "s2s_allowed";
    if (!term_is_text(host) || !is_permission(t->items[1])) {
        note(c, t, "s2s_host: an entry of unknown form: %.*s", STR_ARG(term_print(c->a, t)));
        return;
    }
    struct yaml *rule = s2s_rule(c, scope), *acls = ymap_in(c, scope, "acl");
    if (!ymap_find(acls, str_of(acl_name))) {
        struct yaml *rest = rule->items[rule->n - 1];
        rule->items[rule->n - 1] = rule_entry(c, deny ? "deny" : "allow", acl_name);
        ylist_add(c, rule, rest);
    }
    add_acl(c, ymap_in(c, acls, acl_name), S("server"), value_text(c, host->text));
}

/* --- mod_register's ip_access: networks in order, whoever is in none is let in --- */

#define REGISTER_RULE "register_from_ip"

static void add_network_rule(struct conv *c, struct yaml *acls, struct yaml *rule, const struct term *e, size_t number)
{
    struct str name = arena_printf(c->a, "%s_%zu", REGISTER_RULE, number);
    struct yaml *acl = ymap_in(c, acls, arena_cstr(c->a, name));
    struct str net = e->items[1]->text;
    add_acl(c, acl, S("ip"), value_text(c, net));
    if (str_eq(net, S("0.0.0.0/0")))
        add_acl(c, acl, S("ip"), value_text(c, S("::/0"))); /* "everybody" was written so before IPv6 */
    ylist_add(c, rule, rule_entry(c, term_is_atom(e->items[0], "deny") ? "deny" : "allow", arena_cstr(c->a, name)));
}

void convert_ip_access(struct conv *c, struct yaml *scope, struct yaml *options, const struct term *list)
{
    struct yaml *acls = ymap_in(c, scope, "acl"), *rule = ylist_in(c, ymap_in(c, scope, "access_rules"), REGISTER_RULE);
    for (size_t i = 0; i < list->n; i++) {
        const struct term *e = list->items[i];
        if (term_is(e, TERM_TUPLE, 2) && is_permission(e->items[0]) && term_is_text(e->items[1]))
            add_network_rule(c, acls, rule, e, i + 1);
        else
            note(c, e, "mod_register: ip_access: an entry of unknown form: %.*s", STR_ARG(term_print(c->a, e)));
    }
    ylist_add(c, rule, rule_entry(c, "allow", "all"));
    ymap_set(c, options, S("ip_access"), value_word(c, S(REGISTER_RULE)));
}
