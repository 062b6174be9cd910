/* Filters made of templates: no name gets out of its place (RFC 4515 §3). */
#include "core/auth/ldap_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void expands(struct str template, const struct ldap_words *w, struct str want)
{
    struct buf b = BUF_INIT;
    ldap_expand(&b, template, w);
    assert_true(str_eq(buf_str(&b), want));
    buf_deinit(&b);
}

static void test_words(void **state)
{
    static const struct str values[] = {{"Doe", 3}, {"x)(y", 4}};
    struct ldap_words w = {.user = S("ann"), .host = S("a.b"), .dn = S("cn=ann,dc=a"), .values = values, .value_count = 2};
    struct buf b = BUF_INIT;
    expands(S("(&(a=%u)(m=%u@%d))"), &w, S("(&(a=ann)(m=ann@a.b))"));
    expands(S("(&(o=%D)(s=%s)(t=%s)(v=%s))"), &w, S("(&(o=cn=ann,dc=a)(s=Doe)(t=x\\29\\28y)(v=))"));
    expands(S("(a=100%)(b=%x%%)"), &w, S("(a=100%)(b=%x%%)"));
    ldap_equals(&b, S("mail"), S("%u@*"), &w);
    assert_true(str_eq(buf_str(&b), S("(mail=ann@*)")));
    buf_clear(&b);
    w = (struct ldap_words){.user = S("a*"), .host = S("a.b"), .open = true};
    ldap_equals(&b, S("mail"), S("%u@%d"), &w);
    assert_true(str_eq(buf_str(&b), S("(mail=a\\2a*@a.b)")));
    buf_deinit(&b);
}

static void test_escapes(void **state)
{
    struct ldap_words w = {.user = S("*)(uid=*))(|(uid=*\\\0\n\xc3\xbc%d"), .host = S("h")};
    expands(S("(uid=%u)"), &w, S("(uid=\\2a\\29\\28uid=\\2a\\29\\29\\28|\\28uid=\\2a\\5c\\00\\0a\\c3\\bc%d)"));
}

static void test_parentheses(void **state)
{
    static const struct str good[] = {S("(a=b)"), S("(&(a=b)(!(c=*)))")};
    static const struct str bad[] = {S(""), S("a=b"), S("(a=b"), S("(a=b))"), S("(a=b)(c=d)"), S("()x"), S("()")};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_true(ldap_filter_ok(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(ldap_filter_ok(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words), cmocka_unit_test(test_escapes),
                                       cmocka_unit_test(test_parentheses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
