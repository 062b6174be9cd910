/*
 * Mail between shards. A sender gathers what a turn produces for each other shard in a chain and pushes the chain with
 * one atomic operation; the receiver takes everything with another. The inbox says itself whether its owner sleeps, so
 * a shard is woken once per sleep and never while it is awake. Suspends never.
 */
#include "rt/inner.h"

/* A chain this long is handed over before the turn ends, so that the other shard can start on it. */
#define CHAIN_MAX 64

/* Never followed. */
static struct msg sleeping_mark;
#define SLEEPING (&sleeping_mark)

static uint64_t foreign_sent;

static inline void posts_add(struct shard *s, struct msg *first, struct msg **tail)
{
    *s->posts_tail = first;
    s->posts_tail = tail;
}

/* The inbox is newest first. */
static void accept_mail(struct shard *s, struct msg *newest)
{
    struct msg *first = NULL;
    unsigned n = 0;
    for (struct msg *m = newest, *next; m; m = next, n++) {
        next = m->next;
        m->next = first;
        first = m;
    }
    posts_add(s, first, &newest->next);
    s->received += n;
}

void mailbox_take(struct shard *s)
{
    if (!__atomic_load_n(&s->inbox, __ATOMIC_RELAXED))
        return;
    struct msg *m = __atomic_exchange_n(&s->inbox, NULL, __ATOMIC_ACQUIRE);
    if (m && m != SLEEPING)
        accept_mail(s, m);
}

void __attribute__((noinline)) mailbox_awake_slow(struct shard *s)
{
    s->slept = false;
    s->mark = rt_ticks();
    mailbox_take(s);
}

bool mailbox_sleep(struct shard *s)
{
    struct msg *none = NULL;
    s->slept = __atomic_compare_exchange_n(&s->inbox, &none, SLEEPING, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
    return s->slept;
}

/* Release: the receiver sees the messages; acquire: the wake is not sent before the owner's mark is really seen. */
static inline void push(struct shard *to, struct msg *newest, struct msg *oldest)
{
    struct msg *old = __atomic_load_n(&to->inbox, __ATOMIC_RELAXED);
    do
        oldest->next = old == SLEEPING ? NULL : old;
    while (!__atomic_compare_exchange_n(&to->inbox, &old, newest, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    if (old == SLEEPING)
        shard_wake(to);
}

static void flush_one(struct shard *s, unsigned to)
{
    struct outbox *o = &s->out[to];
    if (!o->count)
        return;
    s->sent += o->count;
    push(rt_shards[to], o->newest, o->oldest);
    o->newest = NULL;
    o->count = 0;
}

void mailbox_flush(struct shard *s)
{
    for (unsigned i = 0; i < s->dirty_count; i++) {
        flush_one(s, s->dirty[i]);
        s->out[s->dirty[i]].dirty = false;
    }
    s->dirty_count = 0;
}

void mail_post(unsigned shard, struct msg *m)
{
    struct shard *s = rt_me;
    if (UNLIKELY(!s)) {
        mail_post_foreign(shard, m);
        return;
    }
    mailbox_awake(s);
    if (shard == s->n) {
        m->next = NULL;
        posts_add(s, m, &m->next);
        return;
    }
    struct outbox *o = &s->out[shard];
    m->next = o->newest;
    if (!o->count)
        o->oldest = m;
    o->newest = m;
    if (!o->dirty) {
        o->dirty = true;
        s->dirty[s->dirty_count++] = (uint8_t)shard;
    }
    if (++o->count >= CHAIN_MAX)
        flush_one(s, shard);
}

void mail_post_foreign(unsigned shard, struct msg *m)
{
    __atomic_fetch_add(&foreign_sent, 1, __ATOMIC_RELAXED);
    push(rt_shards[shard], m, m);
}

uint64_t mailbox_foreign_sent(void)
{
    return __atomic_load_n(&foreign_sent, __ATOMIC_RELAXED);
}

/* Only what is queued now, see fibers_run_ready. */
void mailbox_run(struct shard *s)
{
    struct msg *m = s->posts_head;
    s->posts_head = NULL;
    s->posts_tail = &s->posts_head;
    while (m) {
        struct msg *next = m->next;
        m->fn(m);
        m = next;
    }
}

void mailbox_init(struct shard *s)
{
    s->posts_tail = &s->posts_head;
    if (s->n == 0)
        foreign_sent = 0;
}
