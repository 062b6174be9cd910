/*
 * What the HTTP API reads beside the arguments: cursors, Accept, Prefer, X-Request-Id, and what it makes of texts it does not
 * trust: reasons for a header. The first byte picks one. Keys of rows must order like the rows.
 */
#include "admin/http_answer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define CHECK(cond)  \
    do {             \
        if (!(cond)) \
            abort(); \
    } while (0)

static int sign(int n)
{
    return n < 0 ? -1 : n > 0;
}

/* A cursor that is taken leads to one that says the same once its rows have passed. */
static void cursor(struct arena *a, struct str text)
{
    struct http_page p = {.limit = 1}, again = {0};
    if (!page_parse_cursor(a, text, &p))
        return;
    CHECK(p.given > 0 && p.after.n > 0 && p.after.n <= PAGE_KEY_MAX);
    buf_add_str(&p.last, p.after);
    p.last_count = p.given;
    p.more = true;
    struct str next = page_next(&p, a);
    CHECK(next.p && page_parse_cursor(a, next, &again));
    CHECK(again.given == p.given && str_eq(again.after, p.after));
    page_deinit(&p);
}

static void reason(struct arena *a, struct str text)
{
    struct str encoded = reason_encode(a, text), back;
    CHECK(encoded.n <= REASON_MAX);
    for (size_t i = 0; i < encoded.n; i++)
        CHECK(encoded.p[i] >= 0x20 && encoded.p[i] < 0x7f);
    CHECK(http_percent_decode(a, encoded, false, &back));
    CHECK(back.n <= text.n && memcmp(back.p, text.p, back.n) == 0);
}

static void headers(struct arena *a, struct str text)
{
    struct http_header h[] = {{S("Prefer"), text}, {S("X-Request-Id"), text}};
    struct http_request r = {.arena = a, .headers = h, .header_count = 2};
    prefers(&r, S("dry-run"));
    accepts_lines(text);
    struct str id = http_request_id(&r);
    CHECK(id.n > 0 && id.n <= HTTP_ID_MAX && str_eq(id, http_request_id(&r)));
    for (size_t i = 0; i < id.n; i++)
        CHECK(id.p[i] > 0x20 && id.p[i] < 0x7f && id.p[i] != '"' && id.p[i] != ',' && id.p[i] != ';');
}

/* Two rows out of the input: a text, a number, a list of texts; cut where the separators are. */
static struct value take_row(struct arena *a, struct str *rest)
{
    struct value *f = ARENA_ARRAY(a, struct value, 3);
    struct str part;
    if (str_split(rest, '\n', &part))
        f[0].s = part;
    if (str_split(rest, '\n', &part))
        for (size_t i = 0; i < part.n; i++)
            f[1].i = (int64_t)((uint64_t)f[1].i << 8 | (unsigned char)part.p[i]);
    if (str_split(rest, '\n', &part)) {
        struct str item;
        f[2].items = ARENA_ARRAY(a, struct value, part.n + 1);
        while (str_split(&part, ',', &item))
            f[2].items[f[2].n++].s = item;
    }
    return (struct value){.items = f, .n = 3};
}

static const struct type row = T_TUPLE("row", T_STRING("a", NULL), T_INTEGER("b", NULL), T_LIST("c", NULL, T_STRING("d", NULL)));

static void order(struct arena *a, struct str text)
{
    struct value x = take_row(a, &text), y = take_row(a, &text);
    struct buf kx = BUF_INIT, ky = BUF_INIT;
    value_key(&kx, &row, &x);
    value_key(&ky, &row, &y);
    CHECK(sign(str_cmp(buf_str(&kx), buf_str(&ky))) == sign(value_cmp(&row, &x, &y)));
    buf_deinit(&kx);
    buf_deinit(&ky);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static void (*const parts[])(struct arena *, struct str) = {cursor, reason, headers, order};
    if (n < 1 || n > 20000)
        return 0;
    struct arena *a = arena_new();
    parts[data[0] % ARRAY_LEN(parts)](a, str_n((const char *)data + 1, n - 1));
    arena_release(&a);
    return 0;
}
