#include "rt_test.h"

#include "rt/fiber_each.h"

#define N 100

static unsigned under_way, most, done;
static size_t begun[N], n_begun;

static void forget(void)
{
    under_way = most = done = 0;
    n_begun = 0;
}

static void wait_a_turn(size_t i, void *arg) YIELDS;
static void wait_a_turn(size_t i, void *arg)
{
    CHECK(arg == &done);
    begun[n_begun++] = i;
    most = ++under_way > most ? under_way : most;
    fiber_sleep(0);
    under_way--;
    done++;
}

static void few_at_a_time(void *arg)
{
    fiber_each(N, 7, wait_a_turn, &done);
    CHECK(done == N && under_way == 0 && most == 7);
    for (size_t i = 0; i < N; i++)
        CHECK(begun[i] == i);
    CHECK(fiber_count() == 1);
    forget();
    fiber_each(3, 7, wait_a_turn, &done);
    CHECK(done == 3 && most == 3);
    fiber_each(0, 7, wait_a_turn, &done);
    CHECK(done == 3);
    rt_stop();
}

static unsigned others;

static void other(void *arg) YIELDS;
static void other(void *arg)
{
    while (done < N) {
        others++;
        fiber_sleep(0);
    }
}

static void never_wait(size_t i, void *arg)
{
    done++;
}

/* Work that never has to wait leaves the loop to others all the same. */
static void others_have_turns(void *arg)
{
    forget();
    others = 0;
    fiber_run(other, NULL);
    fiber_each(N, 1, never_wait, NULL);
    CHECK(done == N && others > 1);
    rt_stop();
}

/* The last one ends after the caller has begun to wait, the others before. */
static void wait_last(size_t i, void *arg) YIELDS;
static void wait_last(size_t i, void *arg)
{
    if (i == N - 1)
        fiber_sleep(0);
    done++;
}

static void one_waits(void *arg)
{
    forget();
    fiber_each(N, 4, wait_last, NULL);
    CHECK(done == N);
    rt_stop();
}

static void test_few_at_a_time(void **state)
{
    rt_test_run(1, few_at_a_time, NULL);
}

static void test_others_have_turns(void **state)
{
    rt_test_run(1, others_have_turns, NULL);
}

static void test_one_waits(void **state)
{
    rt_test_run(1, one_waits, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_few_at_a_time), cmocka_unit_test(test_others_have_turns),
                                       cmocka_unit_test(test_one_waits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
