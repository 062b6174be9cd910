/*
 * SASL mechanism names, failure conditions and the PLAIN message (RFC 6120 §6, RFC 4616). Tables and slices only: any
 * thread, nothing suspends. Leaves out base64, accounts and the exchange of SCRAM.
 */
#include "xmpp/sasl.h"

#include "base/utf8.h"

static const struct sasl_mech_info mechs[SASL_MECH__COUNT] = {
    [SASL_EXTERNAL] = {{"EXTERNAL", 8}, false, false, SCRAM_SHA1},
    [SASL_SCRAM_SHA_512_PLUS] = {{"SCRAM-SHA-512-PLUS", 18}, true, true, SCRAM_SHA512},
    [SASL_SCRAM_SHA_256_PLUS] = {{"SCRAM-SHA-256-PLUS", 18}, true, true, SCRAM_SHA256},
    [SASL_SCRAM_SHA_1_PLUS] = {{"SCRAM-SHA-1-PLUS", 16}, true, true, SCRAM_SHA1},
    [SASL_SCRAM_SHA_512] = {{"SCRAM-SHA-512", 13}, true, false, SCRAM_SHA512},
    [SASL_SCRAM_SHA_256] = {{"SCRAM-SHA-256", 13}, true, false, SCRAM_SHA256},
    [SASL_SCRAM_SHA_1] = {{"SCRAM-SHA-1", 11}, true, false, SCRAM_SHA1},
    [SASL_PLAIN] = {{"PLAIN", 5}, false, false, SCRAM_SHA1},
    [SASL_X_OAUTH2] = {{"X-OAUTH2", 8}, false, false, SCRAM_SHA1},
    [SASL_ANONYMOUS] = {{"ANONYMOUS", 9}, false, false, SCRAM_SHA1},
};

static const struct {
    const char *name, *text;
} failures[SASL_FAILURE__COUNT] = {
    [SASL_OK] = {"", ""},
    [SASL_ABORTED] = {"aborted", "Aborted"},
    [SASL_ACCOUNT_DISABLED] = {"account-disabled", "Account is disabled"},
    [SASL_CREDENTIALS_EXPIRED] = {"credentials-expired", "Credentials have expired"},
    [SASL_ENCRYPTION_REQUIRED] = {"encryption-required", "Encryption is required"},
    [SASL_INCORRECT_ENCODING] = {"incorrect-encoding", "Response decoding failed"},
    [SASL_INVALID_AUTHZID] = {"invalid-authzid", "This account may not act for the requested address"},
    [SASL_INVALID_MECHANISM] = {"invalid-mechanism", "Unsupported mechanism"},
    [SASL_MALFORMED_REQUEST] = {"malformed-request", "Response decoding failed"},
    [SASL_MECHANISM_TOO_WEAK] = {"mechanism-too-weak", "A stronger mechanism is required"},
    [SASL_NOT_AUTHORIZED] = {"not-authorized", "Invalid username or password"},
    [SASL_TEMPORARY_AUTH_FAILURE] = {"temporary-auth-failure", "Temporary authentication failure"},
};

const struct sasl_mech_info *sasl_mech_info(enum sasl_mech m)
{
    return &mechs[m];
}

bool sasl_mech_parse(struct str name, enum sasl_mech *out)
{
    for (unsigned i = 0; i < SASL_MECH__COUNT; i++) {
        if (str_eq(name, mechs[i].name)) {
            *out = (enum sasl_mech)i;
            return true;
        }
    }
    return false;
}

enum sasl_mech sasl_mech_of_scram(enum scram_hash h, bool plus)
{
    for (unsigned i = 0; i < SASL_MECH__COUNT; i++)
        if (mechs[i].scram && mechs[i].hash == h && mechs[i].plus == plus)
            return (enum sasl_mech)i;
    return SASL_MECH__COUNT;
}

enum sasl_mech sasl_mech_best(unsigned set)
{
    for (unsigned i = 0; i < SASL_MECH__COUNT; i++)
        if (set & SASL_MECH_BIT(i))
            return (enum sasl_mech)i;
    return SASL_MECH__COUNT;
}

struct str sasl_failure_name(enum sasl_failure f)
{
    return str_of(failures[f].name);
}

struct str sasl_failure_text(enum sasl_failure f)
{
    return str_of(failures[f].text);
}

enum sasl_failure sasl_failure_of_scram(enum scram_rc rc)
{
    switch (rc) {
    case SCRAM_OK:
        return SASL_OK;
    case SCRAM_MALFORMED:
        return SASL_MALFORMED_REQUEST;
    case SCRAM_NOT_AUTHORIZED:
    case SCRAM_CB_MISMATCH:
        break;
    }
    /* RFC 6120 §6.5.10: what exactly was wrong is not told. */
    return SASL_NOT_AUTHORIZED;
}

/* message = [authzid] NUL authcid NUL passwd (RFC 4616 §2) */
enum sasl_failure sasl_plain_parse(struct str msg, struct sasl_plain *out)
{
    struct sasl_plain p;
    *out = (struct sasl_plain){0};
    struct str rest = msg;
    if (!str_split(&rest, '\0', &p.authzid) || !str_split(&rest, '\0', &p.authcid) || !rest.p)
        return SASL_MALFORMED_REQUEST;
    p.password = rest;
    if (p.authzid.n == 0)
        p.authzid = STR_NULL;
    if (p.authzid.n > SASL_PLAIN_NAME_MAX || p.authcid.n == 0 || p.authcid.n > SASL_PLAIN_NAME_MAX)
        return SASL_MALFORMED_REQUEST;
    if (p.password.n == 0 || p.password.n > SASL_PLAIN_PASSWORD_MAX || memchr(p.password.p, '\0', p.password.n))
        return SASL_MALFORMED_REQUEST;
    if (!utf8_valid(p.authzid) || !utf8_valid(p.authcid) || !utf8_valid(p.password))
        return SASL_MALFORMED_REQUEST;
    *out = p;
    return SASL_OK;
}
