/*
 * Directories that hold vCards (mod_vcard with db_type ldap): made with the configuration, asked on threads of their own. What is
 * asked for and how it is shown is up to mod/vcard_ldap.c. Only reads.
 */
#ifndef CORE_DIRECTORY_H
#define CORE_DIRECTORY_H

#include "core/auth/ldap_filter.h"
#include "core/config/config.h"

#define DIRECTORY_ATTRS_MAX 64
#define DIRECTORY_VALUES_MAX 16              /* of an attribute; more are left out */
#define DIRECTORY_VALUE_BYTES (512u << 10)   /* a longer one is left out */
#define DIRECTORY_ANSWER_BYTES (8u << 20)    /* of all values; further entries are left out */

struct directory_values {
    const struct str *v; /* bytes: nobody has looked at them */
    size_t n;
};

/* In and out; everything in `a`. */
struct directory_query {
    struct arena *a;
    struct str filter; /* RFC 4515; core/auth/ldap_filter.h */
    const struct str *attrs;
    size_t attr_count; /* at most DIRECTORY_ATTRS_MAX */
    size_t limit;
    struct directory_values **rows; /* each has attr_count values */
    size_t n;
};

#ifdef HAVE_LDAP
/* For all hosts whose mod_vcard says db_type ldap. ERR_CONFIG: an option makes no sense. */
int directories_make(struct config *c, struct error *err);
/* NULL: vCards of the host are not in a directory. Lives with the configuration: hold it. */
struct directory *directory_of(const struct config *c, unsigned host);
/* ERR_UNAVAILABLE: it cannot be asked, said in the log. */
int directory_search(struct directory *d, struct directory_query *q, struct error *err) YIELDS;
/* Appends the filter for entries of people: ldap_uids and ldap_filter of the module. */
void directory_people(const struct directory *d, struct buf *b, const struct ldap_words *w);
/* "(|(uid=...)...)" of these words, without ldap_filter. */
void directory_names(const struct directory *d, struct buf *b, const struct ldap_words *w);
size_t directory_uid_count(const struct directory *d);
struct str directory_uid_attr(const struct directory *d, size_t i);
/* The user in a value of that attribute, as its pattern has it; not prepared. false: it does not fit the pattern. */
bool directory_uid_user(const struct directory *d, size_t i, struct str host, struct str value, struct str *user_out);
#else
static inline int directories_make(struct config *c, struct error *err)
{
    (void)c;
    (void)err;
    return 0;
}
#endif

#endif
