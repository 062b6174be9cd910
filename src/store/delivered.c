/*
 * Marks of what was delivered, and the job that removes the rows. A mark is one cell of the ledger, which stays until the last of
 * its rows is gone; as rows go in the order of their ids, that one being there means that the mark is still to be carried out.
 * Shards note, reader threads ask, the writer thread removes; one lock, never held while the engine works. Blocks: spool_settle.
 */
#include "store/delivered.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/ledger.h"
#include "store/rows.h"
#include "store/spool.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#define HOLD_MS 400       /* a mark waits so long for others, whatever else is written; a writer in no hurry adds to it */
#define PIECE 8192        /* rows in one transaction: others wait behind it */
#define BATCH_MAX 262144  /* ids that are sorted at a time */

struct mark {
    struct map_node node;
    struct mark *next;          /* in the batch */
    struct str host, user;      /* behind it */
    int64_t upto;
    int64_t taken;              /* as far as the batch goes */
    bool whole;                 /* it has all up to there */
    struct ledger_cell *cell;
};

static struct {
    pthread_mutex_t lock;
    struct map map;
    size_t count;     /* atomic: for those who look whether there is anything at all */
    uint64_t since_ms; /* the first of those that no batch has */
    bool apart, posted, ending, said;
} marks = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The writer's. */
static struct {
    struct mark *first;
    int64_t *ids; /* ascending */
    size_t n, at, to;
    bool ran;     /* the last job, that of `by`, has removed up to `to`; when it is committed they are gone */
    const void *by;
} batch;

/* --- marks --- */

struct key {
    struct str host, user;
};

static bool same(const struct map_node *node, const void *key)
{
    const struct mark *m = CONTAINER_OF(node, const struct mark, node);
    const struct key *k = key;

    return str_eq(m->user, k->user) && str_eq(m->host, k->host);
}

/* Where rows do not tell hosts apart all hosts have the same ones. */
static struct key key_of(struct str host, struct str user)
{
    return (struct key){marks.apart ? host : S(""), user};
}

static uint64_t hash_of(const struct key *k)
{
    return hash_str(k->host) * 0x9E3779B97F4A7C15u ^ hash_str(k->user);
}

/* The same in every process. */
static uint64_t account_of(const struct key *k)
{
    return hash_stable(k->host.p, k->host.n) * 0x9E3779B97F4A7C15u ^ hash_stable(k->user.p, k->user.n);
}

static struct mark *find(const struct key *k)
{
    struct map_node *n = map_find(&marks.map, hash_of(k), same, k);

    return n ? CONTAINER_OF(n, struct mark, node) : NULL;
}

static struct mark *add(const struct key *k)
{
    struct mark *m = mem_zalloc(sizeof(*m) + k->host.n + k->user.n);
    char *names = (char *)(m + 1);

    if (k->host.n)
        memcpy(names, k->host.p, k->host.n);
    memcpy(names + k->host.n, k->user.p, k->user.n);
    m->host = str_n(names, k->host.n);
    m->user = str_n(names + k->host.n, k->user.n);
    map_add(&marks.map, &m->node, hash_of(k));
    if (__atomic_add_fetch(&marks.count, 1, __ATOMIC_RELEASE) == 1)
        marks.since_ms = clock_mono_ms();
    return m;
}

static void drop(struct mark *m)
{
    map_del(&marks.map, &m->node);
    __atomic_sub_fetch(&marks.count, 1, __ATOMIC_RELEASE);
    free(m);
}

static bool any(void)
{
    return __atomic_load_n(&marks.count, __ATOMIC_ACQUIRE) != 0;
}

int64_t delivered_upto(struct str host, struct str user)
{
    struct key k = key_of(host, user);
    const struct mark *m;
    int64_t upto = 0;

    if (!any())
        return 0;
    pthread_mutex_lock(&marks.lock);
    m = find(&k);
    if (m)
        upto = m->upto;
    pthread_mutex_unlock(&marks.lock);
    return upto;
}

enum store_rc delivered_remove(struct sql_conn *c, struct str host, struct str user)
{
    int64_t upto = delivered_upto(host, user);

    return upto ? sql_run(c, STMT_spool_delete_upto, SQL_ARGS(V_STR(host), V_STR(user), V_INT(upto)), NULL) : STORE_OK;
}

/* --- removing, on the writer --- */

static bool due(void)
{
    bool is;

    pthread_mutex_lock(&marks.lock);
    is = !marks.ending && marks.count && clock_mono_ms() - marks.since_ms >= HOLD_MS;
    pthread_mutex_unlock(&marks.lock);
    return is;
}

/* Only the writer lets marks go: they stay where they are without the lock. */
static void take_marks(void)
{
    pthread_mutex_lock(&marks.lock);
    batch.first = NULL;
    for (struct map_node *n = map_next(&marks.map, NULL); n; n = map_next(&marks.map, n)) {
        struct mark *m = CONTAINER_OF(n, struct mark, node);
        m->taken = m->upto;
        m->whole = false;
        m->next = batch.first;
        batch.first = m;
    }
    pthread_mutex_unlock(&marks.lock);
}

static enum store_rc take_ids(struct sql_conn *c, struct mark *m, size_t *cap)
{
    struct sql_query q;
    size_t room = BATCH_MAX - batch.n, before = batch.n;

    if (!room)
        return STORE_OK;
    sql_start(c, STMT_spool_ids, SQL_ARGS(V_STR(m->host), V_STR(m->user), V_INT(m->taken), V_INT((int64_t)room)), &q);
    while (sql_next(&q)) {
        if (batch.n == *cap) {
            *cap = *cap ? *cap * 2 : 1024;
            batch.ids = mem_realloc(batch.ids, *cap * sizeof(*batch.ids));
        }
        batch.ids[batch.n++] = sql_int(&q, 0);
    }
    m->whole = batch.n - before < room;
    return sql_end(&q);
}

static int by_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static void forget_batch(void)
{
    free(batch.ids);
    memset(&batch, 0, sizeof(batch));
}

static enum store_rc gather(struct sql_conn *c)
{
    enum store_rc rc = STORE_OK;
    size_t cap = 0;

    take_marks();
    for (struct mark *m = batch.first; m && rc == STORE_OK; m = m->next)
        rc = take_ids(c, m, &cap);
    if (rc != STORE_OK)
        forget_batch();
    else if (batch.n)
        qsort(batch.ids, batch.n, sizeof(*batch.ids), by_id);
    return rc;
}

/* Neighbours go with one statement. */
static enum store_rc remove_run(struct sql_conn *c, size_t *at, size_t end)
{
    size_t first = *at, last = first;

    while (last + 1 < end && batch.ids[last + 1] == batch.ids[last] + 1)
        last++;
    *at = last + 1;
    if (first == last)
        return sql_run(c, STMT_spool_delete_id, SQL_ARGS(V_INT(batch.ids[first])), NULL);
    return sql_run(c, STMT_spool_delete_range, SQL_ARGS(V_INT(batch.ids[first]), V_INT(batch.ids[last])), NULL);
}

/* The next piece; arg: NULL, or whoever waits for all of it. */
static enum store_rc remove_some(struct sql_conn *c, void *arg)
{
    enum store_rc rc = STORE_OK;
    size_t at;

    batch.ran = false;
    if (!batch.first && !arg && !due())
        return STORE_OK;
    if (!batch.first)
        rc = gather(c);
    batch.to = batch.n - batch.at > PIECE ? batch.at + PIECE : batch.n;
    for (at = batch.at; rc == STORE_OK && at < batch.to;)
        rc = remove_run(c, &at, batch.to);
    batch.ran = rc == STORE_OK && batch.first;
    batch.by = arg;
    return rc;
}

/* --- and when it is committed --- */

static void let_go(struct mark *m)
{
    if (m->upto != m->taken || !m->whole)
        return;
    ledger_give_back(&m->cell);
    drop(m);
}

static void finish_batch(void)
{
    pthread_mutex_lock(&marks.lock);
    for (struct mark *m = batch.first, *next; m; m = next) {
        next = m->next;
        let_go(m);
    }
    marks.since_ms = clock_mono_ms();
    pthread_mutex_unlock(&marks.lock);
    forget_batch();
}

static void committed(const void *by)
{
    if (!batch.ran || batch.by != by)
        return;
    batch.ran = false;
    batch.at = batch.to;
    if (batch.at == batch.n)
        finish_batch();
}

/* The table keeps what cannot be removed, nobody sees it, and it is tried again: said once, until it goes again. */
static void tell(enum store_rc rc)
{
    bool first = rc != STORE_OK && !marks.said;

    marks.said = rc != STORE_OK;
    if (first)
        LOG(WARNING, "store", NULL, "delivered messages cannot be removed from the table yet; it is tried again");
}

static void on_done(void *arg, enum store_rc rc);

static _Thread_local bool posting; /* refused: done before it was begun */

static void post(bool at_once)
{
    bool mine;

    pthread_mutex_lock(&marks.lock);
    mine = !marks.posted && !marks.ending;
    marks.posted |= mine;
    pthread_mutex_unlock(&marks.lock);
    if (!mine)
        return;
    posting = true;
    (at_once ? store_write_later : store_write_lazily)(remove_some, NULL, on_done, NULL);
    posting = false;
}

static void on_done(void *arg, enum store_rc rc)
{
    (void)arg;
    pthread_mutex_lock(&marks.lock);
    marks.posted = false;
    pthread_mutex_unlock(&marks.lock);
    if (posting)
        return; /* the next mark asks again, or the end of the store */
    tell(rc);
    if (rc == STORE_OK)
        committed(NULL);
    if (any())
        post(rc == STORE_OK && batch.first);
}

/* cell: NULL leaves the one that is there, which is of fewer. */
static void mark(const struct key *k, int64_t upto, struct ledger_cell *cell)
{
    struct ledger_cell *old = NULL;
    struct mark *m;

    pthread_mutex_lock(&marks.lock);
    m = find(k);
    if (!m)
        m = add(k);
    if (cell) {
        old = m->cell;
        m->cell = cell;
    }
    if (upto > m->upto)
        m->upto = upto;
    pthread_mutex_unlock(&marks.lock);
    ledger_free(&old);
    post(false);
}

bool delivered_note(struct str host, struct str user, int64_t upto, int64_t stored_s)
{
    struct key k = key_of(host, user);
    struct ledger_cell *cell = ledger_delivered(account_of(&k), (uint64_t)stored_s, (uint64_t)upto);

    if (cell)
        mark(&k, upto, cell);
    return cell != NULL;
}

void delivered_hide(struct str host, struct str user, int64_t upto)
{
    struct key k = key_of(host, user);

    mark(&k, upto, NULL);
}

/* --- the process before --- */

struct owner {
    struct str user, host;
    int64_t stored_s;
};

static bool read_owner(const struct sql_query *q, struct rows *r, void *row_out)
{
    *(struct owner *)row_out = (struct owner){.user = arena_str(r->a, sql_text(q, 0)), .host = arena_str(r->a, sql_text(q, 2)),
                                              .stored_s = store_time_parse(sql_text(q, 1))};
    return true;
}

/* Of another row, in another database, nothing is known. No row: it was carried out. */
static enum store_rc take_over(const struct ledger_cell *c) YIELDS;
static enum store_rc take_over(const struct ledger_cell *c)
{
    struct rows r = ROWS(struct owner, STMT_spool_owner, read_owner, V_INT((int64_t)c->n));
    struct arena *a = arena_new();
    struct owner o;
    enum store_rc rc = rows_one(a, &r, &o);

    if (rc == STORE_OK) {
        struct key k = key_of(o.host, o.user);
        if (account_of(&k) == c->account && (uint64_t)o.stored_s == c->cause)
            rc = spool_delivered(o.host, o.user, (int64_t)c->n, o.stored_s, NULL);
    }
    arena_release(&a);
    return rc == STORE_NONE ? STORE_OK : rc;
}

enum store_rc spool_restore(void)
{
    size_t n;
    const struct ledger_cell *c = ledger_old_all(&n);
    enum store_rc rc = STORE_OK;

    for (size_t i = 0; i < n && rc == STORE_OK; i++)
        if (c[i].kind == LEDGER_DELIVERED)
            rc = take_over(&c[i]);
    return rc;
}

/* --- life --- */

struct settling {
    sem_t done;
    enum store_rc rc;
};

static void on_settled(void *arg, enum store_rc rc)
{
    struct settling *s = arg;

    tell(rc);
    if (rc == STORE_OK)
        committed(s);
    s->rc = rc;
    sem_post(&s->done);
}

void spool_settle(void)
{
    struct settling s = {.rc = STORE_OK};

    pthread_mutex_lock(&marks.lock);
    marks.ending = true;
    pthread_mutex_unlock(&marks.lock);
    sem_init(&s.done, 0, 0);
    while (any() && s.rc == STORE_OK) {
        store_write_later(remove_some, &s, on_settled, NULL);
        while (sem_wait(&s.done) != 0)
            continue;
    }
    sem_destroy(&s.done);
}

static void forget_marks(void)
{
    if (!marks.map.buckets)
        return;
    for (struct map_node *n; (n = map_next(&marks.map, NULL));)
        drop(CONTAINER_OF(n, struct mark, node));
    map_deinit(&marks.map);
    marks.map = (struct map){0};
}

void delivered_start(bool per_host)
{
    delivered_stop();
    map_init(&marks.map);
    marks.apart = per_host;
    marks.posted = marks.ending = marks.said = false;
}

void delivered_stop(void)
{
    pthread_mutex_lock(&marks.lock);
    forget_marks();
    marks.ending = true;
    pthread_mutex_unlock(&marks.lock);
    forget_batch();
}
