/* The ledger of resumable streams: what the next process reads of this one, and files that are none. */
#include "harness.h"

#include "store/ledger.h"

#include <fcntl.h>

#define MANY 20000 /* several pieces of the file */

static void open_one(size_t want_old)
{
    struct error err = ERROR_INIT;
    size_t n;

    CHECK_INT(ledger_open(in_dir(""), &err), 0);
    ledger_old_all(&n);
    CHECK_INT(n, want_old);
}

static void commit(void)
{
    struct error err = ERROR_INIT;

    CHECK_INT(ledger_commit(&err), 0);
}

/* As kill -9 leaves it: nothing is written at the end. */
static void die(void)
{
    ledger_close();
}

static void survives(void *arg)
{
    struct ledger_cell *session, *gone, *effect;
    const struct ledger_cell *found;
    size_t n;

    open_one(0);
    commit();
    session = ledger_session(77, 10, 4);
    gone = ledger_effect(77, 1, 2, 3, 4);
    effect = ledger_effect(77, 5, LEDGER_SPOOL, 6, 7);
    CHECK(session && gone && effect);
    session->acked = 9;
    ledger_free(&gone);
    CHECK(!gone);
    CHECK(ledger_effect(76, 0, 0, 0, 1) && ledger_effect(78, 0, 0, 0, 2));
    die();

    open_one(4);
    found = ledger_old(77, &n);
    CHECK_INT(n, 2);
    for (size_t i = 0; i < n; i++)
        if (found[i].kind == LEDGER_SESSION)
            CHECK(found[i].h == 10 && found[i].acked == 9);
        else
            CHECK(found[i].account == 5 && found[i].cause == LEDGER_SPOOL && found[i].n == 6 && found[i].h == 7);
    ledger_old(75, &n);
    CHECK_INT(n, 0);
    ledger_old(79, &n);
    CHECK_INT(n, 0);
    die(); /* before it was taken over: the one of before is still in force */

    open_one(4);
    commit();
    die();
    open_one(0);
    die();
}

static void many(void *arg)
{
    struct ledger_cell *list = NULL, *other = NULL;
    struct stat st;
    off_t size;

    open_one(0);
    commit();
    for (uint64_t i = 0; i < MANY; i++)
        ledger_push(&list, ledger_effect(i % 100 + 2, i, 2, i, 1));
    CHECK_INT(stat(in_dir("streams.ledger"), &st), 0);
    size = st.st_size;
    ledger_push_all(&other, &list);
    CHECK(!list);
    ledger_free_all(&other);
    CHECK(!other);
    for (uint64_t i = 0; i < MANY; i++)
        ledger_push(&list, ledger_effect(i % 100 + 2, i, 2, i, 1));
    CHECK_INT(stat(in_dir("streams.ledger"), &st), 0);
    CHECK_INT(st.st_size, size); /* what is free is used again */
    die();
    open_one(MANY);
    for (uint64_t s = 2; s < 102; s++) {
        size_t n;
        const struct ledger_cell *c = ledger_old(s, &n);
        CHECK_INT(n, MANY / 100);
        for (size_t i = 0; i < n; i++)
            CHECK(c[i].stream == s);
    }
    die();
}

static void put(const void *bytes, size_t n)
{
    int fd = open(in_dir("streams.ledger"), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    CHECK(fd >= 0);
    CHECK_INT(write(fd, bytes, n), n);
    close(fd);
}

/* Cut short, of something else, or with cells of kinds that there are not: nothing of it counts. */
static void damaged(void *arg)
{
    static char bytes[1 << 18];
    int fd;

    put(bytes, 0);
    open_one(0);
    die();
    memset(bytes, 'x', sizeof bytes);
    put(bytes, sizeof bytes);
    open_one(0);
    die();
    put(bytes, 100);
    open_one(0);
    commit();
    CHECK(ledger_session(77, 1, 1) && ledger_session(78, 1, 1));
    die();
    fd = open(in_dir("streams.ledger"), O_RDWR);
    CHECK_INT(read(fd, bytes, sizeof bytes), sizeof bytes);
    close(fd);
    put(bytes, sizeof bytes - 1);
    open_one(0);
    die();
    for (size_t at = sizeof(struct ledger_cell); at < sizeof bytes; at += sizeof(struct ledger_cell))
        memset(bytes + at, 0xff, sizeof(uint32_t));
    put(bytes, sizeof bytes);
    open_one(0);
    die();
}

/* Where the file cannot be, the server does without: nobody gets a cell. */
static void no_place(void *arg)
{
    struct error err = ERROR_INIT;
    struct ledger_cell *none = NULL;

    CHECK(ledger_open(in_dir("not/there"), &err) < 0);
    CHECK_INT(err.code, ERR_IO);
    CHECK(!ledger_session(77, 1, 1) && !ledger_effect(77, 1, 1, 1, 1));
    ledger_free(&none);
    ledger_push(&none, NULL);
    ledger_free_all(&none);
    die();
}

static void keys(void **state)
{
    CHECK(ledger_key(S("a")) != ledger_key(S("b")));
    CHECK(ledger_key(S("a")) == ledger_key(S("a")));
    CHECK(ledger_key(S("")) > LEDGER_SPOOL);
}

static void with_dir(void (*body)(void *))
{
    dir_setup(NULL);
    run_on_fiber(1, body, NULL);
    dir_teardown(NULL);
}

static void test_survives(void **state)
{
    with_dir(survives);
}

static void test_many(void **state)
{
    with_dir(many);
}

static void test_damaged(void **state)
{
    with_dir(damaged);
}

static void test_no_place(void **state)
{
    with_dir(no_place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_survives), cmocka_unit_test(test_many), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_no_place), cmocka_unit_test(keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
