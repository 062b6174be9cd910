#include "rt_test.h"

#define SHARDS 4

/* --- posts ------------------------------------------------------------------------------------------------------ */

/* Every shard sends numbered mail to every shard; each receiver sees each sender's numbers in order. */
#define NUMBERED 3000

struct numbered {
    struct msg m;
    unsigned from, n;
};

static unsigned expected[SHARDS][SHARDS];
static unsigned finished; /* atomic */

static void on_numbered(struct msg *m)
{
    struct numbered *p = CONTAINER_OF(m, struct numbered, m);
    unsigned me = shard_self();
    CHECK(expected[me][p->from] == p->n);
    expected[me][p->from]++;
    if (p->n == NUMBERED - 1 && __atomic_add_fetch(&finished, 1, __ATOMIC_ACQ_REL) == SHARDS * SHARDS)
        rt_stop();
    free(p);
}

static void send_numbered(void *arg)
{
    uint32_t seed = 77 + shard_self();
    for (unsigned n = 0; n < NUMBERED; n++) {
        for (unsigned to = 0; to < SHARDS; to++) {
            struct numbered *p = malloc(sizeof(*p));
            *p = (struct numbered){.m.fn = on_numbered, .from = shard_self(), .n = n};
            mail_post(to, &p->m);
        }
        if (rt_test_random(&seed) % 100 == 0)
            fiber_sleep(0);
    }
}

static struct msg start_senders[SHARDS];

static void on_start_sender(struct msg *m)
{
    fiber_run(send_numbered, NULL);
}

static void start_all(void *arg)
{
    for (unsigned i = 0; i < SHARDS; i++) {
        start_senders[i].fn = on_start_sender;
        mail_post(i, &start_senders[i]);
    }
}

static void order_is_kept(void **state)
{
    memset(expected, 0, sizeof(expected));
    finished = 0;
    rt_test_run(SHARDS, start_all, NULL);
    for (unsigned i = 0; i < SHARDS; i++)
        for (unsigned j = 0; j < SHARDS; j++)
            assert_int_equal(expected[i][j], NUMBERED);
}

/* A shard that sleeps is woken by a single message, again and again. */
static unsigned hops;

static void on_hop(struct msg *m)
{
    if (++hops == 2000)
        rt_stop();
    else
        mail_post((shard_self() + 1) % shard_count(), m);
}

static void start_hops(void *arg)
{
    static struct msg m;
    m.fn = on_hop;
    mail_post(1, &m);
}

static void no_wake_is_lost(void **state)
{
    hops = 0;
    rt_test_run(3, start_hops, NULL);
    assert_int_equal(hops, 2000);
}

static char turn[8];
static size_t turn_n;
static uint64_t turn_ms;

static void on_own(struct msg *m)
{
    turn[turn_n++] = 'b';
    CHECK(shard_now_ms() == turn_ms);
    rt_stop();
}

static void post_own(void *arg)
{
    static struct msg m = {.fn = on_own};
    turn_n = 0;
    turn_ms = shard_now_ms();
    mail_post(0, &m);
    turn[turn_n++] = 'a';
}

static void own_post_is_later_in_the_turn(void **state)
{
    rt_test_run(1, post_own, NULL);
    assert_memory_equal(turn, "ab", 2);
}

/* --- calls ------------------------------------------------------------------------------------------------------ */

struct sum {
    unsigned a, b, out, where;
    unsigned pause_ms;
    bool fail;
};

static int do_sum(void *arg, struct error *err) YIELDS;

static int do_sum(void *arg, struct error *err)
{
    struct sum *s = arg;
    s->where = shard_self();
    if (s->pause_ms)
        fiber_sleep(s->pause_ms);
    s->out = s->a + s->b;
    return s->fail ? err_set(err, ERR_CONFLICT, "%u", s->a) : (int)s->b;
}

static void calls(void *arg)
{
    for (unsigned to = 0; to < SHARDS; to++) {
        struct arena *a = arena_new();
        struct error err = ERROR_INIT;
        struct sum *s = ARENA_NEW(a, struct sum);
        *s = (struct sum){.a = 5, .b = to, .pause_ms = 1};
        CHECK(mail_call(to, do_sum, s, a, 5000, &err) == (int)to);
        CHECK(err.code == ERR_NONE);
        CHECK(s->out == 5 + to && s->where == to);
        s->fail = true;
        CHECK(mail_call(to, do_sum, s, a, 5000, &err) == -1);
        CHECK(err.code == ERR_CONFLICT);
        CHECK(strcmp(err.text, "5") == 0);
        CHECK(mail_call(to, do_sum, s, a, 5000, NULL) == -1);
        arena_release(&a);
    }
    rt_stop();
}

static void value_and_error_come_back(void **state)
{
    rt_test_run(SHARDS, calls, NULL);
}

static unsigned late; /* atomic */

static void count_end(void *arg)
{
    __atomic_add_fetch(&late, 1, __ATOMIC_RELAXED);
}

static int very_late(void *arg, struct error *err) YIELDS;

static int very_late(void *arg, struct error *err)
{
    fiber_sleep(60);
    memset(arg, 7, 64);
    return err_set(err, ERR_CONFLICT, "too late");
}

static void deadlines(void *arg)
{
    for (unsigned i = 0; i < 10; i++) {
        struct arena *a = arena_new();
        struct error err = ERROR_INIT;
        uint64_t before = clock_mono_ms();
        arena_on_release(a, count_end, NULL);
        CHECK(mail_call(1 + i % (SHARDS - 1), very_late, arena_zalloc(a, 64), a, 10, &err) == -1);
        CHECK(err.code == ERR_TIMEOUT);
        CHECK(clock_mono_ms() - before >= 5);
        arena_release(&a);
    }
    rt_stop();
}

static void late_answers_are_dropped(void **state)
{
    late = 0;
    rt_test_run(SHARDS, deadlines, NULL);
    /* The arenas lived until the late functions had ended, and then died. */
    assert_int_equal(late, 10);
}

/* Answers that race with their deadlines, calls within calls, from everywhere to everywhere. */
#define CALLERS 40
#define ROUNDS 60

struct hop {
    uint32_t seed;
    unsigned depth;
    unsigned visits;
};

static int hop_on(void *arg, struct error *err) YIELDS;

static int hop_on(void *arg, struct error *err)
{
    struct hop *h = arg;
    h->visits++;
    if (rt_test_random(&h->seed) % 3 == 0)
        fiber_sleep(rt_test_random(&h->seed) % 4);
    if (h->depth == 0)
        return 42;
    struct arena *a = arena_new();
    struct hop *next = ARENA_NEW(a, struct hop);
    *next = (struct hop){.seed = h->seed, .depth = h->depth - 1};
    int rc = mail_call(h->seed % SHARDS, hop_on, next, a, 1 + h->seed % 30, err);
    if (rc == 42)
        CHECK(next->visits == 1);
    arena_release(&a);
    return rc;
}

static unsigned callers_left; /* atomic */
static unsigned answered, timed_out; /* atomic */

static void call_around(void *arg)
{
    uint32_t seed = 1 + (uint32_t)(uintptr_t)arg * 2654435761u;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct arena *a = arena_new();
        struct error err = ERROR_INIT;
        struct hop *h = ARENA_NEW(a, struct hop);
        *h = (struct hop){.seed = rt_test_random(&seed) | 1, .depth = seed % 4};
        int rc = mail_call(seed % SHARDS, hop_on, h, a, 1 + seed % 40, &err);
        CHECK(rc == 42 || (rc == -1 && err.code == ERR_TIMEOUT));
        __atomic_add_fetch(rc == 42 ? &answered : &timed_out, 1, __ATOMIC_RELAXED);
        arena_release(&a);
    }
    if (__atomic_sub_fetch(&callers_left, 1, __ATOMIC_ACQ_REL) == 0)
        rt_stop();
}

static void on_start_callers(struct msg *m)
{
    for (unsigned i = 0; i < CALLERS; i++)
        fiber_run(call_around, (void *)(uintptr_t)(shard_self() * CALLERS + i));
}

static void start_callers(void *arg)
{
    static struct msg m[SHARDS];
    for (unsigned i = 0; i < SHARDS; i++) {
        m[i].fn = on_start_callers;
        mail_post(i, &m[i]);
    }
}

static void calls_in_all_directions(void **state)
{
    callers_left = SHARDS * CALLERS;
    answered = timed_out = 0;
    rt_test_run(SHARDS, start_callers, NULL);
    assert_int_equal(answered + timed_out, SHARDS * CALLERS * ROUNDS);
    assert_true(answered > 0);
}

/* --- gather ----------------------------------------------------------------------------------------------------- */

static int fill(void *arg, void *slot, struct error *err) YIELDS;

static int fill(void *arg, void *slot, struct error *err)
{
    unsigned *mode = arg;
    if (*mode >= 1)
        fiber_sleep(shard_self());
    if (*mode == 2 && shard_self() == 2)
        return err_set(err, ERR_NOT_FOUND, "shard 2");
    if (*mode == 3 && shard_self() == 3)
        fiber_sleep(60);
    *(unsigned *)slot = shard_self() + 1;
    return 0;
}

static void gathers(void *arg)
{
    for (unsigned i = 0; i < 40; i++) {
        struct arena *a = arena_new();
        struct error err = ERROR_INIT;
        unsigned *mode = ARENA_NEW(a, unsigned), *values = ARENA_ARRAY(a, unsigned, SHARDS);
        void **slots = ARENA_ARRAY(a, void *, SHARDS);
        *mode = i % 4;
        for (unsigned s = 0; s < SHARDS; s++)
            slots[s] = &values[s];
        int rc = mail_gather(fill, mode, slots, a, *mode == 3 ? 20 : 60000, &err);
        if (*mode <= 1) {
            CHECK(rc == 0);
            for (unsigned s = 0; s < SHARDS; s++)
                CHECK(values[s] == s + 1);
        } else {
            CHECK(rc == -1);
            CHECK(err.code == (*mode == 2 ? ERR_NOT_FOUND : ERR_TIMEOUT));
        }
        arena_release(&a);
    }
    rt_stop();
}

static void gather_over_all(void **state)
{
    rt_test_run(SHARDS, gathers, NULL);
    rt_test_run(SHARDS, gathers, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_post_is_later_in_the_turn), cmocka_unit_test(order_is_kept),
        cmocka_unit_test(no_wake_is_lost),               cmocka_unit_test(value_and_error_come_back),
        cmocka_unit_test(late_answers_are_dropped),      cmocka_unit_test(calls_in_all_directions),
        cmocka_unit_test(gather_over_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
