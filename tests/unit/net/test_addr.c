#include "net/addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct ip ip(const char *s)
{
    struct ip r;
    assert_true(ip_parse(str_of(s), &r));
    return r;
}

static bool has(const char *net, const char *addr)
{
    struct ip_net n;
    struct ip i = ip(addr);
    assert_true(ip_net_parse(str_of(net), &n));
    return ip_net_has(&n, &i);
}

static void text_forms(void **state)
{
    static const char *const same[] = {"127.0.0.1", "::1", "2001:db8::1", "::", "0.0.0.0", "fe80::1:2"};
    static const char *const bad[] = {"", "1.2.3", "1.2.3.4.5", "01.2.3.4x", "::1%lo", "g::1", "1.2.3.256", "1.2.3.4 ", ":::"};
    char out[IP_TEXT_MAX];
    struct ip i;
    for (size_t k = 0; k < ARRAY_LEN(same); k++) {
        i = ip(same[k]);
        assert_string_equal(ip_print(&i, out), same[k]);
    }
    for (size_t k = 0; k < ARRAY_LEN(bad); k++)
        assert_false(ip_parse(str_of(bad[k]), &i));
    assert_false(ip_parse(str_n("1.2.3.4\0", 8), &i));
    i = ip("::ffff:10.1.2.3");
    assert_string_equal(ip_print(&i, out), "10.1.2.3");
    i = (struct ip){0};
    assert_string_equal(ip_print(&i, out), "");
}

static void for_the_log(void **state)
{
    char out[IP_TEXT_MAX];
    struct ip v4 = ip("10.1.2.3"), v6 = ip("2001:db8::1"), none = {0};
    assert_string_equal(ip_print_log(&v4, false, out), "10.1.2.3");
    assert_string_equal(ip_print_log(&v4, true, out), "hidden");
    assert_string_equal(ip_print_log(&v6, true, out), "hidden");
    assert_string_equal(ip_print_log(&none, true, out), "");
}

static void networks(void **state)
{
    static const char *const bad[] = {"10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/x", "::/129", "/8", "10.0.0.0/+8"};
    struct ip_net n;
    assert_true(has("10.0.0.0/8", "10.255.1.2"));
    assert_false(has("10.0.0.0/8", "11.0.0.1"));
    assert_true(has("127.0.0.1/8", "127.9.9.9"));
    assert_true(has("192.168.1.129/25", "192.168.1.200"));
    assert_false(has("192.168.1.129/25", "192.168.1.1"));
    assert_true(has("::1", "::1"));
    assert_false(has("::1", "::2"));
    assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(has("0.0.0.0/0", "8.8.8.8"));
    assert_false(has("0.0.0.0/0", "::1"));
    assert_true(has("::ffff:10.0.0.0/104", "10.3.4.5"));
    assert_true(has("::/0", "2001::1"));
    for (size_t k = 0; k < ARRAY_LEN(bad); k++)
        assert_false(ip_net_parse(str_of(bad[k]), &n));
}

static void kinds(void **state)
{
    struct ip a = ip("127.3.2.1"), b = ip("::1"), c = ip("::ffff:127.0.0.1"), d = ip("10.0.0.1");
    assert_true(ip_is_loopback(&a) && ip_is_loopback(&b) && ip_is_loopback(&c) && !ip_is_loopback(&d));
    assert_true(ip_eq(&a, &a) && !ip_eq(&a, &b) && !ip_eq(&a, &d));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(text_forms), cmocka_unit_test(for_the_log), cmocka_unit_test(networks),
                                       cmocka_unit_test(kinds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
