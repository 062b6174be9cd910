/*
 * The Hashed Token mechanisms (draft-schmaus-kitten-sasl-ht), with SHA-256: what FAST (XEP-0484) logs in with. One message each
 * way; both prove possession of a token, and of the TLS connection where the mechanism binds to one. Pure functions.
 */
#ifndef XMPP_SASL_HT_H
#define XMPP_SASL_HT_H

#include "base/arena.h"

#define HT_DIGEST 32
#define HT_NAME_MAX 3071 /* bytes of the authcid, as SASL_PLAIN_NAME_MAX */

enum ht_mech { HT_NONE, HT_UNIQ, HT_EXPR, HT_ENDP, HT__COUNT };

/* "HT-SHA-256-ENDP" */
struct str ht_name(enum ht_mech m);
/* Exactly, as mechanism names are (RFC 4422 §3.1). */
bool ht_parse(struct str name, enum ht_mech *out);
/* The channel binding (RFC 5929, RFC 9266) it uses; absent: none. */
struct str ht_binding(enum ht_mech m);

struct ht_message {
    struct str authcid; /* never empty; UTF-8, unprepared */
    struct str proof;   /* HT_DIGEST bytes */
};

/* A decoded initiator message; slices of it. false: malformed. */
bool ht_message_parse(struct str msg, struct ht_message *out);
/*
 * What each side sends: HMAC(token, "Initiator" || cb_data) and HMAC(token, "Responder" || cb_data). Compare with secret_eq.
 */
void ht_hash(struct str token, bool responder, struct str cb_data, uint8_t out[HT_DIGEST]);

#endif
