/* xmpp/sasl.h: names, conditions, the PLAIN message. */
#include "xmpp/sasl.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_mechanisms(void **state)
{
    static const char *const order[] = {"EXTERNAL",      "SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS",
                                        "SCRAM-SHA-512", "SCRAM-SHA-256",      "SCRAM-SHA-1",        "PLAIN",
                                        "X-OAUTH2",      "ANONYMOUS"};
    assert_int_equal(ARRAY_LEN(order), SASL_MECH__COUNT);
    for (unsigned i = 0; i < SASL_MECH__COUNT; i++) {
        enum sasl_mech m;
        const struct sasl_mech_info *info = sasl_mech_info((enum sasl_mech)i);
        assert_true(str_eq(info->name, str_of(order[i])));
        assert_true(sasl_mech_parse(info->name, &m));
        assert_int_equal(m, i);
        if (info->scram)
            assert_int_equal(sasl_mech_of_scram(info->hash, info->plus), i);
        assert_int_equal(sasl_mech_best(SASL_MECH_BIT(i) | SASL_MECH_BIT(SASL_ANONYMOUS)), i);
    }
    static const struct str bad[] = {S(""),           S("plain"), S("SCRAM-SHA-1-PLUSX"),
                                     S("SCRAM-SHA-"), S("FOO"),   S("PLAIN\0")};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        enum sasl_mech m;
        assert_false(sasl_mech_parse(bad[i], &m));
    }
    assert_int_equal(sasl_mech_best(0), SASL_MECH__COUNT);
}

static void test_failures(void **state)
{
    for (unsigned f = SASL_ABORTED; f < SASL_FAILURE__COUNT; f++) {
        assert_true(sasl_failure_name((enum sasl_failure)f).n > 0);
        assert_true(sasl_failure_text((enum sasl_failure)f).n > 0);
    }
    assert_int_equal(sasl_failure_name(SASL_OK).n, 0);
    assert_true(str_eq(sasl_failure_name(SASL_TEMPORARY_AUTH_FAILURE), S("temporary-auth-failure")));
    assert_int_equal(sasl_failure_of_scram(SCRAM_OK), SASL_OK);
    assert_int_equal(sasl_failure_of_scram(SCRAM_MALFORMED), SASL_MALFORMED_REQUEST);
    assert_int_equal(sasl_failure_of_scram(SCRAM_NOT_AUTHORIZED), SASL_NOT_AUTHORIZED);
    assert_int_equal(sasl_failure_of_scram(SCRAM_CB_MISMATCH), SASL_NOT_AUTHORIZED);
}

static void test_plain(void **state)
{
    struct sasl_plain p;
    assert_int_equal(sasl_plain_parse(S("\0tim\0tanstaaftanstaaf"), &p), SASL_OK);
    assert_null(p.authzid.p);
    assert_true(str_eq(p.authcid, S("tim")));
    assert_true(str_eq(p.password, S("tanstaaftanstaaf")));
    assert_int_equal(sasl_plain_parse(S("Ursel\0Kurt\0xipj3plmq"), &p), SASL_OK);
    assert_true(str_eq(p.authzid, S("Ursel")));
    assert_true(str_eq(p.authcid, S("Kurt")));
    assert_int_equal(sasl_plain_parse(S("\0\xc3\xa9\0p\xe2\x82\xac"), &p), SASL_OK);
    static const struct str bad[] = {
        S(""), S("\0"), S("u"), S("\0u"), S("\0\0"), S("\0u\0"), S("\0\0p"), S("a\0\0p"), S("\0u\0p\0"), S("\0u\0p\0q"),
        S("\0u\0\0p"), S("\0\xff\0p"), S("\0u\0\xc3"), S("\xed\xa0\x80\0u\0p"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(sasl_plain_parse(bad[i], &p), SASL_MALFORMED_REQUEST);
        assert_null(p.authcid.p);
        assert_null(p.password.p);
    }
    assert_int_equal(sasl_plain_parse(STR_NULL, &p), SASL_MALFORMED_REQUEST);
}

/* "\0u\0" and n bytes; n bytes, "\0u\0p"; "\0", n bytes, "\0p". */
static void test_plain_limits(void **state)
{
    static char msg[SASL_PLAIN_PASSWORD_MAX + 8];
    struct sasl_plain p;
    for (size_t over = 0; over < 2; over++) {
        enum sasl_failure want = over ? SASL_MALFORMED_REQUEST : SASL_OK;
        size_t n = SASL_PLAIN_PASSWORD_MAX + over;
        memset(msg, 'x', sizeof(msg));
        memcpy(msg, "\0u\0", 3);
        assert_int_equal(sasl_plain_parse(str_n(msg, n + 3), &p), want);
        n = SASL_PLAIN_NAME_MAX + over;
        memset(msg, 'x', sizeof(msg));
        memcpy(msg + n, "\0u\0p", 4);
        assert_int_equal(sasl_plain_parse(str_n(msg, n + 4), &p), want);
        memset(msg, 'x', sizeof(msg));
        msg[0] = '\0';
        memcpy(msg + 1 + n, "\0p", 2);
        assert_int_equal(sasl_plain_parse(str_n(msg, n + 3), &p), want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mechanisms),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_plain_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
