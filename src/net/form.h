/* Bodies and queries of type application/x-www-form-urlencoded (WHATWG URL §5). Pure; suspends never. */
#ifndef NET_FORM_H
#define NET_FORM_H

#include "base/arena.h"

#define FORM_FIELDS_MAX 64

struct form_field {
    struct str name, value;
};

struct form {
    struct form_field *v; /* in order; names may repeat */
    size_t n;
};

/* Absent and empty text: no fields. false: malformed, not UTF-8, a NUL, too many fields. Lives in a. */
bool form_parse(struct arena *a, struct str text, struct form *out);
/* The first of this name; absent when there is none. */
struct str form_get(const struct form *f, struct str name);
/* Does a name stand there twice? */
bool form_repeats(const struct form *f);
/* Appends text so that it is one value of a query or fragment: all but letters, digits and -._~ becomes %XX. */
struct buf;
void form_escape(struct buf *out, struct str text);

#endif
