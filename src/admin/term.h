/* JSON values written as terms, the way error texts quote what they got: 5, null, <<97,98>>, #{<<97>> => 1}. */
#ifndef ADMIN_TERM_H
#define ADMIN_TERM_H

#include "base/buf.h"
#include <jansson.h>

/* Output stops growing at TERM_MAX bytes: a caller chooses what is quoted. */
#define TERM_MAX 65536
void term_print_json(struct buf *out, const json_t *j);
void term_print_bytes(struct buf *out, struct str s);
void term_print_real(struct buf *out, double d);
/* A word as it is when it needs no quotes, else 'quoted'. */
void term_print_atom(struct buf *out, struct str s);
/* "text" with quotes and backslashes escaped. */
void term_print_text(struct buf *out, struct str s);

#endif
