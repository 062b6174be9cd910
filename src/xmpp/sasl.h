/*
 * SASL as XMPP uses it (RFC 6120 §6): names of mechanisms, failure conditions, the message of PLAIN (RFC 4616).
 * Pure functions; nothing here suspends. The SCRAM exchange itself is xmpp/scram.h.
 */
#ifndef XMPP_SASL_H
#define XMPP_SASL_H

#include "xmpp/scram.h"

/* In the server's order of preference, best first; also the order in which they are offered. */
enum sasl_mech {
    SASL_EXTERNAL, /* the client's certificate (RFC 6120 §6.3.4) */
    SASL_SCRAM_SHA_512_PLUS, SASL_SCRAM_SHA_256_PLUS, SASL_SCRAM_SHA_1_PLUS,
    SASL_SCRAM_SHA_512, SASL_SCRAM_SHA_256, SASL_SCRAM_SHA_1,
    SASL_PLAIN,
    SASL_X_OAUTH2, /* the message of PLAIN with an OAuth token for the password; no standard's */
    SASL_ANONYMOUS, /* RFC 4505, XEP-0175 */
    SASL_MECH__COUNT
};

#define SASL_MECH_BIT(m) (1u << (m)) /* for sets of mechanisms */

struct sasl_mech_info {
    struct str name;
    bool scram, plus;
    enum scram_hash hash; /* of a SCRAM mechanism */
};

const struct sasl_mech_info *sasl_mech_info(enum sasl_mech m);
/* Names are compared exactly: RFC 4422 §3.1 has no lower case. */
bool sasl_mech_parse(struct str name, enum sasl_mech *out);
enum sasl_mech sasl_mech_of_scram(enum scram_hash h, bool plus);
/* The best mechanism of a set of bits; SASL_MECH__COUNT when the set is empty. */
enum sasl_mech sasl_mech_best(unsigned set);

/* RFC 6120 §6.5. */
enum sasl_failure {
    SASL_OK,
    SASL_ABORTED, SASL_ACCOUNT_DISABLED, SASL_CREDENTIALS_EXPIRED, SASL_ENCRYPTION_REQUIRED, SASL_INCORRECT_ENCODING,
    SASL_INVALID_AUTHZID, SASL_INVALID_MECHANISM, SASL_MALFORMED_REQUEST, SASL_MECHANISM_TOO_WEAK, SASL_NOT_AUTHORIZED,
    SASL_TEMPORARY_AUTH_FAILURE,
    SASL_FAILURE__COUNT
};

/* Element name of the condition ("not-authorized"); empty for SASL_OK. */
struct str sasl_failure_name(enum sasl_failure f);
/* English text for a person, in ejabberd's words where it has any. */
struct str sasl_failure_text(enum sasl_failure f);
/* What a client is told about a step of SCRAM. */
enum sasl_failure sasl_failure_of_scram(enum scram_rc rc);

struct sasl_plain {
    struct str authzid;  /* absent when empty */
    struct str authcid;  /* never empty */
    struct str password; /* never empty; secret */
};

#define SASL_PLAIN_NAME_MAX 3071    /* authzid, authcid: an address as text */
#define SASL_PLAIN_PASSWORD_MAX 8192 /* tokens are sent as passwords too */

/*
 * Cuts a decoded PLAIN message; the parts are slices of it, unprepared. SASL_OK or SASL_MALFORMED_REQUEST. Whether the
 * authzid may be used is the caller's to decide (RFC 6120 §6.3.8: the bare address of the account itself).
 */
enum sasl_failure sasl_plain_parse(struct str msg, struct sasl_plain *out);

#endif
