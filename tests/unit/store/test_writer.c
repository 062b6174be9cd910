/* Group commit: how many commits, who is harmed by whom, what happens when the queue is full or the disk is. */
#include "harness.h"

#include "store/db.h"
#include "store/schema.h"
#include "store/writer.h"
#include "base/mem.h"

#include <pthread.h>
#include <sched.h>

#define HOST S("a.example")
#define FIBERS 32
#define EACH 25

static struct sql_conn *open_conn(void)
{
    struct sql_target t = {.path = in_dir("db.sqlite"), .multihost = true, .durable = true, .wait_ms = 100, .cache_kb = 256};
    struct sql_conn *c = NULL;
    struct error err = ERROR_INIT;

    CHECK_INT(sqlite_driver.open(&t, &c, &err), 0);
    CHECK_INT(schema_ensure(c, &err), 0);
    return c;
}

static struct writer *writer;
static struct latch ended;

/* A job that holds the writer until it is let go, so that a queue builds up behind it. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool entered, open;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};

static enum store_rc hold(struct sql_conn *c, void *arg)
{
    pthread_mutex_lock(&gate.lock);
    gate.entered = true;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    return STORE_OK;
}

static void nothing(void *arg, enum store_rc rc)
{
}

static void gate_close(void)
{
    gate.open = gate.entered = false;
    writer_post(writer, false, hold, NULL, nothing, "gate");
    pthread_mutex_lock(&gate.lock);
    while (!gate.entered)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static void gate_open(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

struct write {
    struct str user, status;
    enum store_rc answer; /* what the job itself says */
    enum store_rc rc;
    size_t bytes;         /* of a status that is made up */
};

static enum store_rc write_last(struct sql_conn *c, void *arg)
{
    struct write *w = arg;
    char *big = w->bytes ? mem_alloc(w->bytes) : NULL;
    enum store_rc rc;

    if (big)
        memset(big, 'x', w->bytes);
    rc = last_write(c, HOST, w->user, 1, big ? str_n(big, w->bytes) : w->status);
    free(big);
    return rc == STORE_OK ? w->answer : rc;
}

static void write_fiber(void *arg)
{
    struct write *w = arg;

    w->rc = writer_run(writer, write_last, w);
    latch_up(&ended);
}

static enum store_rc count_rows(struct sql_conn *c, void *arg)
{
    struct write *w = arg;
    struct sql_query q;

    sql_start(c, STMT_last_get, SQL_ARGS(V_STR(HOST), V_STR(w->user)), &q);
    w->bytes = sql_next(&q);
    return sql_end(&q);
}

static bool is_there(struct str user)
{
    struct write w = {.user = user};

    CHECK_INT(writer_run(writer, count_rows, &w), STORE_OK);
    return w.bytes;
}

/* One queue, one transaction; the job that fails, in the middle, leaves nothing and takes nobody with it. */
static void grouped(void *arg)
{
    struct write w[FIBERS];
    struct writer_stats before, after;

    ended = (struct latch){0};
    gate_close();
    before = writer_stats(writer);
    for (int i = 0; i < FIBERS; i++) {
        static char names[FIBERS][8];
        snprintf(names[i], sizeof(names[i]), "u%d", i);
        w[i] = (struct write){.user = str_of(names[i]), .status = S("x"), .answer = i == 7 ? STORE_CONFLICT : STORE_OK};
        fiber_run(write_fiber, &w[i]);
    }
    CHECK_INT(ended.n, 0);
    gate_open();
    latch_wait(&ended, FIBERS);
    after = writer_stats(writer);
    CHECK_INT(after.jobs - before.jobs, FIBERS);
    CHECK_INT(after.commits - before.commits, 2); /* the gate's own and the group's */
    for (int i = 0; i < FIBERS; i++) {
        CHECK_INT(w[i].rc, i == 7 ? STORE_CONFLICT : STORE_OK);
        CHECK_INT(is_there(w[i].user), i != 7);
    }
}

/* A job too big for the disk: the engine gives up the whole transaction, the others are done again without it. */
static void full(void *arg)
{
    struct write w[3] = {
        {.user = S("before"), .status = S("x")},
        {.user = S("big"), .bytes = 4 << 20},
        {.user = S("after"), .status = S("x")},
    };

    ended = (struct latch){0};
    gate_close();
    for (int i = 0; i < 3; i++)
        fiber_run(write_fiber, &w[i]);
    gate_open();
    latch_wait(&ended, 3);
    CHECK_INT(w[0].rc, STORE_OK);
    CHECK_INT(w[1].rc, STORE_UNAVAILABLE);
    CHECK_INT(w[2].rc, STORE_OK);
    CHECK(is_there(S("before")) && is_there(S("after")) && !is_there(S("big")));
}

static unsigned freed;

static void count_free(void *arg, enum store_rc rc)
{
    __atomic_add_fetch(&freed, 1, __ATOMIC_RELAXED);
}

static enum store_rc no_op(struct sql_conn *c, void *arg)
{
    return STORE_OK;
}

static void queue_full(void *arg)
{
    struct write w = {.user = S("late"), .status = S("x")};

    freed = 0;
    gate_close();
    for (int i = 0; i < WRITER_QUEUE_MAX; i++)
        writer_post(writer, false, no_op, NULL, count_free, "test");
    CHECK_INT(freed, 0);
    CHECK_INT(writer_run(writer, write_last, &w), STORE_UNAVAILABLE);
    writer_post(writer, false, no_op, NULL, count_free, "test");
    CHECK_INT(freed, 1);
    CHECK_INT(writer_stats(writer).refused, 2);
    gate_open();
    /* Whoever asks now is behind all of them; the queue has room again as soon as the writer took a group. */
    while (writer_run(writer, no_op, NULL) != STORE_OK)
        sched_yield();
    CHECK_INT(__atomic_load_n(&freed, __ATOMIC_RELAXED), WRITER_QUEUE_MAX + 1);
    CHECK(!is_there(S("late")));
}

/* Jobs in no hurry share the commit of the next one that somebody waits for, in order; left alone they are written all the same. */
static void lazy(void *arg)
{
    struct writer_stats before = writer_stats(writer);

    freed = 0;
    for (int i = 0; i < 20; i++)
        writer_post(writer, true, no_op, NULL, count_free, "test");
    CHECK_INT(__atomic_load_n(&freed, __ATOMIC_RELAXED), 0);
    CHECK_INT(writer_run(writer, no_op, NULL), STORE_OK);
    CHECK_INT(__atomic_load_n(&freed, __ATOMIC_RELAXED), 20);
    CHECK_INT(writer_stats(writer).commits - before.commits, 1);
    writer_post(writer, true, no_op, NULL, count_free, "test");
    while (__atomic_load_n(&freed, __ATOMIC_RELAXED) < 21)
        sched_yield();
    for (int i = 0; i < WRITER_GROUP_MAX; i++) /* a full group does not wait */
        writer_post(writer, true, no_op, NULL, count_free, "test");
    while (__atomic_load_n(&freed, __ATOMIC_RELAXED) < 21 + WRITER_GROUP_MAX)
        sched_yield();
}

static void hammer(void *arg)
{
    int64_t *n = arg;

    for (int i = 0; i < EACH; i++) {
        char name[32];
        struct write w = {.status = S("x")};
        snprintf(name, sizeof(name), "f%lld-%d", (long long)*n, i);
        w.user = str_of(name);
        CHECK_INT(writer_run(writer, write_last, &w), STORE_OK);
    }
    latch_up(&ended);
}

static void concurrent(void *arg)
{
    static int64_t numbers[FIBERS];
    struct writer_stats s;

    ended = (struct latch){0};
    for (int i = 0; i < FIBERS; i++) {
        numbers[i] = i;
        fiber_run(hammer, &numbers[i]);
    }
    latch_wait(&ended, FIBERS);
    s = writer_stats(writer);
    CHECK_INT(s.jobs, FIBERS * EACH);
    print_message("%d writes by %d fibers: %llu commits\n", FIBERS * EACH, FIBERS, (unsigned long long)s.commits);
    CHECK(s.commits <= FIBERS * EACH / 4);
    for (int i = 0; i < FIBERS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "f%d-%d", i, EACH - 1);
        CHECK(is_there(str_of(name)));
    }
}

/* The log is copied back while the server runs: it does not grow with what is written. */
static void log_bounded(void *arg)
{
    struct stat st;

    for (int i = 0; i < 200; i++) {
        struct write w = {.user = S("ann"), .bytes = 100000};
        CHECK_INT(writer_run(writer, write_last, &w), STORE_OK);
    }
    CHECK_INT(stat(in_dir("db.sqlite-wal"), &st), 0);
    CHECK(st.st_size < 8 << 20);
}

static void with_writer(void (*body)(void *), const char *pragma)
{
    struct sql_conn *c;

    dir_setup(NULL);
    c = open_conn();
    if (pragma)
        CHECK_INT(c->driver->exec(c, pragma), SQL_DONE);
    writer = writer_new(c);
    run_on_fiber(1, body, NULL);
    writer_delete(&writer);
    dir_teardown(NULL);
}

static void test_grouped(void **state)
{
    with_writer(grouped, NULL);
}

static void test_full(void **state)
{
    with_writer(full, "PRAGMA max_page_count = 100");
}

static void test_queue_full(void **state)
{
    with_writer(queue_full, NULL);
}

static void test_lazy(void **state)
{
    with_writer(lazy, NULL);
}

static void test_concurrent(void **state)
{
    with_writer(concurrent, NULL);
}

static void test_log_bounded(void **state)
{
    with_writer(log_bounded, NULL);
}

/* What is queued when the store stops is written. */
static void test_stop(void **state)
{
    struct sql_conn *c;
    struct sql_query q;

    dir_setup(NULL);
    start_store(true);
    for (int i = 0; i < 1000; i++)
        last_set_later(HOST, S("ann"), i, S("x"));
    store_stop();
    c = open_conn();
    sql_start(c, STMT_last_get, SQL_ARGS(V_STR(HOST), V_STR(S("ann"))), &q);
    CHECK(sql_next(&q));
    CHECK_INT(sql_int(&q, 0), 999);
    sql_end(&q);
    sql_close(&c);
    dir_teardown(NULL);
}

#ifdef CJ_FAULTS
#include "rt/fault.h"

static enum store_rc expected;

static void faulty(void *arg)
{
    struct write w = {.user = S("ann"), .status = S("x")};

    CHECK_INT(writer_run(writer, write_last, &w), expected);
    CHECK_INT(writer_run(writer, write_last, &w), STORE_OK);
}

static void with_fault(const char *fault, enum store_rc rc)
{
    setenv("CJABBERD_FAULTS", fault, 1);
    fault_init();
    expected = rc;
    with_writer(faulty, NULL);
    unsetenv("CJABBERD_FAULTS");
    fault_init();
}

static void test_faults(void **state)
{
    with_fault("store_commit_fail=1", STORE_UNCERTAIN);
    with_fault("store_busy=1", STORE_UNAVAILABLE);
    with_fault("store_slow=1", STORE_OK);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grouped),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_queue_full),
        cmocka_unit_test(test_lazy),
        cmocka_unit_test(test_concurrent),
        cmocka_unit_test(test_log_bounded),
        cmocka_unit_test(test_stop),
#ifdef CJ_FAULTS
        cmocka_unit_test(test_faults),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
