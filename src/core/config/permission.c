/*
 * api_permissions: may this caller run this command? Sections are tried on their own; the first that fits allows. Any
 * thread, suspends never. core/config/permission_host.c has administrators of one host, core/config/permission_explain.c the
 * reasons.
 */
#include "core/config/access_compile.h"

static bool any_name(const struct str *v, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(v[i], name))
            return true;
    return n == 0;
}

bool section_from(const struct api_section *s, const struct api_caller *caller)
{
    return any_name(s->frontends, s->frontend_count, caller->frontend) && any_name(s->tags, s->tag_count, caller->tag);
}

static bool has_tag(const struct api_target *t, struct str tag)
{
    struct str rest = str_of(t->tags), word;
    while (t->tags && str_split(&rest, ' ', &word))
        if (str_eq(word, tag))
            return true;
    return t->api && tag.n == 2 && tag.p[0] == 'v' && (unsigned)(tag.p[1] - '0') == t->api;
}

bool what_hits(const struct api_what *w, const struct api_target *t)
{
    return w->kind == WHAT_ALL || (w->kind == WHAT_NAME ? str_eq(w->name, t->command) : has_tag(t, w->name));
}

/* Order does not matter: what is excluded stays excluded. */
bool section_what(const struct api_section *s, const struct api_target *t)
{
    bool yes = false;
    for (size_t i = 0; i < s->what_count; i++) {
        if (!what_hits(&s->what[i], t))
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

/* A token is judged by oauth clauses alone: it must not profit from the address it comes from. */
bool who_matches(const struct acl_scope *s, const struct api_who *w, const struct api_caller *caller)
{
    return caller->oauth_scopes.p ? who_token(s, w, caller) : who_plain(s, w, &caller->who);
}

bool section_who(const struct acl_scope *scope, const struct api_section *s, const struct api_caller *caller)
{
    for (size_t i = 0; i < s->who_count; i++)
        if (who_matches(scope, &s->who[i], caller))
            return true;
    return false;
}

static bool allowed_in(const struct acl_scope *scope, const struct config *c, const struct api_caller *caller,
                       const struct api_target *t)
{
    for (size_t i = 0; i < c->api->n; i++) {
        const struct api_section *s = &c->api->v[i];
        if (section_from(s, caller) && section_what(s, t) && section_who(scope, s, caller))
            return true;
    }
    return false;
}

bool api_allowed(const struct config *c, const struct api_caller *caller, const struct api_target *t)
{
    /*
     * The local socket belongs to whoever may read the spool folder; ejabberd never refuses its control script either. With
     * --auth it speaks for an account, and the rules say what that one may.
     */
    bool console = str_eq(caller->frontend, S("ejabberd_ctl")) && !jid_present(caller->who.jid);
    return console || allowed_in(c->scope, c, caller, t);
}

const struct vhost *api_allowed_on_host(const struct config *c, const struct api_caller *caller, const struct api_target *t)
{
    const struct vhost *h = jid_present(caller->who.jid) ? config_host(c, jid_host(caller->who.jid)) : NULL;
    if (!h || h->scope == c->scope || str_eq(opt_str(c->global, "api_host_admins"), S("ejabberd")))
        return NULL;
    return allowed_in(h->scope, c, caller, t) ? h : NULL;
}

bool api_names_scope(const struct config *c, struct str scope)
{
    for (size_t i = 0; i < c->api->n; i++)
        for (size_t k = 0; k < c->api->v[i].who_count; k++)
            if (scope.n && c->api->v[i].who[k].kind == WHO_OAUTH && scope_granted(&c->api->v[i].who[k], scope))
                return true;
    return false;
}
