/*
 * Paging of list results over HTTP: ?limit=N&after=CURSOR. A cursor is the place of the last row that was given, in the
 * order of the list, so that rows that come or go between two pages are neither given twice nor make others be left out.
 * Pure but for memory; parses what peers send.
 */
#ifndef ADMIN_HTTP_PAGE_H
#define ADMIN_HTTP_PAGE_H

#include "admin/args.h"

#define PAGE_LIMIT_MAX 10000
#define PAGE_KEY_MAX 240 /* bytes of a row's key in a cursor; rows alike in so many are counted */

struct http_page {
    size_t limit;           /* 0: all */
    struct str after;       /* key; absent: from the first row */
    uint32_t given;         /* of rows with this key so many were given already */
    bool more;              /* there was a row beyond the page */
    uint32_t passed;        /* of those */
    size_t rows;
    struct buf key, last;   /* of this row and of the last one taken */
    uint32_t last_count;
};

/*
 * Bytes that compare (memcmp, shorter first) as value_cmp compares the values, and that no two different values of a type
 * share: also fit for recognising equal arguments.
 */
void value_key(struct buf *out, const struct type *t, const struct value *v);

/*
 * Reads the two names from the query (raw is what was parsed from it; they are taken out) for a list result, but not where
 * the command has an argument so called. -1: c->failure says what is wrong. Fills c->page for commands that look at it.
 */
int page_read(struct cmd_call *c, struct raw_args *raw, struct http_page *p);
void page_deinit(struct http_page *p);
static inline bool page_asked(const struct http_page *p) { return p->limit || p->after.p; }

enum page_verdict { PAGE_TAKE, PAGE_SKIP, PAGE_FULL };
/* Rows in order of the list. */
enum page_verdict page_row(struct http_page *p, const struct type *el, const struct value *row);
/* Cursor for what follows; absent: that was all. */
struct str page_next(const struct http_page *p, struct arena *a);
/* false: no cursor. The key lives in `a`. */
bool page_parse_cursor(struct arena *a, struct str text, struct http_page *p);

#endif
