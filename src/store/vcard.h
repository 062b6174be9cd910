/*
 * vCards (XEP-0054) and the search over them (XEP-0055): tables `vcard` (the XML as it is) and `vcard_search` (a value per
 * field, and the same folded in the columns with an l in front). An account has at most one row in each.
 */
#ifndef STORE_VCARD_H
#define STORE_VCARD_H

#include "store/store.h"

#define VCARD_FIELDS(F) \
    F(fn) F(family) F(given) F(middle) F(nickname) F(bday) F(ctry) F(locality) F(email) F(orgname) F(orgunit)

enum vcard_field {
#define F(name) VCARD_##name,
    VCARD_FIELDS(F)
#undef F
    VCARD_FIELD_COUNT,
    VCARD_username = VCARD_FIELD_COUNT, /* of a search only */
    VCARD_SEARCH_COUNT
};

#define VCARD_FIELD_MAX 1023 /* bytes of a field in the search table; longer ones are cut there */

/* The name of a field's column: "fn", ..., "username". */
const char *vcard_field_name(enum vcard_field f);

enum store_rc vcard_get(struct arena *a, struct str host, struct str user, struct str *xml_out) YIELDS;
/* Replaces both rows. Fields that are absent are empty; folding is done here. */
enum store_rc vcard_set(struct str host, struct str user, struct str xml, const struct str fields[VCARD_FIELD_COUNT]) YIELDS;
/* STORE_NONE when there was none. */
enum store_rc vcard_remove(struct str host, struct str user) YIELDS;

struct vcard_found {
    struct str user, field[VCARD_FIELD_COUNT];
};

/*
 * Those whose fields all fit. A pattern is folded like the fields; "*" in it stands for any text, wherever it is; an absent or
 * empty pattern fits all. Each is shown to fn, at most `limit` (0: all) of them; bounded memory; fn returning false ends it.
 * Looks through the rows that begin like the longest pattern, which an index gives, and no others.
 */
enum store_rc vcard_search(struct str host, const struct str patterns[VCARD_SEARCH_COUNT], size_t limit,
                           bool (*fn)(const struct vcard_found *v, void *arg) YIELDS, void *arg) YIELDS;

#endif
