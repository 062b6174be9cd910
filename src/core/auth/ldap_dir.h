/*
 * A directory as the options ldap_* describe it (top level, or of a module), its connections and searches. What blocks runs on a
 * thread of a pool; a thread has connections of its own. For whoever includes core/auth/ldap_lib.h.
 */
#ifndef CORE_LDAP_DIR_H
#define CORE_LDAP_DIR_H

#include "base/arena.h"
#include "base/err.h"
#include "core/auth/ldap_filter.h"
#include "core/auth/ldap_lib.h"
#include "core/config/config.h"

#define LDAP_UIDS_MAX 16
#define LDAP_ANSWER_S 5

struct ldap_uid {
    struct str attr, pattern;
};

/* Frozen once read. */
struct ldap_dir {
    struct arena *arena; /* secret; the owner's */
    char *uris, *rootdn, *base, *cacert, *cert;
    struct str password, filter;
    struct ldap_uid uids[LDAP_UIDS_MAX];
    size_t uid_count;
    int deref, verify;
    bool tls, starttls;
};

/*
 * The arena is set already and outlives it; texts are the configuration's. What `o` leaves out of the files for TLS is taken from
 * `top`, which may be the same. ERR_CONFIG: an option makes no sense.
 */
int ldap_dir_read(struct ldap_dir *d, const struct options *o, const struct options *top, struct error *err);

/* These block; results are LDAP's. */
int ldap_dir_connect(const struct ldap_dir *d, LDAP **out);
void ldap_dir_let_go(LDAP **ld);
int ldap_dir_bind(LDAP *ld, const char *dn, struct str password);
/* Was it the connection, or the directory as a whole? */
bool ldap_dir_is_gone(int rc);
/*
 * Searches over *ld, which is made (as ldap_rootdn) when it is NULL, and again once when the other side has closed it meanwhile.
 * *out may be NULL; free it with ldap_msgfree.
 */
int ldap_dir_search(const struct ldap_dir *d, LDAP **ld, const char *base, int scope, const char *filter, char **attrs, int limit,
                    LDAPMessage **out);

/* Whose entry it is: ldap_uids and ldap_filter with these words. */
void ldap_dir_user_filter(const struct ldap_dir *d, struct buf *b, const struct ldap_words *w);

#endif
