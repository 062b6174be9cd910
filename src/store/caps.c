/* Table `caps_features`. Suspends: everything public; the rest runs on the reader threads and the writer. */
#include "store/caps.h"

#include "store/rows.h"

struct caps_job {
    struct str node, ver;
    const struct str *features;
    size_t n;
};

enum store_rc caps_get(struct arena *a, struct str node, struct str ver, size_t max, struct str **out, size_t *n_out)
{
    struct rows r = ROWS(struct str, STMT_caps_get, read_str, V_STR(node), V_STR(ver), V_INT((int64_t)max));
    void *found = NULL;

    *n_out = 0;
    if (!store_text_ok(node) || !store_text_ok(ver))
        return STORE_NONE;
    enum store_rc rc = rows_all(a, &r, &found, n_out);
    *out = found;
    return rc == STORE_OK && *n_out == 0 ? STORE_NONE : rc;
}

static enum store_rc trim(struct sql_conn *c)
{
    int64_t rows = 0;
    enum store_rc rc = row_int(c, STMT_caps_count, NULL, 0, &rows);

    if (rc != STORE_OK || rows <= CAPS_STORED_MAX)
        return rc;
    return sql_run(c, STMT_caps_trim, SQL_ARGS(V_INT(CAPS_STORED_MAX / 4)), NULL);
}

static enum store_rc write_rows(struct sql_conn *c, void *arg)
{
    const struct caps_job *j = arg;
    enum store_rc rc = sql_run(c, STMT_caps_delete, SQL_ARGS(V_STR(j->node), V_STR(j->ver)), NULL);

    for (size_t i = 0; rc == STORE_OK && i < j->n; i++)
        rc = sql_run(c, STMT_caps_insert, SQL_ARGS(V_STR(j->node), V_STR(j->ver), V_STR(j->features[i])), NULL);
    return rc == STORE_OK ? trim(c) : rc;
}

enum store_rc caps_set(struct str node, struct str ver, const struct str *features, size_t n)
{
    struct caps_job j = {node, ver, features, n};

    if (!store_text_ok(node) || !store_text_ok(ver))
        return STORE_REFUSED;
    for (size_t i = 0; i < n; i++)
        if (!store_text_ok(features[i]))
            return STORE_REFUSED;
    return store_write(write_rows, &j);
}
