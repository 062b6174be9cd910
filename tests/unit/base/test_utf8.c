#include "test.h"

#include "base/utf8.h"

static void round_trip(void **state)
{
    for (uint32_t cp = 0; cp <= 0x110100; cp++) {
        char out[4];
        uint32_t back = 0;
        unsigned n = utf8_encode(cp, out);
        bool scalar = cp <= 0x10ffff && (cp < 0xd800 || cp > 0xdfff);
        assert_int_equal(n != 0, scalar);
        if (!scalar)
            continue;
        assert_int_equal(utf8_decode(str_n(out, n), &back), n);
        assert_int_equal(back, cp);
        assert_true(utf8_valid(str_n(out, n)));
        for (unsigned cut = 1; cut < n; cut++)
            assert_int_equal(utf8_decode(str_n(out, cut), &back), 0);
    }
}

static void malformed(void **state)
{
    static const char *const bad[] = {
        "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc2", "\xe1\x80",
        "\xc2" "A", "\xe1\x80" "A", "abcdefgh\xff", "abcdefghijk\xc2", "\xf1\x80\x80" "A",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(utf8_valid(str_of(bad[i])));
    assert_true(utf8_valid(STR_NULL));
    assert_true(utf8_valid(S("\xc3\xa4 abcdefghijklmnop \xe2\x82\xac \xf0\x9f\x98\x80")));
}

static void ascii(void **state)
{
    char text[33];
    memset(text, 'a', sizeof(text));
    for (size_t n = 0; n <= sizeof(text); n++) {
        assert_true(utf8_is_ascii(str_n(text, n)));
        for (size_t i = 0; i < n; i++) {
            text[i] = (char)0x80;
            assert_false(utf8_is_ascii(str_n(text, n)));
            assert_false(utf8_valid(str_n(text, n)));
            text[i] = 'a';
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(round_trip), cmocka_unit_test(malformed),
                                       cmocka_unit_test(ascii)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
