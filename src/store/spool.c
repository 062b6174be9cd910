/* Table `spool`. Suspends: everything public; the rest runs on the reader threads and the writer. */
#include "store/spool.h"

#include "store/delivered.h"
#include "store/spool_inner.h"
#include "store/tally.h"

#define LOOK_AT_MAX 10000
#define EXPIRE_MARK "jabber:x:expire"

static bool read_message(const struct sql_query *q, struct rows *r, void *row_out)
{
    struct spool_message *m = row_out;

    m->id = sql_int(q, 0);
    m->stored_s = store_time_parse(sql_text(q, 1));
    m->user = arena_str(r->a, sql_text(q, 2));
    m->xml = arena_str(r->a, sql_text(q, 3));
    return true;
}

enum store_rc spool_add_in(struct sql_conn *c, struct str host, struct str user, struct str xml, int64_t stored_s, uint64_t max)
{
    char time[STORE_TIME_LEN];
    int64_t have = 0;
    enum store_rc rc = STORE_OK;

    if (max && max <= INT64_MAX) {
        rc = delivered_remove(c, host, user);
        if (rc == STORE_OK)
            rc = row_int(c, STMT_spool_full, SQL_ARGS(V_STR(host), V_STR(user), V_INT((int64_t)max)), &have);
        if (rc == STORE_OK && (uint64_t)have >= max)
            rc = STORE_LIMIT;
    }
    if (rc != STORE_OK)
        return rc;
    return sql_run(c, STMT_spool_add,
                   SQL_ARGS(V_STR(host), V_STR(user), V_STR(xml), V_STR(store_time_format(time, stored_s))), NULL);
}

struct add {
    struct str host, user, xml;
    int64_t stored_s;
    uint64_t max;
    struct str id; /* absent: nobody asks twice */
    int64_t n;
    bool added;
};

static enum store_rc add(struct sql_conn *c, void *arg)
{
    struct add *j = arg;
    int64_t touched = 1;
    enum store_rc rc = STORE_OK;

    if (j->id.p)
        rc = sql_run(c, STMT_sm_done_add, SQL_ARGS(V_STR(j->id), V_INT(j->n), V_STR(j->host), V_STR(j->user)), &touched);
    j->added = touched != 0;
    if (rc != STORE_OK || touched == 0)
        return rc;
    return spool_add_in(c, j->host, j->user, j->xml, j->stored_s, j->max);
}

/* As far as anybody here knows: with all that are on their way there is room, so nothing has to be counted. */
static bool has_room(struct tally_key k, uint64_t max)
{
    uint64_t n;
    unsigned under_way;

    return tally_get(k, &n, &under_way) && n + under_way < max;
}

enum store_rc spool_add(struct str host, struct str user, struct str xml, int64_t stored_s, uint64_t max)
{
    struct tally_key k = tally_key(TALLY_SPOOL, host, user);
    struct add j = {.host = host, .user = user, .xml = xml, .stored_s = stored_s, .max = has_room(k, max) ? 0 : max};
    enum store_rc rc;

    if (!owner_ok(host, user) || !store_text_ok(xml))
        return STORE_REFUSED;
    tally_begin(k);
    rc = store_write(add, &j);
    tally_end(k, rc, 1);
    return rc;
}

enum store_rc spool_add_once(struct str host, struct str user, struct str xml, int64_t stored_s, uint64_t max, struct str id,
                             int64_t n)
{
    struct tally_key k = tally_key(TALLY_SPOOL, host, user);
    struct add j = {.host = host, .user = user, .xml = xml, .stored_s = stored_s, .max = has_room(k, max) ? 0 : max, .id = id,
                    .n = n};
    enum store_rc rc;

    if (!owner_ok(host, user) || !store_text_ok(xml) || !store_name_ok(id))
        return STORE_REFUSED;
    tally_begin(k);
    rc = store_write(add, &j);
    tally_end(k, rc, j.added);
    return rc;
}

enum store_rc spool_count(struct str host, struct str user, uint64_t *out)
{
    struct rows r = ROWS(int64_t, STMT_spool_count, read_int, V_STR(host), V_STR(user), V_INT(0));
    struct tally_key k = tally_key(TALLY_SPOOL, host, user);
    uint64_t look;
    int64_t n;
    enum store_rc rc;

    if (tally_get(k, out, NULL))
        return STORE_OK;
    look = tally_look(k);
    r.args[2] = V_INT(delivered_upto(host, user));
    rc = rows_number(&r, &n);
    *out = (uint64_t)n;
    if (rc == STORE_OK)
        tally_set(k, look, *out);
    return rc;
}

enum store_rc spool_get(struct arena *a, struct str host, struct str user, int64_t id, struct spool_message *out)
{
    struct rows r = ROWS(struct spool_message, STMT_spool_get, read_message, V_STR(host), V_STR(user), V_INT(id));

    return id > delivered_upto(host, user) ? rows_one(a, &r, out) : STORE_NONE;
}

static void behind(struct rows *r, const void *last)
{
    const struct spool_message *m = last;

    r->args[2] = V_INT(m->id);
}

enum store_rc spool_each(struct str host, struct str user, int64_t after,
                         bool (*fn)(const struct spool_message *m, void *arg) YIELDS, void *arg)
{
    struct rows r = ROWS(struct spool_message, STMT_spool_after, read_message, V_STR(host), V_STR(user), V_INT(after), V_INT(0));
    struct tally_key k = tally_key(TALLY_SPOOL, host, user);
    const struct spool_message *m;
    uint64_t look = tally_look(k), n;
    unsigned under_way;
    int64_t upto;
    bool none;
    enum store_rc rc;

    if (tally_get(k, &n, &under_way) && n + under_way == 0)
        return STORE_OK;
    r.advance = behind;
    upto = delivered_upto(host, user);
    if (upto > after)
        r.args[2] = V_INT(upto);
    m = rows_next(&r);
    none = !m && after == 0;
    while (m && fn(m, arg))
        m = rows_next(&r);
    rc = rows_end(&r);
    if (rc == STORE_OK && none)
        tally_set(k, look, 0);
    return rc;
}

static enum store_rc removed(enum store_rc rc, int64_t n, uint64_t *out)
{
    *out = rc == STORE_OK ? (uint64_t)n : 0;
    return rc == STORE_OK && n == 0 ? STORE_NONE : rc;
}

/* All up to an id; INT64_MAX: all. */
struct clearing {
    struct str host, user;
    int64_t upto, removed;
};

static enum store_rc clear(struct sql_conn *c, void *arg)
{
    struct clearing *j = arg;
    enum store_rc rc = delivered_remove(c, j->host, j->user); /* not counted */

    if (rc == STORE_OK)
        rc = sql_run(c, STMT_spool_delete_upto, SQL_ARGS(V_STR(j->host), V_STR(j->user), V_INT(j->upto)), &j->removed);
    return rc;
}

enum store_rc spool_remove_upto(struct str host, struct str user, int64_t id, uint64_t *removed_out)
{
    struct clearing j = {.host = host, .user = user, .upto = id};
    struct tally_key k = tally_key(TALLY_SPOOL, host, user);
    enum store_rc rc;

    tally_begin(k);
    rc = owner_ok(host, user) ? store_write(clear, &j) : STORE_REFUSED;
    tally_end(k, rc, -j.removed);
    return removed(rc, j.removed, removed_out);
}

enum store_rc spool_remove_all(struct str host, struct str user, uint64_t *removed_out)
{
    return spool_remove_upto(host, user, INT64_MAX, removed_out);
}

enum store_rc spool_delivered(struct str host, struct str user, int64_t id, int64_t stored_s, uint64_t *look)
{
    uint64_t none = SPOOL_LOOK_NONE;
    enum store_rc rc;

    if (!owner_ok(host, user))
        return STORE_REFUSED;
    if (!delivered_note(host, user, id, stored_s)) {
        rc = spool_remove_upto(host, user, id, &none);
        if (rc != STORE_OK && rc != STORE_NONE)
            delivered_hide(host, user, id); /* a later process would not know; this one does */
        none = SPOOL_LOOK_NONE;
    }
    tally_move(tally_key(TALLY_SPOOL, host, user), look ? look : &none);
    return STORE_OK;
}

uint64_t spool_look(struct str host, struct str user)
{
    return tally_look(tally_key(TALLY_SPOOL, host, user));
}

void spool_emptied(struct str host, struct str user, uint64_t look)
{
    tally_set(tally_key(TALLY_SPOOL, host, user), look, 0);
}

struct removal {
    struct str host, user; /* absent: whose they are has been looked at */
    const int64_t *ids;
    size_t n;
    int64_t job; /* 0: none */
    struct str position;
    int64_t removed;
};

static enum store_rc remove_one(struct sql_conn *c, const struct removal *j, int64_t id, int64_t *touched_out)
{
    if (!j->host.p)
        return sql_run(c, STMT_spool_delete_id, SQL_ARGS(V_INT(id)), touched_out);
    return sql_run(c, STMT_spool_delete, SQL_ARGS(V_STR(j->host), V_STR(j->user), V_INT(id)), touched_out);
}

static enum store_rc remove_ids(struct sql_conn *c, void *arg)
{
    struct removal *j = arg;
    enum store_rc rc = j->host.p ? delivered_remove(c, j->host, j->user) : STORE_OK;
    int64_t touched;

    j->removed = 0;
    for (size_t i = 0; rc == STORE_OK && i < j->n; i++) {
        rc = remove_one(c, j, j->ids[i], &touched);
        j->removed += touched;
    }
    return rc == STORE_OK && j->job ? job_progress(c, j->job, j->position, j->removed) : rc;
}

enum store_rc spool_remove(struct str host, struct str user, const int64_t *ids, size_t n, uint64_t *removed_out)
{
    struct removal j = {.host = host, .user = user, .ids = ids, .n = n};
    struct tally_key k = tally_key(TALLY_SPOOL, host, user);
    enum store_rc rc;

    tally_begin(k);
    rc = host.p && owner_ok(host, user) ? store_write(remove_ids, &j) : STORE_NONE;
    tally_end(k, rc, -j.removed);
    return removed(rc, j.removed, removed_out);
}

/* --- cleaning up a host --- */

static bool has_mark(struct str xml)
{
    return xml.n && memmem(xml.p, xml.n, EXPIRE_MARK, sizeof(EXPIRE_MARK) - 1);
}

/* Of a row that is left out only the id is kept. */
static bool read_sweep(const struct sql_query *q, struct rows *r, void *row_out)
{
    const struct spool_sweep *s = r->ctx;
    struct spool_message *m = row_out;

    m->id = sql_int(q, 0);
    if (q->conn->multihost && !str_eq(sql_text(q, 4), s->host))
        return false;
    if (m->id <= delivered_upto(s->host, sql_text(q, 2)))
        return false;
    if (s->before_s && store_time_parse(sql_text(q, 1)) >= s->before_s)
        return false;
    if (s->expiring && !has_mark(sql_text(q, 3)))
        return false;
    return read_message(q, r, row_out);
}

static void next_piece(struct rows *r, const void *last)
{
    const struct spool_message *m = last;

    r->args[0] = V_INT(m->id);
}

static enum store_rc sweep_page(struct spool_sweep *s, struct rows *r) YIELDS;
static enum store_rc sweep_page(struct spool_sweep *s, struct rows *r)
{
    const struct spool_message *m = (const struct spool_message *)(void *)r->rows;
    int64_t *ids = ARENA_ARRAY(r->a, int64_t, r->n + 1);
    struct removal j = {.ids = ids, .job = s->job};
    enum store_rc rc = STORE_OK;

    if (s->job)
        j.position = arena_printf(r->a, "%lld", (long long)((const struct spool_message *)r->last)->id);
    for (size_t i = 0; i < r->n; i++)
        if (!s->doomed || s->doomed(&m[i], s->arg))
            ids[j.n++] = m[i].id;
    if (j.n || j.job) {
        tally_begin_all(TALLY_SPOOL);
        rc = store_write(remove_ids, &j);
        tally_end_all(TALLY_SPOOL);
    }
    if (rc == STORE_OK)
        s->removed += (uint64_t)j.removed;
    return rc;
}

static enum store_rc fetch_piece(struct sql_conn *c, void *arg)
{
    return rows_fetch(c, arg);
}

enum store_rc spool_sweep(struct spool_sweep *s, size_t look_at)
{
    struct rows r = ROWS(struct spool_message, STMT_spool_scan, read_sweep, V_INT(s->at), V_INT(0));
    enum store_rc rc;

    r.advance = next_piece;
    r.ctx = s;
    r.page = look_at && look_at < LOOK_AT_MAX ? look_at : LOOK_AT_MAX;
    rc = store_read(fetch_piece, &r);
    if (rc == STORE_OK && (r.n || (s->job && r.looked_at)))
        rc = sweep_page(s, &r);
    if (rc == STORE_OK) {
        s->done = !r.more;
        if (r.looked_at)
            s->at = ((const struct spool_message *)r.last)->id;
    }
    rows_end(&r);
    return rc;
}

enum store_rc spool_sweep_count(const struct spool_sweep *s, uint64_t *out)
{
    struct rows r = ROWS(struct spool_message, STMT_spool_scan, read_sweep, V_INT(s->at), V_INT(0));

    r.advance = next_piece;
    r.ctx = s;
    r.page = LOOK_AT_MAX;
    *out = 0;
    while (rows_page(&r))
        *out += r.n;
    return rows_end(&r);
}
