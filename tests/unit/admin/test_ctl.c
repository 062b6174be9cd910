/* Requests on the control socket: whole, in pieces, several at once, malformed. */
#include "admin/ctl.h"
#include "admin/ctl_proto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct str words[CTL_MAX_WORDS];
static size_t count;

static void put(struct buf *b, struct str payload)
{
    char len[4];
    for (int i = 0; i < 4; i++)
        len[i] = (char)(payload.n >> 8 * i & 0xff);
    buf_add_str(b, S(CTL_MAGIC));
    buf_add(b, len, 4);
    buf_add_str(b, payload);
}

static void test_pieces(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    put(&b, S("tool\0status\0\0"));
    size_t one = b.n;
    put(&b, S("tool\0"));
    for (size_t n = 0; n < one; n++)
        assert_int_equal(ctl_parse(b.p, n, words, &count), 0);
    assert_int_equal(ctl_parse(b.p, b.n, words, &count), one);
    assert_int_equal(count, 3);
    assert_true(str_eq(words[1], S("status")));
    assert_int_equal(words[2].n, 0);
    assert_int_equal(ctl_parse(b.p + one, b.n - one, words, &count), b.n - one);
    assert_int_equal(count, 1);
    buf_deinit(&b);
}

static void refused(struct str bytes)
{
    assert_int_equal(ctl_parse(bytes.p, bytes.n, words, &count), -1);
}

static void test_malformed(void **state)
{
    (void)state;
    refused(S("GET / HTTP/1.1\r\n"));
    refused(S("X"));
    refused(S("CJC1\0\0\0\0"));
    refused(S("CJC1\xff\xff\xff\xff"));
    refused(S("CJC1\x03\0\0\0abc"));
    struct buf b = BUF_INIT, many = BUF_INIT;
    for (unsigned i = 0; i < CTL_MAX_WORDS + 1; i++)
        buf_add(&many, "", 1);
    put(&b, buf_str(&many));
    refused(buf_str(&b));
    buf_deinit(&b);
    buf_deinit(&many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pieces), cmocka_unit_test(test_malformed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
