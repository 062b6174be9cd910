#include "rt_test.h"

#include <pthread.h>

#define SHARDS 3
#define FIBERS 60
#define JOBS 30

static unsigned left; /* atomic */
static unsigned inits, exits; /* atomic */
static struct pool *own;

static void *thread_init(void *ctx)
{
    __atomic_add_fetch(&inits, 1, __ATOMIC_RELAXED);
    CHECK(strcmp(ctx, "ctx") == 0);
    return malloc(16);
}

static void thread_exit(void *state)
{
    free(state);
    __atomic_add_fetch(&exits, 1, __ATOMIC_RELAXED);
}

struct job {
    unsigned in, out;
    pthread_t loop_thread;
    bool own_pool;
};

static void square(void *arg, void *state)
{
    struct job *j = arg;
    CHECK(!pthread_equal(pthread_self(), j->loop_thread));
    CHECK((state != NULL) == j->own_pool);
    j->out = j->in * j->in;
}

static void worker(void *arg)
{
    for (unsigned i = 0; i < JOBS; i++) {
        struct job j = {.in = i + 1, .loop_thread = pthread_self(), .own_pool = i % 2};
        pool_run(i % 2 ? own : pool_general(), square, &j);
        CHECK(j.out == (i + 1) * (i + 1));
        CHECK(pthread_equal(pthread_self(), j.loop_thread));
    }
    if (__atomic_sub_fetch(&left, 1, __ATOMIC_ACQ_REL) == 0)
        rt_stop();
}

static void on_start(struct msg *m)
{
    for (unsigned i = 0; i < FIBERS; i++)
        fiber_run(worker, NULL);
}

static void start_all(void *arg)
{
    static struct msg m[SHARDS];
    for (unsigned i = 0; i < SHARDS; i++) {
        m[i].fn = on_start;
        mail_post(i, &m[i]);
    }
}

static void jobs_from_all_shards(void **state)
{
    left = SHARDS * FIBERS;
    inits = exits = 0;
    own = pool_new("test", 3, thread_init, thread_exit, "ctx");
    assert_int_equal(pool_backlog(own), 0);
    rt_test_run(SHARDS, start_all, NULL);
    pool_delete(&own);
    assert_null(own);
    pool_delete(&own);
    assert_in_range(inits, 1, 3);
    assert_int_equal(inits, exits);
}

/* While its only thread is held, jobs wait in line; the loop goes on. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void through_gate(void *arg, void *state)
{
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

static void queued(void *arg)
{
    pool_run(own, through_gate, NULL);
    __atomic_sub_fetch(&left, 1, __ATOMIC_ACQ_REL);
}

static void backlog(void *arg)
{
    pthread_mutex_lock(&gate);
    left = 5;
    for (int i = 0; i < 5; i++)
        fiber_run(queued, NULL);
    while (pool_backlog(own) > 4)
        fiber_sleep(1);
    CHECK(pool_backlog(own) == 4);
    CHECK(left == 5);
    pthread_mutex_unlock(&gate);
    while (left)
        fiber_sleep(1);
    rt_stop();
}

static void jobs_wait_in_line(void **state)
{
    own = pool_new("test", 1, NULL, NULL, NULL);
    rt_test_run(1, backlog, NULL);
    pool_delete(&own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(jobs_from_all_shards), cmocka_unit_test(jobs_wait_in_line)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
