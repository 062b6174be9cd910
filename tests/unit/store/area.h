/* Test of one data area: each body runs in a store of its own, in both schemas. */
#ifndef TEST_STORE_AREA_H
#define TEST_STORE_AREA_H

#include "harness.h"

#define HOST S("a.example")
#define OTHER S("b.example")

static bool multihost;

/* Texts that would be SQL if they were ever pasted into a statement, patterns if they were ever one, and other odd ones. */
static const struct str odd_texts[] __attribute__((unused)) = {
    {"%", 1}, {"' OR '1'='1", 11}, {"\"; DROP TABLE users; --", 23}, {"_", 1}, {"*", 1}, {"a'b", 3}, {"a\\27b", 5}, {"{host=}", 7},
    {"\xd0\xbc\xd0\xb0\xd1\x80\xd0\xb8\xd1\x8f", 10}, {"\xf0\x9f\x98\x80", 4}, {"<a b='c'>&amp;\r\n</a>", 20},
};
/* What no column takes. */
static const struct str bad_texts[] __attribute__((unused)) = {{"a\0b", 3}, {"\0", 1}, {"\xff\xfe", 2}, {"\xc0\x80", 2}};

static inline void run_bodies(bool new_schema, void (*const *bodies)(void *), size_t n)
{
    multihost = new_schema;
    for (size_t i = 0; i < n; i++) {
        dir_setup(NULL);
        start_store(new_schema);
        run_on_fiber(1, bodies[i], NULL);
        store_stop();
        dir_teardown(NULL);
    }
}

#define AREA_TESTS(...)                                                                                    \
    static void (*const area_bodies[])(void *) = {__VA_ARGS__};                                            \
    static void default_schema(void **state) { run_bodies(false, area_bodies, ARRAY_LEN(area_bodies)); }   \
    static void new_schema(void **state) { run_bodies(true, area_bodies, ARRAY_LEN(area_bodies)); }
#define AREA_MAIN(...)                                                                                                     \
    int main(void)                                                                                                         \
    {                                                                                                                      \
        const struct CMUnitTest tests[] = {cmocka_unit_test(default_schema), cmocka_unit_test(new_schema), ##__VA_ARGS__}; \
        return cmocka_run_group_tests(tests, NULL, NULL);                                                                  \
    }

/* Past the store: for rows that only another server writes. */
#include <sqlite3.h>
static inline void raw_sql(const char *sql)
{
    sqlite3 *db = NULL;
    char *msg = NULL;

    CHECK_INT(sqlite3_open(in_dir("db.sqlite"), &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    if (sqlite3_exec(db, sql, NULL, NULL, &msg) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", sql, msg);
        abort();
    }
    sqlite3_close(db);
}

static inline long long raw_int(const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    long long n;

    CHECK_INT(sqlite3_open(in_dir("db.sqlite"), &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    CHECK_INT(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    CHECK_INT(sqlite3_step(s), SQLITE_ROW);
    n = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return n;
}

/* Another process has the database: what the store answers then, with the writer's patience running out. */
static inline sqlite3 *raw_lock(void)
{
    sqlite3 *db = NULL;

    CHECK_INT(sqlite3_open(in_dir("db.sqlite"), &db), SQLITE_OK);
    CHECK_INT(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

#endif
