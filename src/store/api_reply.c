/* Table cjabberd_api_reply. Suspends: everything public; the rest runs on the writer. */
#include "store/api_reply.h"

#include "store/db.h"

#define COUNT_EVERY 256 /* claims between two looks at how many entries there are */

struct reply_job {
    struct arena *a;
    struct str id;
    const struct api_reply *reply;
    int64_t now, expired;
    size_t keep;
    bool count;
    bool found;
    struct api_reply got;
};

static enum store_rc read_reply(struct sql_conn *c, struct reply_job *j)
{
    struct sql_query q;

    sql_start(c, STMT_api_reply_get, SQL_ARGS(V_STR(j->id)), &q);
    j->found = sql_next(&q);
    if (j->found)
        j->got = (struct api_reply){.request = arena_str(j->a, sql_text(&q, 0)), .run = arena_str(j->a, sql_text(&q, 1)),
                                    .status = (int)sql_int(&q, 2), .type = arena_str(j->a, sql_text(&q, 3)),
                                    .headers = arena_str(j->a, sql_text(&q, 4)), .body = arena_str(j->a, sql_text(&q, 5))};
    return sql_end(&q);
}

static enum store_rc expire(struct sql_conn *c, int64_t before)
{
    return sql_run(c, STMT_api_reply_expire, SQL_ARGS(V_INT(before)), NULL);
}

/* Entries of the same second as the first one that is too many go with it. */
static enum store_rc drop_oldest(struct sql_conn *c, size_t keep)
{
    struct sql_query q;
    int64_t created = 0;
    bool more;
    enum store_rc rc;

    sql_start(c, STMT_api_reply_nth, SQL_ARGS(V_INT((int64_t)keep)), &q);
    more = sql_next(&q);
    if (more)
        created = sql_int(&q, 0);
    rc = sql_end(&q);
    return rc == STORE_OK && more ? expire(c, created + 1) : rc;
}

static enum store_rc claim(struct sql_conn *c, void *arg)
{
    struct reply_job *j = arg;
    enum store_rc rc = expire(c, j->expired);

    if (rc == STORE_OK && j->count)
        rc = drop_oldest(c, j->keep);
    if (rc == STORE_OK)
        rc = read_reply(c, j);
    if (rc != STORE_OK || j->found)
        return rc == STORE_OK ? STORE_CONFLICT : rc;
    return sql_run(c, STMT_api_reply_insert,
                   SQL_ARGS(V_STR(j->id), V_STR(j->reply->request), V_STR(j->reply->run), V_INT(j->now)), NULL);
}

enum store_rc api_reply_claim(struct arena *a, struct str id, const struct api_reply *mine, int64_t now, int64_t expired,
                              size_t keep, struct api_reply *found_out)
{
    static unsigned claims;
    struct reply_job j = {.id = id, .reply = mine, .now = now, .expired = expired, .keep = keep};
    enum store_rc rc;

    j.count = __atomic_fetch_add(&claims, 1, __ATOMIC_RELAXED) % COUNT_EVERY == 0;
    /* The caller's arena may be in use by other fibers of its shard meanwhile: the writer gets one of its own. */
    j.a = arena_new();
    rc = store_write(claim, &j);
    if (rc == STORE_CONFLICT)
        *found_out = (struct api_reply){.request = arena_str(a, j.got.request), .run = arena_str(a, j.got.run),
                                        .status = j.got.status, .type = arena_str(a, j.got.type),
                                        .headers = arena_str(a, j.got.headers), .body = arena_str(a, j.got.body)};
    arena_release(&j.a);
    return rc;
}

static enum store_rc finish(struct sql_conn *c, void *arg)
{
    const struct reply_job *j = arg;
    const struct api_reply *r = j->reply;
    int64_t changes = 0;
    enum store_rc rc = sql_run(c, STMT_api_reply_finish, SQL_ARGS(V_INT(r->status), V_STR(r->type), V_STR(r->headers),
                                                                  V_STR(r->body), V_STR(j->id)), &changes);

    return rc == STORE_OK && changes == 0 ? STORE_NONE : rc;
}

enum store_rc api_reply_finish(struct str id, const struct api_reply *r)
{
    struct reply_job j = {.id = id, .reply = r};

    return store_text_ok(r->headers) && store_text_ok(r->body) ? store_write(finish, &j) : STORE_REFUSED;
}

static enum store_rc drop(struct sql_conn *c, void *arg)
{
    const struct reply_job *j = arg;

    return sql_run(c, STMT_api_reply_drop, SQL_ARGS(V_STR(j->id)), NULL);
}

enum store_rc api_reply_drop(struct str id)
{
    struct reply_job j = {.id = id};

    return store_write(drop, &j);
}
