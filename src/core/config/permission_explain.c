/* See the header. Texts name things as the configuration writes them. */
#include "core/config/permission_explain.h"

#include "core/config/access_compile.h"

#define NAMES_SHOWN 6 /* of a long list */

struct explainer {
    struct arena *a;
    const struct config *c;
    const struct acl_scope *scope;
    const struct api_caller *caller;
    const struct api_target *t;
    struct explanation *e;
    struct str section;
    struct buf b; /* the text being made */
};

static void add_row(struct explainer *x, const char *part, bool yes, const struct yaml *where)
{
    struct explanation *e = x->e;
    ARENA_MORE(x->a, e->rows, e->n);
    e->rows[e->n++] = (struct explain_row){x->section, part, yes, arena_str(x->a, buf_str(&x->b)), where};
    buf_clear(&x->b);
}

/* --- words --- */

static const char *const kind_names[] = {
    [COND_ALL] = "all", [COND_NONE] = "none", [COND_ACL] = "acl", [COND_USER] = "user", [COND_USER_RE] = "user_regexp",
    [COND_USER_GLOB] = "user_glob", [COND_NODE_RE] = "node_regexp", [COND_NODE_GLOB] = "node_glob", [COND_SERVER] = "server",
    [COND_SERVER_RE] = "server_regexp", [COND_SERVER_GLOB] = "server_glob", [COND_RESOURCE] = "resource",
    [COND_RESOURCE_RE] = "resource_regexp", [COND_RESOURCE_GLOB] = "resource_glob", [COND_IP] = "ip",
    [COND_SHARED_GROUP] = "shared_group",
};

static void say_cond(struct buf *b, const struct acl_cond *c)
{
    char ip[IP_TEXT_MAX];
    buf_add_str(b, str_of(kind_names[c->kind]));
    switch (c->kind) {
    case COND_ALL:
    case COND_NONE:
        break;
    case COND_IP:
        buf_printf(b, " %s/%u", ip_print(&c->net.ip, ip), c->net.bits);
        break;
    case COND_USER:
    case COND_USER_RE:
    case COND_USER_GLOB:
        buf_printf(b, " '%.*s' of %.*s", STR_ARG(c->user), STR_ARG(c->host.p ? c->host : S("any host served here")));
        break;
    case COND_NODE_RE:
    case COND_NODE_GLOB:
        buf_printf(b, " '%.*s@%.*s'", STR_ARG(c->user), STR_ARG(c->host));
        break;
    case COND_SERVER:
    case COND_SERVER_GLOB:
        buf_printf(b, " '%.*s'", STR_ARG(c->host));
        break;
    case COND_SERVER_RE:
        buf_printf(b, " '%.*s'", STR_ARG(c->where ? c->where->text : S("")));
        break;
    case COND_SHARED_GROUP:
        buf_printf(b, " '%.*s'%s%.*s", STR_ARG(c->user), c->host.p ? " of " : "", STR_ARG(c->host));
        break;
    default:
        buf_printf(b, " '%.*s'", STR_ARG(c->user.p ? c->user : c->where ? c->where->text : S("")));
        break;
    }
}

static void say_place(struct buf *b, const struct yaml *where)
{
    if (where && where->line)
        buf_printf(b, " at %s:%u", where->file, where->line);
}

static void say_conds(struct buf *b, const struct acl_conds *v, const char *between)
{
    for (size_t i = 0; i < v->n && i < NAMES_SHOWN; i++) {
        buf_add_str(b, str_of(i ? between : ""));
        say_cond(b, &v->v[i]);
    }
    if (v->n > NAMES_SHOWN)
        buf_printf(b, "%sand %zu more", between, v->n - NAMES_SHOWN);
    if (v->n == 0)
        buf_add_str(b, S("nothing"));
}

/* "acl admin (user 'admin' of localhost; at file:line)" */
static void say_cond_fully(struct explainer *x, const struct acl_cond *c)
{
    const struct named_acl *acl = c->kind == COND_ACL ? acl_find(x->scope, c->user) : NULL;
    say_cond(&x->b, c);
    if (acl) {
        buf_add_str(&x->b, S(" (which is "));
        say_conds(&x->b, &acl->any_of, ", or ");
        say_place(&x->b, acl->where);
        buf_add_c(&x->b, ')');
    } else if (c->kind == COND_ACL) {
        buf_add_str(&x->b, S(" (which is not defined)"));
    }
}

static void say_caller(struct explainer *x)
{
    char ip[IP_TEXT_MAX];
    const struct access_subject *who = &x->caller->who;
    if (jid_present(who->jid))
        buf_printf(&x->b, "%.*s", STR_ARG(jid_full(who->jid)));
    else
        buf_add_str(&x->b, S("nobody by name"));
    buf_printf(&x->b, " from %s", who->ip.family ? ip_print(&who->ip, ip) : "no known address");
    if (x->caller->oauth_scopes.p)
        buf_printf(&x->b, " with a token for '%.*s'", STR_ARG(x->caller->oauth_scopes));
}

static void say_list(struct buf *b, const char *before, const struct str *v, size_t n)
{
    for (size_t i = 0; i < n && i < NAMES_SHOWN; i++)
        buf_printf(b, "%s%.*s", i ? ", " : before, STR_ARG(v[i]));
    if (n > NAMES_SHOWN)
        buf_printf(b, " and %zu more", n - NAMES_SHOWN);
}

/* --- from --- */

static void explain_from(struct explainer *x, const struct api_section *s)
{
    const struct api_caller *c = x->caller;
    bool yes = section_from(s, c);
    buf_printf(&x->b, "the call comes through %.*s", STR_ARG(c->frontend));
    if (c->tag.n)
        buf_printf(&x->b, ", listener tag %.*s", STR_ARG(c->tag));
    else
        buf_add_str(&x->b, S(", a listener without tag"));
    buf_add_str(&x->b, yes ? S("; fits ") : S("; wanted is "));
    say_list(&x->b, "", s->frontends, s->frontend_count);
    say_list(&x->b, s->frontend_count ? " and tag " : "tag ", s->tags, s->tag_count);
    if (!s->frontend_count && !s->tag_count)
        buf_add_str(&x->b, S("any front end"));
    add_row(x, "from", yes, s->from_at);
}

/* --- what --- */

static void say_what(struct buf *b, const struct api_what *w)
{
    const char *no = w->negative ? "!" : "";
    if (w->kind == WHAT_ALL)
        buf_printf(b, "\"%s*\"", no);
    else if (w->kind == WHAT_TAG)
        buf_printf(b, "\"%s[tag:%.*s]\"", no, STR_ARG(w->name));
    else
        buf_printf(b, "\"%s%.*s\"", no, STR_ARG(w->name));
}

static void explain_what(struct explainer *x, const struct api_section *s)
{
    const struct api_what *deciding = NULL;
    bool yes = section_what(s, x->t);
    for (size_t i = 0; i < s->what_count && !deciding; i++)
        if (s->what[i].negative != yes && what_hits(&s->what[i], x->t))
            deciding = &s->what[i];
    if (deciding) {
        say_what(&x->b, deciding);
        buf_printf(&x->b, " %s %.*s", yes ? "takes in" : "leaves out", STR_ARG(x->t->command));
    } else {
        buf_printf(&x->b, "%s %.*s", s->what_count ? "no entry names" : "there is no 'what', so it is not about",
                   STR_ARG(x->t->command));
    }
    add_row(x, "what", yes, deciding ? deciding->where : s->what_at);
}

/* --- who --- */

static const struct acl_cond *first_miss(struct explainer *x, const struct acl_conds *v)
{
    for (size_t i = 0; i < v->n; i++)
        if (!cond_match(x->scope, &v->v[i], &x->caller->who))
            return &v->v[i];
    return NULL;
}

/* One row for each clause up to the one that decides. */
static void explain_clauses(struct explainer *x, const char *name, const struct rule *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct rule_clause *c = &r->v[i];
        const struct acl_cond *miss = first_miss(x, &c->all_of);
        bool allow = str_eq(c->value, S("allow"));
        buf_printf(&x->b, "%s: %.*s if ", name, STR_ARG(c->value));
        say_conds(&x->b, &c->all_of, " and ");
        if (miss) {
            buf_add_str(&x->b, S("; what misses is "));
            say_cond_fully(x, miss);
        }
        add_row(x, "who", !miss && allow, c->where);
        if (!miss)
            return;
    }
    buf_printf(&x->b, "%s: no clause matches, so it denies", name);
    add_row(x, "who", false, r->n ? r->v[0].where : NULL);
}

static void explain_access(struct explainer *x, const struct api_who *w)
{
    const struct rule *r = rule_find(x->scope->access, x->scope->access_count, w->access);
    struct str name = arena_printf(x->a, "access rule %.*s", STR_ARG(w->access));
    if (str_eq(w->access, S("all"))) {
        buf_add_str(&x->b, S("access all: everybody"));
        add_row(x, "who", true, w->where);
    } else if (!r) {
        buf_printf(&x->b, "%.*s is not defined", STR_ARG(name));
        add_row(x, "who", false, w->where);
    } else {
        explain_clauses(x, name.p, r);
    }
}

static void explain_plain(struct explainer *x, const struct api_who *w)
{
    if (w->kind == WHO_ACCESS) {
        explain_access(x, w);
    } else if (w->kind == WHO_RULE) {
        explain_clauses(x, "access", &w->rule);
    } else {
        say_cond_fully(x, &w->cond);
        add_row(x, "who", cond_match(x->scope, &w->cond, &x->caller->who), w->where);
    }
}

static void explain_oauth(struct explainer *x, const struct api_who *w)
{
    struct str scopes = x->caller->oauth_scopes, one, shared = STR_NULL;
    while (str_split(&scopes, ' ', &one))
        for (size_t i = 0; i < w->scope_count; i++)
            if (one.n && str_eq(one, w->scopes[i]))
                shared = one;
    buf_add_str(&x->b, S("oauth: wants a token with scope "));
    say_list(&x->b, "", w->scopes, w->scope_count);
    if (!x->caller->oauth_scopes.p)
        buf_add_str(&x->b, S("; the call has no token"));
    else if (!shared.p)
        buf_printf(&x->b, "; the token is for '%.*s'", STR_ARG(x->caller->oauth_scopes));
    add_row(x, "who", shared.p != NULL, w->where);
    for (size_t i = 0; shared.p && i < w->inner_count; i++)
        explain_plain(x, &w->inner[i]);
}

static void explain_who(struct explainer *x, const struct api_section *s)
{
    bool token = x->caller->oauth_scopes.p != NULL;
    for (size_t i = 0; i < s->who_count; i++) {
        const struct api_who *w = &s->who[i];
        if (w->kind == WHO_OAUTH) {
            explain_oauth(x, w);
        } else if (token) {
            buf_add_str(&x->b, S("only oauth clauses count for a call with a token"));
            add_row(x, "who", false, w->where);
        } else {
            explain_plain(x, w);
        }
    }
    if (s->who_count)
        return;
    buf_add_str(&x->b, S("there is no 'who', so it is for nobody"));
    add_row(x, "who", false, s->where);
}

/* --- sections --- */

static void explain_section(struct explainer *x, const struct api_section *s)
{
    bool from = section_from(s, x->caller), who = section_who(x->scope, s, x->caller), what = section_what(s, x->t);
    x->section = s->name;
    if (from && who && what)
        buf_add_str(&x->b, S("allows it"));
    else
        buf_printf(&x->b, "does not allow it because of%s%s%s%s%s", from ? "" : " from", from || (who && what) ? "" : ",",
                   who ? "" : " who", who || what ? "" : ",", what ? "" : " what");
    add_row(x, "section", from && who && what, s->where);
    explain_from(x, s);
    explain_who(x, s);
    explain_what(x, s);
}

static void explain_sections(struct explainer *x)
{
    for (size_t i = 0; i < x->c->api->n; i++)
        explain_section(x, &x->c->api->v[i]);
    x->section = STR_NULL;
}

static void explain_host(struct explainer *x)
{
    const struct vhost *h = x->e->only_host;
    buf_printf(&x->b, "the acls and access rules of host %.*s allow it: only for calls whose arguments name this host, its "
                      "services, and accounts without more rights", STR_ARG(h->name));
    add_row(x, "host", true, h->acl ? h->acl : h->access_rules);
    x->scope = h->scope;
    explain_sections(x);
}

struct explanation api_explain(struct arena *a, const struct config *c, const struct api_caller *caller,
                               const struct api_target *t)
{
    struct explanation e = {.allowed = api_allowed(c, caller, t)};
    struct explainer x = {.a = a, .c = c, .scope = c->scope, .caller = caller, .t = t, .e = &e};
    if (!e.allowed)
        e.only_host = api_allowed_on_host(c, caller, t);
    say_caller(&x);
    buf_printf(&x.b, " may %srun %.*s%s", e.allowed || e.only_host ? "" : "not ", STR_ARG(t->command),
               e.only_host ? " on one host only" : "");
    add_row(&x, "verdict", e.allowed || e.only_host, c->api_permissions);
    if (str_eq(caller->frontend, S("ejabberd_ctl"))) {
        buf_add_str(&x.b, S("the command line may run everything: who may read the server's folder is its administrator"));
        add_row(&x, "from", true, NULL);
    }
    explain_sections(&x);
    if (e.only_host)
        explain_host(&x);
    buf_deinit(&x.b);
    return e;
}
