/* See the header. Signatures are checked by OpenSSL; the payload is not looked at before. */
#include "core/auth/jwt.h"

#include "base/base64.h"
#include "base/mem.h"
#include "base/secret.h"

#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdlib.h>

#define SKEW_S 30     /* of the clocks, for nbf */
#define RSA_BITS_MIN 2048 /* RFC 7518 §3.3 */
#define SECRET_MIN 16
#define P256 32

enum kind { KIND_SECRET, KIND_RSA, KIND_EC };

static const struct alg {
    const char *name;
    enum kind kind;
    const char *digest;
} algs[] = {
    {"HS256", KIND_SECRET, "SHA256"}, {"HS384", KIND_SECRET, "SHA384"}, {"HS512", KIND_SECRET, "SHA512"},
    {"RS256", KIND_RSA, "SHA256"},    {"RS384", KIND_RSA, "SHA384"},    {"RS512", KIND_RSA, "SHA512"},
    {"ES256", KIND_EC, "SHA256"},
};

struct key {
    enum kind kind;
    const struct alg *alg; /* NULL: any of its kind */
    struct str kid;        /* may be absent */
    struct str secret;
    EVP_PKEY *pkey;
};

struct jwt_keys {
    struct arena *arena;
    size_t n;
    struct key key[JWT_KEYS_MAX];
};

/* --- parts --- */

/* Base64url without padding (RFC 7515 §2). */
static bool decode(struct arena *a, struct str text, struct str *out)
{
    char *p = arena_alloc(a, text.n + 4);
    size_t n = text.n;
    if (!n || n % 4 == 1)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (text.p[i] == '+' || text.p[i] == '/' || text.p[i] == '=')
            return false;
        p[i] = text.p[i] == '-' ? '+' : text.p[i] == '_' ? '/' : text.p[i];
    }
    while (n % 4)
        p[n++] = '=';
    return base64_decode(a, str_n(p, n), out);
}

static struct str text_of(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);
    return json_is_string(v) ? str_n(json_string_value(v), json_string_length(v)) : STR_NULL;
}

static json_t *parse(struct str text)
{
    json_t *j = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
    if (j && !json_is_object(j)) {
        json_decref(j);
        j = NULL;
    }
    return j;
}

static const struct alg *alg_named(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(algs); i++)
        if (str_eq(str_of(algs[i].name), name))
            return &algs[i];
    return NULL;
}

/* --- keys --- */

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *b)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;
    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *rsa_key(struct arena *a, const json_t *j)
{
    struct str n, e;
    EVP_PKEY *key = NULL;
    if (!decode(a, text_of(j, "n"), &n) || !decode(a, text_of(j, "e"), &e) || n.n > 2048 || e.n > 8)
        return NULL;
    BIGNUM *bn = BN_bin2bn((const unsigned char *)n.p, (int)n.n, NULL);
    BIGNUM *be = BN_bin2bn((const unsigned char *)e.p, (int)e.n, NULL);
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    if (bn && be && b && BN_num_bits(bn) >= RSA_BITS_MIN && OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, bn) &&
        OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, be))
        key = from_params("RSA", b);
    OSSL_PARAM_BLD_free(b);
    BN_free(bn);
    BN_free(be);
    return key;
}

static EVP_PKEY *ec_key(struct arena *a, const json_t *j)
{
    unsigned char point[1 + 2 * P256] = {POINT_CONVERSION_UNCOMPRESSED};
    struct str x, y;
    EVP_PKEY *key = NULL;
    if (!str_eq(text_of(j, "crv"), S("P-256")) || !decode(a, text_of(j, "x"), &x) || !decode(a, text_of(j, "y"), &y) ||
        x.n != P256 || y.n != P256)
        return NULL;
    memcpy(point + 1, x.p, P256);
    memcpy(point + 1 + P256, y.p, P256);
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    if (b && OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) &&
        OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)))
        key = from_params("EC", b);
    OSSL_PARAM_BLD_free(b);
    return key;
}

/* 1: added, 0: not for us, -1: wrong. */
static int add_key(struct jwt_keys *k, const json_t *j, struct error *err)
{
    struct str kty = text_of(j, "kty"), use = text_of(j, "use"), alg = text_of(j, "alg");
    struct key *key = &k->key[k->n];
    *key = (struct key){.kid = arena_str(k->arena, text_of(j, "kid")), .alg = alg_named(alg)};
    if ((use.n && !str_eq(use, S("sig"))) || (alg.n && !key->alg))
        return 0;
    if (str_eq(kty, S("oct"))) {
        key->kind = KIND_SECRET;
        if (!decode(k->arena, text_of(j, "k"), &key->secret) || key->secret.n < SECRET_MIN)
            return err_set(err, ERR_CONFIG, "the secret 'k' must be base64url of at least %d bytes", SECRET_MIN);
    } else if (str_eq(kty, S("RSA"))) {
        key->kind = KIND_RSA;
        if (!(key->pkey = rsa_key(k->arena, j)))
            return err_set(err, ERR_CONFIG, "'n' and 'e' do not make an RSA key of at least %d bits", RSA_BITS_MIN);
    } else if (str_eq(kty, S("EC"))) {
        key->kind = KIND_EC;
        if (!str_eq(text_of(j, "crv"), S("P-256")))
            return 0;
        if (!(key->pkey = ec_key(k->arena, j)))
            return err_set(err, ERR_CONFIG, "'x' and 'y' are not a point of the curve P-256");
    } else {
        return 0;
    }
    if (key->alg && key->alg->kind != key->kind) {
        EVP_PKEY_free(key->pkey);
        key->pkey = NULL;
        return err_set(err, ERR_CONFIG, "the algorithm '%s' is not one of keys of type '%.*s'", key->alg->name, STR_ARG(kty));
    }
    k->n++;
    return 1;
}

static int add_all(struct jwt_keys *k, const json_t *j, struct error *err)
{
    const json_t *list = json_object_get(j, "keys");
    size_t n = json_is_array(list) ? json_array_size(list) : 0;
    if (!list)
        return add_key(k, j, err);
    if (n > JWT_KEYS_MAX)
        return err_set(err, ERR_CONFIG, "more than %d keys", JWT_KEYS_MAX);
    for (size_t i = 0; i < n; i++)
        if (add_key(k, json_array_get(list, i), err) < 0)
            return -1;
    return 0;
}

struct jwt_keys *jwt_keys_parse(struct str text, struct error *err)
{
    struct jwt_keys *k = MEM_NEW(struct jwt_keys);
    json_t *j = text.n <= JWT_FILE_MAX ? parse(text) : NULL;
    int rc;
    k->arena = arena_new();
    arena_mark_secret(k->arena);
    rc = j ? add_all(k, j, err) : err_set(err, ERR_CONFIG, "expected a JSON Web Key, or a set of them, as a JSON object");
    json_decref(j);
    if (rc >= 0 && k->n == 0)
        rc = err_set(err, ERR_CONFIG, "no key for signatures in it: types are oct, RSA, and EC on P-256");
    if (rc < 0)
        jwt_keys_delete(&k);
    return k;
}

void jwt_keys_delete(struct jwt_keys **kp)
{
    struct jwt_keys *k = *kp;
    *kp = NULL;
    if (!k)
        return;
    for (size_t i = 0; i < k->n; i++)
        EVP_PKEY_free(k->key[i].pkey);
    arena_release(&k->arena);
    free(k);
}

/* --- signatures --- */

static bool hmac_fits(const struct key *k, const struct alg *alg, struct str text, struct str sig)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    size_t n = 0;
    if (!EVP_Q_mac(NULL, "HMAC", NULL, alg->digest, NULL, k->secret.p, k->secret.n, (const unsigned char *)text.p, text.n, mac,
                   sizeof(mac), &n))
        return false;
    bool fits = secret_eq(str_n((const char *)mac, n), sig);
    secret_wipe(mac, sizeof(mac));
    return fits;
}

/* R and S side by side (RFC 7518 §3.4) as OpenSSL wants them. */
static bool ec_signature(struct arena *a, struct str sig, struct str *out)
{
    unsigned char *der = NULL;
    int n = -1;
    if (sig.n != 2 * P256)
        return false;
    ECDSA_SIG *s = ECDSA_SIG_new();
    const unsigned char *p = (const unsigned char *)sig.p;
    BIGNUM *r = BN_bin2bn(p, P256, NULL), *v = BN_bin2bn(p + P256, P256, NULL);
    if (s && r && v && ECDSA_SIG_set0(s, r, v)) {
        r = v = NULL;
        n = i2d_ECDSA_SIG(s, &der);
    }
    if (n > 0)
        *out = arena_str(a, str_n((const char *)der, (size_t)n));
    OPENSSL_free(der);
    BN_free(r);
    BN_free(v);
    ECDSA_SIG_free(s);
    return n > 0;
}

static bool pkey_fits(struct arena *a, const struct key *k, const struct alg *alg, struct str text, struct str sig)
{
    EVP_MD_CTX *ctx;
    bool fits;
    if (k->kind == KIND_EC && !ec_signature(a, sig, &sig))
        return false;
    ctx = EVP_MD_CTX_new();
    fits = ctx && EVP_DigestVerifyInit_ex(ctx, NULL, alg->digest, NULL, NULL, k->pkey, NULL) == 1 &&
           EVP_DigestVerify(ctx, (const unsigned char *)sig.p, sig.n, (const unsigned char *)text.p, text.n) == 1;
    EVP_MD_CTX_free(ctx);
    return fits;
}

static bool signed_by(struct arena *a, const struct key *k, const struct alg *alg, struct str kid, struct str text, struct str sig)
{
    if (k->kind != alg->kind || (k->alg && k->alg != alg) || (kid.n && k->kid.n && !str_eq(kid, k->kid)))
        return false;
    return k->kind == KIND_SECRET ? hmac_fits(k, alg, text, sig) : pkey_fits(a, k, alg, text, sig);
}

/* --- tokens --- */

static int refuse(struct error *err, const char *why)
{
    return err_set(err, ERR_NOT_AUTHORIZED, "token refused: %s", why);
}

static int check_signature(struct arena *a, const struct jwt_keys *keys, struct str head, struct str text, struct str sig,
                           struct error *err)
{
    struct str bytes;
    json_t *j = decode(a, head, &bytes) ? parse(bytes) : NULL;
    const struct alg *alg = j ? alg_named(text_of(j, "alg")) : NULL;
    struct str kid = j ? arena_str(a, text_of(j, "kid")) : STR_NULL;
    bool critical = j && json_object_get(j, "crit"); /* RFC 7515 §4.1.11: none is understood */
    json_decref(j);
    if (!alg || critical || !decode(a, sig, &bytes))
        return refuse(err, "header or signature cannot be used");
    for (size_t i = 0; i < keys->n; i++)
        if (signed_by(a, &keys->key[i], alg, kid, text, bytes))
            return 0;
    return refuse(err, "the signature is of none of the keys");
}

/* Absent is fine; what is not a number is not. */
static bool time_claim(const json_t *j, const char *name, double *out)
{
    const json_t *v = json_object_get(j, name);
    if (v && json_is_number(v))
        *out = json_number_value(v);
    return !v || json_is_number(v);
}

static int read_claims(struct arena *a, const json_t *j, struct str field, int64_t now_s, struct str *out, struct error *err)
{
    double exp = (double)INT64_MAX, nbf = 0;
    if (!time_claim(j, "exp", &exp) || !time_claim(j, "nbf", &nbf))
        return refuse(err, "exp or nbf is not a number");
    if (!(exp > (double)now_s))
        return refuse(err, "it has expired");
    if (!(nbf <= (double)(now_s + SKEW_S)))
        return refuse(err, "it is not valid yet");
    struct str text = text_of(j, arena_cstr(a, field));
    if (!text.n)
        return refuse(err, "it does not say whose it is");
    *out = arena_str(a, text);
    return 0;
}

int jwt_verify(struct arena *a, const struct jwt_keys *keys, struct str token, struct str field, int64_t now_s, struct str *out,
               struct error *err)
{
    struct str rest = token, head, body, bytes;
    *out = STR_NULL;
    if (token.n > JWT_TOKEN_MAX || !str_split(&rest, '.', &head) || !str_split(&rest, '.', &body) || !rest.p)
        return refuse(err, "it is not one");
    if (check_signature(a, keys, head, str_n(token.p, head.n + 1 + body.n), rest, err) != 0)
        return -1;
    json_t *j = decode(a, body, &bytes) ? parse(bytes) : NULL;
    int rc = j ? read_claims(a, j, field, now_s, out, err) : refuse(err, "the claims are not a JSON object");
    json_decref(j);
    return rc;
}
