/*
 * The writer thread and its queue. Shards push under a short lock; the thread takes all there is, runs it in one
 * transaction and posts the answers. Suspends: writer_run only, without a deadline, because every job ends.
 * Order: jobs are run and answered in the order in which they were queued.
 */
#include "store/writer.h"

#include "base/log.h"
#include "base/mem.h"
#include "rt/fault.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/shard.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define LAZY_MS 500   /* how long jobs that are in no hurry wait for company */

struct job {
    struct job *next;
    bool lazy;
    store_fn fn;
    void *arg;
    enum store_rc rc;
    /* Somebody waits: the job lives on the stack of that fiber. */
    struct fiber *fiber;
    unsigned shard;
    struct msg wake;
    /* Nobody waits: the job is on the heap. */
    store_done_fn done;
    const char *what;
};

struct writer {
    struct sql_conn *conn;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct job *first, **end;
    unsigned queued, lazy; /* of these, in no hurry */
    struct timespec lazy_end;
    bool stopping;
    struct writer_stats stats;
};

static void on_wake(struct msg *m)
{
    fiber_wake(CONTAINER_OF(m, struct job, wake)->fiber);
}

/* After the post the job is gone: its fiber may have returned. */
static void finish(struct job *j)
{
    if (j->fiber) {
        j->wake.fn = on_wake;
        mail_post_foreign(j->shard, &j->wake);
        return;
    }
    if (j->what && j->rc != STORE_OK && j->rc != STORE_NONE)
        LOG_LIMITED(ERROR, "store", NULL, "%s: %s", j->what, j->rc == STORE_UNCERTAIN ? "outcome unknown" : "not written");
    j->done(j->arg, j->rc);
    free(j);
}

static enum store_rc commit(struct writer *w)
{
    enum sql_rc rc;

    if (fault_hit(FAULT_store_commit_fail)) {
        w->conn->driver->rollback(w->conn);
        return STORE_UNCERTAIN;
    }
    fault_die(FAULT_die_uncommitted);
    rc = w->conn->driver->commit(w->conn);
    fault_die(FAULT_die_committed);
    if (rc == SQL_DONE)
        __atomic_add_fetch(&w->stats.commits, 1, __ATOMIC_RELAXED);
    else
        LOG_LIMITED(ERROR, "store", NULL, "commit: %s", w->conn->message);
    return rc == SQL_LOST ? STORE_UNCERTAIN : sql_store_rc(rc);
}

static enum store_rc begin(struct writer *w)
{
    enum sql_rc rc;

    if (fault_hit(FAULT_store_busy))
        return STORE_UNAVAILABLE;
    rc = w->conn->driver->begin(w->conn);
    if (rc != SQL_DONE)
        LOG_LIMITED(ERROR, "store", NULL, "no transaction: %s", w->conn->message);
    return sql_store_rc(rc);
}

static void slow_down(void)
{
    if (fault_hit(FAULT_store_slow))
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
}

/* Its own transaction; nothing of others is touched. */
static void run_alone(struct writer *w, struct job *j)
{
    j->rc = begin(w);
    if (j->rc != STORE_OK)
        return;
    j->rc = j->fn(w->conn, j->arg);
    if (j->rc == STORE_OK)
        j->rc = w->conn->driver->in_transaction(w->conn) ? commit(w) : STORE_UNAVAILABLE;
    else
        w->conn->driver->rollback(w->conn);
}

/* Runs the job; false: it failed and left something behind, or the engine ended the transaction. */
static bool run_job(struct writer *w, struct job *j)
{
    const struct sql_driver *d = w->conn->driver;
    int64_t before = d->all_changes(w->conn);

    j->rc = j->fn(w->conn, j->arg);
    return d->in_transaction(w->conn) && (j->rc == STORE_OK || d->all_changes(w->conn) == before);
}

/* What a job that fails has done so far is undone, and nothing else. */
static bool run_guarded(struct writer *w, struct job *j)
{
    const struct sql_driver *d = w->conn->driver;

    if (d->exec(w->conn, "SAVEPOINT job") != SQL_DONE)
        return false;
    j->rc = j->fn(w->conn, j->arg);
    if (!d->in_transaction(w->conn) || (j->rc != STORE_OK && d->exec(w->conn, "ROLLBACK TO job") != SQL_DONE))
        return false;
    return d->exec(w->conn, "RELEASE job") == SQL_DONE;
}

/*
 * In a transaction that has begun. STORE_OK: every job has its own verdict and waits for the commit. Otherwise the engine ended the
 * transaction. Savepoints cost more than most rows, and nearly every job that fails has only looked (there is no such row, there
 * is one already): only a group in which one failed half-way runs again with them.
 */
static enum store_rc run_jobs(struct writer *w, struct job *group)
{
    struct job *j = group;
    enum store_rc rc;

    while (j && run_job(w, j))
        j = j->next;
    if (!j)
        return STORE_OK;
    w->conn->driver->rollback(w->conn);
    rc = begin(w);
    for (j = group; rc == STORE_OK && j; j = j->next)
        if (!run_guarded(w, j))
            rc = STORE_UNAVAILABLE;
    return rc;
}

static void set_all(struct job *group, enum store_rc rc)
{
    for (struct job *j = group; j; j = j->next)
        j->rc = rc;
}

/* Verdicts of jobs that changed nothing stand whatever the commit says. */
static void set_committed(struct job *group, enum store_rc rc)
{
    for (struct job *j = group; j; j = j->next)
        if (j->rc == STORE_OK)
            j->rc = rc;
}

static void run_group(struct writer *w, struct job *group)
{
    enum store_rc rc = begin(w);

    if (rc != STORE_OK) {
        set_all(group, rc);
        return;
    }
    rc = run_jobs(w, group);
    if (rc == STORE_OK) {
        rc = commit(w);
        if (rc == STORE_OK)
            return;
        if (rc == STORE_UNCERTAIN) {
            set_committed(group, rc);
            return;
        }
    }
    /* One job too big for the disk took the others down with it: each gets its own chance and its own verdict. */
    w->conn->driver->rollback(w->conn);
    for (struct job *j = group; j; j = j->next)
        run_alone(w, j);
}

static void serve(struct writer *w, struct job *group)
{
    struct job *j = group;

    slow_down();
    if (group->next)
        run_group(w, group);
    else
        run_alone(w, group);
    while (j) {
        struct job *next = j->next;
        finish(j);
        j = next;
    }
    w->conn->driver->tidy(w->conn);
}

/* Jobs in no hurry wait for one that is, for a full group, or for their time. With the lock. */
static void wait_for_work(struct writer *w)
{
    int late = 0;

    while (!w->stopping && (!w->queued || (w->queued == w->lazy && w->lazy < WRITER_GROUP_MAX && late != ETIMEDOUT)))
        late = w->queued ? pthread_cond_timedwait(&w->filled, &w->lock, &w->lazy_end) : pthread_cond_wait(&w->filled, &w->lock);
}

/* Waits for work; NULL when there is none and none will come. */
static struct job *take_group(struct writer *w)
{
    struct job *group, **cut;
    unsigned n = 0;

    pthread_mutex_lock(&w->lock);
    wait_for_work(w);
    group = w->first;
    for (cut = &w->first; *cut && n < WRITER_GROUP_MAX; n++) {
        w->lazy -= (*cut)->lazy;
        cut = &(*cut)->next;
    }
    if (group) {
        w->first = *cut;
        *cut = NULL;
        if (!w->first)
            w->end = &w->first;
        w->queued -= n;
        w->stats.jobs += n;
    }
    pthread_mutex_unlock(&w->lock);
    return group;
}

static void *writer_main(void *arg)
{
    struct writer *w = arg;
    struct job *group;

    pthread_setname_np(pthread_self(), "store-writer");
    while ((group = take_group(w)))
        serve(w, group);
    return NULL;
}

struct writer *writer_new(struct sql_conn *c)
{
    struct writer *w = MEM_NEW(struct writer);
    pthread_condattr_t steady;
    sigset_t all, old;
    int code;

    w->conn = c;
    w->end = &w->first;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&w->filled, &steady);
    pthread_condattr_destroy(&steady);
    /* Signals are the main thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    code = pthread_create(&w->thread, NULL, writer_main, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (code != 0) {
        pthread_mutex_destroy(&w->lock);
        pthread_cond_destroy(&w->filled);
        free(w);
        return NULL;
    }
    return w;
}

void writer_delete(struct writer **w)
{
    if (!*w)
        return;
    pthread_mutex_lock(&(*w)->lock);
    (*w)->stopping = true;
    pthread_cond_signal(&(*w)->filled);
    pthread_mutex_unlock(&(*w)->lock);
    pthread_join((*w)->thread, NULL);
    sql_close(&(*w)->conn);
    pthread_mutex_destroy(&(*w)->lock);
    pthread_cond_destroy(&(*w)->filled);
    free(*w);
    *w = NULL;
}

/* Whether the thread has to hear of the job: others have woken it already, or it sleeps until the time of the lazy ones. */
static bool add(struct writer *w, struct job *j)
{
    bool idle = w->queued == w->lazy;

    *w->end = j;
    w->end = &j->next;
    w->queued++;
    if (!j->lazy)
        return idle;
    if (w->queued == 1) {
        clock_gettime(CLOCK_MONOTONIC, &w->lazy_end);
        w->lazy_end.tv_nsec += LAZY_MS * 1000000L;
        w->lazy_end.tv_sec += w->lazy_end.tv_nsec / 1000000000L;
        w->lazy_end.tv_nsec %= 1000000000L;
    }
    w->lazy++;
    return idle && (w->lazy == 1 || w->lazy == WRITER_GROUP_MAX);
}

static bool push(struct writer *w, struct job *j)
{
    bool taken, first;

    pthread_mutex_lock(&w->lock);
    taken = !w->stopping && w->queued < WRITER_QUEUE_MAX;
    first = taken && add(w, j);
    if (!taken)
        w->stats.refused++;
    pthread_mutex_unlock(&w->lock);
    /* Behind the unlock, or the thread would wake up only to wait for the lock. */
    if (first)
        pthread_cond_signal(&w->filled);
    if (!taken)
        LOG_LIMITED(WARNING, "store", NULL, "write refused: %u writes are waiting", WRITER_QUEUE_MAX);
    return taken;
}

enum store_rc writer_run(struct writer *w, store_fn fn, void *arg)
{
    struct job j = {.fn = fn, .arg = arg, .fiber = fiber_self(), .shard = shard_self()};

    if (!push(w, &j))
        return STORE_UNAVAILABLE;
    fiber_suspend("store write");
    return j.rc;
}

void writer_post(struct writer *w, bool lazy, store_fn fn, void *arg, store_done_fn done, const char *what)
{
    struct job *j = MEM_NEW(struct job);

    *j = (struct job){.lazy = lazy, .fn = fn, .arg = arg, .done = done, .what = what};
    if (push(w, j))
        return;
    done(arg, STORE_UNAVAILABLE);
    free(j);
}

struct writer_stats writer_stats(struct writer *w)
{
    struct writer_stats s;

    pthread_mutex_lock(&w->lock);
    s.jobs = w->stats.jobs;
    s.refused = w->stats.refused;
    pthread_mutex_unlock(&w->lock);
    s.commits = __atomic_load_n(&w->stats.commits, __ATOMIC_RELAXED);
    return s;
}
