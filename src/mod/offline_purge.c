/*
 * Cleaning up waiting messages: at once, and as batch jobs. A job's record moves on in the transaction of every batch
 * (store/job.h): the command that stops it changes the record, a server that starts takes up those that were running. Jobs are
 * fibers of shard 0; everything here suspends but offline_purge_start.
 */
#include "mod/api/offline.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "mod/api/offline_parts.h"
#include "mod/api/offline_rules.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/shard.h"
#include <stdio.h>
#include <stdlib.h>

#define KIND S("offline")
#define LOOK_AT 1000
#define NAP_MS 500 /* a server that stops does not wait for the next batch */
#define DAY_S 86400
#define DAYS_MAX 1000000
#define RETRY_MS 5000
#define RETRIES 10
#define CALL_MS 10000

/* --- at once --- */

/* "Older than 0 days" is everything there is: the second that is going on, too. */
static int64_t limit_of(int64_t days)
{
    int64_t now = (int64_t)clock_wall_s();
    return now + 1 - (days < 0 ? 0 : days > DAYS_MAX ? DAYS_MAX : days) * DAY_S;
}

static enum store_rc sweep(struct spool_sweep *s) YIELDS;
static enum store_rc sweep(struct spool_sweep *s)
{
    enum store_rc rc = STORE_OK;
    while (rc == STORE_OK && !s->done)
        rc = spool_sweep(s, LOOK_AT);
    return rc;
}

enum store_rc offline_remove_old(struct str host, int64_t days, bool count_only, uint64_t *removed_out)
{
    struct spool_sweep s = {.host = host, .before_s = limit_of(days)};
    if (s.before_s <= 0) { /* nothing is as old as that; 0 would mean: whenever */
        *removed_out = 0;
        return STORE_OK;
    }
    if (count_only)
        return spool_sweep_count(&s, removed_out);
    enum store_rc rc = sweep(&s);
    *removed_out = s.removed;
    return rc;
}

struct expiry {
    int64_t now_s;
    bool count_only;
    uint64_t n;
};

static bool expired(const struct spool_message *m, void *arg)
{
    struct expiry *e = arg;
    bool is = offline_expired(m, e->now_s);
    e->n += is;
    return is && !e->count_only;
}

enum store_rc offline_remove_expired(struct str host, bool count_only, uint64_t *removed_out)
{
    struct expiry e = {.now_s = (int64_t)clock_wall_s(), .count_only = count_only};
    struct spool_sweep s = {.host = host, .expiring = true, .doomed = expired, .arg = &e};
    enum store_rc rc = sweep(&s);
    *removed_out = count_only ? e.n : s.removed;
    return rc;
}

/* --- batch jobs --- */

/* At work on shard 0: what a reload must not start twice. */
struct running {
    struct list link;
    int64_t id;
};
static struct list running; /* of shard 0 only; not set up: no job yet */

struct batch {
    int64_t id;
    struct arena *arena;
    struct spool_sweep sweep;
    int64_t size, rate;
};

static bool is_running(int64_t id)
{
    if (!running.next)
        list_init(&running);
    LIST_EACH(it, &running)
        if (LIST_ENTRY(it, struct running, link)->id == id)
            return true;
    return false;
}

static bool nap(uint64_t ms) YIELDS;
static bool nap(uint64_t ms)
{
    uint64_t end = clock_mono_ms() + ms;
    for (uint64_t now; !rt_stopping() && (now = clock_mono_ms()) < end;)
        fiber_sleep(end - now < NAP_MS ? (unsigned)(end - now) : NAP_MS);
    return !rt_stopping();
}

/* One piece; a store that is in trouble gets some time. */
static enum store_rc next_piece(struct batch *b, uint64_t *removed_out) YIELDS;
static enum store_rc next_piece(struct batch *b, uint64_t *removed_out)
{
    uint64_t before = b->sweep.removed;
    enum store_rc rc = spool_sweep(&b->sweep, (size_t)b->size);
    for (unsigned i = 0; rc == STORE_UNAVAILABLE && i < RETRIES && nap(RETRY_MS); i++)
        rc = spool_sweep(&b->sweep, (size_t)b->size);
    *removed_out = b->sweep.removed - before;
    return rc;
}

/* To the end, or until somebody stops it or the server: the record then says that it runs, and the next start goes on with it. */
static void work(struct batch *b) YIELDS;
static void work(struct batch *b)
{
    enum store_rc rc = STORE_OK;
    while (rc == STORE_OK && !b->sweep.done && !rt_stopping()) {
        uint64_t removed;
        rc = next_piece(b, &removed);
        if (rc == STORE_OK && !b->sweep.done && removed)
            nap(removed * 60000 / (uint64_t)b->rate);
        else
            fiber_sleep(0);
    }
    if (rt_stopping() || rc == STORE_NONE)
        return;
    bool ok = rc == STORE_OK;
    job_finish(b->id, ok ? JOB_DONE : JOB_FAILED, b->sweep.removed, ok ? S("") : S("database failure"), (int64_t)clock_wall_s());
    if (!ok)
        LOG(WARNING, "offline", NULL, "deleting old messages of %.*s failed after %llu messages", STR_ARG(b->sweep.host),
            (unsigned long long)b->sweep.removed);
}

static void batch_fiber(void *arg) YIELDS;
static void batch_fiber(void *arg)
{
    struct batch *b = arg;
    struct arena *a = b->arena;
    struct running r = {.id = b->id};
    if (!is_running(b->id)) {
        list_push(&running, &r.link);
        work(b);
        list_del(&r.link);
    }
    arena_release(&a);
}

/* "before=SECONDS batch=N rate=N"; false: not ours. */
static bool read_parameters(const struct job *j, struct batch *b)
{
    long long before, size, rate, at = 0;
    char text[128], pos[32];
    snprintf(text, sizeof text, "%.*s", STR_ARG(j->parameters));
    snprintf(pos, sizeof pos, "%.*s", STR_ARG(j->position));
    if (sscanf(text, "before=%lld batch=%lld rate=%lld", &before, &size, &rate) != 3 || before <= 0 || size < 1 || rate < 1)
        return false;
    if (pos[0] && sscanf(pos, "%lld", &at) != 1)
        return false;
    b->sweep.before_s = before;
    b->sweep.at = at;
    b->size = size;
    b->rate = rate;
    return true;
}

/* On shard 0. */
static void run(const struct job *j)
{
    struct arena *a = arena_new();
    struct batch *b = ARENA_NEW(a, struct batch);
    b->arena = a;
    b->id = b->sweep.job = j->id;
    b->sweep.host = arena_str(a, j->host);
    b->sweep.removed = j->done;
    if (read_parameters(j, b))
        fiber_run(batch_fiber, b);
    else
        arena_release(&a);
}

static int run_call(void *arg, struct error *err)
{
    (void)err;
    run(arg);
    return 0;
}

int offline_batch_start(struct str host, int64_t days, int64_t batch, int64_t rate, struct error *err)
{
    struct arena *a = arena_new();
    struct job *j = ARENA_NEW(a, struct job);
    int64_t before = limit_of(days);
    *j = (struct job){.kind = arena_str(a, KIND), .host = arena_str(a, host), .started_s = (int64_t)clock_wall_s()};
    j->parameters = arena_printf(a, "before=%lld batch=%lld rate=%lld", (long long)(before > 1 ? before : 1), (long long)batch,
                                 (long long)rate);
    enum store_rc rc = job_start(j, &j->id);
    int done = rc == STORE_OK          ? mail_call(0, run_call, j, a, CALL_MS, err)
               : rc == STORE_CONFLICT ? err_set(err, ERR_CONFLICT, "Operation in progress")
                                      : store_error(rc, "job record", err);
    arena_release(&a);
    return done;
}

enum store_rc offline_batch_abort(struct str host)
{
    struct arena *a = arena_new();
    struct job j;
    enum store_rc rc = job_last(a, KIND, host, &j);
    if (rc == STORE_OK)
        rc = j.state == JOB_RUNNING ? job_abort(j.id, (int64_t)clock_wall_s()) : STORE_NONE;
    arena_release(&a);
    return rc;
}

enum store_rc offline_batch_last(struct arena *a, struct str host, struct job *out)
{
    return job_last(a, KIND, host, out);
}

/* --- after a restart --- */

static void resume_fiber(void *arg) YIELDS;
static void resume_fiber(void *arg)
{
    struct str *host = arg;
    struct arena *a = arena_new();
    struct job *jobs = NULL;
    size_t n = 0;
    struct str name = arena_str(a, *host);
    if (job_running(a, &jobs, &n) == STORE_OK)
        for (size_t i = 0; i < n; i++)
            if (str_eq(jobs[i].kind, KIND) && str_eq(jobs[i].host, name) && !is_running(jobs[i].id))
                run(&jobs[i]);
    arena_release(&a);
}

void offline_purge_start(unsigned host)
{
    struct str name = config_current()->hosts[host].name;
    if (shard_self() == 0)
        fiber_run(resume_fiber, &name);
}
