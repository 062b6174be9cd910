/*
 * The three ways between shards; there is no fourth. Messages are batched per loop turn and a sleeping shard is woken
 * once per batch. Ownership of a message's memory moves with it. Between two shards order is kept.
 */
#ifndef RT_MAILBOX_H
#define RT_MAILBOX_H

#include "base/arena.h"
#include "base/err.h"

/* Embedded in the sender's message; the receiver's function owns the whole message and frees it. */
struct msg {
    struct msg *next;
    void (*fn)(struct msg *m);
};

/* Runs m->fn(m) on the shard's loop (not on a fiber: start one if it may wait). From any shard, also to itself. */
void mail_post(unsigned shard, struct msg *m);
/* The same from a thread that is no shard (blocking pool, store writer). */
void mail_post_foreign(unsigned shard, struct msg *m);

/*
 * Runs fn(arg) on a fiber of the shard and waits at most deadline_ms for its return value. fn may suspend. `arg` lives
 * in `arena`, which is held until fn has ended: after ERR_TIMEOUT the caller must not look at arg any more, because fn
 * may still be writing there. On the own shard fn is called directly. Returns fn's value; -1 with ERR_TIMEOUT on deadline.
 * fn fills *err itself (the struct is copied back).
 */
typedef int (*call_fn)(void *arg, struct error *err);
int mail_call(unsigned shard, call_fn fn, void *arg, struct arena *arena, unsigned deadline_ms, struct error *err) YIELDS;

/*
 * Runs each(arg, slots[shard]) on a fiber of every shard at once and waits for all. `slots` is an array of shard_count()
 * pointers, each in `arena` like arg; a shard writes only to what its own slot points to. 0, or -1 with the first error.
 */
typedef int (*gather_fn)(void *arg, void *slot, struct error *err);
int mail_gather(gather_fn each, void *arg, void **slots, struct arena *arena, unsigned deadline_ms, struct error *err) YIELDS;

#endif
