/*
 * Accounts of a directory (auth_method ldap): the entry is searched for with ldap_uids, ldap_filter and ldap_dn_filter, and the
 * password is right when the directory lets its owner in with it (a simple bind). Every thread of a host's pool has two
 * connections: one that searches (as ldap_rootdn), one that tries passwords. Both are made when needed, and again after a failure;
 * ldap_backups come after ldap_servers. Only reads: accounts and passwords of a directory are changed there.
 */
#include "base/log.h"
#include "base/mem.h"
#include "core/auth/auth_method.h"
#include "core/auth/ldap_dir.h"
#include "rt/pool.h"

#include <pthread.h>
#include <stdlib.h>

#define THREADS 8
#define BACKLOG_MAX 4096
#define DN_ATTRS_MAX 16

struct state {
    pthread_mutex_t lock;
    struct pool *pool; /* made by the first question */
    struct ldap_dir dir;
    struct str dn_filter;
    char *dn_attrs[DN_ATTRS_MAX + 1];
    size_t dn_attr_count;
};

struct worker {
    const struct state *s;
    LDAP *search, *bind; /* NULL: not connected */
};

static void *thread_init(void *ctx)
{
    struct worker *w = MEM_NEW(struct worker);
    w->s = ctx;
    return w;
}

static void thread_exit(void *arg)
{
    struct worker *w = arg;
    ldap_dir_let_go(&w->search);
    ldap_dir_let_go(&w->bind);
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

static int search(struct worker *w, const char *base, int scope, const char *filter, char **attrs, LDAPMessage **out)
{
    return ldap_dir_search(&w->s->dir, &w->search, base, scope, filter, attrs, 2, out);
}

static char *user_filter(const struct state *s, struct job *j)
{
    struct buf b = BUF_INIT;
    ldap_dir_user_filter(&s->dir, &b, &j->words);
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
    int rc = search(w, s->dir.base, LDAP_SCOPE_SUBTREE, user_filter(s, j), attrs, &found);
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
    for (int again = 0; again < 2 && ldap_dir_is_gone(rc); again++) {
        bool old = w->bind != NULL;
        rc = old ? LDAP_SUCCESS : ldap_dir_connect(&w->s->dir, &w->bind);
        if (rc == LDAP_SUCCESS)
            rc = ldap_dir_bind(w->bind, dn, password);
        if (ldap_dir_is_gone(rc))
            ldap_dir_let_go(&w->bind);
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
    arena_release(&s->dir.arena);
    free(s);
}

/* --- options --- */

static int read_dn_filter(struct state *s, const struct yaml *y, struct error *err)
{
    if (!y || y->kind != YAML_MAP || y->n == 0)
        return 0;
    const struct yaml *attrs = y->items[0];
    s->dn_filter = y->keys[0];
    if (y->n > 1 || attrs->n > DN_ATTRS_MAX)
        return err_set(err, ERR_CONFIG, "ldap_dn_filter: expected one filter with at most %d attributes", DN_ATTRS_MAX);
    if (attrs->kind == YAML_SCALAR)
        s->dn_attrs[s->dn_attr_count++] = arena_cstr(s->dir.arena, attrs->text);
    for (size_t i = 0; i < attrs->n; i++)
        s->dn_attrs[s->dn_attr_count++] = arena_cstr(s->dir.arena, attrs->items[i]->text);
    return 0;
}

static int read_options(struct state *s, const struct options *o, struct error *err)
{
    if (ldap_dir_read(&s->dir, o, o, err) != 0 || read_dn_filter(s, opt_node(o, "ldap_dn_filter"), err) != 0)
        return -1;
    if (s->dn_filter.n && !ldap_filter_ok(s->dn_filter))
        return err_set(err, ERR_CONFIG, "ldap_dn_filter: parentheses around it all, every one of them closed (RFC 4515)");
    return 0;
}

static int make(const struct vhost *h, void **state_out, struct error *err)
{
    struct state *s = MEM_NEW(struct state);
    pthread_mutex_init(&s->lock, NULL);
    s->dir.arena = arena_new();
    arena_mark_secret(s->dir.arena);
    if (read_options(s, h->options, err) != 0) {
        drop(s);
        return -1;
    }
    *state_out = s;
    return 0;
}

const struct auth_backend auth_ldap = {
    .name = {"ldap", 4}, .cached = true, .make = make, .drop = drop, .check = check, .exists = exists};
