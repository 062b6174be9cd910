/* What is remembered of addresses (mod/api/ip_table.h): how long, how many, which network. */
#include "mod/api/ip_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct ip ip_of(const char *text)
{
    struct ip ip;
    assert_true(ip_parse(str_of(text), &ip));
    return ip;
}

static void test_time(void **state)
{
    struct ip_table t = {0};
    struct ip a = ip_of("192.0.2.1"), b = ip_of("2001:db8::1");
    (void)state;
    assert_null(ip_table_find(&t, &a, 0));
    ip_table_keep(&t, &a, 100, 200)->count = 3;
    ip_table_keep(&t, &b, 150, 250);
    assert_int_equal(ip_table_find(&t, &a, 199)->count, 3);
    assert_null(ip_table_find(&t, &a, 200));
    assert_non_null(ip_table_find(&t, &b, 249));
    ip_table_keep(&t, &a, 240, 340);
    assert_int_equal(ip_table_find(&t, &a, 240)->count, 0); /* the old one is forgotten */
    ip_table_keep(&t, &a, 300, 400);
    assert_non_null(ip_table_find(&t, &a, 399));
    ip_table_clear(&t);
    assert_null(ip_table_find(&t, &a, 399));
    ip_table_clear(&t);
}

static void test_networks(void **state)
{
    struct ip_table t = {0};
    struct ip_net net;
    struct ip one = ip_table_network(ip_of("2001:db8::1")), two = ip_table_network(ip_of("2001:db8::2:0:0:1"));
    struct ip other = ip_table_network(ip_of("2001:db8:0:1::1")), four = ip_table_network(ip_of("192.0.2.1"));
    (void)state;
    assert_true(ip_eq(&one, &two));
    assert_false(ip_eq(&one, &other));
    assert_true(ip_eq(&four, &(struct ip){4, {192, 0, 2, 1}}));
    ip_table_keep(&t, &one, 0, 10);
    ip_table_keep(&t, &other, 0, 10);
    ip_table_keep(&t, &four, 0, 10);
    assert_true(ip_net_parse(S("192.0.2.0/24"), &net));
    assert_int_equal(ip_table_forget(&t, &net, 1), 1);
    assert_int_equal(ip_table_forget(&t, &net, 1), 0);
    assert_true(ip_net_parse(S("::/0"), &net));
    assert_int_equal(ip_table_forget(&t, &net, 1), 2);
    ip_table_clear(&t);
}

static void test_bound(void **state)
{
    struct ip_table t = {0};
    struct ip first = {4, {10}}, ip = first;
    (void)state;
    for (unsigned i = 0; i <= IP_TABLE_MAX; i++) {
        ip.b[1] = (uint8_t)(i >> 16);
        ip.b[2] = (uint8_t)(i >> 8);
        ip.b[3] = (uint8_t)i;
        ip_table_keep(&t, &ip, 0, 10);
    }
    assert_int_equal(t.map.count, IP_TABLE_MAX);
    assert_null(ip_table_find(&t, &first, 1));
    assert_non_null(ip_table_find(&t, &ip, 1));
    ip_table_clear(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_time), cmocka_unit_test(test_networks), cmocka_unit_test(test_bound)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
