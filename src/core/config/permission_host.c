/*
 * Administrators of one host: whose domain a name is, and which accounts are above them. Any thread, suspends never. What the
 * arguments of a command name is looked at in admin/host_args.c.
 */
#include "core/config/access_compile.h"
#include "core/config/option.h"

static bool module_names(const struct options *o, const char *option, struct str domain)
{
    const struct opt_def *d = o->group ? opt_def_find(o->group, str_of(option)) : NULL;
    if (!d)
        return false;
    if (d->kind == OPT_STR)
        return str_eq(opt_str(o, option), domain);
    if (d->kind != OPT_LIST)
        return false;
    const struct str *v;
    size_t n = opt_list(o, option, &v);
    for (size_t i = 0; i < n; i++)
        if (str_eq(v[i], domain))
            return true;
    return false;
}

static bool host_names(const struct vhost *h, struct str domain)
{
    for (size_t i = 0; i < h->module_count; i++)
        if (module_names(h->modules[i].options, "host", domain) || module_names(h->modules[i].options, "hosts", domain))
            return true;
    return false;
}

/* conference.a.example belongs to a.example, unless somebody named it, and unless a longer name is served. */
static const struct vhost *host_above(const struct config *c, struct str domain)
{
    const struct vhost *h = NULL;
    ptrdiff_t dot;
    while (!h && (dot = str_find(domain, '.')) >= 0) {
        domain = str_n(domain.p + dot + 1, domain.n - (size_t)dot - 1);
        h = config_host(c, domain);
    }
    return h;
}

const struct vhost *api_domain_owner(const struct config *c, struct str domain)
{
    const struct vhost *h = config_host(c, domain);
    for (size_t i = 0; !h && i < c->host_count; i++)
        if (host_names(&c->hosts[i], domain))
            h = &c->hosts[i];
    return h ? h : host_above(c, domain);
}

/* As itself, or with a token of the clause's own scope: whoever has the account can get one. */
static bool who_could(const struct acl_scope *s, const struct api_who *w, const struct access_subject *who)
{
    struct api_caller plain = {.who = *who};
    if (w->kind != WHO_OAUTH)
        return who_matches(s, w, &plain);
    for (size_t i = 0; i < w->inner_count; i++)
        if (who_matches(s, &w->inner[i], &plain))
            return true;
    return false;
}

static bool section_could(const struct config *c, const struct api_section *s, const struct access_subject *who)
{
    for (size_t i = 0; i < s->who_count; i++)
        if (who_could(c->scope, &s->who[i], who))
            return true;
    return false;
}

bool api_account_above(const struct config *c, struct jid account, const struct api_caller *caller)
{
    struct access_subject nobody = {.any_ip = true}, target = {.jid = account, .any_ip = true};
    struct access_subject self = {.jid = caller->who.jid, .any_ip = true};
    for (size_t i = 0; i < c->api->n; i++) {
        const struct api_section *s = &c->api->v[i];
        /* What everybody has, and what the caller has, is nothing to take hold of an account for. */
        if (s->what_count && section_could(c, s, &target) && !section_could(c, s, &nobody) && !section_could(c, s, &self))
            return true;
    }
    return false;
}
