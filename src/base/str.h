/*
 * Byte slices. A `struct str` borrows: it never owns and is never NUL-terminated unless a comment says so.
 * {NULL, 0} is "absent", {non-NULL, 0} is "empty"; str_eq treats both alike.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

#define STR_NULL ((struct str){NULL, 0})
/* Slice of a string literal. */
#define S(lit) ((struct str){"" lit, sizeof(lit) - 1})
/* For printf: "%.*s", STR_ARG(s) */
#define STR_ARG(s) (int)(s).n, (s).p ? (s).p : ""

static inline struct str str_of(const char *cstr) { return (struct str){cstr, cstr ? strlen(cstr) : 0}; }
static inline struct str str_n(const char *p, size_t n) { return (struct str){p, n}; }
static inline bool str_eq(struct str a, struct str b) { return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0); }
static inline bool str_empty(struct str a) { return a.n == 0; }
static inline bool str_starts(struct str a, struct str prefix)
{
    return a.n >= prefix.n && memcmp(a.p, prefix.p, prefix.n) == 0;
}

/* memcmp order, a shorter prefix first. */
int str_cmp(struct str a, struct str b);
bool str_ieq_ascii(struct str a, struct str b);
/* Without leading and trailing space, tab, CR, LF. */
struct str str_trim(struct str a);
/* Position of c, or -1. */
ptrdiff_t str_find(struct str a, char c);
/* Cuts the part before the first `sep` off *rest; false when *rest is absent. The last part leaves *rest absent. */
bool str_split(struct str *rest, char sep, struct str *part_out);
/* Strict decimal integer, whole slice, optional sign; false on overflow or anything else. */
bool str_to_i64(struct str a, int64_t *out);
/* Edit distance (insert, delete, substitute), for "did you mean"; cost above `limit` is reported as limit + 1. */
unsigned str_distance(struct str a, struct str b, unsigned limit);

#endif
