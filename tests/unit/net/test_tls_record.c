/* The record layer against itself; against OpenSSL it is tested in test_tls.c. */
#include "base/mem.h"
#include "net/tls_record.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct {
    uint16_t id;
    size_t secret_n;
} kinds[] = {{0x1301, 32}, {0x1302, 48}, {0x1303, 32}};

struct ends {
    struct tls_keys *a, *b;
    struct buf wire;
};

static struct ends new_ends(unsigned kind)
{
    uint8_t x[TLS_SECRET_MAX], y[TLS_SECRET_MAX];
    for (unsigned i = 0; i < TLS_SECRET_MAX; i++) {
        x[i] = (uint8_t)(i * 7 + kind);
        y[i] = (uint8_t)(i * 11 + 1);
    }
    struct ends e = {.wire = BUF_INIT};
    e.a = tls_keys_new(kinds[kind].id, x, y, kinds[kind].secret_n);
    e.b = tls_keys_new(kinds[kind].id, y, x, kinds[kind].secret_n);
    assert_true(e.a && e.b);
    return e;
}

static void drop(struct ends *e)
{
    tls_keys_delete(&e->a);
    tls_keys_delete(&e->b);
    buf_deinit(&e->wire);
}

/* Opens what lies first on the wire with b's keys. */
static enum tls_open first(struct ends *e, struct str *plain, enum tls_alert *alert)
{
    static uint8_t rec[TLS_RECORD_HEADER + TLS_RECORD_WIRE_MAX + 100];
    size_t used, n = e->wire.n < sizeof(rec) ? e->wire.n : sizeof(rec);
    memcpy(rec, e->wire.p, n);
    *plain = STR_NULL;
    enum tls_open o = tls_keys_open(e->b, rec, n, &used, plain, alert);
    if (o != TLS_OPEN_MORE && o != TLS_OPEN_FAIL)
        buf_drop(&e->wire, used);
    return o;
}

static void wants_data(struct ends *e, struct str want)
{
    struct str plain;
    enum tls_alert alert;
    assert_int_equal(first(e, &plain, &alert), TLS_OPEN_DATA);
    assert_true(str_eq(plain, want));
}

/* One record with this content type fails with this alert. */
static void wants_fail(int type, struct str text, enum tls_alert want)
{
    struct ends e = new_ends(0);
    struct str plain;
    enum tls_alert alert = 0;
    tls_keys_seal(e.a, type, text.p, text.n, &e.wire);
    assert_int_equal(first(&e, &plain, &alert), TLS_OPEN_FAIL);
    assert_int_equal(alert, want);
    drop(&e);
}

static void there_and_back(void **state)
{
    for (unsigned k = 0; k < ARRAY_LEN(kinds); k++) {
        struct ends e = new_ends(k);
        char *big = mem_zalloc(3 * TLS_RECORD_PLAIN_MAX);
        tls_keys_seal(e.a, TLS_CONTENT_DATA, "hello", 5, &e.wire);
        tls_keys_seal(e.a, TLS_CONTENT_DATA, "", 0, &e.wire);
        tls_keys_seal(e.a, TLS_CONTENT_DATA, big, 2 * TLS_RECORD_PLAIN_MAX + 1, &e.wire);
        wants_data(&e, S("hello"));
        wants_data(&e, str_n(big, TLS_RECORD_PLAIN_MAX));
        wants_data(&e, str_n(big, TLS_RECORD_PLAIN_MAX));
        wants_data(&e, str_n(big, 1));
        assert_int_equal(e.wire.n, 0);
        for (int i = 0; i < 300; i++) { /* sequence numbers beyond a byte */
            tls_keys_seal(e.a, TLS_CONTENT_DATA, "x", 1, &e.wire);
            wants_data(&e, S("x"));
        }
        free(big);
        drop(&e);
    }
}

static void any_change_is_seen(void **state)
{
    for (unsigned k = 0; k < ARRAY_LEN(kinds); k++)
        for (size_t i = 0; i < TLS_RECORD_HEADER + 5 + 17; i++) {
            struct ends e = new_ends(k);
            struct str plain;
            enum tls_alert alert = 0;
            tls_keys_seal(e.a, TLS_CONTENT_DATA, "hello", 5, &e.wire);
            e.wire.p[i] ^= 4;
            enum tls_open o = first(&e, &plain, &alert);
            assert_true(o == TLS_OPEN_FAIL || (i == 3 && o == TLS_OPEN_MORE) || (i == 4 && o == TLS_OPEN_MORE));
            drop(&e);
        }
    /* order too */
    struct ends e = new_ends(0);
    struct str plain;
    enum tls_alert alert = 0;
    tls_keys_seal(e.a, TLS_CONTENT_DATA, "one", 3, &e.wire);
    buf_clear(&e.wire);
    tls_keys_seal(e.a, TLS_CONTENT_DATA, "two", 3, &e.wire);
    assert_int_equal(first(&e, &plain, &alert), TLS_OPEN_FAIL);
    assert_int_equal(alert, TLS_ALERT_BAD_RECORD_MAC);
    drop(&e);
}

static void padding(void **state)
{
    struct ends e = new_ends(1);
    tls_keys_seal(e.a, 0, "hello\x17\0\0\0", 9, &e.wire);
    wants_data(&e, S("hello"));
    tls_keys_seal(e.a, TLS_CONTENT_DATA, "ends in zeros\0\0", 15, &e.wire);
    wants_data(&e, S("ends in zeros\0\0"));
    drop(&e);
    wants_fail(0, S("\0\0\0"), TLS_ALERT_UNEXPECTED_MESSAGE);
}

static void lengths(void **state)
{
    static const char *const cases[] = {"\x17\x03\x03\x41\x01", "\x17\x03\x03\xff\xff", "\x17\x03\x03\x00\x10",
                                        "\x17\x03\x03\x00\x00",
                                        "\x14\x03\x03\x00\x01", "\x16\x03\x01\x02\x00", "GET /"};
    static const enum tls_alert want[] = {TLS_ALERT_RECORD_OVERFLOW,    TLS_ALERT_RECORD_OVERFLOW,    TLS_ALERT_BAD_RECORD_MAC,
                                          TLS_ALERT_BAD_RECORD_MAC,     TLS_ALERT_UNEXPECTED_MESSAGE, TLS_ALERT_UNEXPECTED_MESSAGE,
                                          TLS_ALERT_UNEXPECTED_MESSAGE};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ends e = new_ends(0);
        struct str plain;
        enum tls_alert alert = 0;
        buf_add(&e.wire, cases[i], 5);
        size_t len = (size_t)(uint8_t)cases[i][3] << 8 | (uint8_t)cases[i][4];
        bool hopeless = len < 17 || len > TLS_RECORD_WIRE_MAX || cases[i][0] != 0x17;
        assert_true(tls_keys_complete((const uint8_t *)e.wire.p, 5) == hopeless);
        assert_int_equal(first(&e, &plain, &alert), TLS_OPEN_FAIL);
        assert_int_equal(alert, want[i]);
        drop(&e);
    }
    struct ends e = new_ends(0);
    struct str plain;
    enum tls_alert alert;
    tls_keys_seal(e.a, TLS_CONTENT_DATA, "cut", 3, &e.wire);
    size_t whole = e.wire.n;
    for (e.wire.n = 0; e.wire.n < whole; e.wire.n++) {
        assert_false(tls_keys_complete((const uint8_t *)e.wire.p, e.wire.n));
        assert_int_equal(first(&e, &plain, &alert), TLS_OPEN_MORE);
    }
    assert_true(tls_keys_complete((const uint8_t *)e.wire.p, whole));
    wants_data(&e, S("cut"));
    drop(&e);
}

static void updates(void **state)
{
    for (unsigned k = 0; k < ARRAY_LEN(kinds); k++) {
        struct ends e = new_ends(k);
        struct str plain;
        enum tls_alert alert;
        for (int i = 0; i < 20; i++) {
            assert_false(tls_keys_update_due(e.a));
            tls_keys_update(e.a, &e.wire);
            tls_keys_seal(e.a, TLS_CONTENT_DATA, "after", 5, &e.wire);
            assert_int_equal(first(&e, &plain, &alert), TLS_OPEN_NOTHING);
            assert_false(tls_keys_update_due(e.b));
            wants_data(&e, S("after"));
        }
        drop(&e);
    }
    struct ends e = new_ends(0);
    struct str plain;
    enum tls_alert alert;
    tls_keys_seal(e.a, TLS_CONTENT_HANDSHAKE, "\x18\0\0\1\1", 5, &e.wire); /* update_requested */
    assert_int_equal(first(&e, &plain, &alert), TLS_OPEN_NOTHING);
    assert_true(tls_keys_update_due(e.b));
    drop(&e);
    wants_fail(TLS_CONTENT_HANDSHAKE, S("\x18\0\0\1\2"), TLS_ALERT_ILLEGAL_PARAMETER);
    wants_fail(TLS_CONTENT_HANDSHAKE, S("\x18\0\0\2\0\0"), TLS_ALERT_DECODE_ERROR);
    wants_fail(TLS_CONTENT_HANDSHAKE, S("\x18\0\0\1\0\x18\0\0\1\0"), TLS_ALERT_UNEXPECTED_MESSAGE);
    wants_fail(TLS_CONTENT_HANDSHAKE, S("\1\0\0\1\0"), TLS_ALERT_UNEXPECTED_MESSAGE); /* a second ClientHello */
    wants_fail(TLS_CONTENT_HANDSHAKE, S("\4\0\0\1\0"), TLS_ALERT_UNEXPECTED_MESSAGE); /* a ticket of a client */
    wants_fail(TLS_CONTENT_HANDSHAKE, S("\x0b\0\0\1\0"), TLS_ALERT_UNEXPECTED_MESSAGE); /* a certificate nobody asked for */
    wants_fail(TLS_CONTENT_CCS, S("\1"), TLS_ALERT_UNEXPECTED_MESSAGE);
    wants_fail(99, S("x"), TLS_ALERT_UNEXPECTED_MESSAGE);
}

/* RFC 8446 §5.1: split over records it is still one message, and nothing comes in between. */
static void split_updates(void **state)
{
    static const char update[] = "\x18\0\0\1\1";
    for (size_t cut = 1; cut < 5; cut++) {
        struct ends e = new_ends(cut % 3);
        struct str plain;
        enum tls_alert alert;
        tls_keys_seal(e.a, TLS_CONTENT_HANDSHAKE, update, cut, &e.wire);
        assert_int_equal(first(&e, &plain, &alert), TLS_OPEN_NOTHING);
        assert_false(tls_keys_update_due(e.b));
        tls_keys_seal(e.a, TLS_CONTENT_HANDSHAKE, update + cut, 5 - cut, &e.wire);
        assert_int_equal(first(&e, &plain, &alert), TLS_OPEN_NOTHING);
        assert_true(tls_keys_update_due(e.b));
        /* the old key is over */
        tls_keys_seal(e.a, TLS_CONTENT_DATA, "x", 1, &e.wire);
        assert_int_equal(first(&e, &plain, &alert), TLS_OPEN_FAIL);
        assert_int_equal(alert, TLS_ALERT_BAD_RECORD_MAC);
        drop(&e);
    }
    static const int between[] = {TLS_CONTENT_DATA, TLS_CONTENT_ALERT};
    for (size_t i = 0; i < ARRAY_LEN(between); i++) {
        struct ends e = new_ends(0);
        struct str plain;
        enum tls_alert alert = 0;
        tls_keys_seal(e.a, TLS_CONTENT_HANDSHAKE, update, 3, &e.wire);
        assert_int_equal(first(&e, &plain, &alert), TLS_OPEN_NOTHING);
        tls_keys_seal(e.a, between[i], "\1\0", 2, &e.wire);
        assert_int_equal(first(&e, &plain, &alert), TLS_OPEN_FAIL);
        assert_int_equal(alert, TLS_ALERT_UNEXPECTED_MESSAGE);
        drop(&e);
    }
}

/* RFC 8446 §5.2, §5.4: 2^14 bytes of content, one more with type and padding. */
static void sizes(void **state)
{
    char *big = mem_zalloc(TLS_RECORD_WIRE_MAX);
    static const struct {
        size_t data, all;
        enum tls_open want;
    } cases[] = {
        {16384, 16385, TLS_OPEN_DATA}, {1, 16385, TLS_OPEN_DATA}, {16385, 16386, TLS_OPEN_FAIL}, {1, 16386, TLS_OPEN_FAIL},
        {16384, 16386, TLS_OPEN_FAIL}, {1, 16624, TLS_OPEN_FAIL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ends e = new_ends(0);
        struct str plain;
        enum tls_alert alert = 0;
        memset(big, 'x', cases[i].data);
        memset(big + cases[i].data, 0, cases[i].all - cases[i].data);
        big[cases[i].data] = TLS_CONTENT_DATA;
        tls_keys_set_fragment(e.a, 16640); /* a peer that does not care */
        tls_keys_seal(e.a, 0, big, cases[i].all - 1, &e.wire);
        if (cases[i].data == cases[i].all - 1) { /* no padding: the record's own type byte is the type */
            buf_clear(&e.wire);
            drop(&e);
            e = new_ends(0);
            tls_keys_set_fragment(e.a, 16640);
            tls_keys_seal(e.a, TLS_CONTENT_DATA, big, cases[i].data, &e.wire);
        }
        assert_int_equal(first(&e, &plain, &alert), cases[i].want);
        assert_int_equal(alert, cases[i].want == TLS_OPEN_FAIL ? TLS_ALERT_RECORD_OVERFLOW : 0);
        drop(&e);
    }
    free(big);
    /* max_fragment_length, both ways */
    struct ends e = new_ends(2);
    struct str plain;
    enum tls_alert alert = 0;
    char text[1025];
    memset(text, 'y', sizeof(text));
    tls_keys_set_fragment(e.a, 512);
    tls_keys_set_fragment(e.b, 512);
    tls_keys_seal(e.a, TLS_CONTENT_DATA, text, 1025, &e.wire);
    wants_data(&e, str_n(text, 512));
    wants_data(&e, str_n(text, 512));
    wants_data(&e, str_n(text, 1));
    tls_keys_set_fragment(e.a, 1024);
    tls_keys_seal(e.a, TLS_CONTENT_DATA, text, 513, &e.wire);
    assert_int_equal(first(&e, &plain, &alert), TLS_OPEN_FAIL);
    assert_int_equal(alert, TLS_ALERT_RECORD_OVERFLOW);
    drop(&e);
    /* only data may be empty */
    wants_fail(0, S("\x15"), TLS_ALERT_UNEXPECTED_MESSAGE);
    wants_fail(0, S("\x16\0\0"), TLS_ALERT_UNEXPECTED_MESSAGE);
}

/* A key that has sealed what it may is changed by itself, in the middle of a long piece too. */
static void automatic_updates(void **state)
{
    uint64_t was = tls_records_per_key;
    tls_records_per_key = 3;
    for (unsigned k = 0; k < ARRAY_LEN(kinds); k++) {
        struct ends e = new_ends(k);
        struct str plain;
        enum tls_alert alert;
        size_t n = 20 * TLS_RECORD_PLAIN_MAX, got = 0;
        unsigned updates = 0, records = 0;
        char *big = mem_zalloc(n);
        tls_keys_seal(e.a, TLS_CONTENT_DATA, big, n, &e.wire);
        while (e.wire.n) {
            enum tls_open o = first(&e, &plain, &alert);
            assert_true(o == TLS_OPEN_DATA || (o == TLS_OPEN_NOTHING && records == 3));
            updates += o == TLS_OPEN_NOTHING;
            records = o == TLS_OPEN_NOTHING ? 0 : records + 1;
            got += o == TLS_OPEN_DATA ? plain.n : 0;
        }
        assert_int_equal(got, n);
        assert_int_equal(updates, 6);
        assert_false(tls_keys_update_due(e.b)); /* ours do not ask for theirs */
        free(big);
        drop(&e);
    }
    tls_records_per_key = was;
}

static void *one_turn(void *arg)
{
    struct ends *e = arg;
    struct str plain;
    enum tls_alert alert;
    struct ends other = new_ends(1); /* uses the same context of this thread in between */
    for (int i = 0; i < 3; i++) {
        tls_keys_seal(e->a, TLS_CONTENT_DATA, "turn", 4, &e->wire);
        tls_keys_seal(other.a, TLS_CONTENT_DATA, "other", 5, &other.wire);
        enum tls_open o = first(e, &plain, &alert);
        if (o != TLS_OPEN_DATA || !str_eq(plain, S("turn")) || first(&other, &plain, &alert) != TLS_OPEN_DATA)
            abort();
    }
    drop(&other);
    return NULL;
}

/* Contexts belong to threads and know keys by number: a connection that moves, or one where another was, is never mixed up. */
static void threads_and_addresses(void **state)
{
    struct ends e = new_ends(1);
    for (int i = 0; i < 8; i++) {
        pthread_t t;
        one_turn(&e);
        assert_int_equal(pthread_create(&t, NULL, one_turn, &e), 0);
        assert_int_equal(pthread_join(t, NULL), 0);
    }
    drop(&e);
    for (unsigned i = 0; i < 50; i++) { /* malloc gives the same place again, with other keys */
        uint8_t x[TLS_SECRET_MAX] = {(uint8_t)i, 1}, y[TLS_SECRET_MAX] = {(uint8_t)i, 2};
        struct ends f = {.wire = BUF_INIT, .a = tls_keys_new(0x1301, x, y, 32)};
        tls_keys_seal(f.a, TLS_CONTENT_DATA, "here", 4, &f.wire);
        f.b = tls_keys_new(0x1301, y, x, 32);
        wants_data(&f, S("here"));
        drop(&f);
    }
}

static void alerts(void **state)
{
    static const struct {
        struct str text;
        enum tls_open want;
    } cases[] = {
        {{"\1\0", 2}, TLS_OPEN_CLOSED}, {{"\2\0", 2}, TLS_OPEN_CLOSED}, {{"\2\x14", 2}, TLS_OPEN_ALERT},
        {{"\1\x5a", 2}, TLS_OPEN_NOTHING}, {{"\1\x64", 2}, TLS_OPEN_ALERT},
    };
    struct str plain;
    enum tls_alert alert;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ends e = new_ends(2);
        tls_keys_seal(e.a, TLS_CONTENT_ALERT, cases[i].text.p, cases[i].text.n, &e.wire);
        assert_int_equal(first(&e, &plain, &alert), cases[i].want);
        drop(&e);
    }
    wants_fail(TLS_CONTENT_ALERT, S("\1"), TLS_ALERT_DECODE_ERROR);
    wants_fail(TLS_CONTENT_ALERT, S("\1\0\1\0"), TLS_ALERT_DECODE_ERROR);
    struct ends e = new_ends(2);
    tls_keys_seal_alert(e.a, TLS_ALERT_CLOSE_NOTIFY, &e.wire);
    assert_int_equal(first(&e, &plain, &alert), TLS_OPEN_CLOSED);
    tls_keys_seal_alert(e.a, TLS_ALERT_BAD_RECORD_MAC, &e.wire);
    assert_int_equal(first(&e, &plain, &alert), TLS_OPEN_ALERT);
    drop(&e);
}

/* Records that carry nothing are dealt with a few times, not for ever. */
static void nothing_floods(void **state)
{
    struct ends e = new_ends(0);
    struct str plain;
    enum tls_alert alert = 0;
    unsigned n = 0;
    enum tls_open o;
    do {
        tls_keys_seal(e.a, 0, "\x17", 1, &e.wire); /* empty, padded */
        o = first(&e, &plain, &alert);
        n++;
    } while (o == TLS_OPEN_NOTHING);
    assert_int_equal(o, TLS_OPEN_FAIL);
    assert_int_equal(alert, TLS_ALERT_UNEXPECTED_MESSAGE);
    assert_int_equal(n, 33);
    drop(&e);
}

static void suites(void **state)
{
    uint8_t s[48] = {0};
    assert_null(tls_keys_new(0x1304, s, s, 32)); /* CCM */
    assert_null(tls_keys_new(0x1301, s, s, 48));
    assert_null(tls_keys_new(0xc02b, s, s, 32));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back), cmocka_unit_test(any_change_is_seen), cmocka_unit_test(padding),
        cmocka_unit_test(lengths), cmocka_unit_test(updates), cmocka_unit_test(split_updates),
        cmocka_unit_test(sizes), cmocka_unit_test(automatic_updates), cmocka_unit_test(threads_and_addresses),
        cmocka_unit_test(alerts), cmocka_unit_test(nothing_floods), cmocka_unit_test(suites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
