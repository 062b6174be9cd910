#include "test.h"

static void order(void **state)
{
    assert_true(str_cmp(S("a"), S("b")) < 0);
    assert_true(str_cmp(S("ab"), S("a")) > 0);
    assert_true(str_cmp(STR_NULL, S("")) == 0);
    assert_true(str_cmp(STR_NULL, S("a")) < 0);
    assert_true(str_cmp(S("\xff"), S("a")) > 0);
    assert_true(str_eq(STR_NULL, S("")));
    assert_true(str_ieq_ascii(S("AbC"), S("aBc")));
    assert_false(str_ieq_ascii(S("[{"), S("{[")));
    assert_false(str_ieq_ascii(S("a"), S("ab")));
    assert_true(str_starts(S("abc"), S("ab")));
    assert_false(str_starts(S("a"), S("ab")));
}

static void trim(void **state)
{
    assert_str(str_trim(S(" \t\r\n a b \n")), S("a b"));
    assert_str(str_trim(S(" \t ")), S(""));
    assert_str(str_trim(STR_NULL), S(""));
}

static void split(void **state)
{
    struct str rest = S("a,,b,"), part;
    assert_true(str_split(&rest, ',', &part));
    assert_str(part, S("a"));
    assert_true(str_split(&rest, ',', &part));
    assert_str(part, S(""));
    assert_true(str_split(&rest, ',', &part));
    assert_str(part, S("b"));
    assert_true(str_split(&rest, ',', &part));
    assert_str(part, S(""));
    assert_null(rest.p);
    assert_false(str_split(&rest, ',', &part));
    assert_int_equal(str_find(S("abc"), 'c'), 2);
    assert_int_equal(str_find(S("abc"), 'd'), -1);
    assert_int_equal(str_find(STR_NULL, 'd'), -1);
}

static void numbers(void **state)
{
    int64_t v = 0;
    assert_true(str_to_i64(S("0"), &v) && v == 0);
    assert_true(str_to_i64(S("-12"), &v) && v == -12);
    assert_true(str_to_i64(S("+12"), &v) && v == 12);
    assert_true(str_to_i64(S("9223372036854775807"), &v) && v == INT64_MAX);
    assert_true(str_to_i64(S("-9223372036854775808"), &v) && v == INT64_MIN);
    static const char *const bad[] = {"", "-", "+", " 1", "1 ", "1x", "9223372036854775808", "-9223372036854775809",
                                      "99999999999999999999999", "--1", "0x10"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(str_to_i64(str_of(bad[i]), &v));
    assert_false(str_to_i64(STR_NULL, &v));
}

static void distance(void **state)
{
    assert_int_equal(str_distance(S("hosts"), S("hosts"), 3), 0);
    assert_int_equal(str_distance(S("hots"), S("hosts"), 3), 1);
    assert_int_equal(str_distance(S("kitten"), S("sitting"), 3), 3);
    assert_int_equal(str_distance(S("kitten"), S("sitting"), 2), 3);
    assert_int_equal(str_distance(S(""), S("ab"), 5), 2);
    assert_int_equal(str_distance(S("abcdef"), S(""), 2), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(order), cmocka_unit_test(trim), cmocka_unit_test(split),
                                       cmocka_unit_test(numbers), cmocka_unit_test(distance)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
