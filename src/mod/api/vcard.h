/*
 * vCards (XEP-0054) for others than mod_vcard: admin commands change them too. Everything at the home of the account.
 */
#ifndef MOD_API_VCARD_H
#define MOD_API_VCARD_H

#include "core/account/session.h"
#include "core/module/module.h"
#include "core/module/service.h"
#include "store/vcard.h"
#include <limits.h>

#define VCARD_PHOTO_HEX 40 /* SHA-1 in hexadecimal */

/* First child element of that name, whatever its namespace; NULL when missing. */
struct xml_el *vcard_child(const struct xml_el *el, struct str name);
/* Appends <NAME>text</NAME>. */
void vcard_add_text(struct arena *a, struct xml_el *vcard, struct str name, struct str text);
/* Parsed into `a`; STORE_NONE when there is none, STORE_UNAVAILABLE also when what is stored is no XML. */
enum store_rc vcard_load(struct arena *a, struct str host, struct str user, struct xml_el **out) YIELDS;
/*
 * Replaces it and the fields people search by; the presence of the account's sessions is sent again when there is another photo
 * (mod_vcard_xupdate). In turn (core/account/turn.h), which is the caller's to take.
 */
enum store_rc vcard_save(unsigned host, struct jid owner, const struct xml_el *vcard) YIELDS;

/*
 * vCards of a directory (db_type ldap, mod/vcard_ldap.c): only read; the search of such a host is answered there too. vcard_load
 * goes there by itself, vcard_save is not to be called.
 */
#ifdef HAVE_LDAP
bool vcard_in_directory(unsigned host);
enum store_rc vcard_directory_load(struct arena *a, unsigned host, struct str user, struct xml_el **out) YIELDS;
void vcard_directory_search(struct iq *iq) YIELDS;
#else
static inline bool vcard_in_directory(unsigned host)
{
    return host == UINT_MAX;
}
static inline enum store_rc vcard_directory_load(struct arena *a, unsigned host, struct str user, struct xml_el **out)
{
    (void)a, (void)host, (void)user, (void)out;
    return STORE_UNAVAILABLE;
}
static inline void vcard_directory_search(struct iq *iq)
{
    (void)iq;
}
#endif

/* Service that searches them (XEP-0055, mod/vcard_search.c). */
extern const struct service vcard_search_service;

/* mod_vcard_xupdate: the vCard is another one now. */
void vcard_photo_changed(unsigned host, struct jid owner, const struct xml_el *vcard);
/* The digest of the photo in a vCard (XEP-0153 §3.1); false: there is none. out has room for VCARD_PHOTO_HEX + 1. */
bool vcard_photo_digest(const struct xml_el *vcard, char *out);
/* The fields that have their content in <BINVAL/>. */
bool vcard_is_binary(struct str name);
/* Bytes of base64 text with white space in it (RFC 2045 §6.8); false: it is none. */
bool vcard_binval(struct arena *a, struct str text, struct str *out);

/* XEP-0055 §3: the form that comes back, read into the iq's arena. false: answered already: cancelled, or no submission. */
struct dataform;
bool vcard_search_form(struct iq *iq, const struct xml_el *x, struct dataform *out);

#endif
