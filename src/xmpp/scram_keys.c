/*
 * Keys of SCRAM (RFC 5802 §3): deriving them from a password, checking a password, keys for names that nobody has.
 * scram_derive and scram_check_password run PBKDF2 and belong on a blocking thread. Nothing suspends.
 * Leaves out where keys are stored, and the exchange (scram.c).
 */
#include "base/rand.h"
#include "base/secret.h"
#include "xmpp/jid.h"
#include "xmpp/scram_crypto.h"

#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>

static EVP_MD *mds[3];
static unsigned char fake_secret[32];
static pthread_once_t mds_once = PTHREAD_ONCE_INIT, fake_once = PTHREAD_ONCE_INIT;

/* Fetched once: an implicit fetch takes locks that all threads share, at every use. */
static void fetch_mds(void)
{
    static const char *const names[] = {"SHA1", "SHA256", "SHA512"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        mds[i] = EVP_MD_fetch(NULL, names[i], NULL);
        if (!mds[i])
            abort();
    }
}

const EVP_MD *scram_md(enum scram_hash h)
{
    pthread_once(&mds_once, fetch_mds);
    return mds[h];
}

size_t scram_digest_len(enum scram_hash h)
{
    static const unsigned char len[] = {20, 32, 64};
    return len[h];
}

/* The primitives fail only when memory is exhausted, which ends the process everywhere. */
static void must(int ok)
{
    if (UNLIKELY(ok != 1))
        abort();
}

void scram_h(enum scram_hash h, struct str data, unsigned char *out)
{
    must(EVP_Digest(data.p, data.n, out, NULL, scram_md(h), NULL));
}

void scram_hmac(enum scram_hash h, struct str key, struct str data, unsigned char *out)
{
    must(HMAC(scram_md(h), key.p, (int)key.n, (const unsigned char *)data.p, data.n, out, NULL) != NULL);
}

struct derived {
    unsigned char stored[SCRAM_MAX_DIGEST], server[SCRAM_MAX_DIGEST];
};

/* RFC 5802 §3: from SaltedPassword to ClientKey, StoredKey, ServerKey. */
static void derive_salted(enum scram_hash h, struct str salted, struct derived *d)
{
    unsigned char client[SCRAM_MAX_DIGEST];
    scram_hmac(h, salted, S("Client Key"), client);
    scram_h(h, str_n((const char *)client, scram_digest_len(h)), d->stored);
    scram_hmac(h, salted, S("Server Key"), d->server);
    secret_wipe(client, sizeof(client));
}

static void derive_prepared(enum scram_hash h, struct str password, struct str salt, unsigned iterations,
                            struct derived *d)
{
    unsigned char salted[SCRAM_MAX_DIGEST];
    size_t n = scram_digest_len(h);
    must(PKCS5_PBKDF2_HMAC(password.p, (int)password.n, (const unsigned char *)salt.p, (int)salt.n, (int)iterations,
                           scram_md(h), (int)n, salted));
    derive_salted(h, str_n((const char *)salted, n), d);
    secret_wipe(salted, sizeof(salted));
}

static bool derive(enum scram_hash h, struct str password, struct str salt, unsigned iterations, struct derived *d)
{
    struct arena *tmp = arena_new();
    struct str prepared;
    arena_mark_secret(tmp);
    bool ok = jid_saslprep(tmp, password, &prepared) && prepared.n;
    if (ok)
        derive_prepared(h, prepared, salt, iterations, d);
    arena_release(&tmp);
    return ok;
}

static bool params_ok(struct str salt, unsigned iterations)
{
    return salt.n && salt.n <= 1024 && iterations && iterations <= SCRAM_MAX_ITERATIONS;
}

static struct scram_keys keys_of(struct arena *a, enum scram_hash h, const struct derived *d, struct str salt, unsigned iterations)
{
    size_t n = scram_digest_len(h);
    return (struct scram_keys){
        .hash = h,
        .iterations = iterations,
        .salt = arena_str(a, salt),
        .stored_key = arena_str(a, str_n((const char *)d->stored, n)),
        .server_key = arena_str(a, str_n((const char *)d->server, n)),
    };
}

int scram_derive(struct arena *a, enum scram_hash h, struct str password, struct str salt, unsigned iterations,
                 struct scram_keys *out, struct error *err)
{
    struct derived d;
    if (!params_ok(salt, iterations))
        return err_set(err, ERR_BAD_ARGUMENT, "salt or iteration count out of range");
    if (!derive(h, password, salt, iterations, &d))
        return err_set(err, ERR_NOT_ACCEPTABLE, "The password contains unacceptable characters");
    *out = keys_of(a, h, &d, salt, iterations);
    secret_wipe(&d, sizeof(d));
    return 0;
}

struct scram_keys scram_keys_of_salted(struct arena *a, enum scram_hash h, struct str salted, struct str salt, unsigned iterations)
{
    struct derived d;
    derive_salted(h, salted, &d);
    struct scram_keys k = keys_of(a, h, &d, salt, iterations);
    secret_wipe(&d, sizeof(d));
    return k;
}

bool scram_check_password(const struct scram_keys *k, struct str password)
{
    struct derived d;
    size_t n = scram_digest_len(k->hash);
    if (!params_ok(k->salt, k->iterations) || !derive(k->hash, password, k->salt, k->iterations, &d))
        return false;
    bool same = secret_eq(str_n((const char *)d.stored, n), k->stored_key);
    secret_wipe(&d, sizeof(d));
    return same;
}

static void draw_fake_secret(void)
{
    rand_bytes(fake_secret, sizeof(fake_secret));
}

/* One keyed value per purpose, hash and address. */
static struct str fake_value(struct arena *a, const char *what, enum scram_hash h, struct str address, size_t n)
{
    unsigned char out[SCRAM_MAX_DIGEST];
    struct str data = arena_printf(a, "%s%d %.*s", what, (int)h, STR_ARG(address));
    scram_hmac(SCRAM_SHA512, str_n((const char *)fake_secret, sizeof(fake_secret)), data, out);
    return arena_str(a, str_n((const char *)out, n));
}

struct scram_keys scram_fake_keys(struct arena *a, enum scram_hash h, struct str user, struct str host,
                                  unsigned iterations)
{
    pthread_once(&fake_once, draw_fake_secret);
    struct str address = arena_printf(a, "%.*s@%.*s", STR_ARG(user), STR_ARG(host));
    size_t n = scram_digest_len(h);
    return (struct scram_keys){
        .hash = h,
        .iterations = iterations,
        .salt = fake_value(a, "salt", h, address, SCRAM_SALT_LEN),
        .stored_key = fake_value(a, "stored", h, address, n),
        .server_key = fake_value(a, "server", h, address, n),
    };
}
