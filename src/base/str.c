/* Byte slices: comparison, trimming, numbers, edit distance. Pure functions, any thread. */
#include "base/str.h"

/* Longest word the edit distance is computed for; option and command names are far shorter. */
#define DISTANCE_MAX 128

int str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    if (c)
        return c;
    return (a.n > b.n) - (a.n < b.n);
}

static unsigned char lower(char c)
{
    unsigned char u = (unsigned char)c;
    return u >= 'A' && u <= 'Z' ? (unsigned char)(u + 32) : u;
}

bool str_ieq_ascii(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str a)
{
    while (a.n && is_space(a.p[0])) {
        a.p++;
        a.n--;
    }
    while (a.n && is_space(a.p[a.n - 1]))
        a.n--;
    return a;
}

ptrdiff_t str_find(struct str a, char c)
{
    const char *at = a.n ? memchr(a.p, c, a.n) : NULL;
    return at ? at - a.p : -1;
}

bool str_split(struct str *rest, char sep, struct str *part_out)
{
    if (!rest->p)
        return false;
    ptrdiff_t at = str_find(*rest, sep);
    if (at < 0) {
        *part_out = *rest;
        *rest = STR_NULL;
        return true;
    }
    *part_out = str_n(rest->p, (size_t)at);
    rest->p += at + 1;
    rest->n -= (size_t)at + 1;
    return true;
}

bool str_to_i64(struct str a, int64_t *out)
{
    size_t i = 0;
    bool neg = false;
    int64_t v = 0;
    if (a.n && (a.p[0] == '-' || a.p[0] == '+'))
        neg = a.p[i++] == '-';
    if (i == a.n)
        return false;
    for (; i < a.n; i++) {
        int digit = a.p[i] - '0';
        if (digit < 0 || digit > 9)
            return false;
        /* Counted downwards, since the smallest value has no positive twin. */
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, digit, &v))
            return false;
    }
    if (!neg && v == INT64_MIN)
        return false;
    *out = neg ? v : -v;
    return true;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

unsigned str_distance(struct str a, struct str b, unsigned limit)
{
    unsigned row[DISTANCE_MAX + 1];
    size_t gap = a.n > b.n ? a.n - b.n : b.n - a.n;
    if (gap > limit || a.n > DISTANCE_MAX || b.n > DISTANCE_MAX)
        return limit + 1;
    for (size_t j = 0; j <= b.n; j++)
        row[j] = (unsigned)j;
    for (size_t i = 0; i < a.n; i++) {
        unsigned diagonal = row[0], least;
        least = row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < b.n; j++) {
            unsigned above = row[j + 1];
            row[j + 1] = min3(above + 1, row[j] + 1, diagonal + (a.p[i] != b.p[j]));
            diagonal = above;
            least = row[j + 1] < least ? row[j + 1] : least;
        }
        if (least > limit)
            return limit + 1;
    }
    return row[b.n] > limit ? limit + 1 : row[b.n];
}
