/*
 * Fibers of a shard: run, suspend, wake, and the pool of ready stacks. Runs on its shard only. fiber_suspend and
 * fiber_sleep suspend. Leaves out: moving a fiber between shards, priorities, locks between fibers.
 */
#include "rt/inner.h"
#include "base/log.h"

#include <stdio.h>

#ifdef RT_ASAN
#include <sanitizer/common_interface_defs.h>
#define NO_ASAN __attribute__((no_sanitize_address))
#else
#define NO_ASAN
#endif
#ifdef RT_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* Stacks kept although nobody needs them at the moment; the rest is given back at once. */
#define IDLE_MAX 512
/* Kept for good. */
#define IDLE_KEEP 4
/* Stacks not needed for this long go back to the system. */
#define TRIM_MS 10000
#define SLOW_TURN_MS 20
/* No processor counts slower than 10 MHz here; a turn above this is then measured in earnest. */
#define SLOW_TICKS_MIN (SLOW_TURN_MS * (uint64_t)10000)

struct fiber *fiber_self(void)
{
    return rt_me ? rt_me->fibers.current : NULL;
}

static void __attribute__((noinline)) slow_turn(struct shard *s, const struct fiber *f, uint64_t ticks)
{
    uint64_t ms = rt_ticks_to_ms(ticks);
    if (ms < SLOW_TURN_MS)
        return;
    s->fibers.slow_turns++;
    LOG_LIMITED(WARNING, "rt", NULL, "a fiber held shard %u for %u ms, until: %s", s->n, (unsigned)ms,
                f->state == FIBER_ENDED ? "its end" : f->reason);
}

/* Called by the fiber that leaves. One reading per switch: the end of a turn is where the next one starts. */
static inline void watch_slice(struct shard *s, const struct fiber *f)
{
    uint64_t now = rt_ticks(), took = now - s->mark;
    s->mark = now;
    if (UNLIKELY(took > SLOW_TICKS_MIN))
        slow_turn(s, f, took);
}

/* --- the switch, with its notes to the sanitizers --------------------------------------------------------------- */

/* First thing on a fiber's stack after each switch to it. */
static inline void NO_ASAN arrived(struct shard *s, struct fiber *f)
{
#ifdef RT_ASAN
    const void *bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(f->fake_stack, &bottom, &size);
    if (!f->caller) {
        s->fibers.loop_bottom = bottom;
        s->fibers.loop_size = size;
    }
#endif
    (void)s;
    (void)f;
}

/* From a fiber to whoever entered it; comes back at the next enter. */
static inline void NO_ASAN leave(struct shard *s, struct fiber *f, bool ended)
{
    struct fiber *to = f->caller;
    s->fibers.current = to;
#ifdef RT_ASAN
    const void *bottom = to ? stack_bottom(to) : s->fibers.loop_bottom;
    size_t size = to ? (size_t)((char *)to - stack_bottom(to)) : s->fibers.loop_size;
    f->fake_stack = NULL;
    __sanitizer_start_switch_fiber(ended ? NULL : &f->fake_stack, bottom, size);
#endif
#ifdef RT_TSAN
    __tsan_switch_to_fiber(to ? to->tsan : s->fibers.loop_tsan, 0);
#endif
    CONTEXT_SWITCH(&f->ctx, f->back);
    arrived(s, f);
    (void)ended;
}

/* To a fiber; comes back when it ends or suspends. */
static inline void NO_ASAN enter(struct shard *s, struct fiber *f)
{
    struct context here;
    struct fiber *self = s->fibers.current;
    f->caller = self;
    f->back = &here;
    f->state = FIBER_RUNNING;
    s->fibers.current = f;
#ifdef RT_ASAN
    void *fake = NULL;
    __sanitizer_start_switch_fiber(&fake, stack_bottom(f), (size_t)((char *)f - stack_bottom(f)));
#endif
#ifdef RT_TSAN
    if (!self)
        s->fibers.loop_tsan = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(f->tsan, 0);
#endif
    CONTEXT_SWITCH(&here, &f->ctx);
#ifdef RT_ASAN
    __sanitizer_finish_switch_fiber(fake, NULL, NULL);
#endif
}

static void NO_ASAN fiber_main(struct context *from, struct context *self)
{
    struct fiber *f = CONTAINER_OF(self, struct fiber, ctx);
    struct shard *s = rt_me;
    (void)from;
    arrived(s, f);
    for (;;) {
        f->fn(f->arg);
        f->state = FIBER_ENDED;
        watch_slice(s, f);
        leave(s, f, true);
    }
}

/* --- stacks ----------------------------------------------------------------------------------------------------- */

static void drop_stack(struct fiber *f)
{
    list_del(&f->all);
    stack_unmap(f);
}

static struct fiber *__attribute__((noinline)) new_stack(struct shard *s)
{
    struct fiber *f = stack_map(s->fibers.stack_size);
    list_push(&s->fibers.all, &f->all);
    context_make(&f->ctx, stack_bottom(f), f, fiber_main);
    f->no_yield = 0;
    f->reason = "";
#ifdef RT_ASAN
    f->fake_stack = NULL;
#endif
    return f;
}

static inline struct fiber *take_stack(struct shard *s)
{
    struct fibers *fs = &s->fibers;
    struct fiber *f = fs->idle;
    if (UNLIKELY(!f))
        return new_stack(s);
    fs->idle = f->next;
    if (--fs->idle_count < fs->idle_low)
        fs->idle_low = fs->idle_count;
    return f;
}

static inline void give_stack(struct shard *s, struct fiber *f)
{
    struct fibers *fs = &s->fibers;
    if (UNLIKELY(fs->idle_count >= IDLE_MAX)) {
        drop_stack(f);
        return;
    }
    f->state = FIBER_IDLE;
    f->next = fs->idle;
    fs->idle = f;
    fs->idle_count++;
    if (UNLIKELY(fs->idle_count > IDLE_KEEP) && !timer_armed(&fs->trim))
        timer_arm(&fs->trim, TRIM_MS);
}

static void trim_to(struct fibers *fs, unsigned keep)
{
    while (fs->idle_count > keep) {
        struct fiber *f = fs->idle;
        fs->idle = f->next;
        fs->idle_count--;
        drop_stack(f);
    }
    fs->idle_low = fs->idle_count;
}

/* What stayed idle through the whole interval was not needed. */
static void on_trim(struct timer *t)
{
    struct fibers *fs = CONTAINER_OF(t, struct fibers, trim);
    unsigned needed = fs->idle_count - fs->idle_low;
    trim_to(fs, needed > IDLE_KEEP ? needed : IDLE_KEEP);
    if (fs->idle_count > IDLE_KEEP)
        timer_arm(t, TRIM_MS);
}

void fiber_trim(void)
{
    trim_to(&rt_me->fibers, 0);
}

/* --- run, suspend, wake ----------------------------------------------------------------------------------------- */

/* True when the fiber has ended. */
static inline bool run(struct shard *s, struct fiber *f)
{
    enter(s, f);
    if (f->state != FIBER_ENDED)
        return false;
    s->fibers.alive--;
    give_stack(s, f);
    return true;
}

bool fiber_run(fiber_fn fn, void *arg)
{
    struct shard *s = rt_me;
    mailbox_awake(s);
    struct fiber *f = take_stack(s);
    f->fn = fn;
    f->arg = arg;
    s->fibers.alive++;
    return run(s, f);
}

void fiber_suspend(const char *reason)
{
    struct shard *s = rt_me;
    struct fiber *f = s ? s->fibers.current : NULL;
    if (UNLIKELY(!f))
        rt_die("fiber_suspend on the bare loop");
    if (UNLIKELY(f->no_yield))
        rt_die("fiber_suspend between fiber_no_yield_begin and fiber_no_yield_end");
    f->reason = reason;
    f->state = FIBER_SUSPENDED;
    watch_slice(s, f);
    leave(s, f, false);
}

void fiber_wake(struct fiber *f)
{
    struct fibers *fs = &rt_me->fibers;
    if (UNLIKELY(f->state != FIBER_SUSPENDED))
        rt_die("fiber_wake of a fiber that is not suspended");
    f->state = FIBER_READY;
    f->next = NULL;
    if (fs->ready_tail)
        fs->ready_tail->next = f;
    else
        fs->ready_head = f;
    fs->ready_tail = f;
    mailbox_awake(rt_me);
}

/* Only those that are ready now: fibers that wake one another must not keep the loop from its descriptors. */
void fibers_run_ready(struct shard *s)
{
    struct fiber *f = s->fibers.ready_head;
    s->fibers.ready_head = s->fibers.ready_tail = NULL;
    while (f) {
        struct fiber *next = f->next;
        run(s, f);
        f = next;
    }
}

struct sleeper {
    struct timer timer;
    struct msg msg;
    struct fiber *fiber;
};

static void on_sleep_over(struct timer *t)
{
    fiber_wake(CONTAINER_OF(t, struct sleeper, timer)->fiber);
}

static void on_others_ran(struct msg *m)
{
    fiber_wake(CONTAINER_OF(m, struct sleeper, msg)->fiber);
}

void fiber_sleep(unsigned ms)
{
    struct sleeper s = {.fiber = fiber_self(), .msg.fn = on_others_ran};
    timer_setup(&s.timer, on_sleep_over);
    if (ms)
        timer_arm(&s.timer, ms);
    else
        mail_post(rt_me->n, &s.msg);
    fiber_suspend("sleep");
}

void fiber_no_yield_begin(void)
{
    struct fiber *f = fiber_self();
    if (f)
        f->no_yield++;
}

void fiber_no_yield_end(void)
{
    struct fiber *f = fiber_self();
    if (!f)
        return;
    if (UNLIKELY(!f->no_yield))
        rt_die("fiber_no_yield_end without fiber_no_yield_begin");
    f->no_yield--;
}

unsigned fiber_count(void)
{
    return rt_me->fibers.alive;
}

unsigned fiber_stacks(void)
{
    return rt_me->fibers.idle_count;
}

uint64_t fiber_slow_turns(void)
{
    return rt_me->fibers.slow_turns;
}

/* --- start and end ---------------------------------------------------------------------------------------------- */

void fibers_init(struct shard *s, size_t stack_size)
{
    struct fibers *fs = &s->fibers;
    *fs = (struct fibers){.stack_size = stack_size};
    list_init(&fs->all);
    timer_setup(&fs->trim, on_trim);
}

void fibers_deinit(struct shard *s)
{
    LIST_EACH_SAFE(it, &s->fibers.all)
        drop_stack(LIST_ENTRY(it, struct fiber, all));
}
