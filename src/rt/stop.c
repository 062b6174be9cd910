/*
 * Stopping. Shard 0 asks all shards again and again what they still have in hand, until two rounds in a row find no
 * fiber, no queued work and as much mail received as sent (so none is under way either), or the time is up; then it
 * ends the loops. Runs on shards; suspends never.
 */
#include "rt/inner.h"
#include "base/log.h"

#define GRACE_MS 5000
#define ROUND_MS 10

struct probe {
    struct msg m;
    unsigned shard;
    uint64_t sent, received;
    unsigned fibers;
    bool busy;
};

static struct {
    struct msg begin, halt[SHARD_MAX];
    struct probe probes[SHARD_MAX];
    unsigned asked;
    uint64_t last_sent, started_ms;
    bool last_idle;
    struct timer timer;
    bool requested; /* atomic */
    bool abandoned; /* written by shard 0 before the halts are sent */
} stop;

static void ask_all(struct timer *t);

static void on_halt(struct msg *m)
{
    uv_stop(shard_loop());
}

static void halt_all(void)
{
    for (unsigned i = 0; i < shard_count(); i++) {
        stop.halt[i].fn = on_halt;
        mail_post(i, &stop.halt[i]);
    }
}

static void judge(void)
{
    uint64_t sent = mailbox_foreign_sent(), received = 0;
    unsigned fibers = 0;
    bool busy = false;
    for (unsigned i = 0; i < shard_count(); i++) {
        sent += stop.probes[i].sent;
        received += stop.probes[i].received;
        fibers += stop.probes[i].fibers;
        busy |= stop.probes[i].busy;
    }
    bool idle = !busy && fibers == 0 && sent == received, again = idle && stop.last_idle && sent == stop.last_sent;
    stop.last_idle = idle;
    stop.last_sent = sent;
    if (again) {
        halt_all();
    } else if (shard_now_ms() - stop.started_ms >= GRACE_MS) {
        LOG(WARNING, "rt", NULL, "stopping although %u fibers still wait", fibers);
        stop.abandoned = true;
        halt_all();
    } else if (idle) {
        ask_all(&stop.timer);
    } else {
        timer_arm(&stop.timer, ROUND_MS);
    }
}

/* The probes' own mail is left out of the counts, else no two rounds would be alike. */
static void on_probe_back(struct msg *m)
{
    if (CONTAINER_OF(m, struct probe, m)->shard != 0)
        rt_me->received--;
    if (--stop.asked == 0)
        judge();
}

static void on_probe(struct msg *m)
{
    struct probe *p = CONTAINER_OF(m, struct probe, m);
    struct shard *s = rt_me;
    if (s->n != 0)
        s->received--;
    p->sent = s->sent;
    p->received = s->received;
    p->fibers = s->fibers.alive;
    p->busy = s->posts_head || s->tasks_head || s->dirty_count;
    p->m.fn = on_probe_back;
    if (s->n != 0)
        s->sent--;
    mail_post(0, m);
}

static void ask_all(struct timer *t)
{
    stop.asked = shard_count();
    for (unsigned i = 0; i < shard_count(); i++) {
        stop.probes[i].shard = i;
        stop.probes[i].m.fn = on_probe;
        if (i != 0)
            rt_me->sent--;
        mail_post(i, &stop.probes[i].m);
    }
    /* What is not handed over yet counts as work in hand. */
    mailbox_flush(rt_me);
}

static void on_stop(struct msg *m)
{
    stop.started_ms = shard_now_ms();
    stop.last_idle = false;
    timer_setup(&stop.timer, ask_all);
    ask_all(&stop.timer);
}

void rt_stop(void)
{
    if (__atomic_exchange_n(&stop.requested, true, __ATOMIC_ACQ_REL))
        return;
    stop.begin.fn = on_stop;
    mail_post_foreign(0, &stop.begin);
}

bool rt_stopping(void)
{
    return __atomic_load_n(&stop.requested, __ATOMIC_RELAXED);
}

void stop_init(void)
{
    __atomic_store_n(&stop.requested, false, __ATOMIC_RELAXED);
    stop.abandoned = false;
}

bool stop_abandoned(void)
{
    return stop.abandoned;
}
