/* Examples of the standards for tokens and keys, and the words of the program protocol. */
#include "core/auth/extauth.h"
#include "core/auth/jwt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define CHECK_ERR(call, want)                  \
    do {                                       \
        err = ERROR_INIT;                      \
        (void)(call);                          \
        assert_int_equal(err.code, want);      \
    } while (0)

/* RFC 7515, appendix A.1 and A.3. */
#define SECRET_KEY "{\"kty\":\"oct\",\"k\":" \
    "\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}"
#define SECRET_TOKEN "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt" \
    "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define EC_KEY "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"," \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\",\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"}"
#define EC_TOKEN "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290" \
    "Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
#define EXPIRES 1300819380

static void test_examples(void **state)
{
    static const struct {
        struct str key, token;
    } examples[] = {{S(SECRET_KEY), S(SECRET_TOKEN)}, {S(EC_KEY), S(EC_TOKEN)}};
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        struct error err = ERROR_INIT;
        struct jwt_keys *k = jwt_keys_parse(examples[i].key, &err), *other = jwt_keys_parse(examples[!i].key, &err);
        struct arena *a = arena_new();
        struct str who;
        assert_non_null(k);
        assert_int_equal(jwt_verify(a, k, examples[i].token, S("iss"), EXPIRES - 1, &who, &err), 0);
        assert_true(str_eq(who, S("joe")));
        CHECK_ERR(jwt_verify(a, k, examples[i].token, S("iss"), EXPIRES, &who, &err), ERR_NOT_AUTHORIZED);
        CHECK_ERR(jwt_verify(a, k, examples[i].token, S("sub"), EXPIRES - 1, &who, &err), ERR_NOT_AUTHORIZED);
        CHECK_ERR(jwt_verify(a, k, examples[i].token, S("exp"), EXPIRES - 1, &who, &err), ERR_NOT_AUTHORIZED);
        CHECK_ERR(jwt_verify(a, other, examples[i].token, S("iss"), EXPIRES - 1, &who, &err), ERR_NOT_AUTHORIZED);
        assert_null(who.p);
        arena_release(&a);
        jwt_keys_delete(&k);
        jwt_keys_delete(&other);
    }
}

/* Every single bit of a token matters; only the unused bits at the end of a base64 text could be others. */
static void test_no_bit_is_idle(void **state)
{
    struct error err = ERROR_INIT;
    struct jwt_keys *k = jwt_keys_parse(S(SECRET_KEY), &err);
    char text[] = SECRET_TOKEN;
    struct str who;
    for (size_t i = 0; i < sizeof(text) - 2; i++) {
        struct arena *a = arena_new();
        text[i] ^= 1;
        assert_int_equal(jwt_verify(a, k, str_n(text, sizeof(text) - 1), S("iss"), 0, &who, &err), -1);
        text[i] ^= 1;
        arena_release(&a);
    }
    jwt_keys_delete(&k);
}

static void test_limits(void **state)
{
    static char text[JWT_FILE_MAX + 1];
    struct error err = ERROR_INIT;
    struct jwt_keys *k = jwt_keys_parse(S("{\"keys\":[" SECRET_KEY ",{\"kty\":\"OKP\"},{\"kty\":\"RSA\",\"use\":\"enc\"}]}"), &err);
    struct arena *a = arena_new();
    struct str who;
    assert_non_null(k);
    memset(text, 'a', sizeof(text));
    memcpy(text, SECRET_TOKEN, sizeof(SECRET_TOKEN) - 1);
    assert_int_equal(jwt_verify(a, k, str_n(text, JWT_TOKEN_MAX + 1), S("iss"), 0, &who, &err), -1);
    memset(text, ' ', sizeof(text));
    memcpy(text, SECRET_KEY, sizeof(SECRET_KEY) - 1);
    assert_null(jwt_keys_parse(str_n(text, sizeof(text)), &err));
    jwt_keys_delete(&k);
    assert_non_null((k = jwt_keys_parse(str_n(text, sizeof(text) - 1), &err)));
    jwt_keys_delete(&k);
    arena_release(&a);
}

static void test_program_frames(void **state)
{
    static char big[UINT16_MAX];
    struct buf b = BUF_INIT;
    assert_true(extauth_request(&b, "auth", S("u"), S("h"), S("a:b")));
    assert_true(extauth_request(&b, "isuser", S("u"), S("h"), STR_NULL));
    assert_true(str_eq(buf_str(&b), S("\0\x0c" "auth:u:h:a:b\0\x0aisuser:u:h")));
    buf_clear(&b);
    assert_false(extauth_request(&b, "auth", S("u:x"), S("h"), S("p")));
    assert_false(extauth_request(&b, "auth", S("u"), S("[::1]"), S("p")));
    assert_false(extauth_request(&b, "auth", S("u"), S("h"), str_n(big, sizeof(big) - 8)));
    assert_int_equal(b.n, 0);
    assert_true(extauth_request(&b, "auth", S("u"), S("h"), str_n(big, sizeof(big) - 9)));
    assert_true(str_starts(buf_str(&b), S("\xff\xff" "auth:")));
    assert_int_equal(b.n, 2 + UINT16_MAX);
    buf_deinit(&b);
    assert_int_equal(extauth_answer(S("\0\2\0\1")), 1);
    assert_int_equal(extauth_answer(S("\0\2\0\0")), 0);
    assert_int_equal(extauth_answer(S("\0\2\0\2")), -2);
    assert_int_equal(extauth_answer(S("\0\2\1\1")), -2);
    assert_int_equal(extauth_answer(S("\0\1\1")), -2);
    assert_int_equal(extauth_answer(S("\0\2\0\1\0")), -2);
    assert_int_equal(extauth_answer(S("")), -1);
    assert_int_equal(extauth_answer(S("\0\2\0")), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_examples), cmocka_unit_test(test_no_bit_is_idle),
                                       cmocka_unit_test(test_limits), cmocka_unit_test(test_program_frames)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
