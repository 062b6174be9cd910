/* What the options auth_* mean for a host, worked out once per configuration and shard. Never suspends. */
#ifndef CORE_AUTH_POLICY_H
#define CORE_AUTH_POLICY_H

#include "base/arena.h"
#include "base/err.h"
#include "store/users.h"

#define AUTH_PASSWORD_MAX 1023 /* bytes, of one that is stored */
#define AUTH_TOKEN_MAX 8192    /* of anything sent as a password */
#define AUTH_METHODS_MAX 8     /* of a host */

/* Forms in which a password is stored, as bits. */
#define AUTH_FORM_PLAIN 1u
#define AUTH_FORM_SCRAM(h) (2u << (h))

struct auth_methods;

struct auth_policy {
    unsigned forms;      /* never 0 */
    bool use_cache, cache_missed;
    size_t cache_max;    /* accounts, on this shard */
    uint64_t cache_life_ms;
    const struct auth_methods *methods; /* core/auth/auth_method.h; the configuration's */
};

/* false: the host is not served. Of the configuration in force now. */
bool auth_policy_of(struct str host, struct auth_policy *out);
/* Lets go of the configuration; at the end of the shard. */
void auth_policy_stop(void);

/* ERR_NOT_ACCEPTABLE: empty, too long, or not a password (RFC 4013). */
int auth_password_ok(struct str password, struct error *err);
/* Stored and given may differ in bytes and still be the same password (RFC 4616 §2 with RFC 4013). Constant time for ASCII. */
bool auth_same_password(struct str stored, struct str given);

#endif
