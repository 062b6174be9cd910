/*
 * Statement table and running of statements, the part that is the same for every driver.
 * Runs on reader threads and the writer thread; never suspends. Transactions are the writer's (store/writer.c).
 */
#include "store/sql.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name, *params, *text;
} table[STMT__COUNT] = {
#define STMT(id, params, text) [STMT_##id] = {#id, params, text},
#include "store/statements.def"
#undef STMT
};

const struct sql_driver *sql_driver_find(const char *name)
{
    static const struct sql_driver *const drivers[] = {&sqlite_driver};

    for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
        if (strcmp(drivers[i]->name, name) == 0)
            return drivers[i];
    return NULL;
}

enum store_rc sql_store_rc(enum sql_rc rc)
{
    switch (rc) {
    case SQL_DONE:
    case SQL_ROW:
        return STORE_OK;
    case SQL_DUPLICATE:
        return STORE_CONFLICT;
    default:
        return STORE_UNAVAILABLE;
    }
}

int sql_error(struct sql_conn *c, enum sql_rc rc, const char *what, struct error *err)
{
    static const char *const words[SQL_FAILED + 1] = {
        [SQL_LOCKED] = "locked by another process: ",
        [SQL_FULL] = "the disk is full: ",
        [SQL_READONLY] = "read-only, but the server must be able to write to the file and its folder: ",
        [SQL_DAMAGED] = "not a database, or a damaged one: ",
    };
    bool passes = rc == SQL_LOCKED || rc == SQL_FULL;

    return err_set(err, passes ? ERR_UNAVAILABLE : ERR_IO, "%s: %s%s", what, words[rc] ? words[rc] : "", c->message);
}

char *sql_expand(const char *text, bool multihost)
{
    static const struct {
        const char *marker, *text;
    } markers[] = {{"{host=}", "server_host = ? AND "}, {"{host,}", "server_host, "}, {"{?,}", "?, "}};
    struct buf b = BUF_INIT;

    while (*text) {
        size_t i = 0;
        while (i < ARRAY_LEN(markers) && strncmp(text, markers[i].marker, strlen(markers[i].marker)) != 0)
            i++;
        if (i == ARRAY_LEN(markers)) {
            buf_add_c(&b, *text++);
            continue;
        }
        if (multihost)
            buf_add_str(&b, str_of(markers[i].text));
        text += strlen(markers[i].marker);
    }
    buf_add_c(&b, 0);
    return b.p;
}

static unsigned param_count(const char *params, bool multihost)
{
    unsigned n = 0;

    for (; *params; params++)
        n += multihost || *params != 'h';
    return n;
}

static enum sql_rc prepare(struct sql_conn *c, enum sql_stmt_id id)
{
    enum sql_rc rc = SQL_DONE;

    if (!c->stmts[id]) {
        char *text = sql_expand(table[id].text, c->multihost);
        rc = c->driver->prepare(c, text, param_count(table[id].params, c->multihost), &c->stmts[id]);
        free(text);
    }
    return rc;
}

int sql_prepare_all(struct sql_conn *c, struct error *err)
{
    for (unsigned id = 0; id < STMT__COUNT; id++) {
        if (prepare(c, id) != SQL_DONE)
            return err_set(err, ERR_UNAVAILABLE, "statement %s: %s", table[id].name, c->message);
        /* Memory for the few that this connection will use, not for all there are. */
        c->driver->finalize(c->stmts[id]);
        c->stmts[id] = NULL;
    }
    return 0;
}

void sql_close(struct sql_conn **c)
{
    if (!*c)
        return;
    for (unsigned id = 0; id < STMT__COUNT; id++)
        if ((*c)->stmts[id])
            (*c)->driver->finalize((*c)->stmts[id]);
    (*c)->driver->close(*c);
    *c = NULL;
}

static void failed(struct sql_query *q, enum sql_rc rc)
{
    q->rc = rc;
    /* A duplicate is an answer, not an accident. */
    if (rc != SQL_DUPLICATE)
        LOG_LIMITED(ERROR, "store", NULL, "statement %s: %s", table[q->id].name, q->conn->message);
}

void sql_start(struct sql_conn *c, enum sql_stmt_id id, const struct sql_value *args, size_t n, struct sql_query *q_out)
{
    const char *params = table[id].params;
    enum sql_rc rc = prepare(c, id);

    *q_out = (struct sql_query){.conn = c, .stmt = c->stmts[id], .id = id, .rc = SQL_DONE};
    if (n != strlen(params)) {
        fprintf(stderr, "store: statement %s takes %zu arguments, not %zu\n", table[id].name, strlen(params), n);
        abort();
    }
    for (unsigned i = 0, at = 0; rc == SQL_DONE && i < n; i++)
        if (params[i] != 'h' || c->multihost)
            rc = c->driver->bind(c, q_out->stmt, at++, &args[i]);
    if (rc != SQL_DONE)
        failed(q_out, rc);
}

bool sql_next(struct sql_query *q)
{
    enum sql_rc rc;

    if (q->rc != SQL_DONE)
        return false;
    rc = q->conn->driver->step(q->conn, q->stmt);
    if (rc != SQL_DONE && rc != SQL_ROW)
        failed(q, rc);
    return rc == SQL_ROW;
}

struct str sql_text(const struct sql_query *q, unsigned column)
{
    return q->conn->driver->text(q->stmt, column);
}

int64_t sql_int(const struct sql_query *q, unsigned column)
{
    return q->conn->driver->integer(q->stmt, column);
}

enum store_rc sql_end(struct sql_query *q)
{
    if (q->stmt)
        q->conn->driver->reset(q->stmt);
    return sql_store_rc(q->rc);
}

enum store_rc sql_run(struct sql_conn *c, enum sql_stmt_id id, const struct sql_value *args, size_t n, int64_t *changes_out)
{
    struct sql_query q;

    sql_start(c, id, args, n, &q);
    while (sql_next(&q))
        continue;
    if (changes_out)
        *changes_out = q.rc == SQL_DONE ? c->driver->changes(c) : 0;
    return sql_end(&q);
}
