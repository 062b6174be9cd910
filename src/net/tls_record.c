/*
 * Records of TLS 1.3. Owns the traffic keys of a connection; the cipher contexts belong to the thread and are keyed for
 * the connection that uses them, so that a connection keeps no key schedule. Runs on the connection's shard; suspends
 * never. Leaves out: the handshake, every other protocol version.
 */
#include "net/tls_record.h"
#include "base/mem.h"
#include "base/secret.h"
#include "net/net_shard.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdlib.h>

#define TAG 16
#define NONCE 12
#define KEY_MAX 32
/* Records without bytes of the application in a row; more only burn time. */
#define EMPTY_MAX 32
#define KEY_UPDATE 24

enum { SUITE_AES_128, SUITE_AES_256, SUITE_CHACHA, SUITES };

static const struct suite {
    uint16_t id;
    const char *cipher;
    uint8_t key_n, secret_n;
} suites[SUITES] = {
    {0x1301, "AES-128-GCM", 16, 32},
    {0x1302, "AES-256-GCM", 32, 48},
    {0x1303, "ChaCha20-Poly1305", 32, 32},
};

struct direction {
    uint64_t seq, id; /* id: which key, for the thread's context */
    uint8_t key[KEY_MAX], iv[NONCE], secret[TLS_SECRET_MAX];
};

struct tls_keys {
    struct direction rd, wr;
    uint16_t fragment; /* most content bytes of a record */
    uint8_t suite, empty;
    uint8_t part_n;    /* bytes of a KeyUpdate whose rest comes in another record */
    bool update_due;
};

/* §5.5: AES-GCM is good for 2^24.5 full records. */
uint64_t tls_records_per_key = (uint64_t)1 << 24;

/* --- cipher contexts of the thread --- */
static EVP_CIPHER *ciphers[SUITES];
static EVP_MAC *hmac;
static pthread_once_t ciphers_once = PTHREAD_ONCE_INIT;
static uint64_t last_id; /* atomic */

static __thread struct {
    EVP_CIPHER_CTX *ctx;
    uint64_t id; /* the key it holds */
} contexts[SUITES][2];
static __thread EVP_MAC_CTX *macs[2]; /* HMAC of SHA-256 and of SHA-384; what OpenSSL looks up by name is looked up once */

static void fetch_ciphers(void)
{
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    for (unsigned i = 0; i < SUITES; i++)
        ciphers[i] = EVP_CIPHER_fetch(NULL, suites[i].cipher, NULL);
}

static void drop_contexts(void)
{
    for (unsigned i = 0; i < SUITES; i++)
        for (unsigned w = 0; w < 2; w++) {
            EVP_CIPHER_CTX_free(contexts[i][w].ctx);
            contexts[i][w].ctx = NULL;
            contexts[i][w].id = 0;
        }
    for (unsigned i = 0; i < 2; i++) {
        EVP_MAC_CTX_free(macs[i]);
        macs[i] = NULL;
    }
}

/* The key of a connection that is gone does not stay in the thread's context either. */
static void forget(unsigned suite, const struct direction *d, bool sealing)
{
    if (contexts[suite][sealing].id != d->id)
        return;
    EVP_CIPHER_CTX_free(contexts[suite][sealing].ctx); /* wipes */
    contexts[suite][sealing].ctx = NULL;
    contexts[suite][sealing].id = 0;
}

/*
 * Set up for one record of the direction: nonce is the sequence number over the IV (§5.3). It does not wrap: 2^64 records
 * take centuries, and the write key changes long before.
 */
static EVP_CIPHER_CTX *prepare(unsigned suite, struct direction *d, bool sealing)
{
    EVP_CIPHER_CTX **ctx = &contexts[suite][sealing].ctx;
    uint8_t nonce[NONCE];
    memcpy(nonce, d->iv, NONCE);
    for (unsigned i = 0; i < 8; i++)
        nonce[NONCE - 1 - i] ^= (uint8_t)(d->seq >> (8 * i));
    d->seq++;
    bool fresh = !*ctx;
    if (fresh) {
        *ctx = EVP_CIPHER_CTX_new();
        net_shard_on_exit(drop_contexts);
    }
    bool same = !fresh && contexts[suite][sealing].id == d->id;
    contexts[suite][sealing].id = d->id;
    if (!*ctx || EVP_CipherInit_ex(*ctx, fresh ? ciphers[suite] : NULL, NULL, same ? NULL : d->key, nonce, sealing) != 1)
        abort(); /* memory, or a broken library */
    return *ctx;
}

/* --- keys (§7.1, §7.3) --- */
static EVP_MAC_CTX *mac_of(const struct suite *s)
{
    bool sha384 = s->secret_n == 48;
    EVP_MAC_CTX **m = &macs[sha384];
    OSSL_PARAM params[] = {OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, sha384 ? "SHA384" : "SHA256", 6), OSSL_PARAM_END};
    if (*m)
        return *m;
    *m = EVP_MAC_CTX_new(hmac);
    net_shard_on_exit(drop_contexts);
    if (!*m || EVP_MAC_CTX_set_params(*m, params) != 1)
        abort();
    return *m;
}

static void expand_label(const struct suite *s, const uint8_t *secret, const char *label, uint8_t *out, size_t n)
{
    uint8_t info[64], block[EVP_MAX_MD_SIZE];
    size_t label_n = strlen(label), at = 0;
    info[at++] = 0;
    info[at++] = (uint8_t)n;
    info[at++] = (uint8_t)(6 + label_n);
    memcpy(info + at, "tls13 ", 6);
    memcpy(info + at + 6, label, label_n);
    at += 6 + label_n;
    info[at++] = 0; /* no context */
    info[at++] = 1; /* the first and only block of HKDF-Expand: n is never longer than the hash */
    EVP_MAC_CTX *m = mac_of(s);
    size_t block_n;
    if (EVP_MAC_init(m, secret, s->secret_n, NULL) != 1 || EVP_MAC_update(m, info, at) != 1 ||
        EVP_MAC_final(m, block, &block_n, sizeof(block)) != 1 || block_n != s->secret_n)
        abort();
    memcpy(out, block, n);
    secret_wipe(block, sizeof(block));
}

/* The context keeps the pads of its last key. */
static void mac_forget(const struct suite *s)
{
    static const uint8_t zeros[TLS_SECRET_MAX];
    EVP_MAC_init(mac_of(s), zeros, s->secret_n, NULL);
}

static void derive(const struct suite *s, struct direction *d)
{
    expand_label(s, d->secret, "key", d->key, s->key_n);
    expand_label(s, d->secret, "iv", d->iv, NONCE);
    d->seq = 0;
    d->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
}

static void next_generation(const struct suite *s, struct direction *d)
{
    uint8_t next[TLS_SECRET_MAX];
    expand_label(s, d->secret, "traffic upd", next, s->secret_n);
    memcpy(d->secret, next, s->secret_n);
    secret_wipe(next, sizeof(next));
    derive(s, d);
    mac_forget(s);
}

struct tls_keys *tls_keys_new(uint16_t suite, const uint8_t *read_secret, const uint8_t *write_secret, size_t secret_n)
{
    pthread_once(&ciphers_once, fetch_ciphers);
    for (unsigned i = 0; i < SUITES; i++) {
        if (suites[i].id != suite || suites[i].secret_n != secret_n || !ciphers[i] || !hmac)
            continue;
        struct tls_keys *k = MEM_NEW(struct tls_keys);
        k->suite = (uint8_t)i;
        k->fragment = TLS_RECORD_PLAIN_MAX;
        memcpy(k->rd.secret, read_secret, secret_n);
        memcpy(k->wr.secret, write_secret, secret_n);
        derive(&suites[i], &k->rd);
        derive(&suites[i], &k->wr);
        mac_forget(&suites[i]);
        return k;
    }
    return NULL;
}

void tls_keys_set_fragment(struct tls_keys *k, uint16_t bytes)
{
    k->fragment = bytes;
}

void tls_keys_delete(struct tls_keys **k)
{
    if (!*k)
        return;
    forget((*k)->suite, &(*k)->rd, false);
    forget((*k)->suite, &(*k)->wr, true);
    secret_wipe(*k, sizeof(**k));
    free(*k);
    *k = NULL;
}

/* --- reading --- */
static bool decrypt(struct tls_keys *k, uint8_t *p, size_t n)
{
    EVP_CIPHER_CTX *ctx = prepare(k->suite, &k->rd, false);
    uint8_t *body = p + TLS_RECORD_HEADER;
    int len;
    return EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, body + n - TAG) == 1 &&
           EVP_CipherUpdate(ctx, NULL, &len, p, TLS_RECORD_HEADER) == 1 &&
           EVP_CipherUpdate(ctx, body, &len, body, (int)(n - TAG)) == 1 && EVP_CipherFinal_ex(ctx, body, &len) == 1;
}

static enum tls_open fail(enum tls_alert *out, enum tls_alert alert)
{
    *out = alert;
    return TLS_OPEN_FAIL;
}

/*
 * §4.6.3: KeyUpdate is the only message that may follow a handshake without tickets and client certificates. It may be
 * split over records (§5.1); its last byte ends its record, because the key changes there.
 */
static enum tls_open on_handshake(struct tls_keys *k, const uint8_t *p, size_t n, enum tls_alert *alert)
{
    static const uint8_t head[4] = {KEY_UPDATE, 0, 0, 1};
    for (; n && k->part_n < sizeof(head); p++, n--, k->part_n++)
        if (*p != head[k->part_n])
            return fail(alert, k->part_n ? TLS_ALERT_DECODE_ERROR : TLS_ALERT_UNEXPECTED_MESSAGE);
    if (!n)
        return TLS_OPEN_NOTHING;
    k->part_n = 0;
    if (n != 1)
        return fail(alert, TLS_ALERT_UNEXPECTED_MESSAGE);
    if (*p > 1)
        return fail(alert, TLS_ALERT_ILLEGAL_PARAMETER);
    next_generation(&suites[k->suite], &k->rd);
    k->update_due |= *p == 1;
    return TLS_OPEN_NOTHING;
}

static enum tls_open on_alert(const uint8_t *p, size_t n, enum tls_alert *alert)
{
    if (n != 2)
        return fail(alert, TLS_ALERT_DECODE_ERROR);
    if (p[1] == TLS_ALERT_CLOSE_NOTIFY)
        return TLS_OPEN_CLOSED;
    return p[1] == TLS_ALERT_USER_CANCELED ? TLS_OPEN_NOTHING : TLS_OPEN_ALERT;
}

bool tls_keys_complete(const uint8_t *p, size_t n)
{
    if (n < TLS_RECORD_HEADER)
        return false;
    size_t len = (size_t)p[3] << 8 | p[4];
    return p[0] != TLS_CONTENT_DATA || len > TLS_RECORD_WIRE_MAX || len < TAG + 1 || n >= TLS_RECORD_HEADER + len;
}

enum tls_open tls_keys_open(struct tls_keys *k, uint8_t *p, size_t n, size_t *used_out, struct str *plain_out,
                            enum tls_alert *alert_out)
{
    *used_out = TLS_RECORD_HEADER;
    if (n < TLS_RECORD_HEADER)
        return TLS_OPEN_MORE;
    size_t len = (size_t)p[3] << 8 | p[4];
    if (p[0] != TLS_CONTENT_DATA)
        return fail(alert_out, TLS_ALERT_UNEXPECTED_MESSAGE);
    if (len > TLS_RECORD_WIRE_MAX)
        return fail(alert_out, TLS_ALERT_RECORD_OVERFLOW);
    if (len < TAG + 1)
        return fail(alert_out, TLS_ALERT_BAD_RECORD_MAC);
    *used_out = TLS_RECORD_HEADER + len;
    if (n < *used_out)
        return TLS_OPEN_MORE;
    if (!decrypt(k, p, len))
        return fail(alert_out, TLS_ALERT_BAD_RECORD_MAC);
    uint8_t *body = p + TLS_RECORD_HEADER;
    size_t m = len - TAG;
    while (m && body[m - 1] == 0) /* padding (§5.4) */
        m--;
    if (!m)
        return fail(alert_out, TLS_ALERT_UNEXPECTED_MESSAGE);
    uint8_t type = body[--m];
    if (m > k->fragment || len - TAG > TLS_RECORD_PLAIN_MAX + 1) /* padding does not make more room (§5.4) */
        return fail(alert_out, TLS_ALERT_RECORD_OVERFLOW);
    if (type != TLS_CONTENT_HANDSHAKE && k->part_n) /* nothing comes between the parts of a message (§5.1) */
        return fail(alert_out, TLS_ALERT_UNEXPECTED_MESSAGE);
    if (type == TLS_CONTENT_DATA && m) {
        k->empty = 0;
        *plain_out = str_n((const char *)body, m);
        return TLS_OPEN_DATA;
    }
    if (++k->empty > EMPTY_MAX)
        return fail(alert_out, TLS_ALERT_UNEXPECTED_MESSAGE);
    if (type == TLS_CONTENT_DATA)
        return TLS_OPEN_NOTHING;
    if (!m) /* §5.4: only data may be empty */
        return fail(alert_out, TLS_ALERT_UNEXPECTED_MESSAGE);
    if (type == TLS_CONTENT_ALERT)
        return on_alert(body, m, alert_out);
    if (type == TLS_CONTENT_HANDSHAKE)
        return on_handshake(k, body, m, alert_out);
    return fail(alert_out, TLS_ALERT_UNEXPECTED_MESSAGE);
}

/* --- writing --- */
static void seal_one(struct tls_keys *k, enum tls_content type, const char *p, size_t n, struct buf *out)
{
    size_t len = n + 1 + TAG;
    uint8_t *rec = (uint8_t *)buf_reserve(out, TLS_RECORD_HEADER + len), *body = rec + TLS_RECORD_HEADER, kind = (uint8_t)type;
    EVP_CIPHER_CTX *ctx = prepare(k->suite, &k->wr, true);
    int at = 0, done = 0;
    rec[0] = TLS_CONTENT_DATA;
    rec[1] = 3;
    rec[2] = 3;
    rec[3] = (uint8_t)(len >> 8);
    rec[4] = (uint8_t)len;
    bool ok = EVP_CipherUpdate(ctx, NULL, &done, rec, TLS_RECORD_HEADER) == 1 &&
              EVP_CipherUpdate(ctx, body, &done, (const unsigned char *)p, (int)n) == 1;
    at = done;
    ok = ok && EVP_CipherUpdate(ctx, body + at, &done, &kind, 1) == 1;
    at += done;
    ok = ok && EVP_CipherFinal_ex(ctx, body + at, &done) == 1 && (size_t)(at + done) == n + 1 &&
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, body + n + 1) == 1;
    if (!ok) /* never send what may be plain text */
        abort();
    out->n += TLS_RECORD_HEADER + len;
}

void tls_keys_seal(struct tls_keys *k, enum tls_content type, const char *p, size_t n, struct buf *out)
{
    size_t records = n / k->fragment + 1;
    buf_reserve(out, n + records * (TLS_RECORD_HEADER + 1 + TAG));
    while (n) {
        size_t piece = n < k->fragment ? n : k->fragment;
        if (type == TLS_CONTENT_DATA && tls_keys_update_due(k))
            tls_keys_update(k, out);
        seal_one(k, type, p, piece, out);
        p += piece;
        n -= piece;
    }
}

bool tls_keys_update_due(const struct tls_keys *k)
{
    return k->update_due || k->wr.seq >= tls_records_per_key;
}

void tls_keys_update(struct tls_keys *k, struct buf *out)
{
    static const char update[] = {KEY_UPDATE, 0, 0, 1, 0};
    seal_one(k, TLS_CONTENT_HANDSHAKE, update, sizeof(update), out);
    next_generation(&suites[k->suite], &k->wr);
    k->update_due = false;
}

void tls_keys_seal_alert(struct tls_keys *k, enum tls_alert alert, struct buf *out)
{
    /* close_notify and user_canceled are warnings, all others fatal (§6.1, §6.2) */
    char text[2] = {alert == TLS_ALERT_CLOSE_NOTIFY || alert == TLS_ALERT_USER_CANCELED ? 1 : 2, (char)alert};
    seal_one(k, TLS_CONTENT_ALERT, text, sizeof(text), out);
}
