/* The keyed digest of a verified password. Per shard; nothing suspends. */
#include "core/auth/auth_memo.h"

#include "base/rand.h"
#include "base/secret.h"
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>

/* Keyed once; each digest starts from there. Made when first needed. */
static _Thread_local EVP_MAC_CTX *keyed;

static void must(bool ok)
{
    if (UNLIKELY(!ok))
        abort(); /* only memory exhaustion makes these fail */
}

static void draw_key(void)
{
    uint8_t key[AUTH_MEMO_LEN];
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
                           OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);

    rand_bytes(key, sizeof(key));
    must(mac && (keyed = EVP_MAC_CTX_new(mac)) && EVP_MAC_init(keyed, key, sizeof(key), params));
    EVP_MAC_free(mac);
    secret_wipe(key, sizeof(key));
}

static void digest(const struct auth_entry *e, struct str password, uint8_t out[AUTH_MEMO_LEN])
{
    uint64_t lengths[2] = {e->user_n, e->key_n};
    size_t n;

    if (!keyed)
        draw_key();
    must(EVP_MAC_init(keyed, NULL, 0, NULL) && EVP_MAC_update(keyed, (const uint8_t *)lengths, sizeof(lengths)) &&
         EVP_MAC_update(keyed, (const uint8_t *)e->key, e->key_n) &&
         EVP_MAC_update(keyed, (const uint8_t *)password.p, password.n) && EVP_MAC_final(keyed, out, &n, AUTH_MEMO_LEN));
}

bool auth_memo_fits(const struct auth_entry *e, struct str password)
{
    uint8_t now[AUTH_MEMO_LEN];
    bool fits;

    if (!e->has_memo)
        return false;
    digest(e, password, now);
    fits = secret_eq(str_n((const char *)now, sizeof(now)), str_n((const char *)e->memo, sizeof(e->memo)));
    secret_wipe(now, sizeof(now));
    return fits;
}

void auth_memo_set(struct auth_entry *e, struct str password)
{
    digest(e, password, e->memo);
    e->has_memo = true;
}

void auth_memo_stop(void)
{
    EVP_MAC_CTX_free(keyed);
    keyed = NULL;
}
