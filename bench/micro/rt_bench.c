/*
 * Microbenchmark of the runtime: what a fiber, a message, a call, a timer and an arena cost. Prints one table.
 * Usage: rt_bench [seconds per line, default 0.3]. Every line is repeated five times; the median is printed.
 */
#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/pool.h"
#include "rt/shard.h"
#include "rt/timer.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define REPEATS 5

static double seconds_per_line = 0.3;

/* One round of a measurement: does n operations. */
typedef void (*round_fn)(unsigned n) YIELDS;

static double cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const char *name, round_fn round, unsigned per_round) YIELDS;

static void measure(const char *name, round_fn round, unsigned per_round)
{
    double wall[REPEATS], cpu[REPEATS];
    round(per_round);
    for (unsigned i = 0; i < REPEATS; i++) {
        uint64_t t0 = clock_mono_us(), now, end = t0 + (uint64_t)(seconds_per_line * 1e6 / REPEATS);
        double c0 = cpu_us(), ops = 0;
        do {
            round(per_round);
            ops += per_round;
        } while ((now = clock_mono_us()) < end);
        wall[i] = (double)(now - t0) * 1000.0 / ops;
        cpu[i] = (cpu_us() - c0) * 1000.0 / ops;
    }
    qsort(wall, REPEATS, sizeof(double), compare);
    qsort(cpu, REPEATS, sizeof(double), compare);
    printf("| %-58s | %9.1f | %9.1f |\n", name, wall[REPEATS / 2], cpu[REPEATS / 2]);
}

/* --- fibers ----------------------------------------------------------------------------------------------------- */

static void nothing(void *arg)
{
}

static void round_fiber_run(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        fiber_run(nothing, NULL);
}

static struct fiber *sleeper, *waker;
static bool sleeper_ends;

static void sleeper_fiber(void *arg)
{
    sleeper = fiber_self();
    for (;;) {
        fiber_suspend("bench");
        fiber_wake(waker);
        if (sleeper_ends)
            break;
    }
}

/* Two fibers wake each other: every operation is a suspend, a wake and a resume. */
static void round_switch(unsigned n)
{
    waker = fiber_self();
    sleeper_ends = false;
    fiber_run(sleeper_fiber, NULL);
    for (unsigned i = 0; i < n / 2; i++) {
        fiber_wake(sleeper);
        fiber_suspend("bench");
    }
    sleeper_ends = true;
    fiber_wake(sleeper);
    fiber_suspend("bench");
}

static unsigned crowd_left;

static void crowd_fiber(void *arg)
{
    struct fiber **slot = arg;
    *slot = fiber_self();
    fiber_suspend("bench");
    if (--crowd_left == 0)
        fiber_wake(waker);
}

/* Many fibers suspended at once: a stack each. */
static void round_crowd(unsigned n)
{
    static struct fiber *all[256];
    waker = fiber_self();
    crowd_left = n;
    for (unsigned i = 0; i < n; i++)
        fiber_run(crowd_fiber, &all[i]);
    for (unsigned i = 0; i < n; i++)
        fiber_wake(all[i]);
    fiber_suspend("bench");
}

/* --- mail ------------------------------------------------------------------------------------------------------- */

struct ball {
    struct msg m;
    unsigned home, hops;
};

static unsigned balls_left;
static struct ball balls[4096];

static void on_ball(struct msg *m)
{
    struct ball *b = CONTAINER_OF(m, struct ball, m);
    if (b->hops > 0) {
        b->hops--;
        mail_post(shard_count() - 1 - shard_self(), m);
    } else if (--balls_left == 0) {
        fiber_wake(waker);
    }
}

static void on_own_ball(struct msg *m)
{
    if (--balls_left == 0)
        fiber_wake(waker);
}

static void throw_balls(unsigned n, unsigned shard, unsigned hops, void (*fn)(struct msg *m)) YIELDS;

static void throw_balls(unsigned n, unsigned shard, unsigned hops, void (*fn)(struct msg *m))
{
    waker = fiber_self();
    balls_left = n;
    for (unsigned i = 0; i < n; i++) {
        balls[i].m.fn = fn;
        balls[i].hops = hops;
        mail_post(shard, &balls[i].m);
    }
    fiber_suspend("bench");
}

static void round_post_own(unsigned n)
{
    throw_balls(n, 0, 0, on_own_ball);
}

/* Odd hops: n balls fly together and end at home. */
static void round_post_one(unsigned n)
{
    throw_balls(1, 1, n - 1, on_ball);
}

static void round_post_100(unsigned n)
{
    throw_balls(100, 1, n / 100 - 1, on_ball);
}

static void round_post_1000(unsigned n)
{
    throw_balls(1000, 1, n / 1000 - 1, on_ball);
}

/* --- calls ------------------------------------------------------------------------------------------------------ */

static int add_one(void *arg, struct error *err)
{
    ++*(unsigned *)arg;
    return 0;
}

static void call_n(unsigned n) YIELDS;

static void call_n(unsigned n)
{
    struct arena *a = arena_new();
    unsigned *value = ARENA_NEW(a, unsigned);
    struct error err = ERROR_INIT;
    for (unsigned i = 0; i < n; i++)
        if (mail_call(1, add_one, value, a, 10000, &err) < 0)
            abort();
    arena_release(&a);
}

static void round_call_one(unsigned n)
{
    call_n(n);
}

static unsigned callers_left;

static void caller_fiber(void *arg)
{
    call_n((unsigned)(uintptr_t)arg);
    if (--callers_left == 0)
        fiber_wake(waker);
}

static void call_many(unsigned callers, unsigned n) YIELDS;

static void call_many(unsigned callers, unsigned n)
{
    waker = fiber_self();
    callers_left = callers;
    for (unsigned i = 0; i < callers; i++)
        fiber_run(caller_fiber, (void *)(uintptr_t)(n / callers));
    fiber_suspend("bench");
}

static void round_call_10(unsigned n)
{
    call_many(10, n);
}

static void round_call_100(unsigned n)
{
    call_many(100, n);
}

static int each_shard(void *arg, void *slot, struct error *err)
{
    return 0;
}

static void round_gather(unsigned n)
{
    struct arena *a = arena_new();
    struct error err = ERROR_INIT;
    for (unsigned i = 0; i < n; i++)
        if (mail_gather(each_shard, NULL, NULL, a, 10000, &err) < 0)
            abort();
    arena_release(&a);
}

static void pool_job(void *arg, void *state)
{
}

static void round_pool(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        pool_run(pool_general(), pool_job, NULL);
}

/* --- timers and memory ------------------------------------------------------------------------------------------ */

static void on_timer(struct timer *t)
{
}

static void round_timer(unsigned n)
{
    static struct timer t[1000];
    static bool ready;
    for (unsigned i = 0; !ready && i < 1000; i++)
        timer_setup(&t[i], on_timer);
    ready = true;
    for (unsigned i = 0; i < n; i++)
        timer_arm(&t[i % 1000], 30000 + i);
    for (unsigned i = 0; i < n && i < 1000; i++)
        timer_stop(&t[i]);
}

static void round_arena(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct arena *a = arena_new();
        arena_release(&a);
    }
}

static void round_arena_alloc(unsigned n)
{
    struct arena *a = NULL;
    for (unsigned i = 0; i < n; i++) {
        if (i % 16 == 0) {
            arena_release(&a);
            a = arena_new();
        }
        *(volatile char *)arena_alloc(a, 48) = 1;
    }
    arena_release(&a);
}

struct parcel {
    struct msg m;
    struct arena *arena;
};

static void on_parcel_back(struct msg *m)
{
    if (--balls_left == 0)
        fiber_wake(waker);
}

static void on_parcel(struct msg *m)
{
    struct parcel *p = CONTAINER_OF(m, struct parcel, m);
    arena_release(&p->arena);
    m->fn = on_parcel_back;
    mail_post(0, m);
}

/* Made on one shard, freed on the other. */
static void round_arena_travels(unsigned n)
{
    static struct parcel parcels[1000];
    waker = fiber_self();
    balls_left = n;
    for (unsigned i = 0; i < n; i++) {
        parcels[i].arena = arena_new();
        *(volatile char *)arena_alloc(parcels[i].arena, 600) = 1;
        parcels[i].m.fn = on_parcel;
        mail_post(1, &parcels[i].m);
    }
    fiber_suspend("bench");
}

static void round_hash(unsigned n)
{
    static const char jid[] = "user1234@example.org";
    uint64_t sum = 0;
    for (unsigned i = 0; i < n; i++)
        sum += hash_bytes(jid, sizeof(jid) - 1);
    *(volatile uint64_t *)&sum = sum;
}

/* ---------------------------------------------------------------------------------------------------------------- */

static void all(void *arg)
{
    printf("| %-58s | %9s | %9s |\n|%.60s|----------:|----------:|\n", "operation (ns each)", "time", "CPU",
           "------------------------------------------------------------");
    measure("fiber_run of a function that does not suspend", round_fiber_run, 1000);
    measure("suspend + wake + resume, two fibers in turns", round_switch, 1000);
    measure("fiber_run + suspend + wake + end, 256 waiting at once", round_crowd, 256);
    measure("mail_post to the own shard, 1000 a turn", round_post_own, 1000);
    measure("mail_post across shards, 1 under way (sleep and wake)", round_post_one, 1000);
    measure("mail_post across shards, 100 under way", round_post_100, 10000);
    measure("mail_post across shards, 1000 under way", round_post_1000, 100000);
    measure("mail_call across shards, 1 under way (latency)", round_call_one, 1000);
    measure("mail_call across shards, 10 under way", round_call_10, 10000);
    measure("mail_call across shards, 100 under way", round_call_100, 10000);
    measure("mail_gather over all shards, 1 under way", round_gather, 1000);
    measure("pool_run of nothing, 1 under way", round_pool, 100);
    measure("timer_arm of an armed timer", round_timer, 100000);
    measure("arena_new + release", round_arena, 1000);
    measure("arena_alloc of 48 bytes (with 1/16 new + release)", round_arena_alloc, 1000);
    measure("arena_new, post, release on the other shard, post back", round_arena_travels, 1000);
    measure("hash_bytes of 20 bytes", round_hash, 1000);
    rt_stop();
}

static void on_begin(struct msg *m)
{
    fiber_run(all, NULL);
}

int main(int argc, char **argv)
{
    static struct msg begin = {.fn = on_begin};
    struct error err = ERROR_INIT;
    if (argc > 1)
        seconds_per_line = atof(argv[1]);
    if (rt_start(&(struct rt_config){.shards = 2}, NULL, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    mail_post(0, &begin);
    rt_run();
    return 0;
}
