#include "rt_test.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char trace[64];
static size_t trace_n;
static struct fiber *a, *b;

static void note(char c)
{
    CHECK(trace_n < sizeof(trace) - 1);
    trace[trace_n++] = c;
    trace[trace_n] = '\0';
}

static void begin(void)
{
    trace_n = 0;
    trace[0] = '\0';
}

static void inner(void *arg)
{
    note('2');
    b = fiber_self();
    CHECK(b && b != a);
    fiber_suspend("test");
    note('5');
    fiber_wake(a);
    note('6');
}

static void outer(void *arg)
{
    a = fiber_self();
    CHECK(a);
    note('1');
    CHECK(!fiber_run(inner, NULL));
    CHECK(fiber_self() == a);
    CHECK(fiber_count() == 2);
    note('3');
    fiber_wake(b);
    note('4');
    fiber_suspend("test");
    note('7');
    CHECK(fiber_count() == 1);
    rt_stop();
}

static void order_of_nested_fibers(void **state)
{
    begin();
    CHECK(fiber_self() == NULL);
    rt_test_run(1, outer, NULL);
    assert_string_equal(trace, "1234567");
}

static void deep(void *arg)
{
    unsigned left = (unsigned)(uintptr_t)arg;
    if (left)
        CHECK(fiber_run(deep, (void *)(uintptr_t)(left - 1)));
}

static void deep_check(void *arg)
{
    CHECK(fiber_run(deep, (void *)99));
    CHECK(fiber_stacks() == 100);
    fiber_trim();
    CHECK(fiber_stacks() == 0);
    /* What does not suspend needs one stack however often it runs. */
    for (int i = 0; i < 1000; i++)
        CHECK(fiber_run(deep, (void *)9));
    CHECK(fiber_stacks() == 10);
    rt_stop();
}

static void stacks_are_reused_and_trimmed(void **state)
{
    rt_test_run(1, deep_check, NULL);
}

/* Registers and stacks survive: every fiber keeps sums in locals over many suspensions in random order. */
#define CROWD 300
#define STEPS 50

static struct fiber *crowd[CROWD];
static unsigned crowd_left, waiting[CROWD], waiting_n;
static struct fiber *conductor;

static void crowd_fiber(void *arg)
{
    unsigned id = (unsigned)(uintptr_t)arg;
    uint64_t sum = id, product = 1;
    double real = id;
    char room[512];
    memset(room, (int)id, sizeof(room));
    crowd[id] = fiber_self();
    for (unsigned i = 0; i < STEPS; i++) {
        sum += i;
        product = product * 31 + id;
        real *= 1.5;
        waiting[waiting_n++] = id;
        fiber_suspend("crowd");
    }
    uint64_t want = 1;
    double want_real = id;
    for (unsigned i = 0; i < STEPS; i++) {
        want = want * 31 + id;
        want_real *= 1.5;
    }
    CHECK(sum == id + (uint64_t)STEPS * (STEPS - 1) / 2);
    CHECK(product == want);
    CHECK(real == want_real);
    for (size_t i = 0; i < sizeof(room); i++)
        CHECK(room[i] == (char)id);
    if (--crowd_left == 0)
        fiber_wake(conductor);
}

static void wake_random(void *arg)
{
    uint32_t seed = 12345;
    while (crowd_left) {
        if (waiting_n) {
            unsigned pick = rt_test_random(&seed) % waiting_n;
            unsigned id = waiting[pick];
            waiting[pick] = waiting[--waiting_n];
            fiber_wake(crowd[id]);
        }
        if (rt_test_random(&seed) % 4 == 0 || !waiting_n)
            fiber_sleep(0);
    }
}

static void crowd_test(void *arg)
{
    conductor = fiber_self();
    crowd_left = CROWD;
    waiting_n = 0;
    for (unsigned i = 0; i < CROWD; i++)
        fiber_run(crowd_fiber, (void *)(uintptr_t)i);
    CHECK(fiber_count() == CROWD + 1);
    fiber_run(wake_random, NULL);
    fiber_suspend("test");
    rt_stop();
}

static void locals_survive(void **state)
{
    rt_test_run(1, crowd_test, NULL);
}

static void sleeps(void *arg)
{
    uint64_t before = clock_mono_ms();
    fiber_sleep(50);
    uint64_t took = clock_mono_ms() - before;
    CHECK(took >= 45);
    CHECK(took < 5000);
    rt_stop();
}

static void sleep_takes_its_time(void **state)
{
    rt_test_run(1, sleeps, NULL);
}

static void hog(void *arg)
{
    uint64_t end = clock_mono_ms() + 40;
    while (clock_mono_ms() < end) {
    }
}

static void slow(void *arg)
{
    uint64_t before = fiber_slow_turns();
    fiber_run(hog, NULL);
    CHECK(fiber_slow_turns() == before + 1);
    rt_stop();
}

static void long_turns_are_counted(void **state)
{
    rt_test_run(1, slow, NULL);
}

/* Thousands waiting at once; afterwards their stacks go back. */
static void wait_in_line(void *arg)
{
    ((struct fiber **)arg)[0] = fiber_self();
    fiber_suspend("test");
}

static void many(void *arg)
{
    enum { N = 3000 };
    struct fiber **all = calloc(N, sizeof(*all));
    for (int i = 0; i < N; i++)
        fiber_run(wait_in_line, &all[i]);
    CHECK(fiber_count() == N + 1);
    for (int i = 0; i < N; i++)
        fiber_wake(all[i]);
    fiber_sleep(10);
    CHECK(fiber_count() == 1);
    CHECK(fiber_stacks() <= 512);
    free(all);
    rt_stop();
}

static void thousands_of_fibers(void **state)
{
    rt_test_run(1, many, NULL);
}

/* --- broken contracts end the process --------------------------------------------------------------------------- */

static void suspend_on_loop(struct msg *m)
{
    fiber_suspend("never");
}

static void on_loop(void *arg)
{
    static struct msg m = {.fn = suspend_on_loop};
    mail_post(0, &m);
}

static void no_yield(void *arg)
{
    fiber_no_yield_begin();
    fiber_no_yield_begin();
    fiber_no_yield_end();
    fiber_sleep(1);
}

static void wake_running(void *arg)
{
    fiber_wake(fiber_self());
}

static int overflow(volatile char *above, int depth)
{
    volatile char room[1024];
    room[0] = above ? above[0] : 1;
    return depth > 1000000 ? 0 : overflow(room, depth + 1) + room[0];
}

static void overflow_fiber(void *arg)
{
    volatile int sink = overflow(NULL, 0);
    (void)sink;
}

static int signal_of(fiber_fn fn)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        freopen("/dev/null", "w", stderr);
        rt_test_run(1, fn, NULL);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    /* Sanitizers turn a crash into an exit code of their own. */
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void broken_contracts(void **state)
{
    assert_int_not_equal(signal_of(on_loop), 0);
    assert_int_not_equal(signal_of(no_yield), 0);
    assert_int_not_equal(signal_of(wake_running), 0);
}

static void overflow_hits_the_guard(void **state)
{
    assert_int_not_equal(signal_of(overflow_fiber), 0);
}

static void suspends_a_lot(void *arg)
{
    for (int i = 0; i < 20; i++)
        fiber_sleep(1);
    fiber_wake(a);
}

static void nested_no_yield(void *arg)
{
    a = fiber_self();
    fiber_no_yield_begin();
    /* Another fiber may well suspend meanwhile: it comes back here. */
    CHECK(!fiber_run(suspends_a_lot, NULL));
    fiber_no_yield_end();
    fiber_suspend("test");
    rt_stop();
}

static void no_yield_is_of_one_fiber(void **state)
{
    rt_test_run(1, nested_no_yield, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_contracts),
        cmocka_unit_test(overflow_hits_the_guard),
        cmocka_unit_test(order_of_nested_fibers),
        cmocka_unit_test(stacks_are_reused_and_trimmed),
        cmocka_unit_test(locals_survive),
        cmocka_unit_test(sleep_takes_its_time),
        cmocka_unit_test(long_turns_are_counted),
        cmocka_unit_test(thousands_of_fibers),
        cmocka_unit_test(no_yield_is_of_one_fiber),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
