/*
 * What every unit test of the runtime includes. A check inside a fiber or on another thread cannot use cmocka's
 * assertions (they jump to another stack), so it aborts the program with its place.
 */
#ifndef RT_TEST_H
#define RT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/pool.h"
#include "rt/shard.h"
#include "rt/timer.h"

#include <stdio.h>
#include <stdlib.h>

#define CHECK(x)                                                                \
    do {                                                                        \
        if (!(x)) {                                                             \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #x);   \
            abort();                                                            \
        }                                                                       \
    } while (0)

struct rt_test_begin {
    struct msg m;
    fiber_fn fn;
    void *arg;
};

static inline void rt_test_on_begin(struct msg *m)
{
    struct rt_test_begin *b = CONTAINER_OF(m, struct rt_test_begin, m);
    fiber_run(b->fn, b->arg);
}

/* Runs fn(arg) on a fiber of shard 0 of a runtime of so many shards; fn, or what it starts, calls rt_stop. */
static inline void rt_test_run(unsigned shards, fiber_fn fn, void *arg)
{
    struct rt_test_begin b = {.m.fn = rt_test_on_begin, .fn = fn, .arg = arg};
    struct rt_config cfg = {.shards = shards};
    struct error err = ERROR_INIT;
    CHECK(rt_start(&cfg, NULL, &err) == 0);
    mail_post(0, &b.m);
    rt_run();
}

/* Small and fast pseudo-random numbers, one state per user. */
static inline uint32_t rt_test_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

#endif
