/*
 * The accounts of the store (auth_method internal, mnesia, sql): a cache of credentials in front of the table users, PBKDF2 on
 * the blocking pool. At the account's home shard; everything public suspends.
 */
#include "core/auth/auth_internal.h"

#include "base/rand.h"
#include "core/account/subscribe.h"
#include "core/auth/auth_cache.h"
#include "core/auth/auth_memo.h"
#include "core/auth/oauth.h"
#include "rt/pool.h"

/* --- blocking work --- */

struct check_job {
    const struct scram_keys *keys;
    struct str password;
    bool fits;
};

static void run_check(void *arg, void *state)
{
    struct check_job *j = arg;

    j->fits = scram_check_password(j->keys, j->password);
}

static bool check_keys(const struct scram_keys *k, struct str password) YIELDS;
static bool check_keys(const struct scram_keys *k, struct str password)
{
    struct check_job j = {.keys = k, .password = password};

    pool_run(pool_general(), run_check, &j);
    return j.fits;
}

struct derive_job {
    struct arena *a;
    struct str password;
    unsigned forms;
    struct user_creds creds;
    int rc;
    struct error err;
};

static void run_derive(void *arg, void *state)
{
    struct derive_job *j = arg;

    for (int h = SCRAM_SHA1; j->rc == 0 && h <= SCRAM_SHA512; h++) {
        char salt[SCRAM_SALT_LEN];
        if (!(j->forms & AUTH_FORM_SCRAM(h)))
            continue;
        rand_bytes(salt, sizeof(salt));
        j->rc = scram_derive(j->a, (enum scram_hash)h, j->password, str_n(salt, sizeof(salt)), SCRAM_DEFAULT_ITERATIONS,
                             &j->creds.scram[h], &j->err);
    }
}

/* Credentials in an arena of its own that the pool thread may fill; the caller releases it. */
static int make_creds(struct derive_job *j, struct str password, unsigned forms, struct error *err) YIELDS;
static int make_creds(struct derive_job *j, struct str password, unsigned forms, struct error *err)
{
    *j = (struct derive_job){.a = arena_new(), .password = password, .forms = forms};
    arena_mark_secret(j->a);
    if (forms & ~AUTH_FORM_PLAIN)
        pool_run(pool_general(), run_derive, j);
    if (forms & AUTH_FORM_PLAIN) {
        j->creds.has_plain = true;
        j->creds.plain = arena_str(j->a, password);
    }
    return j->rc == 0 ? 0 : err_set(err, j->err.code, "%s", j->err.text);
}

/* --- passwords --- */

static const struct scram_keys *some_keys(const struct user_creds *c)
{
    for (size_t i = 0; i < ARRAY_LEN(c->scram); i++)
        if (c->scram[i].iterations)
            return &c->scram[i];
    return NULL;
}

static bool password_fits(struct auth_entry *e, struct str password) YIELDS;
static bool password_fits(struct auth_entry *e, struct str password)
{
    const struct scram_keys *k;

    if (password.n == 0 || password.n > AUTH_PASSWORD_MAX)
        return false;
    if (e->creds.has_plain)
        return auth_same_password(e->creds.plain, password);
    if (auth_memo_fits(e, password))
        return true;
    k = some_keys(&e->creds);
    if (!k || !check_keys(k, password))
        return false;
    auth_memo_set(e, password);
    return true;
}

/* A name that nobody has takes as long as a wrong password. */
static void act_out_check(const struct auth_entry *e, struct str password, unsigned forms) YIELDS;
static void act_out_check(const struct auth_entry *e, struct str password, unsigned forms)
{
    struct str user = str_n(e->key, e->user_n), host = str_n(e->key + e->user_n, e->key_n - e->user_n);
    struct arena *a;
    struct scram_keys k;
    enum scram_hash h = SCRAM_SHA1;

    if (forms & AUTH_FORM_PLAIN || password.n == 0 || password.n > AUTH_PASSWORD_MAX)
        return;
    while (!(forms & AUTH_FORM_SCRAM(h)))
        h++;
    a = arena_new();
    k = scram_fake_keys(a, h, user, host, SCRAM_DEFAULT_ITERATIONS);
    (void)check_keys(&k, password);
    arena_release(&a);
}

/* 0 with a reference; the entry is there but may say STORE_NONE. */
static int entry_of(const struct auth_ask *q, struct auth_entry **out, struct error *err) YIELDS;
static int entry_of(const struct auth_ask *q, struct auth_entry **out, struct error *err)
{
    struct auth_entry *e = auth_cache_get(q->host, q->user, q->policy);
    enum store_rc rc = e->rc;

    if (rc == STORE_OK || rc == STORE_NONE) {
        *out = e;
        return 0;
    }
    auth_entry_release(&e);
    return store_error(rc, "account", err);
}

static int check(const struct auth_ask *q, struct error *err) YIELDS;
static int check(const struct auth_ask *q, struct error *err)
{
    struct auth_entry *e;
    int rc;

    if (entry_of(q, &e, err) != 0)
        return -1;
    if (e->rc == STORE_NONE) {
        act_out_check(e, q->password, q->policy->forms);
        rc = auth_no_account(err);
    } else {
        rc = password_fits(e, q->password) ? 0 : err_set(err, ERR_NOT_AUTHORIZED, "wrong password");
    }
    auth_entry_release(&e);
    return rc;
}

/* --- SCRAM --- */

/* Plain stored: keys are derived once and kept beside it in memory. */
static int derive_for_entry(struct auth_entry *e, struct str password, enum scram_hash h, struct error *err) YIELDS;
static int derive_for_entry(struct auth_entry *e, struct str password, enum scram_hash h, struct error *err)
{
    struct derive_job j;
    int rc = make_creds(&j, password, AUTH_FORM_SCRAM(h), err);

    if (rc == 0)
        auth_entry_add_keys(e, &j.creds.scram[h]);
    arena_release(&j.a);
    return rc;
}

/* The first exchange for a name nobody has takes as long as the first one of an account stored in plain. */
static void act_out_derive(struct auth_entry *e, enum scram_hash h, unsigned forms) YIELDS;
static void act_out_derive(struct auth_entry *e, enum scram_hash h, unsigned forms)
{
    struct derive_job j;

    if (!(forms & AUTH_FORM_PLAIN) || forms & AUTH_FORM_SCRAM(h) || e->spent & AUTH_FORM_SCRAM(h))
        return;
    e->spent |= AUTH_FORM_SCRAM(h);
    (void)make_creds(&j, S("nobody"), AUTH_FORM_SCRAM(h), NULL);
    arena_release(&j.a);
}

static int keys_of_entry(struct auth_entry *e, enum scram_hash h, unsigned forms, struct error *err) YIELDS;
static int keys_of_entry(struct auth_entry *e, enum scram_hash h, unsigned forms, struct error *err)
{
    if (e->rc == STORE_NONE) {
        act_out_derive(e, h, forms);
        return auth_no_account(err);
    }
    if (e->creds.scram[h].iterations)
        return 0;
    if (!e->creds.has_plain)
        return err_set(err, ERR_NOT_FOUND, "the password is not stored for this mechanism");
    if (derive_for_entry(e, e->creds.plain, h, NULL) == 0)
        return 0;
    return err_set(err, ERR_NOT_FOUND, "the stored password cannot be prepared");
}

int auth_internal_keys(struct arena *a, const struct auth_ask *q, enum scram_hash h, struct scram_keys *out, struct error *err)
{
    struct auth_entry *e;
    int rc;

    if (entry_of(q, &e, err) != 0)
        return -1;
    rc = keys_of_entry(e, h, q->policy->forms, err);
    if (rc == 0) {
        const struct scram_keys *k = &e->creds.scram[h];
        arena_mark_secret(a);
        *out = *k;
        out->salt = arena_str(a, k->salt);
        out->stored_key = arena_str(a, k->stored_key);
        out->server_key = arena_str(a, k->server_key);
    }
    auth_entry_release(&e);
    return rc;
}

/* --- accounts --- */

static int exists(const struct auth_ask *q, bool *out, struct error *err) YIELDS;
static int exists(const struct auth_ask *q, bool *out, struct error *err)
{
    struct auth_entry *e;

    if (entry_of(q, &e, err) != 0)
        return -1;
    *out = e->rc == STORE_OK;
    auth_entry_release(&e);
    return 0;
}

/* After every write, whatever became of it: uncertain is a reason to look again. */
static int written(const struct auth_ask *q, enum store_rc rc, struct error *err)
{
    auth_cache_forget(q->host, q->user);
    return rc == STORE_OK ? 0 : store_error(rc, "account", err);
}

static int add(const struct auth_ask *q, struct error *err) YIELDS;
static int add(const struct auth_ask *q, struct error *err)
{
    struct derive_job j;
    bool there;
    int rc;

    if (exists(q, &there, err) != 0)
        return -1;
    /* Decided here only to save the derivation; the database has the last word. */
    if (there)
        return err_set(err, ERR_CONFLICT, "the account exists already");
    rc = make_creds(&j, q->password, q->policy->forms, err);
    if (rc == 0)
        rc = written(q, users_add(q->host, q->user, &j.creds), err);
    arena_release(&j.a);
    return rc;
}

static int set(const struct auth_ask *q, struct error *err) YIELDS;
static int set(const struct auth_ask *q, struct error *err)
{
    struct derive_job j;
    bool there;
    int64_t tokens = 0;
    int rc;

    if (exists(q, &there, err) != 0)
        return -1;
    if (!there)
        return auth_no_account(err);
    rc = make_creds(&j, q->password, q->policy->forms, err);
    if (rc == 0)
        rc = written(q, users_set_with(q->host, q->user, &j.creds, q->with, &tokens), err);
    arena_release(&j.a);
    return rc == 0 && tokens ? oauth_clear_cache(err) : rc;
}

static int remove_account(const struct auth_ask *q, struct error *err) YIELDS;
static int remove_account(const struct auth_ask *q, struct error *err)
{
    int64_t tokens = 0;
    int rc = written(q, account_erase(q->host, q->user, &tokens), err);

    return rc == 0 && tokens ? oauth_clear_cache(err) : rc;
}

const struct auth_backend auth_internal = {
    .name = {"internal", 8},
    .scram = true,
    .check = check,
    .exists = exists,
    .add = add,
    .set = set,
    .remove = remove_account,
};
