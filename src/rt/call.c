/*
 * Calls between shards and over all shards. The caller's wait lives on its fiber's stack; the call itself lives in
 * memory of the caller's shard until the answer is back, in time or late, so a late answer finds nobody and is dropped.
 * Runs on shards; mail_call and mail_gather suspend.
 */
#include "rt/inner.h"
#include "rt/fault.h"
#include "base/mem.h"

#include <stdlib.h>

#define FREE_CALLS_MAX 256

struct group;

/* On the stack of the waiting fiber. */
struct wait {
    struct timer timer;
    struct fiber *fiber;
    struct call *call;   /* one of the two */
    struct group *group;
    bool timed_out;
};

/* One mail_gather; ends with its last part. */
struct group {
    struct wait *wait; /* NULL: the caller gave up, or has not begun to wait */
    struct error *err; /* the caller's; not to be touched when it gave up */
    unsigned pending;
    bool gone;
    int rc;
};

struct call {
    struct msg m;
    call_fn fn;       /* a call, or */
    gather_fn each;   /* a part of a gather */
    void *arg, *slot;
    struct arena *arena;
    struct wait *wait;   /* of a call; NULL: the caller gave up */
    struct group *group; /* of a part */
    unsigned home, target;
    int rc;
    bool lost;
    struct error err;
};

static struct call *new_call(struct shard *s)
{
    struct call *c = s->free_calls;
    if (!c)
        return mem_alloc(sizeof(*c));
    s->free_calls = (struct call *)c->m.next;
    s->free_call_count--;
    return c;
}

static void free_call(struct call *c)
{
    struct shard *s = rt_me;
    if (s->free_call_count >= FREE_CALLS_MAX) {
        free(c);
        return;
    }
    c->m.next = (struct msg *)s->free_calls;
    s->free_calls = c;
    s->free_call_count++;
}

void mailbox_deinit(struct shard *s)
{
    while (s->free_calls) {
        struct call *c = s->free_calls;
        s->free_calls = (struct call *)c->m.next;
        free(c);
    }
}

static void copy_error(struct error *to, const struct error *from)
{
    if (!to || from->code == ERR_NONE)
        return;
    to->code = from->code;
    memcpy(to->text, from->text, strnlen(from->text, sizeof(from->text) - 1) + 1);
}

static void wake(struct wait *w)
{
    timer_stop(&w->timer);
    fiber_wake(w->fiber);
}

/* --- at home ---------------------------------------------------------------------------------------------------- */

static void part_answered(struct call *c)
{
    struct group *g = c->group;
    if (c->rc != 0 && !g->gone && g->rc == 0) {
        g->rc = -1;
        copy_error(g->err, &c->err);
    }
    free_call(c);
    if (--g->pending > 0)
        return;
    if (g->gone)
        free(g);
    else if (g->wait)
        wake(g->wait);
}

static void on_answer(struct msg *m)
{
    struct call *c = CONTAINER_OF(m, struct call, m);
    arena_release(&c->arena);
    if (c->group)
        part_answered(c);
    else if (c->wait)
        wake(c->wait);
    else
        free_call(c);
}

/* Fault injection: nothing came back, but the memory has. */
static void on_lost(struct msg *m)
{
    struct call *c = CONTAINER_OF(m, struct call, m);
    arena_release(&c->arena);
    if (c->wait)
        c->lost = true;
    else
        free_call(c);
}

static void on_deadline(struct timer *t)
{
    struct wait *w = CONTAINER_OF(t, struct wait, timer);
    w->timed_out = true;
    if (w->call) {
        w->call->wait = NULL;
        if (w->call->lost)
            free_call(w->call);
    } else {
        w->group->gone = true;
        w->group->wait = NULL;
    }
    fiber_wake(w->fiber);
}

/* --- at the target ---------------------------------------------------------------------------------------------- */

static void call_fiber(void *arg)
{
    struct call *c = arg;
    c->rc = c->group ? c->each(c->arg, c->slot, &c->err) : c->fn(c->arg, &c->err);
    c->m.fn = on_answer;
    if (c->home == c->target)
        on_answer(&c->m);
    else
        mail_post(c->home, &c->m);
}

static void on_request(struct msg *m)
{
    struct call *c = CONTAINER_OF(m, struct call, m);
    if (UNLIKELY(!c->group && fault_hit(FAULT_call_lost))) {
        c->m.fn = on_lost;
        mail_post(c->home, &c->m);
        return;
    }
    fiber_run(call_fiber, c);
}

/* --- the callers ------------------------------------------------------------------------------------------------ */

static struct call *make_call(struct shard *s, unsigned target, void *arg, struct arena *arena)
{
    struct call *c = new_call(s);
    c->m.fn = on_request;
    c->fn = NULL;
    c->each = NULL;
    c->arg = arg;
    c->slot = NULL;
    c->arena = arena ? arena_hold(arena) : NULL;
    c->wait = NULL;
    c->group = NULL;
    c->home = s->n;
    c->target = target;
    c->lost = false;
    c->err.code = ERR_NONE;
    return c;
}

int mail_call(unsigned shard, call_fn fn, void *arg, struct arena *arena, unsigned deadline_ms, struct error *err)
{
    struct shard *s = rt_me;
    if (shard == s->n)
        return fn(arg, err);
    struct call *c = make_call(s, shard, arg, arena);
    struct wait w = {.fiber = s->fibers.current, .call = c};
    c->fn = fn;
    c->wait = &w;
    mail_post(shard, &c->m);
    timer_setup(&w.timer, on_deadline);
    timer_arm(&w.timer, deadline_ms);
    fiber_suspend("call");
    if (w.timed_out)
        return err_set(err, ERR_TIMEOUT, "shard %u did not answer within %u ms", shard, deadline_ms);
    int rc = c->rc;
    copy_error(err, &c->err);
    free_call(c);
    return rc;
}

static void start_parts(struct shard *s, struct group *g, gather_fn each, void *arg, void **slots, struct arena *arena)
{
    struct call *own = NULL;
    for (unsigned i = 0; i < shard_count(); i++) {
        struct call *c = make_call(s, i, arg, arena);
        c->each = each;
        c->slot = slots ? slots[i] : NULL;
        c->group = g;
        if (i == s->n)
            own = c;
        else
            mail_post(i, &c->m);
    }
    /* The others begin while the own part runs. */
    mailbox_flush(s);
    fiber_run(call_fiber, own);
}

int mail_gather(gather_fn each, void *arg, void **slots, struct arena *arena, unsigned deadline_ms, struct error *err)
{
    struct shard *s = rt_me;
    struct group *g = MEM_NEW(struct group);
    g->err = err;
    g->pending = shard_count();
    start_parts(s, g, each, arg, slots, arena);
    if (g->pending) {
        struct wait w = {.fiber = s->fibers.current, .group = g};
        g->wait = &w;
        timer_setup(&w.timer, on_deadline);
        timer_arm(&w.timer, deadline_ms);
        fiber_suspend("gather");
        if (w.timed_out)
            return err_set(err, ERR_TIMEOUT, "not every shard answered within %u ms", deadline_ms);
    }
    int rc = g->rc;
    free(g);
    return rc;
}
