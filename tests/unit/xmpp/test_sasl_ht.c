/* xmpp/sasl_ht.h: names, the message in every way of being malformed, both hashes (made with another implementation). */
#include "xmpp/sasl_ht.h"

#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char proof[] = "0123456789abcdef0123456789abcde\0"; /* a NUL in it is no end */

static struct str message(const char *text, size_t n)
{
    return str_n(text, n);
}
#define MSG(text) message(text, sizeof(text) - 1)

static void test_names(void **state)
{
    enum ht_mech m;
    for (enum ht_mech i = 0; i < HT__COUNT; i++) {
        assert_true(ht_parse(ht_name(i), &m));
        assert_int_equal(m, i);
        assert_int_equal(ht_binding(i).n == 0, i == HT_NONE);
    }
    assert_false(ht_parse(S("ht-sha-256-none"), &m));
    assert_false(ht_parse(S("HT-SHA-256-"), &m));
    assert_false(ht_parse(S("HT-SHA-512-NONE"), &m));
    assert_false(ht_parse(STR_NULL, &m));
}

static void test_message(void **state)
{
    struct ht_message m;
    assert_true(ht_message_parse(MSG("user\0000123456789abcdef0123456789abcde\0"), &m));
    assert_true(str_eq(m.authcid, S("user")));
    assert_int_equal(m.proof.n, HT_DIGEST);
    assert_memory_equal(m.proof.p, proof, HT_DIGEST);
}

static void test_malformed(void **state)
{
    struct ht_message m;
    static char overlong[HT_NAME_MAX + 2 + HT_DIGEST];
    assert_false(ht_message_parse(STR_NULL, &m));
    assert_false(ht_message_parse(MSG("user"), &m));
    assert_false(ht_message_parse(MSG("\0000123456789abcdef0123456789abcdef"), &m)); /* no name */
    assert_false(ht_message_parse(MSG("user\0000123456789abcdef0123456789abcde"), &m)); /* a byte short */
    assert_false(ht_message_parse(MSG("user\0000123456789abcdef0123456789abcdefg"), &m));
    assert_false(ht_message_parse(MSG("us\xff\0000123456789abcdef0123456789abcdef"), &m));
    memset(overlong, 'u', HT_NAME_MAX + 1);
    assert_false(ht_message_parse(str_n(overlong, sizeof(overlong)), &m));
    assert_true(ht_message_parse(str_n(overlong + 1, sizeof(overlong) - 1), &m));
}

static void assert_hex(struct arena *a, const uint8_t *got, const char *want)
{
    assert_true(str_eq(hex_encode(a, str_n((const char *)got, HT_DIGEST)), str_of(want)));
}

/* Python: hmac.new(b"WXZzciBwYmFmdmZnZiBqdmd1IGp2eXFhcmZm", b"Initiator" + data, "sha256") */
static void test_hashes(void **state)
{
    struct arena *a = arena_new();
    struct str token = S("WXZzciBwYmFmdmZnZiBqdmd1IGp2eXFhcmZm");
    uint8_t out[HT_DIGEST];
    ht_hash(token, false, STR_NULL, out);
    assert_hex(a, out, "9097787461a184e0fa84ec00c1381190b6c4d16a8ec4453c7b2ac5e7fcf935ed");
    ht_hash(token, true, STR_NULL, out);
    assert_hex(a, out, "4e513409631474863b986c9f3e8c1e27ca29d1d7ab9ed4097e7afd6007bf9c62");
    ht_hash(token, false, message("\0data", 5), out);
    assert_hex(a, out, "becd43645ce90c922af0f75bebeb5644b711e7efe865d4e7877fee8c3b62d1c5");
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
