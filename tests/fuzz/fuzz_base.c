/*
 * The small parsers of src/base, each against a second statement of what it promises: text, base64, numbers, log lines.
 */
#include "base/base64.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool x)
{
    if (!x)
        abort();
}

static void text(struct str in)
{
    bool valid = true;
    for (size_t i = 0; i < in.n && valid;) {
        uint32_t cp;
        char again[4];
        unsigned used = utf8_decode(str_n(in.p + i, in.n - i), &cp);
        valid = used != 0;
        if (valid)
            require(utf8_encode(cp, again) == used && memcmp(again, in.p + i, used) == 0);
        i += used;
    }
    require(utf8_valid(in) == valid);
    if (utf8_is_ascii(in))
        require(valid);
}

/* Strict means: there is one text for given bytes, and only that one is taken. */
static void base64(struct arena *a, struct str in)
{
    struct str bytes, back;
    if (base64_decode(a, in, &bytes))
        require(str_eq(base64_encode(a, bytes), in));
    require(base64_decode(a, base64_encode(a, in), &back) && str_eq(back, in));
}

static void number(struct str in)
{
    int64_t v;
    char again[32];
    if (!str_to_i64(in, &v))
        return;
    snprintf(again, sizeof(again), "%lld", (long long)v);
    int64_t w = 0;
    require(str_to_i64(str_of(again), &w) && v == w);
}

static void parts(struct str in)
{
    size_t total = 0, n = 0;
    struct str rest = in, part;
    while (str_split(&rest, ',', &part)) {
        require(str_find(part, ',') < 0);
        total += part.n;
        n++;
    }
    require(!in.p || total + n - 1 == in.n);
    require(str_trim(in).n <= in.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new();
    /* A copy of exact size, so that reading past the end is seen. */
    char *copy = malloc(size ? size : 1);
    if (size)
        memcpy(copy, data, size);
    struct str in = str_n(copy, size);
    text(in);
    base64(a, in);
    number(in);
    parts(in);
    free(copy);
    arena_release(&a);
    return 0;
}
