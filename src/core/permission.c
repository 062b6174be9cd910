/*
 * api_permissions: may this caller run this command? Sections are tried on their own; the first that fits allows. Any
 * thread, suspends never. Acls and access rules mean what they mean globally, not what a host makes of them.
 */
#include "core/access_compile.h"

static bool any_name(const struct str *v, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(v[i], name))
            return true;
    return n == 0;
}

static bool has_tag(const char *const *tags, struct str tag)
{
    for (; tags && *tags; tags++)
        if (str_eq(str_of(*tags), tag))
            return true;
    return false;
}

static bool what_hits(const struct api_what *w, struct str command, const char *const *tags)
{
    return w->kind == WHAT_ALL || (w->kind == WHAT_NAME ? str_eq(w->name, command) : has_tag(tags, w->name));
}

/* Order does not matter: what is excluded stays excluded. */
static bool what_allows(const struct api_section *s, struct str command, const char *const *tags)
{
    bool yes = false;
    for (size_t i = 0; i < s->what_count; i++) {
        if (!what_hits(&s->what[i], command, tags))
            continue;
        if (s->what[i].negative)
            return false;
        yes = true;
    }
    return yes;
}

static bool scope_granted(const struct api_who *w, struct str scopes)
{
    struct str one;
    while (str_split(&scopes, ' ', &one))
        for (size_t i = 0; i < w->scope_count; i++)
            if (one.n && str_eq(one, w->scopes[i]))
                return true;
    return false;
}

static bool who_plain(const struct acl_scope *s, const struct api_who *w, const struct access_subject *who)
{
    const struct rule *r = &w->rule;
    if (w->kind == WHO_COND)
        return cond_match(s, &w->cond, who);
    if (w->kind == WHO_ACCESS) {
        if (str_eq(w->access, S("all")))
            return true;
        r = rule_find(s->access, s->access_count, w->access);
    }
    return w->kind != WHO_OAUTH && r && str_eq(rule_value(s, r, who), S("allow"));
}

static bool who_token(const struct acl_scope *s, const struct api_who *w, const struct api_caller *caller)
{
    if (w->kind != WHO_OAUTH || !scope_granted(w, caller->oauth_scopes))
        return false;
    for (size_t i = 0; i < w->inner_count; i++)
        if (who_plain(s, &w->inner[i], &caller->who))
            return true;
    return false;
}

static bool who_allows(const struct acl_scope *s, const struct api_section *sec, const struct api_caller *caller)
{
    for (size_t i = 0; i < sec->who_count; i++) {
        /* A token is judged by oauth clauses alone: it must not profit from the address it comes from. */
        bool hit =
            caller->oauth_scopes.p ? who_token(s, &sec->who[i], caller) : who_plain(s, &sec->who[i], &caller->who);
        if (hit)
            return true;
    }
    return false;
}

bool api_allowed_tagged(const struct config *c, const struct api_caller *caller, struct str command,
                        const char *const *tags)
{
    /* The local socket belongs to whoever may read the spool folder; ejabberd never refuses its control script either.
     */
    if (str_eq(caller->frontend, S("ejabberd_ctl")))
        return true;
    for (size_t i = 0; i < c->api->n; i++) {
        const struct api_section *s = &c->api->v[i];
        if (any_name(s->frontends, s->frontend_count, caller->frontend) &&
            any_name(s->tags, s->tag_count, caller->tag) && what_allows(s, command, tags) &&
            who_allows(c->scope, s, caller))
            return true;
    }
    return false;
}

bool api_allowed(const struct config *c, const struct api_caller *caller, struct str command, bool open_policy)
{
    (void)open_policy; /* no command of 25.03 has this policy */
    return api_allowed_tagged(c, caller, command, NULL);
}
