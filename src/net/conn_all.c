/*
 * The connections of a shard: the list for the end of the server, and giving memory back after many of them dropped. Loop code;
 * the giving back waits for a blocking thread on a fiber of its own.
 */
#include "base/arena.h"
#include "net/conn_internal.h"
#include "net/net_shard.h"
#include "rt/fiber.h"
#include "rt/pool.h"
#include "rt/shard.h"
#include <malloc.h>

#define TRIM_AFTER 256    /* dropped connections that are worth a look at the heap */
#define TRIM_LOOK_MS 1000
/* More drops than this since the last look: a flood goes on, and waiting for its end saves work, though not for ever. */
#define TRIM_FEW 64
#define TRIM_LOOKS 10

static _Thread_local struct {
    struct list all;
    unsigned count, dropped, seen, looks;
    bool ready, waiting;
    struct timer timer;
} conns;

/* glibc keeps freed memory between allocations that live; after a flood that can be most of it. Walks the heap: not on a loop. */
static void trim_heap(void *arg, void *state)
{
    (void)arg;
    (void)state;
    malloc_trim(0);
}

static void trim_fiber(void *arg) YIELDS;
static void trim_fiber(void *arg)
{
    (void)arg;
    arena_cache_trim();
    net_shard_trim();
    fiber_trim();
    pool_run(pool_general(), trim_heap, NULL);
    conns.waiting = false;
}

static void on_timer(struct timer *t)
{
    if (conns.dropped - conns.seen > TRIM_FEW && ++conns.looks < TRIM_LOOKS) {
        conns.seen = conns.dropped;
        timer_arm(t, TRIM_LOOK_MS);
        return;
    }
    conns.dropped = conns.looks = 0;
    fiber_run(trim_fiber, NULL);
}

static void start(void)
{
    if (conns.ready)
        return;
    conns.ready = true;
    list_init(&conns.all);
    timer_setup(&conns.timer, on_timer);
}

void conn_all_add(struct conn *c)
{
    start();
    list_push(&conns.all, &c->here);
    conns.count++;
}

void conn_all_remove(struct conn *c)
{
    list_del(&c->here);
    conns.count--;
    if (++conns.dropped < TRIM_AFTER || conns.waiting || rt_stopping())
        return;
    conns.waiting = true;
    conns.seen = 0;
    timer_arm(&conns.timer, TRIM_LOOK_MS);
}

void conn_close_all(void)
{
    start();
    LIST_EACH_SAFE(it, &conns.all)
        conn_close(LIST_ENTRY(it, struct conn, here));
}

void conn_abort_all(const char *why)
{
    start();
    LIST_EACH_SAFE(it, &conns.all)
        conn_abort(LIST_ENTRY(it, struct conn, here), why);
}

unsigned conn_count_here(void)
{
    return conns.count;
}
