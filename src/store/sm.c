/* Tables `cj_sm_session` and `cj_sm_stanza`. Suspends: everything public but sm_acked_later. */
#include "store/sm.h"

#include "base/mem.h"
#include "store/rows.h"
#include "store/spool_inner.h"
#include "store/tally.h"

#include <stdlib.h>

static bool read_session(const struct sql_query *q, struct rows *r, void *row_out)
{
    *(struct sm_session *)row_out = (struct sm_session){
        .id = arena_str(r->a, sql_text(q, 0)),
        .host = arena_str(r->a, sql_text(q, 1)),
        .user = arena_str(r->a, sql_text(q, 2)),
        .resource = arena_str(r->a, sql_text(q, 3)),
        .handled = (uint32_t)sql_int(q, 4),
        .acked = (uint32_t)sql_int(q, 5),
        .expires_s = sql_int(q, 6),
        .data = arena_str(r->a, sql_text(q, 7)),
    };
    return true;
}

enum store_rc sm_add(const struct sm_session *s)
{
    if (!owner_ok(s->host, s->user) || !store_name_ok(s->resource) || !store_name_ok(s->id) || !s->id.n)
        return STORE_REFUSED;
    return ops_write(OPS(SQL_OP(STMT_sm_add, V_STR(s->id), V_STR(s->host), V_STR(s->user), V_STR(s->resource), V_INT(s->handled),
                                V_INT(s->acked), V_INT(s->expires_s), V_STR(s->data))), NULL);
}

enum store_rc sm_get(struct arena *a, struct str id, struct sm_session *out)
{
    struct rows r = ROWS(struct sm_session, STMT_sm_get, read_session, V_STR(id));

    return rows_one(a, &r, out);
}

static void next_session(struct rows *r, const void *last)
{
    r->args[0] = V_STR(((const struct sm_session *)last)->id);
}

enum store_rc sm_each(bool (*fn)(const struct sm_session *s, void *arg) YIELDS, void *arg)
{
    struct rows r = ROWS(struct sm_session, STMT_sm_list, read_session, V_STR(S("")), V_INT(0));
    const struct sm_session *s;

    r.advance = next_session;
    while ((s = rows_next(&r)) && fn(s, arg))
        continue;
    return rows_end(&r);
}

struct stanza_row {
    struct sm_stanza s;
    int64_t seq;
};

static bool read_stanza(const struct sql_query *q, struct rows *r, void *row_out)
{
    *(struct stanza_row *)row_out = (struct stanza_row){
        .seq = sql_int(q, 0),
        .s = {.h = (uint32_t)sql_int(q, 1), .sent_s = sql_int(q, 2), .xml = arena_str(r->a, sql_text(q, 3))},
    };
    return true;
}

static void next_stanza(struct rows *r, const void *last)
{
    r->args[1] = V_INT(((const struct stanza_row *)last)->seq);
}

enum store_rc sm_stanzas(struct str id, bool (*fn)(const struct sm_stanza *s, void *arg) YIELDS, void *arg)
{
    struct rows r = ROWS(struct stanza_row, STMT_sm_stanza_after, read_stanza, V_STR(id), V_INT(0), V_INT(0));
    const struct stanza_row *row;

    r.advance = next_stanza;
    while ((row = rows_next(&r)) && fn(&row->s, arg))
        continue;
    return rows_end(&r);
}

/* --- changes --- */

struct save {
    struct str id;
    const struct sm_change *c;
};

static enum store_rc append(struct sql_conn *c, const struct save *j)
{
    enum store_rc rc = STORE_OK;

    for (size_t i = 0; rc == STORE_OK && i < j->c->n_sent; i++) {
        const struct sm_stanza *s = &j->c->sent[i];
        rc = sql_run(c, STMT_sm_stanza_add, SQL_ARGS(V_STR(j->id), V_INT(s->h), V_INT(s->sent_s), V_STR(s->xml)), NULL);
    }
    return rc;
}

static enum store_rc acknowledge(struct sql_conn *c, struct str id, uint32_t acked)
{
    enum store_rc rc = sql_run(c, STMT_sm_stanza_acked, SQL_ARGS(V_STR(id), V_INT(acked)), NULL);

    return rc == STORE_OK ? sql_run(c, STMT_sm_set_acked, SQL_ARGS(V_INT(acked), V_STR(id)), NULL) : rc;
}

/* The stream must be there, or stanzas would be kept for nobody. */
static enum store_rc must_exist(struct sql_conn *c, struct str id)
{
    return row_int(c, STMT_sm_exists, SQL_ARGS(V_STR(id)), &(int64_t){0});
}

static enum store_rc save(struct sql_conn *c, void *arg)
{
    const struct save *j = arg;
    enum store_rc rc = must_exist(c, j->id);

    if (rc == STORE_OK)
        rc = append(c, j);
    if (rc == STORE_OK && j->c->has_acked)
        rc = acknowledge(c, j->id, j->c->acked);
    if (rc == STORE_OK && j->c->has_handled)
        rc = sql_run(c, STMT_sm_set_handled, SQL_ARGS(V_INT(j->c->handled), V_STR(j->id)), NULL);
    if (rc == STORE_OK && j->c->has_handled && j->c->has_done)
        rc = sql_run(c, STMT_sm_done_handled, SQL_ARGS(V_STR(j->id), V_INT(j->c->handled)), NULL);
    if (rc == STORE_OK && j->c->has_expiry)
        rc = sql_run(c, STMT_sm_set_expires, SQL_ARGS(V_INT(j->c->expires_s), V_STR(j->id)), NULL);
    if (rc == STORE_OK && j->c->data.p)
        rc = sql_run(c, STMT_sm_set_data, SQL_ARGS(V_STR(j->c->data), V_STR(j->id)), NULL);
    return rc;
}

static bool stanzas_ok(const struct sm_stanza *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!store_text_ok(s[i].xml))
            return false;
    return true;
}

enum store_rc sm_save(struct str id, const struct sm_change *c)
{
    struct save j = {id, c};

    if (!store_name_ok(id))
        return STORE_NONE;
    return stanzas_ok(c->sent, c->n_sent) && store_text_ok(c->data) ? store_write(save, &j) : STORE_REFUSED;
}

struct later {
    uint32_t acked;
    size_t n;
    char id[];
};

static enum store_rc acknowledge_later(struct sql_conn *c, void *arg)
{
    const struct later *l = arg;

    return acknowledge(c, str_n(l->id, l->n), l->acked);
}

void sm_acked_later(struct str id, uint32_t acked)
{
    struct later *l;

    if (!id.n || !store_name_ok(id))
        return;
    l = mem_alloc(sizeof(*l) + id.n);
    l->acked = acked;
    l->n = id.n;
    memcpy(l->id, id.p, id.n);
    store_write_later(acknowledge_later, l, store_done_free, "acknowledged stanzas of a stream");
}

/* --- the end --- */

static enum store_rc remove_in(struct sql_conn *c, struct str id)
{
    int64_t touched;
    enum store_rc rc = sql_run(c, STMT_sm_delete, SQL_ARGS(V_STR(id)), &touched);

    if (rc != STORE_OK || touched == 0)
        return rc == STORE_OK ? STORE_NONE : rc;
    rc = sql_run(c, STMT_sm_done_delete, SQL_ARGS(V_STR(id)), NULL);
    return rc == STORE_OK ? sql_run(c, STMT_sm_stanza_delete, SQL_ARGS(V_STR(id)), NULL) : rc;
}

struct burial {
    const struct sm_session *s;
    const struct sm_stanza *messages;
    size_t n;
    uint64_t max;
};

static enum store_rc bury(struct sql_conn *c, void *arg)
{
    const struct burial *j = arg;
    enum store_rc rc = remove_in(c, j->s->id);

    for (size_t i = 0; rc == STORE_OK && i < j->n; i++)
        rc = spool_add_in(c, j->s->host, j->s->user, j->messages[i].xml, j->messages[i].sent_s, j->max);
    return rc;
}

enum store_rc sm_remove_to_spool(const struct sm_session *s, const struct sm_stanza *messages, size_t n, uint64_t max)
{
    struct burial j = {s, messages, n, max};

    if (!owner_ok(s->host, s->user) || !store_name_ok(s->id) || !stanzas_ok(messages, n))
        return STORE_REFUSED;
    struct tally_key k = tally_key(TALLY_SPOOL, s->host, s->user);
    tally_forget(k);
    enum store_rc rc = store_write(bury, &j);
    tally_forget(k);
    return rc;
}

struct done_row {
    struct sm_done d;
    int64_t seq;
};

static bool read_done(const struct sql_query *q, struct rows *r, void *row_out)
{
    *(struct done_row *)row_out = (struct done_row){
        .seq = sql_int(q, 0),
        .d = {.id = arena_str(r->a, sql_text(q, 1)), .n = sql_int(q, 2), .host = arena_str(r->a, sql_text(q, 3)),
              .user = arena_str(r->a, sql_text(q, 4))},
    };
    return true;
}

static void next_done(struct rows *r, const void *last)
{
    r->args[0] = V_INT(((const struct done_row *)last)->seq);
}

enum store_rc sm_each_done(bool (*fn)(const struct sm_done *d, void *arg) YIELDS, void *arg)
{
    struct rows r = ROWS(struct done_row, STMT_sm_done_after, read_done, V_INT(0), V_INT(0));
    const struct done_row *row;

    r.advance = next_done;
    while ((row = rows_next(&r)) && fn(&row->d, arg))
        continue;
    return rows_end(&r);
}

static enum store_rc sweep_done(struct sql_conn *c, void *arg)
{
    (void)arg;
    return sql_run(c, STMT_sm_done_sweep, NULL, 0, NULL);
}

enum store_rc sm_sweep_done(void)
{
    return store_write(sweep_done, NULL);
}

enum store_rc sm_remove(struct str id)
{
    return sm_remove_to_spool(&(struct sm_session){.id = id}, NULL, 0, 0);
}

enum store_rc sm_expired(struct arena *a, int64_t now_s, size_t limit, struct sm_session **out, size_t *n_out)
{
    struct rows r = ROWS(struct sm_session, STMT_sm_expired, read_session, V_INT(now_s), V_INT((int64_t)limit));

    return rows_all(a, &r, (void **)out, n_out);
}
