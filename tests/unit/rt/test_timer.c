#include "rt_test.h"

#define TIMERS 2000

struct probe {
    struct timer timer;
    uint64_t armed_at, due;
    bool fired, stopped;
};

static struct probe probes[TIMERS];
static unsigned left;
static struct fiber *conductor;

static void on_probe(struct timer *t)
{
    struct probe *p = CONTAINER_OF(t, struct probe, timer);
    CHECK(!p->stopped && !p->fired);
    CHECK(!timer_armed(t));
    CHECK(fiber_self() == NULL);
    CHECK(shard_now_ms() >= p->due);
    p->fired = true;
    if (--left == 0)
        fiber_wake(conductor);
}

static void arm(struct probe *p, uint64_t ms)
{
    p->due = shard_now_ms() + ms;
    timer_arm(&p->timer, ms);
    CHECK(timer_armed(&p->timer));
}

static void random_timers(void *arg)
{
    uint32_t seed = 4711;
    conductor = fiber_self();
    left = 0;
    for (unsigned i = 0; i < TIMERS; i++) {
        probes[i] = (struct probe){0};
        timer_setup(&probes[i].timer, on_probe);
        CHECK(!timer_armed(&probes[i].timer));
        timer_stop(&probes[i].timer);
        arm(&probes[i], rt_test_random(&seed) % 900);
        left++;
    }
    for (unsigned i = 0; i < TIMERS; i += 3) {
        timer_stop(&probes[i].timer);
        probes[i].stopped = true;
        left--;
        if (i % 2 == 0) {
            probes[i].stopped = false;
            arm(&probes[i], rt_test_random(&seed) % 700);
            left++;
        }
    }
    for (unsigned i = 1; i < TIMERS; i += 5)
        if (!probes[i].stopped)
            arm(&probes[i], rt_test_random(&seed) % 800);
    fiber_suspend("timers");
    for (unsigned i = 0; i < TIMERS; i++)
        CHECK(probes[i].fired != probes[i].stopped);
    rt_stop();
}

static void fire_once_and_not_early(void **state)
{
    rt_test_run(1, random_timers, NULL);
}

/* One of a tick's timers stops the other, re-arms itself with no delay, and arms far ones. */
static struct timer first, second, far;
static unsigned first_runs;

static void on_never(struct timer *t)
{
    CHECK(false);
}

static void on_first(struct timer *t)
{
    timer_stop(&second);
    timer_arm(&far, (uint64_t)400 * 24 * 3600 * 1000);
    if (++first_runs < 5) {
        timer_arm(&first, 0);
    } else {
        timer_stop(&far);
        timer_arm(&far, UINT64_MAX);
        timer_stop(&far);
        rt_stop();
    }
}

static void tangled(void *arg)
{
    first_runs = 0;
    timer_setup(&first, on_first);
    timer_setup(&second, on_never);
    timer_setup(&far, on_never);
    timer_arm(&first, 20);
    timer_arm(&second, 20);
}

static void callbacks_may_arm_and_stop(void **state)
{
    rt_test_run(1, tangled, NULL);
    assert_int_equal(first_runs, 5);
}

/* A timer beyond the first level comes in time although it is spread twice on the way. */
static void beyond_one_level(void *arg)
{
    uint64_t before = clock_mono_ms();
    fiber_sleep(700);
    uint64_t took = clock_mono_ms() - before;
    CHECK(took >= 695);
    CHECK(took < 3000);
    rt_stop();
}

static void levels(void **state)
{
    rt_test_run(1, beyond_one_level, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fire_once_and_not_early),
                                       cmocka_unit_test(callbacks_may_arm_and_stop), cmocka_unit_test(levels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
