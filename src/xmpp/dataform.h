/*
 * Data forms, XEP-0004: reading what a client submitted, building what it is shown. Elements are made in the arena of the
 * answer. Nothing suspends; any thread. Validation against a form that was offered is up to its owner.
 */
#ifndef XMPP_DATAFORM_H
#define XMPP_DATAFORM_H

#include "xml/node.h"

#define DATAFORM_MAX_FIELDS 256

enum dataform_type { DATAFORM_FORM, DATAFORM_SUBMIT, DATAFORM_CANCEL, DATAFORM_RESULT };

struct dataform_field {
    struct str var;
    const struct str *values; /* one for a single field; none: it was left empty */
    size_t n;
};

struct dataform {
    enum dataform_type type;
    const struct dataform_field *fields; /* fields without a name are left out */
    size_t n;
};

/*
 * Reads <x xmlns='jabber:x:data'/>; texts are slices of the element where possible. NULL when it is a form; otherwise why
 * not: no or an unknown type, more than DATAFORM_MAX_FIELDS fields, two fields of one name.
 */
const char *dataform_read(struct arena *a, const struct xml_el *x, struct dataform *out);
/* NULL: no such field. */
const struct dataform_field *dataform_find(const struct dataform *f, struct str var);
/* First value of a field, without what is around it; absent when there is none. */
struct str dataform_value(const struct dataform *f, struct str var);
/* xs:boolean (§3.3): false when the text is none. */
bool dataform_boolean(struct str text, bool *out);
/* All values as the lines of one text. */
struct str dataform_lines(struct arena *a, const struct dataform_field *f);

struct xml_el *dataform_new(struct arena *a, struct xml_el *parent, enum dataform_type type);
/* These copy their texts, and replace characters that XML does not allow: results hold what anybody stored. */
void dataform_title(struct arena *a, struct xml_el *x, struct str text);
/* One <instructions/> for every line. */
void dataform_instructions(struct arena *a, struct xml_el *x, struct str text);
/* Absent words leave the attribute out; parent is the form, <reported/> or <item/>. */
struct xml_el *dataform_add(struct arena *a, struct xml_el *parent, struct str type, struct str var, struct str label);
void dataform_add_value(struct arena *a, struct xml_el *field, struct str text);
void dataform_add_desc(struct arena *a, struct xml_el *field, struct str text);
void dataform_add_option(struct arena *a, struct xml_el *field, struct str label, struct str value);
void dataform_require(struct arena *a, struct xml_el *field);
/* Hidden FORM_TYPE, XEP-0068. */
void dataform_form_type(struct arena *a, struct xml_el *x, struct str ns);
/* The text without characters that would end the receiver's stream (XML 1.0 §2.2); a copy in `a`. */
struct str dataform_clean(struct arena *a, struct str text);

#endif
