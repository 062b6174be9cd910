/* Pages of lists for every limit, rows that are alike and rows longer than a cursor; keys; reasons; who gets lines. */
#include "admin/http_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct type text = T_STRING("t", NULL);
static const struct type pair = T_TUPLE("p", T_STRING("who", NULL), T_INTEGER("n", NULL));

/* Indexes of the rows of one page; the cursor for the next in *next. */
static size_t page(struct arena *a, const struct type *el, const struct value *rows, size_t n, size_t limit, struct str *next,
                   size_t *out)
{
    struct http_page p = {.limit = limit};
    size_t got = 0;
    if (next->p) {
        assert_true(page_parse_cursor(a, *next, &p));
        buf_add_str(&p.last, p.after);
        p.last_count = p.given;
    }
    for (size_t i = 0; i < n; i++) {
        enum page_verdict v = page_row(&p, el, &rows[i]);
        if (v == PAGE_FULL)
            break;
        if (v == PAGE_TAKE)
            out[got++] = i;
    }
    *next = page_next(&p, a);
    page_deinit(&p);
    return got;
}

static void expect_all(const struct type *el, struct value *rows, size_t n)
{
    value_sort(el, rows, n);
    for (size_t limit = 1; limit <= n + 1; limit++) {
        struct arena *a = arena_new();
        struct str next = STR_NULL;
        size_t at = 0, *out = ARENA_ARRAY(a, size_t, n + 1);
        do {
            size_t got = page(a, el, rows, n, limit, &next, out);
            for (size_t i = 0; i < got; i++)
                assert_int_equal(out[i], at++);
            assert_true(got == limit || !next.p);
        } while (next.p);
        assert_int_equal(at, n);
        arena_release(&a);
    }
}

static void test_pages(void **state)
{
    (void)state;
    char longs[5][400];
    struct value rows[] = {value_cstr("b"), value_cstr("a"), value_cstr("a"), value_cstr(""), value_cstr("a"), value_cstr("ab"),
                           value_str(S("a\0b")), value_str(S("a\0")), value_cstr("\xc3\xbc"), value_cstr("a")};
    expect_all(&text, rows, ARRAY_LEN(rows));
    struct value many[10];
    for (size_t i = 0; i < 5; i++) { /* alike in all that a cursor keeps */
        memset(longs[i], 'x', sizeof(longs[i]));
        longs[i][399] = (char)('e' - (char)i);
        many[i] = value_str(str_n(longs[i], 400 - (i == 3)));
        many[5 + i] = value_str(str_n(longs[i], 236 + 2 * i));
    }
    expect_all(&text, many, 10);
    struct value f[6][2];
    struct value pairs[6];
    static const int64_t numbers[] = {3, -1, 0, INT64_MIN, INT64_MAX, -1};
    for (size_t i = 0; i < 6; i++) {
        f[i][0] = value_cstr(i < 3 ? "a" : "a\x01");
        f[i][1] = value_int(numbers[i]);
        pairs[i] = (struct value){.items = f[i], .n = 2};
    }
    expect_all(&pair, pairs, 6);
}

static void test_rows_that_come_and_go(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct value before[] = {value_cstr("a"), value_cstr("c"), value_cstr("e"), value_cstr("g")};
    struct value after[] = {value_cstr("b"), value_cstr("d"), value_cstr("e"), value_cstr("g")};
    struct str next = STR_NULL;
    size_t out[4];
    assert_int_equal(page(a, &text, before, 4, 2, &next, out), 2); /* a c */
    assert_int_equal(page(a, &text, after, 4, 2, &next, out), 2);
    assert_int_equal(out[0], 1); /* d: c itself is gone, b stands before it */
    assert_int_equal(out[1], 2);
    arena_release(&a);
}

static void test_cursors(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct http_page p;
    char big[600];
    memset(big, 'A', sizeof(big));
    static const char *const bad[] = {"", "A", "AQ", "AQAAAAE", "AgAAAAFh",
                                      "AQAAAABh", "AQAAAAFh=", "AQAAAAF+", "AQAAAAF/", "AQAAA AFh", "\xff"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(page_parse_cursor(a, str_of(bad[i]), &p));
    assert_false(page_parse_cursor(a, str_n(big, sizeof(big)), &p));
    assert_true(page_parse_cursor(a, S("AQAAAAFh"), &p) && p.given == 1 && str_eq(p.after, S("a")));
    arena_release(&a);
}

static void expect_reason(struct str words, const char *want)
{
    struct arena *a = arena_new();
    struct str got = reason_encode(a, words);
    assert_true(str_eq(got, str_of(want)));
    arena_release(&a);
}

static void test_reasons(void **state)
{
    (void)state;
    expect_reason(S("there is no such account: 'a' \"b\""), "there is no such account: 'a' \"b\"");
    expect_reason(S("100%\r\nX: \xc3\xbc\x7f"), "100%25%0D%0AX: %C3%BC%7F");
    expect_reason(S("\xff\xc3"), "%FF%C3");
    expect_reason(S(""), "");
    struct arena *a = arena_new();
    char words[1000];
    memset(words, 'a', sizeof(words));
    assert_int_equal(reason_encode(a, str_n(words, sizeof(words))).n, REASON_MAX);
    memcpy(words + REASON_MAX - 5, "\xc3\xbc", 2); /* six characters more: all or nothing */
    assert_int_equal(reason_encode(a, str_n(words, sizeof(words))).n, REASON_MAX - 5);
    arena_release(&a);
}

static void test_accept(void **state)
{
    (void)state;
    static const char *const yes[] = {"application/x-ndjson", "a/b , Application/X-NDJSON ; q=0.001",
                                      "application/json,application/x-ndjson;q=1",
                                      "application/json;q=0.5;x=y,application/x-ndjson;x=q;q=0.50"};
    static const char *const no[] = {"", ",", "*/*", "application/*", "application/json", "application/x-ndjson;q=0",
                                     "application/x-ndjsonx",
                                     "application/x-ndjson;q=0.000",
                                     "application/json,application/x-ndjson;q=0.999", ";application/x-ndjson"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        assert_true(accepts_lines(str_of(yes[i])));
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        assert_false(accepts_lines(str_of(no[i])));
}

static void test_preferences(void **state)
{
    (void)state;
    struct http_header h[] = {{S("Prefer"), S("wait=5")}, {S("prefer"), S("x; dry-run, DRY-run ;a=b")}};
    struct http_request r = {.headers = h, .header_count = 2};
    assert_true(prefers(&r, S("dry-run")));
    h[1].value = S("x; dry-run, dry-running, \"dry-run\"");
    assert_false(prefers(&r, S("dry-run")));
    h[1] = (struct http_header){S("X-Prefer"), S("dry-run")};
    assert_false(prefers(&r, S("dry-run")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),   cmocka_unit_test(test_rows_that_come_and_go), cmocka_unit_test(test_cursors),
        cmocka_unit_test(test_reasons), cmocka_unit_test(test_accept),                cmocka_unit_test(test_preferences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
