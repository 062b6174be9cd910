/*
 * Shards: one worker thread each, with its own event loop, timers, fibers and tables. Shards share nothing that changes;
 * they talk by rt/mailbox.h only. Shard 0 runs on the main thread.
 */
#ifndef RT_SHARD_H
#define RT_SHARD_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define SHARD_MAX 256

struct rt_config {
    unsigned shards;       /* 0: one per usable CPU */
    unsigned pool_threads; /* general blocking pool; 0: 4 */
    unsigned stack_size;   /* bytes of a fiber stack; 0: 64 KiB */
    void (*on_stop)(unsigned shard); /* on each shard's thread when its loop has ended for good; may be NULL */
};

/* Starts shards 1..n-1 and prepares shard 0. on_start runs once on each shard's loop before it serves. */
int rt_start(const struct rt_config *cfg, void (*on_start)(unsigned shard), struct error *err);
/* Runs shard 0 until rt_stop; then stops and joins the others and frees everything. */
void rt_run(void);
/*
 * Ends all loops after what is queued now; any thread, also a signal handler of libuv. Mail under way is delivered and
 * fibers get up to 5 s to end; those that wait longer are left behind. Fibers that loop ask rt_stopping.
 */
void rt_stop(void);
bool rt_stopping(void);

unsigned shard_count(void);
/* Number of the running shard; only on a shard. */
unsigned shard_self(void);
/* Loop of the running shard. */
uv_loop_t *shard_loop(void);
/* Milliseconds, monotonic, of this loop turn. */
uint64_t shard_now_ms(void);
/* Home of an address hash (hash_stable of the bare JID). The only place that maps addresses to shards. */
unsigned shard_of(uint64_t stable_hash);

/*
 * Runs fn(arg) once at the end of this loop turn, before the loop sleeps: output batching. The entry is the caller's
 * and may be queued again afterwards; queueing twice in a turn is one run.
 */
struct shard_task {
    struct shard_task *next;
    void (*fn)(struct shard_task *t);
    bool queued;
};
void shard_at_turn_end(struct shard_task *t);
void shard_task_cancel(struct shard_task *t);

#endif
