/*
 * Plain stored passwords into SCRAM keys, a whole host. Runs on the caller's fiber: keys are derived on the blocking pool one
 * account at a time, so that logins get their turn in between, a batch is written in one transaction, and the accounts' home
 * shards forget what they had cached. Suspends: everything public. Holds at most a batch of passwords, in memory that is wiped.
 */
#include "core/auth/auth.h"

#include "base/log.h"
#include "base/rand.h"
#include "core/auth/auth_cache.h"
#include "core/auth/auth_policy.h"
#include "rt/mailbox.h"
#include "rt/pool.h"
#include "rt/shard.h"
#include "xmpp/jid.h"

#define BATCH 64
#define FORGET_MS 30000
#define ALL_HASHES (AUTH_FORM_SCRAM(SCRAM_SHA1) | AUTH_FORM_SCRAM(SCRAM_SHA256) | AUTH_FORM_SCRAM(SCRAM_SHA512))

struct forget {
    struct str host;
    struct str *users;
    size_t n;
};

static int forget_each(void *arg, void *slot, struct error *err)
{
    const struct forget *f = arg;
    (void)slot;
    (void)err;
    for (size_t i = 0; i < f->n; i++)
        if (shard_of(jid_home_hash_parts(f->users[i], f->host)) == shard_self())
            auth_cache_forget(f->host, f->users[i]);
    return 0;
}

static int forget_cached(struct str host, const struct user_plain *users, size_t n, struct error *err) YIELDS;
static int forget_cached(struct str host, const struct user_plain *users, size_t n, struct error *err)
{
    struct arena *a = arena_new();
    struct forget *f = ARENA_NEW(a, struct forget);
    f->host = arena_str(a, host);
    f->users = ARENA_ARRAY(a, struct str, n);
    for (size_t i = 0; i < n; i++)
        f->users[f->n++] = arena_str(a, users[i].user);
    int rc = mail_gather(forget_each, f, ARENA_ARRAY(a, void *, shard_count()), a, FORGET_MS, err);
    arena_release(&a);
    return rc;
}

struct derive_job {
    struct arena *a;
    unsigned forms;
    struct user_plain *user;
    int rc;
};

static void derive(void *arg, void *state)
{
    struct derive_job *j = arg;
    (void)state;
    for (int h = SCRAM_SHA1; j->rc == 0 && h <= SCRAM_SHA512; h++) {
        char salt[SCRAM_SALT_LEN];
        struct error err = ERROR_INIT;
        if (!(j->forms & AUTH_FORM_SCRAM(h)))
            continue;
        rand_bytes(salt, sizeof salt);
        j->rc = scram_derive(j->a, (enum scram_hash)h, j->user->plain, str_n(salt, sizeof salt), SCRAM_DEFAULT_ITERATIONS,
                             &j->user->creds.scram[h], &err);
    }
}

/* Those that can be prepared are moved to the front; how many that are comes back. */
static size_t derive_all(struct arena *a, unsigned forms, struct user_plain *users, size_t n) YIELDS;
static size_t derive_all(struct arena *a, unsigned forms, struct user_plain *users, size_t n)
{
    size_t good = 0;
    for (size_t i = 0; i < n; i++) {
        struct derive_job j = {.a = a, .forms = forms, .user = &users[i]};
        pool_run(pool_general(), derive, &j);
        if (j.rc == 0)
            users[good++] = users[i];
        else
            LOG(WARNING, "auth", NULL, "the password of %.*s cannot be prepared for SCRAM and stays as it is",
                STR_ARG(users[i].user));
    }
    return good;
}

static int convert_batch(struct arena *a, struct str host, unsigned forms, struct user_plain *users, size_t n, uint64_t *converted,
                         struct error *err) YIELDS;
static int convert_batch(struct arena *a, struct str host, unsigned forms, struct user_plain *users, size_t n, uint64_t *converted,
                         struct error *err)
{
    size_t good = derive_all(a, forms, users, n);
    enum store_rc rc = users_replace_plain(host, users, good);
    if (rc != STORE_OK && rc != STORE_UNCERTAIN)
        return store_error(rc, "accounts", err);
    if (forget_cached(host, users, good, err) != 0)
        return -1;
    for (size_t i = 0; rc == STORE_OK && i < good; i++)
        *converted += users[i].replaced;
    return rc == STORE_OK ? 0 : store_error(rc, "accounts", err);
}

static int convert_host(struct str host, unsigned forms, uint64_t *converted, uint64_t *left, struct error *err) YIELDS;
static int convert_host(struct str host, unsigned forms, uint64_t *converted, uint64_t *left, struct error *err)
{
    struct arena *names = arena_new();
    struct str after = STR_NULL;
    int rc = 0;
    for (size_t n = BATCH; rc == 0 && n == BATCH;) {
        struct arena *a = arena_new(), *next = arena_new();
        struct user_plain *users;
        uint64_t before = *converted;
        arena_mark_secret(a);
        enum store_rc st = users_list_plain(a, host, after, BATCH, &users, &n);
        if (st == STORE_OK && n) {
            after = arena_str(next, users[n - 1].user); /* before the batch is sorted out */
            rc = convert_batch(a, host, forms, users, n, converted, err);
            *left += n - (size_t)(*converted - before);
        }
        if (st != STORE_OK)
            rc = store_error(st, "accounts", err);
        arena_release(&a);
        arena_release(&names);
        names = next;
    }
    arena_release(&names);
    return rc;
}

int auth_convert_to_scram(struct str host, uint64_t *converted_out, uint64_t *left_out, struct error *err)
{
    struct auth_policy p;
    *converted_out = *left_out = 0;
    if (!auth_policy_of(host, &p))
        return err_set(err, ERR_NO_HOST, NULL);
    unsigned forms = p.forms & AUTH_FORM_PLAIN ? ALL_HASHES : p.forms;
    struct arena *a = arena_new(); /* the host's name may go with its configuration meanwhile */
    int rc = convert_host(arena_str(a, host), forms, converted_out, left_out, err);
    arena_release(&a);
    return rc;
}

int auth_plain_password(struct arena *a, struct str host, struct str user, struct str *out, bool *scram_out, struct error *err)
{
    struct user_creds creds = {0};
    enum store_rc rc = users_get(a, host, user, &creds);
    *out = STR_NULL;
    *scram_out = false;
    if (rc == STORE_NONE)
        return 0;
    if (rc != STORE_OK)
        return store_error(rc, "account", err);
    *scram_out = !creds.has_plain;
    if (creds.has_plain)
        *out = creds.plain;
    return 0;
}
