/*
 * See the header. Each thread of a directory's pool has a connection, made when it is needed; nothing is kept of what was asked.
 */
#include "core/auth/directory.h"

#include "base/log.h"
#include "base/mem.h"
#include "core/auth/ldap_dir.h"
#include "rt/pool.h"

#include <pthread.h>
#include <stdlib.h>

#define THREADS 4
#define BACKLOG_MAX 1024

struct directory {
    pthread_mutex_t lock;
    struct pool *pool; /* made by the first question */
    struct ldap_dir dir;
};

struct worker {
    const struct ldap_dir *dir;
    LDAP *ld; /* NULL: not connected */
};

static void *thread_init(void *ctx)
{
    struct worker *w = MEM_NEW(struct worker);
    w->dir = &((struct directory *)ctx)->dir;
    return w;
}

static void thread_exit(void *arg)
{
    struct worker *w = arg;
    ldap_dir_let_go(&w->ld);
    free(w);
}

/* --- on a thread --- */

struct job {
    struct directory_query *q;
    size_t bytes;
    int rc;
};

static void take_values(struct job *j, LDAP *ld, LDAPMessage *entry, char *attr, struct directory_values *out)
{
    struct berval **all = ldap_get_values_len(ld, entry, attr);
    struct str *v = ARENA_ARRAY(j->q->a, struct str, DIRECTORY_VALUES_MAX);
    for (size_t i = 0; all && all[i] && out->n < DIRECTORY_VALUES_MAX; i++) {
        if (all[i]->bv_len > DIRECTORY_VALUE_BYTES)
            continue;
        v[out->n++] = arena_str(j->q->a, str_n(all[i]->bv_val, all[i]->bv_len));
        j->bytes += all[i]->bv_len;
    }
    out->v = v;
    ldap_value_free_len(all);
}

static void take_rows(struct job *j, LDAP *ld, LDAPMessage *found, char **attrs)
{
    struct directory_query *q = j->q;
    LDAPMessage *e = ldap_first_entry(ld, found);
    for (; e && q->n < q->limit && j->bytes < DIRECTORY_ANSWER_BYTES; e = ldap_next_entry(ld, e)) {
        struct directory_values *row = ARENA_ARRAY(q->a, struct directory_values, q->attr_count + 1);
        for (size_t i = 0; i < q->attr_count; i++)
            take_values(j, ld, e, attrs[i], &row[i]);
        q->rows[q->n++] = row;
    }
}

/* A directory that gives no more than so many gives those; an entry that is not there is none. */
static bool is_answer(int rc)
{
    return rc == LDAP_SUCCESS || rc == LDAP_SIZELIMIT_EXCEEDED || rc == LDAP_NO_SUCH_OBJECT;
}

static void run(void *arg, void *thread)
{
    struct job *j = arg;
    struct worker *w = thread;
    struct directory_query *q = j->q;
    LDAPMessage *found = NULL;
    char *none[] = {(char[]){LDAP_NO_ATTRS}, NULL}, **attrs = ARENA_ARRAY(q->a, char *, q->attr_count + 1);
    for (size_t i = 0; i < q->attr_count; i++)
        attrs[i] = arena_cstr(q->a, q->attrs[i]);
    q->rows = ARENA_ARRAY(q->a, struct directory_values *, q->limit);
    j->rc = ldap_dir_search(w->dir, &w->ld, w->dir->base, LDAP_SCOPE_SUBTREE, arena_cstr(q->a, q->filter),
                            q->attr_count ? attrs : none, (int)q->limit, &found);
    if (is_answer(j->rc) && found)
        take_rows(j, w->ld, found, attrs);
    ldap_msgfree(found);
}

/* --- asking --- */

static struct pool *pool_of(struct directory *d)
{
    pthread_mutex_lock(&d->lock);
    if (!d->pool)
        d->pool = pool_new("vcards", THREADS, thread_init, thread_exit, d);
    pthread_mutex_unlock(&d->lock);
    return d->pool;
}

int directory_search(struct directory *d, struct directory_query *q, struct error *err)
{
    struct job j = {.q = q, .rc = LDAP_BUSY};
    struct pool *pool = pool_of(d);
    q->n = 0;
    if (q->attr_count > DIRECTORY_ATTRS_MAX || q->limit == 0)
        return 0;
    if (pool_backlog(pool) < BACKLOG_MAX)
        pool_run(pool, run, &j);
    if (is_answer(j.rc))
        return 0;
    LOG_LIMITED(WARNING, "vcard", NULL, "ldap: no answer about vCards: %s", ldap_err2string(j.rc));
    return err_set(err, ERR_UNAVAILABLE, "the directory of vCards cannot be asked");
}

void directory_people(const struct directory *d, struct buf *b, const struct ldap_words *w)
{
    ldap_dir_user_filter(&d->dir, b, w);
}

void directory_names(const struct directory *d, struct buf *b, const struct ldap_words *w)
{
    buf_add_str(b, S("(|"));
    for (size_t i = 0; i < d->dir.uid_count; i++)
        ldap_equals(b, d->dir.uids[i].attr, d->dir.uids[i].pattern, w);
    buf_add_str(b, S(")"));
}

size_t directory_uid_count(const struct directory *d)
{
    return d->dir.uid_count;
}

struct str directory_uid_attr(const struct directory *d, size_t i)
{
    return d->dir.uids[i].attr;
}

/* Pieces of a pattern beside the user, with %d put in as it is: this is no filter. */
static bool take_piece(struct str pattern, struct str host, struct str *rest, bool from_end)
{
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < pattern.n; i++) {
        bool is_host = pattern.p[i] == '%' && i + 1 < pattern.n && pattern.p[i + 1] == 'd';
        buf_add_str(&b, is_host ? host : str_n(pattern.p + i, 1));
        i += is_host;
    }
    bool fits = rest->n >= b.n && str_ieq_ascii(str_n(from_end ? rest->p + rest->n - b.n : rest->p, b.n), buf_str(&b));
    if (fits)
        *rest = str_n(from_end ? rest->p : rest->p + b.n, rest->n - b.n);
    buf_deinit(&b);
    return fits;
}

bool directory_uid_user(const struct directory *d, size_t i, struct str host, struct str value, struct str *user_out)
{
    struct str pattern = d->dir.uids[i].pattern, rest = value;
    size_t at = 0;
    while (at + 1 < pattern.n && !(pattern.p[at] == '%' && pattern.p[at + 1] == 'u'))
        at++;
    if (at + 1 >= pattern.n || !take_piece(str_n(pattern.p, at), host, &rest, false) ||
        !take_piece(str_n(pattern.p + at + 2, pattern.n - at - 2), host, &rest, true) || !rest.n)
        return false;
    *user_out = rest;
    return true;
}

/* --- with the configuration --- */

struct directory *directory_of(const struct config *c, unsigned host)
{
    return c->directories && host < c->host_count ? c->directories[host] : NULL;
}

static void drop(struct directory *d)
{
    pool_delete(&d->pool);
    pthread_mutex_destroy(&d->lock);
    arena_release(&d->dir.arena);
    free(d);
}

struct made {
    size_t n;
    struct directory **all;
};

static void drop_all(void *arg)
{
    struct made *made = arg;
    for (size_t i = 0; i < made->n; i++)
        if (made->all[i])
            drop(made->all[i]);
}

static int make_one(const struct vhost *h, const struct options *o, struct directory **out, struct error *err)
{
    struct directory *d = *out = MEM_NEW(struct directory);
    pthread_mutex_init(&d->lock, NULL);
    d->dir.arena = arena_new();
    arena_mark_secret(d->dir.arena);
    return ldap_dir_read(&d->dir, o, h->options, err) == 0 ? 0 : err_wrap(err, "host %.*s, module mod_vcard", STR_ARG(h->name));
}

int directories_make(struct config *c, struct error *err)
{
    struct made *made = ARENA_NEW(c->arena, struct made);
    *made = (struct made){c->host_count, ARENA_ARRAY(c->arena, struct directory *, c->host_count)};
    arena_on_release(c->arena, drop_all, made);
    for (size_t i = 0; i < c->host_count; i++) {
        const struct options *o = config_module(&c->hosts[i], S("mod_vcard"));
        if (o && str_eq(opt_str(o, "db_type"), S("ldap")) && make_one(&c->hosts[i], o, &made->all[i], err) != 0)
            return -1;
    }
    c->directories = made->all;
    return 0;
}
