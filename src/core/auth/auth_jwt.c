/*
 * Tokens in place of passwords (auth_method jwt): the claim jwt_jid_field of a JSON Web Token must be the account's address.
 * Keys are read from the file jwt_key when the configuration is; signatures are checked on the blocking pool. Nobody knows
 * which accounts there are: one exists when it is online, or has been (auth_external_user_exists_check).
 */
#include "base/clock.h"
#include "base/mem.h"
#include "core/account/session.h"
#include "core/auth/auth_method.h"
#include "core/auth/jwt.h"
#include "rt/pool.h"
#include "store/last.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct state {
    struct jwt_keys *keys;
    struct str field; /* in the configuration's arena, like everything that options say */
    bool ask_last;
};

static struct jwt_keys *read_keys(const char *path, struct error *err)
{
    struct arena *a = arena_new();
    struct jwt_keys *keys = NULL;
    char *text = arena_alloc(a, JWT_FILE_MAX + 1);
    FILE *f = fopen(path, "rbe");
    size_t n = f ? fread(text, 1, JWT_FILE_MAX + 1, f) : 0;
    arena_mark_secret(a);
    if (!f || ferror(f))
        err_set(err, ERR_CONFIG, "jwt_key: cannot read '%s': %s", path, strerror(errno));
    else if (!(keys = jwt_keys_parse(str_n(text, n), err)))
        err_wrap(err, "jwt_key: %s", path);
    if (f)
        fclose(f);
    arena_release(&a);
    return keys;
}

static int make(const struct vhost *h, void **state_out, struct error *err)
{
    struct str path = opt_str(h->options, "jwt_key");
    struct state s = {.field = opt_str(h->options, "jwt_jid_field"),
                      .ask_last = opt_bool(h->options, "auth_external_user_exists_check")};
    if (!path.n)
        return err_set(err, ERR_CONFIG, "it needs jwt_key, the file with the keys");
    struct arena *a = arena_new();
    s.keys = read_keys(arena_cstr(a, path), err);
    arena_release(&a);
    if (!s.keys)
        return -1;
    struct state *made = MEM_NEW(struct state);
    *made = s;
    *state_out = made;
    return 0;
}

static void drop(void *arg)
{
    struct state *s = arg;
    jwt_keys_delete(&s->keys);
    free(s);
}

struct job {
    struct arena *a;
    const struct state *s;
    struct str token, subject;
    int rc;
    struct error err;
};

static void run(void *arg, void *state)
{
    struct job *j = arg;
    (void)state;
    j->rc = jwt_verify(j->a, j->s->keys, j->token, j->s->field, (int64_t)clock_wall_s(), &j->subject, &j->err);
}

static int check(const struct auth_ask *q, struct error *err) YIELDS;
static int check(const struct auth_ask *q, struct error *err)
{
    struct job j = {.a = arena_new(), .s = q->state, .token = q->password};
    struct jid who;
    int rc = -1;
    arena_mark_secret(j.a);
    pool_run(pool_general(), run, &j);
    if (j.rc != 0)
        err_set(err, j.err.code, "%s", j.err.text);
    else if (!jid_parse(j.a, j.subject, &who) || !str_eq(jid_user(who), q->user) || !str_eq(jid_host(who), q->host))
        err_set(err, ERR_NOT_AUTHORIZED, "the token is somebody else's");
    else
        rc = 0;
    arena_release(&j.a);
    return rc;
}

static int exists(const struct auth_ask *q, bool *out, struct error *err) YIELDS;
static int exists(const struct auth_ask *q, bool *out, struct error *err)
{
    const struct state *s = q->state;
    struct account *account = account_find(q->user, q->host);
    *out = account && !list_empty(&account->sessions);
    if (*out || !s->ask_last)
        return 0;
    struct arena *a = arena_new();
    int64_t seconds;
    struct str status;
    enum store_rc rc = last_get(a, q->host, q->user, &seconds, &status);
    arena_release(&a);
    *out = rc == STORE_OK;
    return rc == STORE_OK || rc == STORE_NONE ? 0 : store_error(rc, "account", err);
}

const struct auth_backend auth_jwt = {.name = {"jwt", 3}, .make = make, .drop = drop, .check = check, .exists = exists};
