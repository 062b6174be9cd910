/*
 * Filters of LDAP (RFC 4515) made from what the configuration says: %u is the user, %d the host, %D a name (DN), %s values one
 * after the other. Whatever is put in is escaped, so that no name can be more than a name. Pure.
 */
#ifndef CORE_LDAP_FILTER_H
#define CORE_LDAP_FILTER_H

#include "base/buf.h"

struct ldap_words {
    struct str user, host, dn;
    const struct str *values;
    size_t value_count;
    bool open; /* the user may go on: a '*' follows */
};

/* Appends a value: '*', '(', ')', '\', NUL and what is not ASCII as \xx. */
void ldap_escape(struct buf *b, struct str value);
/* Appends the template with its words; a % that means nothing stands for itself, a word that is missing is empty. */
void ldap_expand(struct buf *b, struct str template, const struct ldap_words *w);
/* "(attr=pattern)", the '*' of the pattern itself kept. */
void ldap_equals(struct buf *b, struct str attr, struct str pattern, const struct ldap_words *w);
/* Does it stand in one pair of parentheses, all of them closed? */
bool ldap_filter_ok(struct str filter);

#endif
