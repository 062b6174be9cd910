/*
 * Tokens of FAST (XEP-0484): handing them out and checking what a client proves with one. Callable from any shard.
 *
 * What is stored: the mechanisms (xmpp/sasl_ht.h) prove a token with an HMAC keyed by it, so whoever checks must have the token
 * itself; a hash of it, as for passwords, is not enough. So it is not stored but made anew each time: an HMAC over the account, the
 * client, the mechanism, the times and a random salt, keyed with the cluster secret (core/cookie.h), which is a file and not in the
 * database. A stolen database, dump or backup lets nobody in; who can write to the database cannot make a token or prolong one;
 * another secret ends all tokens. Who reads both the database and the spool folder can make them, as he can read everything else.
 */
#ifndef CORE_AUTH_FAST_TOKEN_H
#define CORE_AUTH_FAST_TOKEN_H

#include "base/err.h"
#include "xmpp/sasl_ht.h"

#define FAST_COUNT_MAX INT32_MAX /* xs:int */

/* A client of an account; `id` as it says in user-agent. */
struct fast_client {
    struct str host, user, id;
};

struct fast_proof {
    enum ht_mech mech;
    struct str proof, cb_data;
    int64_t count;   /* -1: none given */
    bool invalidate; /* the client logs out: all its tokens end */
};

enum fast_verdict {
    FAST_FITS,
    FAST_WRONG,      /* no such token, of another mechanism, used with this count or a higher one, or just now replaced */
    FAST_EXPIRED,
    FAST_UNAVAILABLE /* it cannot be told now */
};

/* FAST_FITS: the token counts as used, on disk. age_s_out: since it was handed out. Takes the same time whatever is wrong. */
enum fast_verdict fast_token_check(const struct fast_client *c, const struct fast_proof *p, uint8_t responder_out[HT_DIGEST],
                                   int64_t *age_s_out) YIELDS;
/* A new one; the client's present one stays good until this one is used (XEP-0484 §3.5). The text lives in a. */
int fast_token_issue(struct arena *a, const struct fast_client *c, enum ht_mech m, int64_t lifetime_s, struct str *token_out,
                     int64_t *expires_s_out, struct error *err) YIELDS;

#endif
