#include "rt_test.h"

#include "base/hash.h"

#include <pthread.h>
#include <sys/resource.h>

#define SHARDS 4

/* --- turn-end tasks --------------------------------------------------------------------------------------------- */

static char trace[32];
static size_t trace_n;
static struct shard_task one, two, three;
static struct fiber *sleeper;

static void note(char c)
{
    CHECK(trace_n < sizeof(trace) - 1);
    trace[trace_n++] = c;
    trace[trace_n] = '\0';
}

static void on_posted(struct msg *m)
{
    note('p');
}

static void sleeper_fiber(void *arg)
{
    sleeper = fiber_self();
    fiber_suspend("test");
    note('f');
}

static void on_last(struct shard_task *t)
{
    note('3');
    rt_stop();
}

static void on_one(struct shard_task *t)
{
    static struct msg m = {.fn = on_posted};
    static bool again;
    note('1');
    /* What a task produces is handled before the loop sleeps. */
    mail_post(0, &m);
    fiber_wake(sleeper);
    shard_task_cancel(&two);
    again = !again;
    if (again)
        three.fn = on_last;
    shard_at_turn_end(&three);
}

static void on_two(struct shard_task *t)
{
    CHECK(false);
}

static void tasks(void *arg)
{
    trace_n = 0;
    one = (struct shard_task){.fn = on_one};
    two = (struct shard_task){.fn = on_two};
    three = (struct shard_task){.fn = on_last};
    fiber_run(sleeper_fiber, NULL);
    shard_at_turn_end(&one);
    shard_at_turn_end(&one);
    shard_at_turn_end(&two);
    shard_at_turn_end(&three);
    shard_task_cancel(&three);
    shard_task_cancel(&three);
    note('0');
}

static void tasks_run_at_the_turns_end(void **state)
{
    rt_test_run(1, tasks, NULL);
    assert_string_equal(trace, "01pf3");
}

/* A task that queues itself for ever does not keep the loop from its timers. */
static unsigned spins;

static void on_spin(struct shard_task *t)
{
    spins++;
    if (!rt_stopping())
        shard_at_turn_end(t);
}

static void spin(void *arg)
{
    static struct shard_task t = {.fn = on_spin};
    spins = 0;
    shard_at_turn_end(&t);
    fiber_sleep(30);
    rt_stop();
}

static void busy_tasks_do_not_starve_timers(void **state)
{
    rt_test_run(1, spin, NULL);
    assert_true(spins > 16);
}

/* --- start and homes -------------------------------------------------------------------------------------------- */

static unsigned started[SHARDS];

static void on_start(unsigned shard)
{
    CHECK(shard == shard_self());
    CHECK(shard_loop() != NULL);
    __atomic_add_fetch(&started[shard], 1, __ATOMIC_RELAXED);
    if (shard == 0)
        rt_stop();
}

static void every_shard_starts_once(void **state)
{
    struct error err = ERROR_INIT;
    for (unsigned round = 1; round <= 20; round++) {
        assert_int_equal(rt_start(&(struct rt_config){.shards = SHARDS}, on_start, &err), 0);
        assert_int_equal(shard_count(), SHARDS);
        rt_run();
        for (unsigned i = 0; i < SHARDS; i++)
            assert_int_equal(started[i], round);
    }
}

static void homes(void *arg)
{
    unsigned count[SHARDS] = {0};
    for (unsigned i = 0; i < 40000; i++) {
        unsigned s = shard_of(hash_stable(&i, sizeof(i)));
        CHECK(s < SHARDS);
        count[s]++;
    }
    for (unsigned i = 0; i < SHARDS; i++)
        CHECK(count[i] > 9000 && count[i] < 11000);
    CHECK(shard_of(0) == 0 && shard_of(UINT64_MAX) == SHARDS - 1);
    rt_stop();
}

static void homes_are_spread(void **state)
{
    rt_test_run(SHARDS, homes, NULL);
}

/* --- stopping with work in flight ------------------------------------------------------------------------------- */

static unsigned unfinished; /* atomic */

static int chain(void *arg, struct error *err) YIELDS;

static int chain(void *arg, struct error *err)
{
    unsigned left = *(unsigned *)arg;
    if (!left)
        return 7;
    struct arena *a = arena_new();
    unsigned *next = ARENA_NEW(a, unsigned);
    *next = left - 1;
    int rc = mail_call(left % SHARDS, chain, next, a, 4000, err);
    arena_release(&a);
    return rc;
}

static void job(void *arg, void *state)
{
}

static void works_on(void *arg)
{
    struct arena *a = arena_new();
    unsigned *left = ARENA_NEW(a, unsigned);
    struct error err = ERROR_INIT;
    *left = 30;
    fiber_sleep((unsigned)(uintptr_t)arg % 20);
    pool_run(pool_general(), job, NULL);
    CHECK(mail_call(1, chain, left, a, 4000, &err) == 7);
    arena_release(&a);
    __atomic_sub_fetch(&unfinished, 1, __ATOMIC_RELAXED);
}

static void stop_at_once(void *arg)
{
    for (unsigned i = 0; i < 50; i++)
        fiber_run(works_on, (void *)(uintptr_t)i);
    rt_stop();
    rt_stop();
    CHECK(rt_stopping());
}

static void work_in_flight_is_finished(void **state)
{
    for (int i = 0; i < 5; i++) {
        unfinished = 50;
        rt_test_run(SHARDS, stop_at_once, NULL);
        assert_int_equal(unfinished, 0);
    }
}

static void *stop_from_outside(void *arg)
{
    rt_stop();
    return NULL;
}

static pthread_t outside;

static void start_outside(void *arg)
{
    pthread_create(&outside, NULL, stop_from_outside, NULL);
}

static void any_thread_may_stop(void **state)
{
    rt_test_run(2, start_outside, NULL);
    pthread_join(outside, NULL);
}

/* --- an idle server sleeps -------------------------------------------------------------------------------------- */

static long switches(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_nvcsw;
}

static void idle(void *arg)
{
    /* Whatever the start left over happens now; afterwards only this fiber's own timer wakes anybody. */
    fiber_sleep(100);
    long before = switches();
    fiber_sleep(400);
    CHECK(switches() - before < 10);
    rt_stop();
}

static void idle_shards_sleep(void **state)
{
    rt_test_run(SHARDS, idle, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_run_at_the_turns_end), cmocka_unit_test(busy_tasks_do_not_starve_timers),
        cmocka_unit_test(every_shard_starts_once),    cmocka_unit_test(homes_are_spread),
        cmocka_unit_test(work_in_flight_is_finished), cmocka_unit_test(any_thread_may_stop),
        cmocka_unit_test(idle_shards_sleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
