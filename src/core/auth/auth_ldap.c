/*
 * Accounts of a directory (auth_method ldap): the entry is searched for with ldap_uids, ldap_filter and ldap_dn_filter, and the
 * password is right when the directory lets its owner in with it (a simple bind). Every thread of a host's pool has two
 * connections: one that searches (as ldap_rootdn), one that tries passwords. Both are made when needed, and again after a failure;
 * ldap_backups come after ldap_servers. Only reads: accounts and passwords of a directory are changed there.
 */
#include "base/log.h"
#include "base/mem.h"
#include "core/auth/auth_method.h"
#include "core/auth/ldap_filter.h"
#include "core/auth/ldap_lib.h"
#include "rt/pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/time.h>

#define THREADS 8
#define ANSWER_S 5
#define BACKLOG_MAX 4096
#define UIDS_MAX 16
#define DN_ATTRS_MAX 16

struct uid {
    struct str attr, pattern;
};

struct state {
    pthread_mutex_t lock;
    struct pool *pool; /* made by the first question */
    struct arena *arena;
    char *uris, *rootdn, *base, *cacert, *cert;
    struct str password, filter, dn_filter;
    char *dn_attrs[DN_ATTRS_MAX + 1];
    size_t dn_attr_count;
    struct uid uids[UIDS_MAX];
    size_t uid_count;
    int deref, verify;
    bool tls, starttls;
};

struct worker {
    const struct state *s;
    LDAP *search, *bind; /* NULL: not connected */
};

/* --- connections --- */

static void let_go(LDAP **ld)
{
    if (*ld)
        ldap_unbind_ext_s(*ld, NULL, NULL);
    *ld = NULL;
}

static int set_options(LDAP *ld, const struct state *s)
{
    const struct timeval wait = {.tv_sec = ANSWER_S};
    int version = LDAP_VERSION3, fresh = 0;
    int rc = ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version) | ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &wait) |
             ldap_set_option(ld, LDAP_OPT_TIMEOUT, &wait) | ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF) |
             ldap_set_option(ld, LDAP_OPT_RESTART, LDAP_OPT_ON) | ldap_set_option(ld, LDAP_OPT_DEREF, &s->deref);
    if (s->tls || s->starttls) {
        rc |= ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &s->verify);
        if (s->cacert)
            rc |= ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTFILE, s->cacert);
        if (s->cert)
            rc |= ldap_set_option(ld, LDAP_OPT_X_TLS_CERTFILE, s->cert) | ldap_set_option(ld, LDAP_OPT_X_TLS_KEYFILE, s->cert);
        rc |= ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &fresh);
    }
    return rc == 0 ? LDAP_SUCCESS : LDAP_LOCAL_ERROR;
}

/* Simple bind with a password of which this makes no copy. */
static int simple_bind(LDAP *ld, const char *dn, struct str password)
{
    struct berval cred = {.bv_len = password.n, .bv_val = (char *)(uintptr_t)password.p};
    return ldap_sasl_bind_s(ld, dn, LDAP_SASL_SIMPLE, &cred, NULL, NULL, NULL);
}

static int connect_to(const struct state *s, LDAP **out)
{
    LDAP *ld = NULL;
    int rc = ldap_lib_load() ? ldap_initialize(&ld, s->uris) : LDAP_LOCAL_ERROR;
    if (rc == LDAP_SUCCESS)
        rc = set_options(ld, s);
    if (rc == LDAP_SUCCESS && s->starttls)
        rc = ldap_start_tls_s(ld, NULL, NULL);
    if (rc != LDAP_SUCCESS)
        let_go(&ld);
    *out = ld;
    return rc;
}

static int connect_search(struct worker *w)
{
    int rc = w->search ? LDAP_SUCCESS : connect_to(w->s, &w->search);
    if (rc != LDAP_SUCCESS || w->s->rootdn[0] == '\0')
        return rc;
    rc = simple_bind(w->search, w->s->rootdn, w->s->password);
    if (rc != LDAP_SUCCESS)
        let_go(&w->search);
    return rc;
}

static void *thread_init(void *ctx)
{
    struct worker *w = MEM_NEW(struct worker);
    w->s = ctx;
    return w;
}

static void thread_exit(void *arg)
{
    struct worker *w = arg;
    let_go(&w->search);
    let_go(&w->bind);
    free(w);
}

/* --- searching --- */

struct job {
    struct arena *a;
    struct ldap_words words;
    struct str password; /* absent: only whether there is such an entry */
    enum err_code code;  /* ERR_NONE: yes */
    int rc;              /* the directory's word, for the log */
};

static bool is_gone(int rc)
{
    return rc == LDAP_SERVER_DOWN || rc == LDAP_TIMEOUT || rc == LDAP_CONNECT_ERROR || rc == LDAP_UNAVAILABLE ||
           rc == LDAP_LOCAL_ERROR;
}

static int search_once(struct worker *w, const char *base, int scope, const char *filter, char **attrs, LDAPMessage **out)
{
    struct timeval wait = {.tv_sec = ANSWER_S};
    int rc = w->search ? LDAP_SUCCESS : connect_search(w);
    *out = NULL;
    if (rc == LDAP_SUCCESS)
        rc = ldap_search_ext_s(w->search, base, scope, filter, attrs, 0, NULL, NULL, &wait, 2, out);
    return rc;
}

/* A connection that the other side has closed while nobody used it is made again, once. */
static int search(struct worker *w, const char *base, int scope, const char *filter, char **attrs, LDAPMessage **out)
{
    bool old = w->search != NULL;
    int rc = search_once(w, base, scope, filter, attrs, out);
    for (int again = 0; is_gone(rc) && again < 2; again++) {
        ldap_msgfree(*out);
        *out = NULL;
        let_go(&w->search);
        if (again || !old)
            break;
        rc = search_once(w, base, scope, filter, attrs, out);
    }
    return rc;
}

static char *user_filter(const struct state *s, struct job *j)
{
    struct buf b = BUF_INIT;
    buf_add_str(&b, s->filter.n ? S("(&") : STR_NULL);
    buf_add_str(&b, s->uid_count > 1 ? S("(|") : STR_NULL);
    for (size_t i = 0; i < s->uid_count; i++)
        ldap_equals(&b, s->uids[i].attr, s->uids[i].pattern, &j->words);
    buf_add_str(&b, s->uid_count > 1 ? S(")") : STR_NULL);
    ldap_expand(&b, s->filter, &j->words);
    buf_add_str(&b, s->filter.n ? S(")") : STR_NULL);
    char *filter = arena_cstr(j->a, buf_str(&b));
    buf_deinit(&b);
    return filter;
}

/* The second look of ldap_dn_filter, at the entry itself; %s are values of its attributes. */
static int passes_dn_filter(struct worker *w, struct job *j, const char *dn, LDAPMessage *entry, bool *out)
{
    struct str values[DN_ATTRS_MAX];
    struct ldap_words words = j->words;
    struct buf b = BUF_INIT;
    LDAPMessage *found = NULL;
    char *none[] = {(char[]){LDAP_NO_ATTRS}, NULL};
    for (size_t i = 0; i < w->s->dn_attr_count; i++) {
        struct berval **v = ldap_get_values_len(w->search, entry, w->s->dn_attrs[i]);
        values[i] = v && v[0] ? arena_str(j->a, str_n(v[0]->bv_val, v[0]->bv_len)) : STR_NULL;
        ldap_value_free_len(v);
    }
    words.dn = str_of(dn);
    words.values = values;
    words.value_count = w->s->dn_attr_count;
    ldap_expand(&b, w->s->dn_filter, &words);
    int rc = search(w, dn, LDAP_SCOPE_BASE, arena_cstr(j->a, buf_str(&b)), none, &found);
    *out = rc == LDAP_SUCCESS && ldap_count_entries(w->search, found) == 1;
    ldap_msgfree(found);
    buf_deinit(&b);
    return rc;
}

/* LDAP_SUCCESS and the name of the entry; NULL: there is none, or more than one, which is nobody's. */
static int find(struct worker *w, struct job *j, char **dn_out)
{
    const struct state *s = w->s;
    char *none[] = {(char[]){LDAP_NO_ATTRS}, NULL}, **attrs = s->dn_attr_count ? (char **)(uintptr_t)s->dn_attrs : none;
    LDAPMessage *found = NULL;
    int rc = search(w, s->base, LDAP_SCOPE_SUBTREE, user_filter(s, j), attrs, &found);
    *dn_out = NULL;
    if (rc == LDAP_SIZELIMIT_EXCEEDED || (rc == LDAP_SUCCESS && ldap_count_entries(w->search, found) > 1)) {
        LOG_LIMITED(WARNING, "auth", NULL, "ldap: more than one entry is %.*s; none is let in", STR_ARG(j->words.user));
        rc = LDAP_SUCCESS;
    } else if (rc == LDAP_SUCCESS && ldap_count_entries(w->search, found) == 1) {
        LDAPMessage *entry = ldap_first_entry(w->search, found);
        char *dn = ldap_get_dn(w->search, entry);
        bool passes = true;
        if (dn && s->dn_filter.n)
            rc = passes_dn_filter(w, j, dn, entry, &passes);
        if (dn && rc == LDAP_SUCCESS && passes)
            *dn_out = arena_cstr(j->a, str_of(dn));
        ldap_memfree(dn);
    }
    ldap_msgfree(found);
    return rc == LDAP_NO_SUCH_OBJECT ? LDAP_SUCCESS : rc;
}

/* --- passwords --- */

static int try_password(struct worker *w, const char *dn, struct str password)
{
    int rc = LDAP_SERVER_DOWN;
    for (int again = 0; again < 2 && is_gone(rc); again++) {
        bool old = w->bind != NULL;
        rc = old ? LDAP_SUCCESS : connect_to(w->s, &w->bind);
        if (rc == LDAP_SUCCESS)
            rc = simple_bind(w->bind, dn, password);
        if (is_gone(rc))
            let_go(&w->bind);
        if (!old)
            break;
    }
    return rc;
}

/* What the directory says of the person, not of itself. */
static bool is_no(int rc)
{
    return rc == LDAP_INVALID_CREDENTIALS || rc == LDAP_INAPPROPRIATE_AUTH || rc == LDAP_INSUFFICIENT_ACCESS ||
           rc == LDAP_NO_SUCH_OBJECT || rc == LDAP_CONSTRAINT_VIOLATION;
}

static void run(void *arg, void *thread)
{
    struct job *j = arg;
    struct worker *w = thread;
    char *dn = NULL;
    j->rc = find(w, j, &dn);
    j->code = j->rc != LDAP_SUCCESS ? ERR_UNAVAILABLE : dn ? ERR_NONE : ERR_NOT_FOUND;
    if (j->code != ERR_NONE || !j->password.p)
        return;
    j->rc = try_password(w, dn, j->password);
    j->code = j->rc == LDAP_SUCCESS ? ERR_NONE : is_no(j->rc) ? ERR_NOT_AUTHORIZED : ERR_UNAVAILABLE;
}

/* --- operations --- */

static struct pool *pool_of(struct state *s)
{
    pthread_mutex_lock(&s->lock);
    if (!s->pool)
        s->pool = pool_new("ldap", THREADS, thread_init, thread_exit, s);
    pthread_mutex_unlock(&s->lock);
    return s->pool;
}

static int ask(const struct auth_ask *q, struct str password, struct error *err) YIELDS;
static int ask(const struct auth_ask *q, struct str password, struct error *err)
{
    struct job j = {.a = arena_new(), .words = {.user = q->user, .host = q->host}, .password = password};
    struct pool *pool = pool_of(q->state);
    arena_mark_secret(j.a);
    if (pool_backlog(pool) >= BACKLOG_MAX)
        j.code = ERR_UNAVAILABLE, j.rc = LDAP_BUSY;
    else
        pool_run(pool, run, &j);
    arena_release(&j.a);
    if (j.code == ERR_UNAVAILABLE)
        LOG_LIMITED(WARNING, "auth", NULL, "ldap: no answer about accounts of %.*s: %s", STR_ARG(q->host), ldap_err2string(j.rc));
    return j.code == ERR_NONE          ? 0
           : j.code == ERR_UNAVAILABLE ? err_set(err, j.code, "the directory of accounts cannot be asked")
           : j.code == ERR_NOT_FOUND   ? err_set(err, j.code, "no such account")
                                       : err_set(err, j.code, "wrong password");
}

/* An empty password is a bind without one, which succeeds for every name (RFC 4513 §5.1.2). */
static int check(const struct auth_ask *q, struct error *err) YIELDS;
static int check(const struct auth_ask *q, struct error *err)
{
    if (q->password.n == 0 || q->password.n > AUTH_PASSWORD_MAX || memchr(q->password.p, '\0', q->password.n))
        return err_set(err, ERR_NOT_AUTHORIZED, "wrong password");
    return ask(q, q->password, err);
}

static int exists(const struct auth_ask *q, bool *out, struct error *err) YIELDS;
static int exists(const struct auth_ask *q, bool *out, struct error *err)
{
    struct error own = ERROR_INIT;
    *out = ask(q, STR_NULL, &own) == 0;
    return *out || own.code == ERR_NOT_FOUND ? 0 : err_set(err, own.code, "%s", own.text);
}

/* --- state --- */

static void drop(void *arg)
{
    struct state *s = arg;
    pool_delete(&s->pool);
    pthread_mutex_destroy(&s->lock);
    arena_release(&s->arena);
    free(s);
}

/* --- options --- */

static void add_servers(struct buf *b, const struct vhost *h, const char *option, bool tls)
{
    const struct str *names;
    size_t n = opt_list(h->options, option, &names);
    int64_t port = opt_is_set(h->options, "ldap_port") || !tls ? opt_int(h->options, "ldap_port") : LDAPS_PORT;
    for (size_t i = 0; i < n; i++) {
        bool six = str_find(names[i], ':') >= 0 && names[i].p[0] != '[';
        buf_printf(b, "%sldap%s://%s%.*s%s:%d", b->n ? " " : "", tls ? "s" : "", six ? "[" : "", STR_ARG(names[i]), six ? "]" : "",
                   (int)port);
    }
}

static int add_uid(struct state *s, struct str attr, struct str pattern, struct error *err)
{
    if (s->uid_count == UIDS_MAX)
        return err_set(err, ERR_CONFIG, "ldap_uids: more than %d", UIDS_MAX);
    for (size_t i = 0; i < attr.n; i++)
        if (strchr("()=*\\&|! ", attr.p[i]))
            return err_set(err, ERR_CONFIG, "ldap_uids: '%.*s' is not the name of an attribute", STR_ARG(attr));
    s->uids[s->uid_count++] = (struct uid){attr, pattern};
    return 0;
}

static int read_uids(struct state *s, const struct yaml *y, struct error *err)
{
    if (!y)
        return add_uid(s, S("uid"), S("%u"), err);
    if (y->kind == YAML_SCALAR)
        return add_uid(s, y->text, S("%u"), err);
    for (size_t i = 0; i < y->n; i++) {
        const struct yaml *v = y->items[i];
        if (v->kind != YAML_SCALAR || (y->kind == YAML_MAP && str_find(v->text, '%') < 0))
            return err_set(err, ERR_CONFIG, "ldap_uids: expected attributes, or a map from attributes to patterns with %%u");
        if (add_uid(s, y->kind == YAML_MAP ? y->keys[i] : v->text, y->kind == YAML_MAP ? v->text : S("%u"), err) != 0)
            return -1;
    }
    return 0;
}

static int read_dn_filter(struct state *s, const struct yaml *y, struct error *err)
{
    if (!y || y->kind != YAML_MAP || y->n == 0)
        return 0;
    const struct yaml *attrs = y->items[0];
    s->dn_filter = y->keys[0];
    if (y->n > 1 || attrs->n > DN_ATTRS_MAX)
        return err_set(err, ERR_CONFIG, "ldap_dn_filter: expected one filter with at most %d attributes", DN_ATTRS_MAX);
    if (attrs->kind == YAML_SCALAR)
        s->dn_attrs[s->dn_attr_count++] = arena_cstr(s->arena, attrs->text);
    for (size_t i = 0; i < attrs->n; i++)
        s->dn_attrs[s->dn_attr_count++] = arena_cstr(s->arena, attrs->items[i]->text);
    return 0;
}

static char *path_option(const struct state *s, const struct vhost *h, const char *name)
{
    struct str v = opt_str(h->options, name);
    return v.n ? arena_cstr(s->arena, v) : NULL;
}

static int word_of(struct str word, const char *const *words, const int *values)
{
    size_t i = 0;
    while (words[i + 1] && !str_eq(word, str_of(words[i])))
        i++;
    return values[i];
}

static int read_options(struct state *s, const struct vhost *h, struct error *err)
{
    static const char *const derefs[] = {"searching", "finding", "always", "never", NULL};
    static const int deref_values[] = {LDAP_DEREF_SEARCHING, LDAP_DEREF_FINDING, LDAP_DEREF_ALWAYS, LDAP_DEREF_NEVER};
    static const char *const checks[] = {"false", "soft", "hard", NULL};
    static const int check_values[] = {LDAP_OPT_X_TLS_NEVER, LDAP_OPT_X_TLS_ALLOW, LDAP_OPT_X_TLS_DEMAND};
    struct str encrypt = opt_str(h->options, "ldap_encrypt");
    struct buf uris = BUF_INIT;
    s->tls = str_eq(encrypt, S("tls"));
    s->starttls = str_eq(encrypt, S("starttls"));
    add_servers(&uris, h, "ldap_servers", s->tls);
    add_servers(&uris, h, "ldap_backups", s->tls);
    s->uris = arena_cstr(s->arena, buf_str(&uris));
    buf_deinit(&uris);
    s->rootdn = arena_cstr(s->arena, opt_str(h->options, "ldap_rootdn"));
    s->base = arena_cstr(s->arena, opt_str(h->options, "ldap_base"));
    s->cacert = path_option(s, h, "ldap_tls_cacertfile");
    s->cert = path_option(s, h, "ldap_tls_certfile");
    s->password = opt_str(h->options, "ldap_password");
    s->filter = opt_str(h->options, "ldap_filter");
    s->deref = word_of(opt_str(h->options, "ldap_deref_aliases"), derefs, deref_values);
    s->verify = word_of(opt_str(h->options, "ldap_tls_verify"), checks, check_values);
    if (read_uids(s, opt_node(h->options, "ldap_uids"), err) != 0 ||
        read_dn_filter(s, opt_node(h->options, "ldap_dn_filter"), err) != 0)
        return -1;
    if (s->filter.n && !ldap_filter_ok(s->filter))
        return err_set(err, ERR_CONFIG, "ldap_filter: parentheses around it all, every one of them closed (RFC 4515)");
    if (s->dn_filter.n && !ldap_filter_ok(s->dn_filter))
        return err_set(err, ERR_CONFIG, "ldap_dn_filter: parentheses around it all, every one of them closed (RFC 4515)");
    return 0;
}

static int make(const struct vhost *h, void **state_out, struct error *err)
{
    struct state *s = MEM_NEW(struct state);
    pthread_mutex_init(&s->lock, NULL);
    s->arena = arena_new();
    arena_mark_secret(s->arena);
    if (read_options(s, h, err) != 0) {
        drop(s);
        return -1;
    }
    *state_out = s;
    return 0;
}

const struct auth_backend auth_ldap = {
    .name = {"ldap", 4}, .cached = true, .make = make, .drop = drop, .check = check, .exists = exists};
