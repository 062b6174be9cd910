/*
 * What the data areas have in common: rows of a statement brought to a fiber, all at once or page by page, and statements
 * that write together in one transaction. Only the files of this folder include this header.
 *
 *     struct rows r = ROWS(struct note, STMT_note_all, read_note, V_STR(host), V_STR(user));
 *     while ((note = rows_next(&r)))
 *         ...
 *     return rows_end(&r);
 */
#ifndef STORE_ROWS_H
#define STORE_ROWS_H

#include "store/db.h"

#define ROWS_ARGS_MAX 8
#define ROWS_PAGE 256          /* rows a page looks at; a LIMIT in the statement */
#define ROWS_PAGE_BYTES 262144 /* a page ends early behind the row that passes this */

struct rows {
    enum sql_stmt_id id;
    struct sql_value args[ROWS_ARGS_MAX];
    size_t n_args;
    size_t size; /* of a row */
    /* Reader thread: fills a zeroed row, texts in r->a. false: looked at and left out. */
    bool (*read)(const struct sql_query *q, struct rows *r, void *row_out);
    /*
     * Paging: puts the key of the last row looked at into args, which borrow it. The last argument is the LIMIT, and is set
     * here. NULL: the statement's rows are one page, which is for what is bounded otherwise.
     */
    void (*advance)(struct rows *r, const void *last);
    const void *ctx; /* of read */
    size_t page;     /* 0: ROWS_PAGE */
    /* The present page. */
    struct arena *a, *before;
    char *rows;
    size_t n, cap, at, looked_at;
    void *last;
    bool more;
    bool enough; /* read sets it: neither this row nor one behind it is wanted */
    enum store_rc rc;
};

#define ROWS(type, stmt, reader, ...)                                                                     \
    {.id = (stmt), .size = sizeof(type), .read = (reader), .more = true, .args = {__VA_ARGS__},          \
     .n_args = ARRAY_LEN(((const struct sql_value[]){__VA_ARGS__}))}

/* On a connection: the next page. */
enum store_rc rows_fetch(struct sql_conn *c, struct rows *r);
/* The next page; false at the end or when it failed. The rows of the one before are gone. */
bool rows_page(struct rows *r) YIELDS;
/* NULL at the end, or when it failed. Good until the next call. */
const void *rows_next(struct rows *r) YIELDS;
/* Always call it, after rows_page and rows_next. */
enum store_rc rows_end(struct rows *r);

/* The only row; its texts live as long as `a`. STORE_NONE when there is none. */
enum store_rc rows_one(struct arena *a, struct rows *r, void *row_out) YIELDS;
/* All rows of all pages into one array that lives as long as `a`. Nothing there: STORE_OK and 0. */
enum store_rc rows_all(struct arena *a, struct rows *r, void **rows_out, size_t *n_out) YIELDS;
/* The first page's memory goes to `a`. */
void rows_give(struct rows *r, struct arena *a);

/* The number of the first row, read by read_int or the like; 0 when there is none. */
enum store_rc rows_number(struct rows *r, int64_t *out) YIELDS;

/* Readers of rows that are one text, one number. */
bool read_str(const struct sql_query *q, struct rows *r, void *row_out);
bool read_int(const struct sql_query *q, struct rows *r, void *row_out);

/* On a connection: first column of the first row. STORE_NONE, and 0, when there is no row. */
enum store_rc row_int(struct sql_conn *c, enum sql_stmt_id id, const struct sql_value *args, size_t n, int64_t *out);

struct sql_op {
    enum sql_stmt_id id;
    const struct sql_value *args;
    size_t n;
};
#define SQL_OP(id, ...) ((struct sql_op){(id), SQL_ARGS(__VA_ARGS__)})

/* One after the other, up to the first failure; how many rows were touched in all. */
enum store_rc ops_run(struct sql_conn *c, const struct sql_op *ops, size_t n, int64_t *touched_out);
/* In one transaction. STORE_REFUSED when a text cannot be stored. */
enum store_rc ops_write(const struct sql_op *ops, size_t n, int64_t *touched_out) YIELDS;
#define OPS(...) (const struct sql_op[]){__VA_ARGS__}, ARRAY_LEN(((const struct sql_op[]){__VA_ARGS__}))
/* The same; STORE_NONE when no row was touched. */
enum store_rc ops_change(const struct sql_op *ops, size_t n) YIELDS;

static inline bool owner_ok(struct str host, struct str user) { return store_name_ok(host) && store_name_ok(user); }

/* "2026-01-31 12:34:56", UTC: what the columns created_at hold. */
#define STORE_TIME_LEN 20
struct str store_time_format(char buf[STORE_TIME_LEN], int64_t seconds);
/* 0 when it is no such text. */
int64_t store_time_parse(struct str text);

#endif
