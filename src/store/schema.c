/*
 * Walks schema.def: what is missing is created, what is older is stepped up, what does not fit is refused in words.
 * Versions are kept where ejabberd keeps them: table schema_version (module, version), a row per area.
 * Runs once in store_start, on its thread. Left out: converting the default schema into the new one.
 */
#include "store/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name, *table, *columns;
    bool shared; /* no server_host in either schema */
} areas[] = {
#define AREA(name, table, columns) {name, table, columns, false},
#define AREA_SHARED(name, table, columns) {name, table, columns, true},
#include "store/schema.def"
};

static const struct step {
    const char *name;
    int64_t from, to;
    const char *text_default, *text_new;
} steps[] = {
#define STEP(name, from, to, text_default, text_new) {name, from, to, text_default, text_new},
#include "store/schema.def"
};

static const char own_indexes[] = ""
#define INDEX(name, on) "CREATE INDEX IF NOT EXISTS " name " ON " on ";"
#include "store/schema.def"
    ;

static int64_t newest(const char *area)
{
    int64_t to = 0;

    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        if (strcmp(steps[i].name, area) == 0 && steps[i].to > to)
            to = steps[i].to;
    return to;
}

/* 0 when there is no row. */
static int read_version(struct sql_conn *c, const char *area, int64_t *version_out, struct error *err)
{
    struct sql_stmt *s = NULL;
    struct sql_value name = V_STR(str_of(area));
    enum sql_rc rc = c->driver->prepare(c, "SELECT version FROM schema_version WHERE module = ?", 1, &s);

    *version_out = 0;
    if (rc == SQL_DONE)
        rc = c->driver->bind(c, s, 0, &name);
    if (rc == SQL_DONE)
        rc = c->driver->step(c, s);
    if (rc == SQL_ROW)
        *version_out = c->driver->integer(s, 0);
    if (s)
        c->driver->finalize(s);
    return rc == SQL_ROW || rc == SQL_DONE ? 0 : sql_error(c, rc, "table schema_version", err);
}

static int write_version(struct sql_conn *c, const char *area, int64_t version, struct error *err)
{
    char text[256];
    enum sql_rc rc;

    /* Names are ours, not a peer's. */
    snprintf(text, sizeof(text), "DELETE FROM schema_version WHERE module = '%s';"
             "INSERT INTO schema_version (module, version) VALUES ('%s', %" PRId64 ");", area, area, version);
    rc = c->driver->exec(c, text);
    return rc == SQL_DONE ? 0 : sql_error(c, rc, "table schema_version", err);
}

static bool has_first_column(struct sql_conn *c, const char *table, const char *columns)
{
    char name[64];

    snprintf(name, sizeof(name), "%.*s", (int)strcspn(columns, " "), columns);
    return c->driver->has_column(c, table, name);
}

static int check_layout(struct sql_conn *c, size_t i, struct error *err)
{
    const char *table = areas[i].table;
    struct str rest = str_of(areas[i].columns), column;
    char name[64];

    if (!areas[i].shared && c->driver->has_column(c, table, "server_host") != c->multihost)
        return err_set(err, ERR_CONFIG, "table %s has the %s schema: set new_sql_schema to %s", table,
                       c->multihost ? "default" : "new", c->multihost ? "false" : "true");
    while (str_split(&rest, ' ', &column)) {
        snprintf(name, sizeof(name), "%.*s", STR_ARG(column));
        if (!c->driver->has_column(c, table, name))
            return err_set(err, ERR_CONFIG, "table %s has no column %s: it was made by a version older than ejabberd 25.03",
                           table, name);
    }
    return 0;
}

static const struct step *step_from(const char *area, int64_t version)
{
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        if (strcmp(steps[i].name, area) == 0 && steps[i].from == version)
            return &steps[i];
    return NULL;
}

static int step_up(struct sql_conn *c, const char *area, int64_t have, struct error *err)
{
    while (have < newest(area)) {
        const struct step *step = step_from(area, have);
        enum sql_rc rc;
        if (!step)
            return err_set(err, ERR_CONFIG, "schema version %" PRId64 " of %s is too old: version %" PRId64
                           " (ejabberd 25.03) is the first that can be read", have, area, newest(area));
        rc = c->driver->exec(c, c->multihost ? step->text_new : step->text_default);
        if (rc != SQL_DONE)
            return sql_error(c, rc, area, err);
        have = step->to;
        if (write_version(c, area, have, err) != 0)
            return -1;
    }
    return 0;
}

static int ensure_area(struct sql_conn *c, size_t i, struct error *err)
{
    int64_t have, want = newest(areas[i].name);
    bool exists = has_first_column(c, areas[i].table, areas[i].columns);

    if (read_version(c, areas[i].name, &have, err) != 0)
        return -1;
    if (have > want)
        return err_set(err, ERR_CONFIG, "schema version %" PRId64 " of %s is newer than this server knows (%" PRId64 ")",
                       have, areas[i].name, want);
    /* ejabberd writes a version row when the module is first used, which may be before or after its table was made. */
    if (have && !exists)
        have = 0;
    if (!have && exists) {
        have = want;
        if (check_layout(c, i, err) != 0 || write_version(c, areas[i].name, have, err) != 0)
            return -1;
    }
    if (step_up(c, areas[i].name, have, err) != 0)
        return -1;
    return check_layout(c, i, err);
}

static int ensure_indexes(struct sql_conn *c, struct error *err)
{
    char *text = sql_expand(own_indexes, c->multihost);
    enum sql_rc rc = c->driver->exec(c, text);

    free(text);
    return rc == SQL_DONE ? 0 : sql_error(c, rc, "own indexes", err);
}

static int ensure_all(struct sql_conn *c, struct error *err)
{
    enum sql_rc rc = c->driver->exec(c, "CREATE TABLE IF NOT EXISTS schema_version ("
                                        "module text NOT NULL, version bigint NOT NULL);"
                                        "CREATE UNIQUE INDEX IF NOT EXISTS i_schema_version_module ON schema_version(module);");

    if (rc != SQL_DONE)
        return sql_error(c, rc, "table schema_version", err);
    for (size_t i = 0; i < ARRAY_LEN(areas); i++)
        if (ensure_area(c, i, err) != 0)
            return -1;
    return ensure_indexes(c, err);
}

int schema_ensure(struct sql_conn *c, struct error *err)
{
    enum sql_rc rc = c->driver->begin(c);

    if (rc != SQL_DONE)
        return sql_error(c, rc, "schema", err);
    if (ensure_all(c, err) != 0) {
        c->driver->rollback(c);
        return -1;
    }
    rc = c->driver->commit(c);
    return rc == SQL_DONE ? 0 : sql_error(c, rc, "schema", err);
}
