/*
 * JSON Web Tokens as far as logins need them (RFC 7519, compact form of RFC 7515): verified against keys of RFC 7517, with
 * RS256/384/512, ES256 and HS256/384/512. A key only ever serves the algorithms of its own type, "none" does not exist, and
 * tokens with critical extensions are refused. Pure apart from memory; any thread. Bounds: JWT_TOKEN_MAX, JWT_KEYS_MAX.
 */
#ifndef CORE_JWT_H
#define CORE_JWT_H

#include "base/arena.h"
#include "base/err.h"

#define JWT_TOKEN_MAX 8192
#define JWT_FILE_MAX 262144
#define JWT_KEYS_MAX 64

struct jwt_keys;

/* A JWK or a set of them. NULL: err says what is wrong with it (ERR_CONFIG). Keys for other uses (enc) and of unknown types are
 * passed over; one at least must remain. */
struct jwt_keys *jwt_keys_parse(struct str json, struct error *err);
void jwt_keys_delete(struct jwt_keys **k);
/*
 * The text of the claim `field` of a token that is signed with one of the keys and valid at `now_s` (exp, nbf), copied into a.
 * ERR_NOT_AUTHORIZED otherwise; the words are for a log, not for whoever sent it.
 */
int jwt_verify(struct arena *a, const struct jwt_keys *keys, struct str token, struct str field, int64_t now_s, struct str *out,
               struct error *err);

#endif
