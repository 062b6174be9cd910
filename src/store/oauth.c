/* Tables `oauth_token` and `oauth_client`. Suspends: everything public but oauth_token_clean_later. */
#include "store/oauth.h"

#include "base/log.h"
#include "base/mem.h"
#include "store/db.h"
#include <stdlib.h>

struct token_job {
    struct arena *a;
    struct str token;
    const struct oauth_token_row *row;
    struct oauth_token_row found, *rows;
    int64_t now_s;
    size_t limit, n;
};

static struct arena *secret_arena(void)
{
    struct arena *a = arena_new();

    arena_mark_secret(a);
    return a;
}

/* --- tokens --- */

static enum store_rc read_token(struct sql_conn *c, void *arg)
{
    struct token_job *j = arg;
    struct sql_query q;
    enum store_rc rc;
    bool found;

    sql_start(c, STMT_oauth_token_get, SQL_ARGS(V_STR(j->token)), &q);
    found = sql_next(&q);
    if (found)
        j->found = (struct oauth_token_row){.owner = arena_str(j->a, sql_text(&q, 0)), .scopes = arena_str(j->a, sql_text(&q, 1)),
                                            .expires_s = sql_int(&q, 2)};
    rc = sql_end(&q);
    return rc != STORE_OK ? rc : found ? STORE_OK : STORE_NONE;
}

enum store_rc oauth_token_get(struct arena *a, struct str token, struct oauth_token_row *out)
{
    struct token_job j = {.token = token};
    enum store_rc rc;

    if (!store_name_ok(token))
        return STORE_NONE;
    /* The caller's arena may be in use by other fibers of its shard meanwhile: the reader thread gets one of its own. */
    j.a = secret_arena();
    rc = store_read(read_token, &j);
    if (rc == STORE_OK)
        *out = (struct oauth_token_row){.token = arena_str(a, token), .owner = arena_str(a, j.found.owner),
                                        .scopes = arena_str(a, j.found.scopes), .expires_s = j.found.expires_s};
    arena_release(&j.a);
    return rc;
}

static enum store_rc insert_token(struct sql_conn *c, void *arg)
{
    const struct oauth_token_row *r = ((const struct token_job *)arg)->row;

    return sql_run(c, STMT_oauth_token_add,
                   SQL_ARGS(V_STR(r->token), V_STR(r->owner), V_STR(r->scopes), V_INT(r->expires_s)), NULL);
}

enum store_rc oauth_token_add(const struct oauth_token_row *row)
{
    struct token_job j = {.row = row};

    if (!store_name_ok(row->token) || !store_text_ok(row->owner) || !store_text_ok(row->scopes))
        return STORE_REFUSED;
    return store_write(insert_token, &j);
}

static enum store_rc delete_token(struct sql_conn *c, void *arg)
{
    const struct token_job *j = arg;
    int64_t changes = 0;
    enum store_rc rc = sql_run(c, STMT_oauth_token_delete, SQL_ARGS(V_STR(j->token)), &changes);

    return rc == STORE_OK && changes == 0 ? STORE_NONE : rc;
}

enum store_rc oauth_token_remove(struct str token)
{
    struct token_job j = {.token = token};

    return store_name_ok(token) ? store_write(delete_token, &j) : STORE_NONE;
}

enum store_rc oauth_token_forget_in(struct sql_conn *c, struct str host, struct str user, int64_t *n_out)
{
    struct arena *a = arena_new();
    struct str owner = user.n ? arena_printf(a, "%.*s@%.*s", STR_ARG(user), STR_ARG(host)) : host;
    enum store_rc rc;

    *n_out = 0;
    rc = sql_run(c, STMT_oauth_token_delete_of, SQL_ARGS(V_STR(owner)), n_out);
    arena_release(&a);
    return rc;
}

struct forget_job {
    struct str host, user;
    int64_t n;
};

static enum store_rc forget_all(struct sql_conn *c, void *arg)
{
    struct forget_job *j = arg;

    return oauth_token_forget_in(c, j->host, j->user, &j->n);
}

enum store_rc oauth_token_forget(struct str host, struct str user, int64_t *n_out)
{
    struct forget_job j = {.host = host, .user = user};
    enum store_rc rc = store_name_ok(host) && store_name_ok(user) ? store_write(forget_all, &j) : STORE_OK;

    *n_out = j.n;
    return rc;
}

static enum store_rc delete_old(struct sql_conn *c, void *arg)
{
    return sql_run(c, STMT_oauth_token_delete_old, SQL_ARGS(V_INT(*(const int64_t *)arg)), NULL);
}

void oauth_token_clean_later(int64_t now_s)
{
    int64_t *arg = mem_alloc(sizeof(*arg));

    *arg = now_s;
    store_write_later(delete_old, arg, store_done_free, "expired OAuth tokens");
}

static struct oauth_token_row *add_row(struct token_job *j)
{
    ARENA_MORE(j->a, j->rows, j->n);
    return &j->rows[j->n++];
}

static enum store_rc list_tokens(struct sql_conn *c, void *arg)
{
    struct token_job *j = arg;
    struct sql_query q;

    sql_start(c, STMT_oauth_token_list, SQL_ARGS(V_STR(j->token), V_INT(j->now_s), V_INT((int64_t)j->limit)), &q);
    while (sql_next(&q))
        *add_row(j) = (struct oauth_token_row){.token = arena_str(j->a, sql_text(&q, 0)), .owner = arena_str(j->a, sql_text(&q, 1)),
                                               .scopes = arena_str(j->a, sql_text(&q, 2)), .expires_s = sql_int(&q, 3)};
    return sql_end(&q);
}

enum store_rc oauth_token_list(struct arena *a, struct str after, int64_t now_s, size_t limit, struct oauth_token_row **out,
                               size_t *n_out)
{
    struct token_job j = {.a = secret_arena(), .token = after.p ? after : S(""), .now_s = now_s, .limit = limit};
    enum store_rc rc = store_read(list_tokens, &j);

    *out = NULL;
    *n_out = 0;
    if (rc != STORE_OK) {
        arena_release(&j.a);
        return rc;
    }
    arena_on_release(a, arena_drop, j.a);
    *out = j.rows;
    *n_out = j.n;
    return STORE_OK;
}

/* --- clients --- */

struct client_job {
    struct arena *a;
    struct str id, options;
    const struct oauth_client *client;
    struct oauth_client found;
};

static struct str grant_name(enum oauth_grant_type g)
{
    return g == OAUTH_GRANT_IMPLICIT ? S("implicit") : S("password");
}

static enum oauth_grant_type grant_named(struct str name)
{
    return str_eq(name, S("password")) ? OAUTH_GRANT_PASSWORD : str_eq(name, S("implicit")) ? OAUTH_GRANT_IMPLICIT
                                                                                             : OAUTH_GRANT_NONE;
}

static enum store_rc read_client(struct sql_conn *c, void *arg)
{
    struct client_job *j = arg;
    struct sql_query q;
    enum store_rc rc;
    bool found;

    sql_start(c, STMT_oauth_client_get, SQL_ARGS(V_STR(j->id)), &q);
    found = sql_next(&q);
    if (found) {
        j->found.name = arena_str(j->a, sql_text(&q, 0));
        j->found.grant = grant_named(sql_text(&q, 1));
        if (!oauth_client_read_options(j->a, sql_text(&q, 2), &j->found)) {
            LOG_LIMITED(WARNING, "store", NULL, "table oauth_client: the options of client '%.*s' are malformed", STR_ARG(j->id));
            j->found.grant = OAUTH_GRANT_NONE;
        }
    }
    rc = sql_end(&q);
    return rc != STORE_OK ? rc : found ? STORE_OK : STORE_NONE;
}

enum store_rc oauth_client_get(struct arena *a, struct str id, struct oauth_client *out)
{
    struct client_job j = {.id = id};
    enum store_rc rc;

    if (!store_name_ok(id))
        return STORE_NONE;
    j.a = secret_arena();
    rc = store_read(read_client, &j);
    if (rc == STORE_OK) {
        arena_mark_secret(a);
        *out = (struct oauth_client){.id = arena_str(a, id), .name = arena_str(a, j.found.name), .grant = j.found.grant,
                                     .secret = arena_str(a, j.found.secret), .redirect_uri = arena_str(a, j.found.redirect_uri)};
    }
    arena_release(&j.a);
    return rc;
}

static enum store_rc write_client(struct sql_conn *c, void *arg)
{
    const struct client_job *j = arg;
    const struct oauth_client *o = j->client;

    return sql_run(c, STMT_oauth_client_set,
                   SQL_ARGS(V_STR(o->id), V_STR(o->name), V_STR(grant_name(o->grant)), V_STR(j->options)), NULL);
}

enum store_rc oauth_client_set(const struct oauth_client *o)
{
    struct client_job j = {.a = secret_arena(), .client = o};
    enum store_rc rc = STORE_REFUSED;

    j.options = oauth_client_options(j.a, o);
    if (store_name_ok(o->id) && store_text_ok(o->name) && store_text_ok(o->secret) && store_text_ok(o->redirect_uri))
        rc = store_write(write_client, &j);
    arena_release(&j.a);
    return rc;
}

static enum store_rc delete_client(struct sql_conn *c, void *arg)
{
    const struct client_job *j = arg;
    int64_t changes = 0;
    enum store_rc rc = sql_run(c, STMT_oauth_client_delete, SQL_ARGS(V_STR(j->id)), &changes);

    return rc == STORE_OK && changes == 0 ? STORE_NONE : rc;
}

enum store_rc oauth_client_remove(struct str id)
{
    struct client_job j = {.id = id};

    return store_name_ok(id) ? store_write(delete_client, &j) : STORE_NONE;
}
