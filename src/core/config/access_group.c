/*
 * Acl type shared_group: asks whoever knows shared roster groups, and finds what nobody will know. Any thread; suspends never.
 * What cannot be known fails closed (core/config/access.h), and is said when the configuration is loaded and when it is met.
 */
#include "base/log.h"
#include "core/config/config_internal.h"

static group_fn answers;

void access_groups_from(group_fn fn)
{
    __atomic_store_n(&answers, fn, __ATOMIC_RELAXED);
}

bool group_match(const struct acl_cond *c, const struct access_subject *who)
{
    group_fn ask = __atomic_load_n(&answers, __ATOMIC_RELAXED);
    struct str host = c->host.p ? c->host : who->host;
    enum group_answer got = ask && host.n ? ask(c->user, host, who->jid) : GROUP_UNKNOWN;
    if (got == GROUP_UNKNOWN)
        LOG_LIMITED(WARNING, "access", NULL,
                    "whether %.*s is in shared group '%.*s' of host '%.*s' is not known: 'allow' does not match, 'deny' does",
                    STR_ARG(jid_bare(who->jid)), STR_ARG(c->user), STR_ARG(host));
    return got == GROUP_IN || (got == GROUP_UNKNOWN && who->doubt);
}

/* Who names groups, for the warning. */
struct naming {
    struct loader *l;
    const struct vhost *host; /* whose rules they are */
    const char *what;         /* "acl" */
    struct str name;
};

static bool knows_groups(const struct vhost *h)
{
    for (size_t i = 0; h && i < h->module_count; i++)
        if (str_eq(h->modules[i].name, S("mod_shared_roster")))
            return true;
    return false;
}

static void note_groups(const struct naming *n, const struct acl_conds *conds)
{
    for (size_t i = 0; i < conds->n; i++) {
        const struct acl_cond *c = &conds->v[i];
        if (c->kind != COND_SHARED_GROUP)
            continue;
        struct str host = c->host.p ? c->host : n->host->name;
        struct vhost *of = (struct vhost *)(uintptr_t)config_host(n->l->config, host); /* of the configuration being made */
        if (of)
            of->groups_named = true;
        if (!knows_groups(of))
            loader_warn(n->l, c->where,
                        "%s '%.*s' names shared group '%.*s' of host '%.*s', where mod_shared_roster is not enabled: it matches "
                        "nobody in 'allow' and everybody in 'deny'",
                        n->what, STR_ARG(n->name), STR_ARG(c->user), STR_ARG(host));
    }
}

static void note_rules(struct naming *n, const char *what, const struct named_rule *v, size_t count)
{
    n->what = what;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < v[i].rule.n; k++) {
            n->name = v[i].name;
            note_groups(n, &v[i].rule.v[k].all_of);
        }
}

void config_groups(struct loader *l)
{
    for (size_t i = 0; i < l->config->host_count; i++) {
        const struct vhost *h = &l->config->hosts[i];
        struct naming n = {.l = l, .host = h, .what = "acl"};
        for (size_t k = 0; k < h->scope->acl_count; k++) {
            n.name = h->scope->acls[k].name;
            note_groups(&n, &h->scope->acls[k].any_of);
        }
        note_rules(&n, "access rule", h->scope->access, h->scope->access_count);
        note_rules(&n, "shaper rule", h->scope->shapers_by_rule, h->scope->shaper_rule_count);
    }
}
