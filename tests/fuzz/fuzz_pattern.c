/*
 * Patterns of administrators and searchers against a second, recursive statement of what they mean, and against what
 * store/pattern.h promises of prefixes and plain texts. Input: the kind, the pattern, a line feed, the text.
 */
#include "base/utf8.h"
#include "store/pattern.h"

#include <stdlib.h>

#define SLOW_MAX 12 /* bytes for the one that takes exponential time */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool x)
{
    if (!x)
        abort();
}

static uint32_t lower(enum pattern_kind kind, uint32_t c)
{
    return kind == PATTERN_LIKE && c >= 'A' && c <= 'Z' ? c + 32 : c;
}

/* Without sets, and of characters, not bytes. */
static bool slow(enum pattern_kind kind, const uint32_t *p, size_t n, const uint32_t *t, size_t m)
{
    if (!n)
        return !m;
    if (p[0] == (kind == PATTERN_GLOB ? '*' : '%'))
        return slow(kind, p + 1, n - 1, t, m) || (m && slow(kind, p, n, t + 1, m - 1));
    return m && (p[0] == (kind == PATTERN_GLOB ? '?' : '_') || lower(kind, p[0]) == lower(kind, t[0])) &&
           slow(kind, p + 1, n - 1, t + 1, m - 1);
}

static size_t characters(struct str s, uint32_t out[SLOW_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; n++)
        i += utf8_decode(str_n(s.p + i, s.n - i), &out[n]);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 4096)
        return 0;
    struct str rest = str_n((const char *)data + 1, size - 1);
    ptrdiff_t line = str_find(rest, '\n');
    if (line < 0)
        return 0;
    struct pattern p = {data[0] & 1 ? PATTERN_LIKE : PATTERN_GLOB, str_n(rest.p, (size_t)line)};
    struct str text = str_n(rest.p + line + 1, rest.n - (size_t)line - 1), prefix = pattern_prefix(&p);
    bool fits = pattern_match(&p, text);
    if (!utf8_valid(p.text) || !utf8_valid(text)) /* bytes that are no characters are taken for some */
        return 0;
    require(!fits || str_starts(text, prefix));
    require(str_starts(p.text, prefix));
    if (pattern_is_plain(&p))
        require(fits == str_eq(p.text, text) || p.kind == PATTERN_LIKE);
    if (p.text.n <= SLOW_MAX && text.n <= SLOW_MAX && str_find(p.text, '[') < 0) {
        uint32_t a[SLOW_MAX], b[SLOW_MAX];
        size_t n = characters(p.text, a), m = characters(text, b);
        require(fits == slow(p.kind, a, n, b, m));
    }
    return 0;
}
