/* Answers kept under keys: claimed once, answered, dropped, expired, bounded in number, there after a restart. */
#include "harness.h"
#include "store/api_reply.h"

#include <string.h>

#define NOW 1700000000
#define DAY 86400

static void start(bool multihost)
{
    struct error err = ERROR_INIT;
    struct store_config cfg = {.driver = "sqlite", .path = in_dir("test.db"), .multihost = multihost};
    CHECK(store_start(&cfg, &err) == 0);
}

static enum store_rc claim(struct arena *a, const char *id, int64_t now, size_t keep, struct api_reply *found)
{
    struct api_reply mine = {.request = S("req"), .run = S("run1")};
    return api_reply_claim(a, str_of(id), &mine, now, now - DAY, keep, found);
}

static void life(void *arg)
{
    struct arena *a = arena_new();
    struct api_reply found, done = {.status = 409, .type = S("application/json"), .headers = S("X-Reason: a\n"),
                                     .body = S("\"\xc3\xbc\"")};
    CHECK_INT(claim(a, "one", NOW, 100, &found), STORE_OK);
    CHECK_INT(claim(a, "one", NOW, 100, &found), STORE_CONFLICT);
    CHECK_INT(found.status, 0);
    CHECK_STR(found.request, S("req"));
    CHECK_STR(found.run, S("run1"));
    CHECK_INT(api_reply_finish(S("one"), &done), STORE_OK);
    CHECK_INT(api_reply_finish(S("two"), &done), STORE_NONE);
    CHECK_INT(claim(a, "one", NOW + DAY, 100, &found), STORE_CONFLICT);
    CHECK_INT(found.status, 409);
    CHECK_STR(found.type, done.type);
    CHECK_STR(found.headers, done.headers);
    CHECK_STR(found.body, done.body);
    done.body = S("a\0b");
    CHECK_INT(api_reply_finish(S("one"), &done), STORE_REFUSED);
    CHECK_INT(claim(a, "two", NOW, 100, &found), STORE_OK);
    CHECK_INT(api_reply_drop(S("two")), STORE_OK);
    CHECK_INT(claim(a, "two", NOW, 100, &found), STORE_OK);
    arena_release(&a);
}

static void later(void *arg)
{
    struct arena *a = arena_new();
    struct api_reply found;
    CHECK_INT(claim(a, "one", NOW + DAY, 100, &found), STORE_CONFLICT);
    CHECK_INT(found.status, 409);
    CHECK_INT(claim(a, "one", NOW + DAY + 1, 100, &found), STORE_OK); /* a day is over */
    arena_release(&a);
}

/* Looked at now and then: never many more than so many. */
static void bounded(void *arg)
{
    struct arena *a = arena_new();
    struct api_reply found;
    char id[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof(id), "n%d", i);
        CHECK_INT(claim(a, id, NOW + 2 * DAY + i, 100, &found), STORE_OK);
    }
    CHECK_INT(claim(a, "n999", NOW + 2 * DAY + 999, 100, &found), STORE_CONFLICT);
    CHECK_INT(claim(a, "n900", NOW + 2 * DAY + 999, 100, &found), STORE_CONFLICT);
    CHECK_INT(claim(a, "n500", NOW + 2 * DAY + 999, 100, &found), STORE_OK);
    arena_release(&a);
}

static void run_all(bool multihost)
{
    dir_setup(NULL);
    void (*const bodies[])(void *) = {life, later, bounded};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        start(multihost);
        run_on_fiber(1, bodies[i], NULL);
        store_stop();
    }
    dir_teardown(NULL);
}

static void default_schema(void **state)
{
    run_all(false);
}

static void new_schema(void **state)
{
    run_all(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(default_schema), cmocka_unit_test(new_schema)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
