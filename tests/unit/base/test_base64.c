#include "test.h"

#include "base/base64.h"
#include "base/rand.h"

/* RFC 4648 §10 */
static void known(void **state)
{
    static const char *const pairs[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
    struct arena *a = arena_new();
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct str back;
        assert_str(base64_encode(a, str_of(pairs[i][0])), str_of(pairs[i][1]));
        assert_true(base64_decode(a, str_of(pairs[i][1]), &back));
        assert_str(back, str_of(pairs[i][0]));
    }
    assert_str(hex_encode(a, S("\x00\xff\x1a")), S("00ff1a"));
    assert_str(hex_encode(a, STR_NULL), S(""));
    arena_release(&a);
}

static void round_trip(void **state)
{
    unsigned char bytes[200];
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        struct arena *a = arena_new();
        struct str back, in = str_n((char *)bytes, n);
        rand_bytes(bytes, n);
        assert_true(base64_decode(a, base64_encode(a, in), &back));
        assert_str(back, in);
        arena_release(&a);
    }
}

static void strict(void **state)
{
    static const char *const bad[] = {"Z", "Zg", "Zg=", "Zg===", "====", "Zh==", "Zm9=", "Zg==Zg==", "Zm 9", "Zm9v\n",
                                      "Zm-v", "Zm_v", "=Zm9", "Z===", "Zm\x80v", "Zm@v", "Zm[v", "Zm`v", "Zm{v"};
    struct arena *a = arena_new();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct str back;
        assert_false(base64_decode(a, str_of(bad[i]), &back));
    }
    arena_release(&a);
}

/* Of all bytes exactly the 64 of the alphabet are taken. */
static void alphabet(void **state)
{
    struct arena *a = arena_new();
    unsigned taken = 0;
    for (int c = 0; c < 256; c++) {
        char text[4] = {'A', 'A', 'A', (char)c};
        struct str back;
        taken += base64_decode(a, str_n(text, 4), &back) && c != '=';
    }
    assert_int_equal(taken, 64);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(known), cmocka_unit_test(round_trip), cmocka_unit_test(strict),
                                       cmocka_unit_test(alphabet)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
