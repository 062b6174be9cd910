/* Options of shared roster groups from arbitrary bytes: what is taken is written, read again and means the same. */
#include "store/pattern.h"
#include "store/srg_opts.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define CHECK(cond)  \
    do {             \
        if (!(cond)) \
            abort(); \
    } while (0)

static void same(const struct srg_opts *x, const struct srg_opts *y)
{
    CHECK(x->n == y->n);
    for (size_t i = 0; i < x->n; i++) {
        const struct srg_opt *a = &x->opts[i], *b = &y->opts[i];
        CHECK(str_eq(a->name, b->name) && a->kind == b->kind && str_eq(a->text, b->text) && a->n == b->n && a->on == b->on);
        for (size_t k = 0; k < a->n; k++)
            CHECK(str_eq(a->items[k], b->items[k]));
    }
}

/* The same bytes as a pattern and a text, parted by a newline. */
static void patterns(struct str rest)
{
    struct str text = rest, p;

    if (rest.n > 4096 || !str_split(&text, '\n', &p) || !text.p)
        return;
    for (int kind = PATTERN_GLOB; kind <= PATTERN_LIKE; kind++) {
        struct pattern pat = {(enum pattern_kind)kind, p};
        bool fits = pattern_match(&pat, text);
        if (kind == PATTERN_GLOB && fits)
            CHECK(str_starts(text, pattern_prefix(&pat)));
        if (kind == PATTERN_GLOB && pattern_is_plain(&pat))
            CHECK(fits == str_eq(p, text));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena *a = arena_new();
    struct str in = str_n((const char *)data, n);
    struct srg_opts first, second;

    if (srg_opts_parse(a, in, &first)) {
        CHECK(srg_opts_parse(a, srg_opts_write(a, &first), &second));
        same(&first, &second);
    } else {
        CHECK(first.n == 0);
    }
    patterns(in);
    arena_release(&a);
    return 0;
}
