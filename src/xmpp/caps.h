/*
 * Entity capabilities: digests of an answer to disco#info, for announcing one's own and for checking what somebody else announced
 * (XEP-0115 §5, XEP-0390 §4). An answer that the XEPs call ill-formed, or that holds too much, has no digest. Any thread,
 * nothing suspends; results live in the arena.
 */
#ifndef XMPP_CAPS_H
#define XMPP_CAPS_H

#include "xml/node.h"

/* Of one answer; a client today has some 60 features and one form. */
#define CAPS_FEATURES_MAX 1024
#define CAPS_IDENTITIES_MAX 64
#define CAPS_FORMS_MAX 32
#define CAPS_FIELDS_MAX 256 /* of one form; values of one field, too */

/* Digests that are computed here: "sha-1", "sha-256", "sha-512", "sha3-256" (registered names, XEP-0300). */
bool caps_hash_known(struct str name);

/*
 * Verification string of XEP-0115 in base64. NULL when there is one, otherwise why not. Texts with '<' are refused: in the string
 * they could pass for others.
 */
const char *caps_ver(struct arena *a, const struct xml_el *query, struct str hash, struct str *out);
/* The hash of XEP-0390 in base64. lang: what xml:lang is where the answer does not say (§4.1). */
const char *caps2_ver(struct arena *a, const struct xml_el *query, struct str lang, struct str hash, struct str *out);
/* Its features, sorted, slices of the answer where possible. The number is bounded; texts of more than 1023 bytes are refused. */
const char *caps_features(struct arena *a, const struct xml_el *query, struct str **out, size_t *n_out);

#endif
