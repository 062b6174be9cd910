/*
 * What the files of src/rt share. Private to src/rt.
 *
 * A loop turn: libuv runs timers and ready descriptors; then, in the prepare hook and so just before the loop would
 * sleep, the shard runs its mail, the fibers that became ready and the turn-end tasks, hands its outgoing mail over,
 * and says through its inbox that it is asleep.
 */
#ifndef RT_INNER_H
#define RT_INNER_H

#include "rt/context.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/pool.h"
#include "rt/shard.h"
#include "rt/timer.h"
#include "base/list.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__)
#define RT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RT_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define RT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RT_TSAN 1
#endif
#endif

enum fiber_state { FIBER_IDLE, FIBER_RUNNING, FIBER_SUSPENDED, FIBER_READY, FIBER_ENDED };

/* Lives at the top of its own stack. */
struct fiber {
    struct context ctx;
    struct context *back; /* who entered it, on that one's stack */
    struct fiber *caller; /* NULL: the loop */
    struct fiber *next;   /* in the idle stacks or in the ready queue */
    struct list all;
    fiber_fn fn;
    void *arg;
    const char *reason;
    enum fiber_state state;
    unsigned no_yield;
    char *map; /* guard, then stack */
    size_t map_size;
#ifdef RT_ASAN
    void *fake_stack;
#endif
#ifdef RT_TSAN
    void *tsan;
#endif
#ifdef HAVE_VALGRIND
    unsigned valgrind_id;
#endif
};

/* Stack mappings. */
#define STACK_GUARD (4 * 4096)

struct fiber *stack_map(size_t stack_size);
void stack_unmap(struct fiber *f);

static inline char *stack_bottom(const struct fiber *f)
{
    return f->map + STACK_GUARD;
}

struct fibers {
    struct fiber *current;
    struct fiber *idle; /* stacks ready for use, last used first */
    unsigned idle_count, idle_low, alive;
    struct fiber *ready_head, *ready_tail;
    struct list all;
    struct timer trim;
    size_t stack_size;
    uint64_t slow_turns;
#ifdef RT_ASAN
    const void *loop_bottom;
    size_t loop_size;
#endif
#ifdef RT_TSAN
    void *loop_tsan;
#endif
};

#define WHEEL_LEVELS 5
#define WHEEL_SLOTS 64

struct wheel {
    uv_timer_t uv;
    uint64_t cur;      /* first tick not run yet */
    uint64_t armed;    /* tick the libuv timer is set to; UINT64_MAX: it is stopped */
    uint64_t earliest; /* earliest tick asked for since then */
    size_t count;
    uint64_t bits[WHEEL_LEVELS];
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

struct outbox {
    struct msg *newest, *oldest;
    unsigned count;
    bool dirty;
};

struct call;

struct shard {
    /* Newest first. SLEEPING instead of NULL: the owner is about to block, whoever posts wakes it. */
    _Alignas(128) struct msg *inbox;

    _Alignas(128) unsigned n;
    bool slept; /* SLEEPING was set and not taken back yet */
    bool keep_going;
    uint64_t mark; /* ticks when the last fiber turn ended */
    struct msg *posts_head, **posts_tail;
    struct shard_task *tasks_head, **tasks_tail;
    struct fibers fibers;
    struct call *free_calls;
    unsigned free_call_count;
    uint64_t sent, received; /* mail between shards, to know when a stop has drained all */
    unsigned dirty_count;
    struct outbox out[SHARD_MAX];
    uint8_t dirty[SHARD_MAX];

    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_idle_t idle;
    uv_poll_t wake;
    int wake_fd; /* eventfd */
    bool rested; /* the processor was offered to others since the last work */
    struct wheel wheel;
    pthread_t thread;
};

extern _Thread_local struct shard *rt_me;
extern struct shard *rt_shards[SHARD_MAX];

/* Processor ticks, for the slice watch only: some ten times cheaper than the clock. */
static inline uint64_t rt_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t t;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
    return t;
#else
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
#endif
}
/* Rate as seen since rt_start. */
uint64_t rt_ticks_to_ms(uint64_t ticks);

/* The process is beyond saving: a caller broke a contract. */
NORETURN void rt_die(const char *words);

/* Any thread: the loop returns from its wait. */
void shard_wake(struct shard *s);

/* Everything that may be the first thing a callback does after the loop slept takes the sleep mark back. */
void mailbox_awake_slow(struct shard *s);
static inline void mailbox_awake(struct shard *s)
{
    if (UNLIKELY(s->slept))
        mailbox_awake_slow(s);
}
void mailbox_init(struct shard *s);
void mailbox_deinit(struct shard *s);
void mailbox_take(struct shard *s);
void mailbox_run(struct shard *s);
void mailbox_flush(struct shard *s);
/* False when mail has come. */
bool mailbox_sleep(struct shard *s);
/* Mail of foreign threads since the start. */
uint64_t mailbox_foreign_sent(void);

void fibers_init(struct shard *s, size_t stack_size);
void fibers_run_ready(struct shard *s);
void fibers_deinit(struct shard *s);

void wheel_init(struct shard *s);
/* Sets the libuv timer for the next due tick. */
void wheel_settle(struct shard *s);

void stop_init(void);
bool stop_abandoned(void);

void rt_pool_make_general(unsigned threads);
void rt_pool_end_general(void);

#endif
