/*
 * Runs a test's body on a fiber of a one-shard runtime, with a store in a folder of its own. Failures abort: a longjmp out
 * of a fiber's stack, as cmocka's asserts do it, would hide what happened.
 */
#ifndef TEST_STORE_HARNESS_H
#define TEST_STORE_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/shard.h"
#include "store/last.h"
#include "store/store.h"
#include "store/users.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECK(cond)                                                               \
    do {                                                                          \
        if (!(cond)) {                                                            \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #cond);  \
            abort();                                                              \
        }                                                                         \
    } while (0)
#define CHECK_INT(a, b)                                                                                       \
    do {                                                                                                      \
        long long a_ = (long long)(a), b_ = (long long)(b);                                                   \
        if (a_ != b_) {                                                                                       \
            fprintf(stderr, "%s:%d: %s is %lld, not %s (%lld)\n", __FILE__, __LINE__, #a, a_, #b, b_);        \
            abort();                                                                                          \
        }                                                                                                     \
    } while (0)
#define CHECK_STR(a, b)                                                                                       \
    do {                                                                                                      \
        struct str a_ = (a), b_ = (b);                                                                        \
        if (!str_eq(a_, b_)) {                                                                                \
            fprintf(stderr, "%s:%d: %s is \"%.*s\", not \"%.*s\"\n", __FILE__, __LINE__, #a, STR_ARG(a_), STR_ARG(b_)); \
            abort();                                                                                          \
        }                                                                                                     \
    } while (0)

struct body {
    struct msg m;
    void (*fn)(void *arg);
    void *arg;
};

static inline void body_fiber(void *arg)
{
    struct body *b = arg;

    b->fn(b->arg);
    rt_stop();
}

static inline void body_start(struct msg *m)
{
    fiber_run(body_fiber, CONTAINER_OF(m, struct body, m));
}

/* Until fn has returned and everything it started has ended. */
static inline void run_on_fiber(unsigned shards, void (*fn)(void *arg), void *arg)
{
    struct body b = {.m.fn = body_start, .fn = fn, .arg = arg};
    struct error err = ERROR_INIT;

    CHECK(rt_start(&(struct rt_config){.shards = shards}, NULL, &err) == 0);
    mail_post(0, &b.m);
    rt_run();
}

/* A fiber waits until others have counted up to a goal; all on one shard. */
struct latch {
    unsigned n, goal;
    struct fiber *waiter;
};

static inline void latch_up(struct latch *l)
{
    if (++l->n == l->goal && l->waiter) {
        fiber_wake(l->waiter);
        l->waiter = NULL;
    }
}

static inline void latch_wait(struct latch *l, unsigned goal)
{
    l->goal = goal;
    if (l->n >= goal)
        return;
    l->waiter = fiber_self();
    fiber_suspend("latch");
}

static char test_dir[64];

static inline const char *in_dir(const char *name)
{
    static char paths[4][128];
    static unsigned n;
    char *p = paths[n++ % 4];

    snprintf(p, sizeof(paths[0]), "%s/%s", test_dir, name);
    return p;
}

static inline int dir_setup(void **state)
{
    snprintf(test_dir, sizeof(test_dir), "/tmp/cj-store-XXXXXX");
    log_set_level(LOG_NONE);
    return mkdtemp(test_dir) ? 0 : -1;
}

static inline int dir_teardown(void **state)
{
    char cmd[128];

    if (chmod(test_dir, 0700) != 0)
        return -1;
    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", test_dir);
    return system(cmd);
}

static inline struct store_config config_of(const char *path, bool multihost)
{
    return (struct store_config){.driver = "sqlite", .path = path, .multihost = multihost, .durable = false};
}

static inline void start_store(bool multihost)
{
    struct store_config cfg = config_of(in_dir("db.sqlite"), multihost);
    struct error err = ERROR_INIT;

    if (store_start(&cfg, &err) != 0) {
        fprintf(stderr, "store_start: %s\n", err.text);
        abort();
    }
}

static inline struct user_creds plain_creds(struct str password)
{
    return (struct user_creds){.has_plain = true, .plain = password};
}

#endif
