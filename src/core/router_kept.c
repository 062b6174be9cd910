/*
 * Routing for whoever vouches for a message: the call ends when the message has gone to clients or is in the store. What knows
 * that is its arena, which everybody who still has to do something with it holds: the account's fiber while the store writes, a
 * stream's queue until the stanza in it survives a crash (core/c2s/mgmt.h). Any shard; waits on the caller's.
 */
#include "core/router.h"

#include "base/mem.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/shard.h"
#include "rt/timer.h"
#include <stdlib.h>

/* Of the waiting fiber and the arena: the last of the two frees it. Only on the shard that waits, but for `lost`. */
struct stanza_watch {
    struct msg m;
    struct timer timer;
    struct fiber *waiting; /* NULL: not (yet, or any more) */
    unsigned shard;
    bool ended;            /* the arena is gone */
    bool given_up;         /* the fiber is */
    bool lost;             /* atomic */
};

void stanza_was_lost(const struct stanza *s)
{
    if (s->watch)
        __atomic_store_n(&s->watch->lost, true, __ATOMIC_RELAXED);
}

static void wake(struct stanza_watch *w)
{
    struct fiber *f = w->waiting;
    w->waiting = NULL;
    if (f)
        fiber_wake(f);
}

static void on_end(struct msg *m)
{
    struct stanza_watch *w = CONTAINER_OF(m, struct stanza_watch, m);
    w->ended = true;
    if (w->given_up)
        free(w);
    else
        wake(w);
}

static void arena_gone(void *arg)
{
    struct stanza_watch *w = arg;
    mail_post(w->shard, &w->m);
}

static void on_late(struct timer *t)
{
    wake(CONTAINER_OF(t, struct stanza_watch, timer));
}

static int verdict(struct stanza_watch *w, struct error *err)
{
    if (!w->ended) {
        w->given_up = true; /* on_end frees it */
        return err_set(err, ERR_TIMEOUT, "it is not known yet what became of the message");
    }
    bool lost = __atomic_load_n(&w->lost, __ATOMIC_RELAXED);
    free(w);
    return lost ? err_set(err, ERR_UNAVAILABLE, "the message could not be stored") : 0;
}

int router_route_kept(struct stanza **sp, unsigned timeout_ms, struct error *err)
{
    struct stanza_watch *w = MEM_NEW(struct stanza_watch);
    w->m.fn = on_end;
    w->shard = shard_self();
    (*sp)->watch = w;
    arena_on_release((*sp)->arena, arena_gone, w);
    timer_setup(&w->timer, on_late);
    timer_arm(&w->timer, timeout_ms);
    router_route(sp);
    w->waiting = fiber_self();
    fiber_suspend("kept");
    timer_stop(&w->timer);
    return verdict(w, err);
}
