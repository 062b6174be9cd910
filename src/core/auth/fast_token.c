/* Tokens of FAST; what they are made from and why is in the header. Suspends: everything public (the store). */
#include "core/auth/fast_token.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/rand.h"
#include "base/secret.h"
#include "core/cookie.h"
#include "store/fast.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#define SALT 32 /* characters, 165 bits */
/* An expired token is told from a wrong one for this long: its client then knows why. */
#define REMEMBERED_S (30 * 86400)

static struct fast_owner owner_of(struct arena *a, const struct fast_client *c)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (EVP_Digest(c->id.p, c->id.n, md, &n, EVP_sha256(), NULL) != 1)
        abort(); /* fails only without memory */
    return (struct fast_owner){c->host, c->user, hex_encode(a, str_n((const char *)md, n))};
}

static void hmac(struct str key, struct str text, unsigned char out[HT_DIGEST])
{
    unsigned n = 0;
    if (!HMAC(EVP_sha256(), key.p, (int)key.n, (const unsigned char *)text.p, text.n, out, &n) || n != HT_DIGEST)
        abort();
}

/* Parted by a character that no name can have. */
static struct str token_of(struct arena *a, const struct fast_owner *o, const struct fast_row *row)
{
    unsigned char key[HT_DIGEST], md[HT_DIGEST];
    struct str secret = cookie().p ? cookie() : S("");
    struct str text = arena_printf(a, "%.*s\n%.*s\n%.*s\n%.*s\n%.*s\n%lld\n%lld", STR_ARG(o->host), STR_ARG(o->user),
                                   STR_ARG(o->agent), STR_ARG(row->mechanism), STR_ARG(row->salt), (long long)row->created_s,
                                   (long long)row->expires_s);
    hmac(secret, S("tokens of FAST"), key);
    hmac(str_n((const char *)key, sizeof(key)), text, md);
    struct str token = base64_encode(a, str_n((const char *)md, sizeof(md)));
    secret_wipe(key, sizeof(key));
    secret_wipe(md, sizeof(md));
    return token;
}

/* Of two rows, also where there are fewer: how many there are is not to be seen from outside. NULL: neither fits. */
static const struct fast_row *find_row(struct arena *a, const struct fast_owner *o, const struct fast_proof *p,
                                       const struct fast_row rows[2], size_t n, uint8_t responder[HT_DIGEST])
{
    static const struct fast_row nothing = {.mechanism = {"HT-SHA-256-NONE", 15},
                                            .salt = {"00000000000000000000000000000000", SALT}};
    const struct fast_row *found = NULL;
    for (size_t i = 0; i < 2; i++) {
        const struct fast_row *row = i < n ? &rows[i] : &nothing;
        struct str token = token_of(a, o, row);
        uint8_t want[HT_DIGEST], answer[HT_DIGEST];
        ht_hash(token, false, p->cb_data, want);
        ht_hash(token, true, p->cb_data, answer);
        if (secret_eq(str_n((const char *)want, HT_DIGEST), p->proof) && i < n) {
            found = row;
            memcpy(responder, answer, HT_DIGEST);
        }
        secret_wipe(want, sizeof(want));
        secret_wipe(answer, sizeof(answer));
    }
    return found;
}

static enum fast_verdict use_row(const struct fast_owner *o, const struct fast_row *row, const struct fast_proof *p) YIELDS;
static enum fast_verdict use_row(const struct fast_owner *o, const struct fast_row *row, const struct fast_proof *p)
{
    if (!row->newer && p->count < 0 && !p->invalidate)
        return FAST_FITS; /* nothing changes */
    switch (fast_used(o, row->salt, p->count, p->invalidate ? FAST_USE_INVALIDATE : FAST_USE_KEEP)) {
    case STORE_OK:
        return FAST_FITS;
    case STORE_NONE:
        return FAST_WRONG;
    default:
        return FAST_UNAVAILABLE;
    }
}

static enum fast_verdict check(struct arena *a, const struct fast_client *c, const struct fast_proof *p, uint8_t *responder,
                               int64_t *age_s) YIELDS;
static enum fast_verdict check(struct arena *a, const struct fast_client *c, const struct fast_proof *p, uint8_t *responder,
                               int64_t *age_s)
{
    struct fast_owner o = owner_of(a, c);
    struct fast_row rows[2];
    size_t n = 0;
    int64_t now = (int64_t)clock_wall_s();
    if (fast_get(a, &o, rows, &n) != STORE_OK)
        return FAST_UNAVAILABLE;
    const struct fast_row *row = find_row(a, &o, p, rows, n, responder);
    /* XEP-0484 §3.4: one that was asked for with a channel binding is good with that one only. */
    if (!row || !str_eq(row->mechanism, ht_name(p->mech)))
        return FAST_WRONG;
    if (row->expires_s <= now)
        return FAST_EXPIRED;
    if (p->count >= 0 && p->count <= row->count)
        return FAST_WRONG;
    *age_s = now - row->created_s;
    return use_row(&o, row, p);
}

enum fast_verdict fast_token_check(const struct fast_client *c, const struct fast_proof *p, uint8_t responder_out[HT_DIGEST],
                                   int64_t *age_s_out)
{
    struct arena *a = arena_new();
    arena_mark_secret(a);
    *age_s_out = 0;
    enum fast_verdict v = check(a, c, p, responder_out, age_s_out);
    arena_release(&a);
    return v;
}

int fast_token_issue(struct arena *a, const struct fast_client *c, enum ht_mech m, int64_t lifetime_s, struct str *token_out,
                     int64_t *expires_s_out, struct error *err)
{
    char salt[SALT + 1];
    int64_t now = (int64_t)clock_wall_s();
    struct fast_owner o = owner_of(a, c);
    rand_token(salt, SALT);
    struct fast_row row = {.mechanism = ht_name(m), .salt = str_n(salt, SALT), .created_s = now,
                           .expires_s = now + lifetime_s, .count = -1};
    enum store_rc rc = fast_add(&o, &row, now - REMEMBERED_S);
    if (rc != STORE_OK)
        return store_error(rc, "token", err);
    *token_out = token_of(a, &o, &row);
    *expires_s_out = row.expires_s;
    return 0;
}
