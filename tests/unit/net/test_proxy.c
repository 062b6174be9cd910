#include "net/proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct outcome {
    enum proxy_result r;
    size_t used;
    struct ip ip;
    uint16_t port;
};

/* In pieces of `step` bytes; the outcome must not depend on it. */
static struct outcome feed(const char *p, size_t n, size_t step)
{
    struct proxy x = {0};
    struct outcome o = {.r = PROXY_MORE};
    for (size_t at = 0; at < n && o.r == PROXY_MORE;) {
        size_t k = n - at < step ? n - at : step, used;
        o.r = proxy_feed(&x, p + at, k, &used, &o.ip, &o.port);
        assert_true(used <= k);
        if (o.r == PROXY_MORE)
            assert_int_equal(used, k);
        at += used;
        o.used = at;
    }
    return o;
}

static struct outcome any(const char *p, size_t n)
{
    struct outcome a = feed(p, n, n), b = feed(p, n, 1), c = feed(p, n, 7);
    assert_int_equal(a.r, b.r);
    assert_int_equal(a.r, c.r);
    if (a.r == PROXY_DONE || a.r == PROXY_LOCAL) {
        assert_int_equal(a.used, b.used);
        assert_int_equal(a.used, c.used);
        assert_true(ip_eq(&a.ip, &b.ip) && a.port == c.port);
    }
    return a;
}

static struct outcome text(const char *s)
{
    return any(s, strlen(s));
}

static void version_1(void **state)
{
    char out[IP_TEXT_MAX];
    struct outcome o = text("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\nrest");
    assert_int_equal(o.r, PROXY_DONE);
    assert_int_equal(o.used, strlen("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"));
    assert_string_equal(ip_print(&o.ip, out), "192.0.2.7");
    assert_int_equal(o.port, 56324);
    o = text("PROXY TCP6 2001:db8::7 2001:db8::1 1 65535\r\n");
    assert_int_equal(o.r, PROXY_DONE);
    assert_string_equal(ip_print(&o.ip, out), "2001:db8::7");
    assert_int_equal(text("PROXY UNKNOWN\r\n").r, PROXY_LOCAL);
    assert_int_equal(text("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n").r, PROXY_LOCAL);
    assert_int_equal(text("PROXY TCP4 192.0.2.7").r, PROXY_MORE);
}

static void version_1_malformed(void **state)
{
    static const char *const bad[] = {
        "GET / HTTP/1.0\r\n", "PROXI", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rx",
        "PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY \r\n", "PROXY UNKNOWNX\r\n", "<stream:stream", "\r\n\r\nxxxxxxxxxxxx",
        ("PROXY UNKNOWN aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(text(bad[i]).r, PROXY_BAD);
}

#define SIG "\r\n\r\n\0\r\nQUIT\n"

static void version_2(void **state)
{
    char out[IP_TEXT_MAX];
    static const char v4[] = SIG "\x21\x11\0\x0c\xc0\0\2\7\xc6\x33\x64\1\xdc\x04\x01\xbbTLS";
    struct outcome o = any(v4, sizeof(v4) - 1);
    assert_int_equal(o.r, PROXY_DONE);
    assert_int_equal(o.used, 28);
    assert_string_equal(ip_print(&o.ip, out), "192.0.2.7");
    assert_int_equal(o.port, 56324);
    static const char tlv[] = SIG "\x21\x11\0\x10\xc0\0\2\7\xc6\x33\x64\1\xdc\x04\x01\xbb\4\0\1x...";
    assert_int_equal(any(tlv, sizeof(tlv) - 1).used, 32);
    static const char local[] = SIG "\x20\0\0\0abc";
    o = any(local, sizeof(local) - 1);
    assert_int_equal(o.r, PROXY_LOCAL);
    assert_int_equal(o.used, 16);
    static const char unix_family[] = SIG "\x21\x31\0\2xxabc";
    assert_int_equal(any(unix_family, sizeof(unix_family) - 1).r, PROXY_LOCAL);
    char v6[16 + 36] = SIG "\x21\x21\0\x24";
    v6[16 + 10] = v6[16 + 11] = (char)0xff; /* mapped: folded to IPv4 */
    v6[16 + 12] = 10;
    o = any(v6, sizeof(v6));
    assert_int_equal(o.r, PROXY_DONE);
    assert_string_equal(ip_print(&o.ip, out), "10.0.0.0");
}

static void version_2_malformed(void **state)
{
    static const char version[] = SIG "\x31\x11\0\x0c", command[] = SIG "\x22\x11\0\x0c", longer[] = SIG "\x21\x11\x04\x01",
                      small[] = SIG "\x21\x11\0\x0b" "12345678901",
                      none[] = SIG "\x21\x21\0\0", signature[] = "\r\n\r\n\0\r\nQUIX\n....";
    assert_int_equal(any(version, 16).r, PROXY_BAD);
    assert_int_equal(any(command, 16).r, PROXY_BAD);
    assert_int_equal(any(longer, 16).r, PROXY_BAD);
    assert_int_equal(any(small, sizeof(small) - 1).r, PROXY_BAD);
    assert_int_equal(any(none, 16).r, PROXY_BAD);
    assert_int_equal(any(signature, 16).r, PROXY_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_1), cmocka_unit_test(version_1_malformed), cmocka_unit_test(version_2),
        cmocka_unit_test(version_2_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
