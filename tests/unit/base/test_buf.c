#include "test.h"

#include "base/buf.h"

static void grows(void **state)
{
    struct buf b = BUF_INIT;
    assert_str(buf_str(&b), S(""));
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%d,", i);
    buf_add_c(&b, '!');
    buf_add_str(&b, S("end"));
    assert_true(str_starts(buf_str(&b), S("0,1,2,3,")));
    assert_str(str_n(b.p + b.n - 8, 8), S("999,!end"));
    buf_drop(&b, 2);
    assert_true(str_starts(buf_str(&b), S("1,2,3,")));
    buf_drop(&b, 0);
    buf_drop(&b, b.n + 5);
    assert_int_equal(b.n, 0);
    buf_drop(&b, 1);
    buf_deinit(&b);
    assert_null(b.p);
}

static void reserve(void **state)
{
    struct buf b = BUF_INIT;
    assert_non_null(buf_reserve(&b, 0));
    memset(buf_reserve(&b, 100000), 'x', 100000);
    b.n += 100000;
    buf_add(&b, NULL, 0);
    assert_int_equal(b.n, 100000);
    buf_clear(&b);
    /* The text fits exactly, its NUL does not. */
    buf_reserve(&b, b.cap);
    b.n = b.cap - 3;
    buf_printf(&b, "abc");
    assert_str(str_n(b.p + b.n - 3, 3), S("abc"));
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(grows), cmocka_unit_test(reserve)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
