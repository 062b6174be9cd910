/*
 * Accounts and passwords: every operation goes to the home shard of the account (a call across shards, or straight on when
 * it is this one) and works on the cache there; what takes long (database, PBKDF2) happens on other threads while the
 * fiber waits. Suspends: everything public but start, stop and the two questions at the end.
 * Left out: other methods than the internal store; ending sessions (core/account.h).
 */
#include "core/auth.h"

#include "base/rand.h"
#include "base/secret.h"
#include "core/auth_cache.h"
#include "core/auth_memo.h"
#include "core/auth_policy.h"
#include "core/oauth.h"
#include "rt/mailbox.h"
#include "rt/pool.h"
#include "rt/shard.h"
#include "xmpp/jid.h"

/* Far beyond what a busy pool takes; a login gives up before that. */
#define DEADLINE_MS 30000

/* One operation on its way to the home shard; results are made in `arena`. */
struct op {
    struct arena *arena;
    struct str host, user, password;
    enum scram_hash hash;
    struct scram_keys keys;
    bool exists;
};

void auth_shard_start(void)
{
    auth_cache_start();
}

void auth_shard_stop(void)
{
    auth_cache_stop();
    auth_policy_stop();
    auth_memo_stop();
}

/* --- the way home --- */

static struct op *op_dup(struct arena *a, const struct op *o)
{
    struct op *copy = ARENA_NEW(a, struct op);

    *copy = *o;
    copy->arena = a;
    copy->host = arena_str(a, o->host);
    copy->user = arena_str(a, o->user);
    copy->password = arena_str(a, o->password);
    return copy;
}

static void take_results(struct op *o, const struct op *from)
{
    o->exists = from->exists;
    if (!from->keys.iterations)
        return;
    o->keys = from->keys;
    o->keys.salt = arena_str(o->arena, from->keys.salt);
    o->keys.stored_key = arena_str(o->arena, from->keys.stored_key);
    o->keys.server_key = arena_str(o->arena, from->keys.server_key);
}

/*
 * The operation in memory of its own: for another shard, and for writes, where the caller's strings (a host name out of
 * the configuration) may be gone before the end. `late`: what an answer that did not come in time means.
 */
static int copied_call(unsigned shard, call_fn fn, struct op *o, enum err_code late, struct error *err) YIELDS;
static int copied_call(unsigned shard, call_fn fn, struct op *o, enum err_code late, struct error *err)
{
    struct arena *a = arena_new();
    struct op *copy;
    struct error own = ERROR_INIT;
    int rc;

    arena_mark_secret(a);
    copy = op_dup(a, o);
    rc = mail_call(shard, fn, copy, a, DEADLINE_MS, &own);
    if (rc == 0)
        take_results(o, copy);
    else
        err_set(err, own.code == ERR_TIMEOUT ? late : own.code, "%s", own.text);
    arena_release(&a);
    return rc;
}

static int at_home(call_fn fn, struct op *o, enum err_code late, struct error *err) YIELDS;
static int at_home(call_fn fn, struct op *o, enum err_code late, struct error *err)
{
    unsigned shard = shard_of(jid_home_hash_parts(o->user, o->host));

    /* No prepared name is longer, and the cache is not for keeping what is. */
    if (o->user.n > JID_PART_MAX || o->host.n > JID_PART_MAX)
        return err_set(err, ERR_NOT_FOUND, "no such account");
    if (shard == shard_self() && late != ERR_UNCERTAIN)
        return fn(o, err);
    return copied_call(shard, fn, o, late, err);
}

static int no_account(struct error *err)
{
    return err_set(err, ERR_NOT_FOUND, "no such account");
}

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
static int entry_of(const struct op *o, const struct auth_policy *p, struct auth_entry **out, struct error *err) YIELDS;
static int entry_of(const struct op *o, const struct auth_policy *p, struct auth_entry **out, struct error *err)
{
    struct auth_entry *e = auth_cache_get(o->host, o->user, p);
    enum store_rc rc = e->rc;

    if (rc == STORE_OK || rc == STORE_NONE) {
        *out = e;
        return 0;
    }
    auth_entry_release(&e);
    return store_error(rc, "account", err);
}

static int check_at_home(void *arg, struct error *err) YIELDS;
static int check_at_home(void *arg, struct error *err)
{
    struct op *o = arg;
    struct auth_policy p;
    struct auth_entry *e;
    int rc;

    if (!auth_policy_of(o->host, &p))
        return no_account(err);
    if (entry_of(o, &p, &e, err) != 0)
        return -1;
    if (e->rc == STORE_NONE) {
        act_out_check(e, o->password, p.forms);
        rc = no_account(err);
    } else {
        rc = password_fits(e, o->password) ? 0 : err_set(err, ERR_NOT_AUTHORIZED, "wrong password");
    }
    auth_entry_release(&e);
    return rc;
}

int auth_check_password(struct str host, struct str user, struct str password, struct error *err)
{
    struct op o = {.host = host, .user = user, .password = password};

    /* Beyond the limit nothing fits; what is longer need not travel. */
    if (o.password.n > AUTH_PASSWORD_MAX)
        o.password.n = AUTH_PASSWORD_MAX + 1;
    return at_home(check_at_home, &o, ERR_UNAVAILABLE, err);
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
        return no_account(err);
    }
    if (e->creds.scram[h].iterations)
        return 0;
    if (!e->creds.has_plain)
        return err_set(err, ERR_NOT_FOUND, "the password is not stored for this mechanism");
    if (derive_for_entry(e, e->creds.plain, h, NULL) == 0)
        return 0;
    return err_set(err, ERR_NOT_FOUND, "the stored password cannot be prepared");
}

static int keys_at_home(void *arg, struct error *err) YIELDS;
static int keys_at_home(void *arg, struct error *err)
{
    struct op *o = arg;
    struct auth_policy p;
    struct auth_entry *e;
    int rc;

    if (!auth_policy_of(o->host, &p))
        return no_account(err);
    if (entry_of(o, &p, &e, err) != 0)
        return -1;
    rc = keys_of_entry(e, o->hash, p.forms, err);
    if (rc == 0) {
        struct op found = {.keys = e->creds.scram[o->hash]};
        arena_mark_secret(o->arena);
        take_results(o, &found);
    }
    auth_entry_release(&e);
    return rc;
}

int auth_scram_keys(struct arena *a, struct str host, struct str user, enum scram_hash h, struct scram_keys *out, struct error *err)
{
    struct op o = {.arena = a, .host = host, .user = user, .hash = h};
    int rc = at_home(keys_at_home, &o, ERR_UNAVAILABLE, err);

    if (rc == 0)
        *out = o.keys;
    return rc;
}

/* --- accounts --- */

static int exists_at_home(void *arg, struct error *err) YIELDS;
static int exists_at_home(void *arg, struct error *err)
{
    struct op *o = arg;
    struct auth_policy p;
    struct auth_entry *e;

    o->exists = false;
    if (!auth_policy_of(o->host, &p))
        return 0;
    if (entry_of(o, &p, &e, err) != 0)
        return -1;
    o->exists = e->rc == STORE_OK;
    auth_entry_release(&e);
    return 0;
}

int auth_exists(struct str host, struct str user, bool *out, struct error *err)
{
    struct op o = {.host = host, .user = user};
    int rc;

    *out = false;
    if (user.n > JID_PART_MAX || host.n > JID_PART_MAX)
        return 0;
    rc = at_home(exists_at_home, &o, ERR_UNAVAILABLE, err);
    *out = rc == 0 && o.exists;
    return rc;
}

/* After every write, whatever became of it: uncertain is a reason to look again. */
static int written(const struct op *o, enum store_rc rc, const char *what, struct error *err)
{
    auth_cache_forget(o->host, o->user);
    return rc == STORE_OK ? 0 : store_error(rc, what, err);
}

static int register_at_home(void *arg, struct error *err) YIELDS;
static int register_at_home(void *arg, struct error *err)
{
    struct op *o = arg;
    struct auth_policy p;
    struct derive_job j;
    int rc;

    if (!auth_policy_of(o->host, &p))
        return err_set(err, ERR_NO_HOST, NULL);
    if (exists_at_home(o, err) != 0)
        return -1;
    /* Decided here only to save the derivation; the database has the last word. */
    if (o->exists)
        return err_set(err, ERR_CONFLICT, "the account exists already");
    rc = make_creds(&j, o->password, p.forms, err);
    if (rc == 0)
        rc = written(o, users_add(o->host, o->user, &j.creds), "account", err);
    arena_release(&j.a);
    return rc;
}

int auth_register(struct str host, struct str user, struct str password, struct error *err)
{
    struct op o = {.host = host, .user = user, .password = password};
    struct auth_policy p;

    if (!auth_policy_of(host, &p))
        return err_set(err, ERR_NO_HOST, NULL);
    if (auth_password_ok(password, err) != 0)
        return -1;
    if (user.n > JID_PART_MAX)
        return err_set(err, ERR_JID_MALFORMED, "Malformed username");
    return at_home(register_at_home, &o, ERR_UNCERTAIN, err);
}

static int set_at_home(void *arg, struct error *err) YIELDS;
static int set_at_home(void *arg, struct error *err)
{
    struct op *o = arg;
    struct auth_policy p;
    struct derive_job j;
    int rc;

    if (!auth_policy_of(o->host, &p))
        return no_account(err);
    if (exists_at_home(o, err) != 0)
        return -1;
    if (!o->exists)
        return no_account(err);
    rc = make_creds(&j, o->password, p.forms, err);
    if (rc == 0)
        rc = written(o, users_set(o->host, o->user, &j.creds), "account", err);
    arena_release(&j.a);
    return rc;
}

int auth_set_password(struct str host, struct str user, struct str password, struct error *err)
{
    struct op o = {.host = host, .user = user, .password = password};

    return auth_password_ok(password, err) == 0 ? at_home(set_at_home, &o, ERR_UNCERTAIN, err) : -1;
}

static int remove_at_home(void *arg, struct error *err) YIELDS;
static int remove_at_home(void *arg, struct error *err)
{
    struct op *o = arg;
    struct auth_policy p;
    int64_t tokens = 0;

    if (!auth_policy_of(o->host, &p))
        return no_account(err);
    int rc = written(o, users_remove(o->host, o->user, &tokens), "account", err);
    return rc == 0 && tokens ? oauth_clear_cache(err) : rc;
}

int auth_remove(struct str host, struct str user, struct error *err)
{
    struct op o = {.host = host, .user = user};

    return at_home(remove_at_home, &o, ERR_UNCERTAIN, err);
}

/* --- all of a host --- */

static int check_host(struct str host, struct error *err)
{
    struct auth_policy p;

    return auth_policy_of(host, &p) ? 0 : err_set(err, ERR_NO_HOST, NULL);
}

int auth_count(struct str host, uint64_t *out, struct error *err)
{
    enum store_rc rc;

    *out = 0;
    if (check_host(host, err) != 0)
        return -1;
    rc = users_count(host, out);
    return rc == STORE_OK ? 0 : store_error(rc, "accounts", err);
}

int auth_list(struct arena *a, struct str host, struct str after, size_t limit, struct str **out, size_t *n_out, struct error *err)
{
    enum store_rc rc;

    *out = NULL;
    *n_out = 0;
    if (check_host(host, err) != 0)
        return -1;
    rc = users_list(a, host, after, limit, out, n_out);
    return rc == STORE_OK ? 0 : store_error(rc, "accounts", err);
}

static int clear_each(void *arg, void *slot, struct error *err)
{
    auth_cache_clear();
    return 0;
}

int auth_clear_cache(struct error *err)
{
    struct arena *a = arena_new();
    void **slots = ARENA_ARRAY(a, void *, shard_count());
    int rc = mail_gather(clear_each, NULL, slots, a, DEADLINE_MS, err);

    arena_release(&a);
    return rc;
}

bool auth_stores_plain(struct str host)
{
    struct auth_policy p;

    return auth_policy_of(host, &p) && p.forms & AUTH_FORM_PLAIN;
}

bool auth_serves_scram(struct str host, enum scram_hash h)
{
    struct auth_policy p;

    return auth_policy_of(host, &p) && p.forms & (AUTH_FORM_PLAIN | AUTH_FORM_SCRAM(h));
}
