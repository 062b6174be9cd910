/*
 * Table `users`: a row per stored form of an account's password. Suspends: everything public; the rest runs on the reader
 * threads and the writer. What is read is marked secret and wiped with its arena.
 */
#include "store/users.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/db.h"
#include "store/oauth.h"
#include "store/private.h"
#include "store/tally.h"

/* Column type. 0: a row of a database that was converted without one. */
enum { TYPE_NONE, TYPE_PLAIN, TYPE_SHA1 };

#define STATUS_NEW S("Registered but didn't login")
/* More would only serve to keep the server busy (xmpp/scram.h refuses them too). */
#define ITERATIONS_MAX 10000000

struct user_job {
    struct arena *a;
    struct str host, user;
    const struct user_creds *creds;
    const struct private_element *with; /* NULL: nothing */
    struct user_creds found;
    int64_t tokens; /* of OAuth, that went */
};

static bool read_scram(struct arena *a, const struct sql_query *q, enum scram_hash h, struct scram_keys *out)
{
    int64_t iterations = sql_int(q, 4);

    out->hash = h;
    if (iterations < 1 || iterations > ITERATIONS_MAX || !base64_decode(a, sql_text(q, 1), &out->stored_key) ||
        !base64_decode(a, sql_text(q, 2), &out->server_key) || !base64_decode(a, sql_text(q, 3), &out->salt) ||
        out->stored_key.n != scram_digest_len(h) || out->server_key.n != scram_digest_len(h) || out->salt.n == 0)
        return false;
    out->iterations = (unsigned)iterations;
    return true;
}

static void read_form(struct arena *a, const struct sql_query *q, struct user_creds *out)
{
    int64_t type = sql_int(q, 0);
    struct scram_keys keys = {0};

    if (type == TYPE_NONE)
        type = sql_int(q, 4) > 0 ? TYPE_SHA1 : TYPE_PLAIN;
    if (type == TYPE_PLAIN) {
        out->has_plain = true;
        out->plain = arena_str(a, sql_text(q, 1));
    } else if (type >= TYPE_SHA1 && type < TYPE_SHA1 + (int64_t)ARRAY_LEN(out->scram) &&
               read_scram(a, q, (enum scram_hash)(type - TYPE_SHA1), &keys)) {
        out->scram[keys.hash] = keys;
    } else {
        LOG_LIMITED(WARNING, "store", NULL, "table users: a row of type %d is malformed", (int)type);
    }
}

static enum store_rc read_user(struct sql_conn *c, void *arg)
{
    struct user_job *j = arg;
    struct sql_query q;
    enum store_rc rc;
    bool any = false;

    sql_start(c, STMT_users_get, SQL_ARGS(V_STR(j->host), V_STR(j->user)), &q);
    while (sql_next(&q)) {
        any = true;
        read_form(j->a, &q, &j->found);
    }
    rc = sql_end(&q);
    return rc != STORE_OK ? rc : any ? STORE_OK : STORE_NONE;
}

static struct scram_keys copy_keys(struct arena *a, const struct scram_keys *k)
{
    struct scram_keys copy = *k;

    if (k->iterations) {
        copy.salt = arena_str(a, k->salt);
        copy.stored_key = arena_str(a, k->stored_key);
        copy.server_key = arena_str(a, k->server_key);
    }
    return copy;
}

enum store_rc users_get(struct arena *a, struct str host, struct str user, struct user_creds *out)
{
    struct user_job j = {.host = host, .user = user};
    enum store_rc rc;

    if (!store_name_ok(host) || !store_name_ok(user))
        return STORE_NONE;
    /* The caller's arena may be in use by other fibers of its shard meanwhile: the reader thread gets one of its own. */
    j.a = arena_new();
    arena_mark_secret(j.a);
    rc = store_read(read_user, &j);
    if (rc == STORE_OK) {
        arena_mark_secret(a);
        *out = j.found;
        if (out->has_plain)
            out->plain = arena_str(a, out->plain);
        for (size_t i = 0; i < ARRAY_LEN(out->scram); i++)
            out->scram[i] = copy_keys(a, &j.found.scram[i]);
    }
    arena_release(&j.a);
    return rc;
}

static enum store_rc insert_forms(struct sql_conn *c, const struct user_job *j, struct arena *a)
{
    const struct user_creds *u = j->creds;
    enum store_rc rc = STORE_OK;

    if (u->has_plain)
        rc = sql_run(c, STMT_users_insert, SQL_ARGS(V_STR(j->host), V_STR(j->user), V_INT(TYPE_PLAIN), V_STR(u->plain),
                                                    V_STR(S("")), V_STR(S("")), V_INT(0)), NULL);
    for (size_t i = 0; rc == STORE_OK && i < ARRAY_LEN(u->scram); i++) {
        const struct scram_keys *k = &u->scram[i];
        if (!k->iterations)
            continue;
        rc = sql_run(c, STMT_users_insert, SQL_ARGS(V_STR(j->host), V_STR(j->user), V_INT(TYPE_SHA1 + (int64_t)i),
                                                    V_STR(base64_encode(a, k->stored_key)), V_STR(base64_encode(a, k->server_key)),
                                                    V_STR(base64_encode(a, k->salt)), V_INT(k->iterations)), NULL);
    }
    return rc;
}

static enum store_rc insert_user(struct sql_conn *c, const struct user_job *j)
{
    struct arena *a = arena_new();
    enum store_rc rc;

    arena_mark_secret(a);
    rc = insert_forms(c, j, a);
    arena_release(&a);
    return rc;
}

/* When the account was made; STORE_NONE when there is none. */
static enum store_rc read_created(struct sql_conn *c, const struct user_job *j, struct arena *a, struct str *out)
{
    struct sql_query q;
    enum store_rc rc;
    bool found;

    sql_start(c, STMT_users_created, SQL_ARGS(V_STR(j->host), V_STR(j->user)), &q);
    found = sql_next(&q);
    if (found)
        *out = arena_str(a, sql_text(&q, 0));
    rc = sql_end(&q);
    return rc != STORE_OK ? rc : found ? STORE_OK : STORE_NONE;
}

static enum store_rc add_user(struct sql_conn *c, void *arg)
{
    const struct user_job *j = arg;
    struct arena *a = arena_new();
    struct str created;
    enum store_rc rc = read_created(c, j, a, &created);

    arena_release(&a);
    if (rc != STORE_NONE)
        return rc == STORE_OK ? STORE_CONFLICT : rc;
    rc = insert_user(c, j);
    return rc == STORE_OK ? last_write(c, j->host, j->user, (int64_t)clock_wall_s(), STATUS_NEW) : rc;
}

static enum store_rc replace_forms(struct sql_conn *c, const struct user_job *j, struct str created)
{
    enum store_rc rc = sql_run(c, STMT_users_delete, SQL_ARGS(V_STR(j->host), V_STR(j->user)), NULL);

    if (rc == STORE_OK)
        rc = insert_user(c, j);
    if (rc == STORE_OK)
        rc = sql_run(c, STMT_users_set_created, SQL_ARGS(V_STR(created), V_STR(j->host), V_STR(j->user)), NULL);
    return rc;
}

static enum store_rc write_with(struct sql_conn *c, const struct user_job *j)
{
    const struct private_element *e = j->with;

    if (!e->xml.p)
        return sql_run(c, STMT_private_delete, SQL_ARGS(V_STR(j->host), V_STR(j->user), V_STR(e->ns)), NULL);
    return sql_run(c, STMT_private_set, SQL_ARGS(V_STR(j->host), V_STR(j->user), V_STR(e->ns), V_STR(e->xml)), NULL);
}

static enum store_rc set_user(struct sql_conn *c, void *arg)
{
    const struct user_job *j = arg;
    struct arena *a = arena_new();
    struct str created;
    enum store_rc rc = read_created(c, j, a, &created);

    if (rc == STORE_OK)
        rc = replace_forms(c, j, created);
    arena_release(&a);
    return rc == STORE_OK && j->with ? write_with(c, j) : rc;
}

static enum store_rc forget_tokens(struct sql_conn *c, struct user_job *j)
{
    enum store_rc rc = sql_run(c, STMT_fast_forget, SQL_ARGS(V_STR(j->host), V_STR(j->user)), NULL);

    return rc == STORE_OK ? oauth_token_forget_in(c, j->host, j->user, &j->tokens) : rc;
}

/* Whoever knew the old password may have got tokens with it. */
static enum store_rc change_user(struct sql_conn *c, void *arg)
{
    enum store_rc rc = set_user(c, arg);

    return rc == STORE_OK ? forget_tokens(c, arg) : rc;
}

static bool storable(const struct user_creds *c)
{
    bool any = c->has_plain;

    for (size_t i = 0; i < ARRAY_LEN(c->scram); i++)
        any = any || c->scram[i].iterations;
    return any && (!c->has_plain || store_text_ok(c->plain));
}

static enum store_rc write_creds(store_fn fn, struct user_job *j) YIELDS;
static enum store_rc write_creds(store_fn fn, struct user_job *j)
{
    bool ok = store_name_ok(j->host) && store_name_ok(j->user) && storable(j->creds);

    if (ok && j->with)
        ok = store_text_ok(j->with->ns) && store_text_ok(j->with->xml);
    return ok ? store_write(fn, j) : STORE_REFUSED;
}

enum store_rc users_add(struct str host, struct str user, const struct user_creds *c)
{
    struct tally_key k = tally_key(TALLY_USERS, host, STR_NULL);
    enum store_rc rc;

    tally_begin(k);
    rc = write_creds(add_user, &(struct user_job){.host = host, .user = user, .creds = c});
    tally_end(k, rc, 1);
    return rc;
}

enum store_rc users_set(struct str host, struct str user, const struct user_creds *c)
{
    return users_set_with(host, user, c, NULL, NULL);
}

enum store_rc users_set_with(struct str host, struct str user, const struct user_creds *c, const struct private_element *with,
                             int64_t *tokens_out)
{
    struct tally_key k = tally_key_of(TALLY_PRIVATE, host, user, with ? with->ns : S(""));
    struct user_job j = {.host = host, .user = user, .creds = c, .with = with};
    enum store_rc rc;

    tally_forget(k);
    rc = write_creds(change_user, &j);
    tally_forget(k);
    if (tokens_out)
        *tokens_out = j.tokens;
    return rc;
}

struct keys_job {
    struct user_job user;
    const struct scram_keys *known, *add;
};

static enum store_rc add_checked(struct sql_conn *c, struct keys_job *k)
{
    const struct scram_keys *there = &k->user.found.scram[k->known->hash];
    struct user_creds form = {0};
    struct str created;
    enum store_rc rc;

    if (!there->iterations || !str_eq(there->stored_key, k->known->stored_key))
        return STORE_CONFLICT;
    if (k->user.found.has_plain || k->user.found.scram[k->add->hash].iterations)
        return STORE_OK;
    form.scram[k->add->hash] = *k->add;
    k->user.creds = &form;
    rc = read_created(c, &k->user, k->user.a, &created);
    if (rc == STORE_OK)
        rc = insert_user(c, &k->user);
    if (rc == STORE_OK)
        rc = sql_run(c, STMT_users_set_created, SQL_ARGS(V_STR(created), V_STR(k->user.host), V_STR(k->user.user)), NULL);
    return rc;
}

static enum store_rc add_keys(struct sql_conn *c, void *arg)
{
    struct keys_job *k = arg;
    enum store_rc rc;

    k->user.found = (struct user_creds){0}; /* it may be the second try */
    k->user.a = arena_new();
    arena_mark_secret(k->user.a);
    rc = read_user(c, &k->user);
    if (rc == STORE_OK)
        rc = add_checked(c, k);
    arena_release(&k->user.a);
    return rc;
}

enum store_rc users_add_keys(struct str host, struct str user, const struct scram_keys *known, const struct scram_keys *add)
{
    struct keys_job k = {.user = {.host = host, .user = user}, .known = known, .add = add};

    return store_name_ok(host) && store_name_ok(user) && add->iterations ? store_write(add_keys, &k) : STORE_REFUSED;
}

struct list_job {
    struct arena *a;
    struct str host, after;
    size_t limit, n;
    struct str *names;
    uint64_t count;
};

static enum store_rc count_users(struct sql_conn *c, void *arg)
{
    struct list_job *j = arg;
    struct sql_query q;

    sql_start(c, STMT_users_count, SQL_ARGS(V_STR(j->host)), &q);
    if (sql_next(&q))
        j->count = (uint64_t)sql_int(&q, 0);
    return sql_end(&q);
}

enum store_rc users_count(struct str host, uint64_t *out)
{
    struct list_job j = {.host = host};
    struct tally_key k = tally_key(TALLY_USERS, host, STR_NULL);
    uint64_t look;
    enum store_rc rc;

    *out = 0;
    if (!store_name_ok(host) || tally_get(k, out, NULL))
        return STORE_OK;
    look = tally_look(k);
    rc = store_read(count_users, &j);
    *out = j.count;
    if (rc == STORE_OK)
        tally_set(k, look, j.count);
    return rc;
}

static void append_name(struct list_job *j, struct str name)
{
    ARENA_MORE(j->a, j->names, j->n);
    j->names[j->n++] = arena_str(j->a, name);
}

static enum store_rc list_users(struct sql_conn *c, void *arg)
{
    struct list_job *j = arg;
    int64_t limit = j->limit ? (int64_t)j->limit : INT64_MAX;
    struct sql_query q;

    /* The empty name is an account like others, so "from the start" is no comparison with "". */
    if (j->after.p)
        sql_start(c, STMT_users_list_after, SQL_ARGS(V_STR(j->host), V_STR(j->after), V_INT(limit)), &q);
    else
        sql_start(c, STMT_users_list, SQL_ARGS(V_STR(j->host), V_INT(limit)), &q);
    while (sql_next(&q))
        append_name(j, sql_text(&q, 0));
    return sql_end(&q);
}

enum store_rc users_list(struct arena *a, struct str host, struct str after, size_t limit, struct str **out, size_t *n_out)
{
    struct list_job j = {.host = host, .after = after, .limit = limit};
    enum store_rc rc;

    *out = NULL;
    *n_out = 0;
    if (!store_name_ok(host) || !store_name_ok(after))
        return STORE_OK;
    j.a = arena_new();
    rc = store_read(list_users, &j);
    if (rc != STORE_OK) {
        arena_release(&j.a);
        return rc;
    }
    /* Long lists are not copied: they live and die with the caller's arena. */
    arena_on_release(a, arena_drop, j.a);
    *out = j.names;
    *n_out = j.n;
    return STORE_OK;
}

/* --- plain forms, for their conversion --- */

struct plain_job {
    struct arena *a;
    struct str host, after;
    size_t limit, n;
    struct user_plain *users;
};

static enum store_rc list_plain(struct sql_conn *c, void *arg)
{
    struct plain_job *j = arg;
    struct sql_query q;

    if (j->after.p)
        sql_start(c, STMT_users_plain_after, SQL_ARGS(V_STR(j->host), V_STR(j->after), V_INT((int64_t)j->limit)), &q);
    else
        sql_start(c, STMT_users_plain, SQL_ARGS(V_STR(j->host), V_INT((int64_t)j->limit)), &q);
    while (sql_next(&q) && j->n < j->limit) {
        struct user_plain *u = &j->users[j->n++];
        u->user = arena_str(j->a, sql_text(&q, 0));
        u->plain = arena_str(j->a, sql_text(&q, 1));
    }
    return sql_end(&q);
}

enum store_rc users_list_plain(struct arena *a, struct str host, struct str after, size_t limit, struct user_plain **out,
                               size_t *n_out)
{
    struct plain_job j = {.host = host, .after = after, .limit = limit};
    enum store_rc rc;

    *out = NULL;
    *n_out = 0;
    if (!store_name_ok(host))
        return STORE_OK;
    j.a = arena_new();
    arena_mark_secret(j.a);
    arena_on_release(a, arena_drop, j.a);
    j.users = ARENA_ARRAY(j.a, struct user_plain, limit);
    rc = store_read(list_plain, &j);
    *out = j.users;
    *n_out = rc == STORE_OK ? j.n : 0;
    return rc;
}

struct replace_job {
    struct str host;
    struct user_plain *users;
    size_t n;
};

static bool same_plain(struct sql_conn *c, struct str host, const struct user_plain *u, enum store_rc *rc_out)
{
    struct user_job j = {.a = arena_new(), .host = host, .user = u->user};
    bool same;

    arena_mark_secret(j.a);
    *rc_out = read_user(c, &j);
    same = *rc_out == STORE_OK && j.found.has_plain && str_eq(j.found.plain, u->plain);
    if (*rc_out == STORE_NONE)
        *rc_out = STORE_OK;
    arena_release(&j.a);
    return same;
}

static enum store_rc replace_plain(struct sql_conn *c, void *arg)
{
    const struct replace_job *r = arg;
    enum store_rc rc = STORE_OK;

    for (size_t i = 0; rc == STORE_OK && i < r->n; i++) {
        struct user_plain *u = &r->users[i];
        u->replaced = same_plain(c, r->host, u, &rc);
        if (!u->replaced)
            continue;
        rc = set_user(c, &(struct user_job){.host = r->host, .user = u->user, .creds = &u->creds});
    }
    return rc;
}

enum store_rc users_replace_plain(struct str host, struct user_plain *users, size_t n)
{
    struct replace_job j = {host, users, n};

    return n ? store_write(replace_plain, &j) : STORE_OK;
}
