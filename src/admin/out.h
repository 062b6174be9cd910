/*
 * Results to the outside: JSON for HTTP, text for the command line tool. Scalars and tuples are written into a buffer;
 * lists are written element by element. Nothing here suspends.
 */
#ifndef ADMIN_OUT_H
#define ADMIN_OUT_H

#include "admin/command.h"

/* A JSON string with quotes; bytes that are no UTF-8 become U+FFFD. */
void json_out_str(struct buf *out, struct str s);
void json_out_value(struct buf *out, const struct type *t, const struct value *v);
/* Everything but a list result; version 0 wraps single values in an object, COMPAT(ejabberd). */
void json_out_result(struct buf *out, const struct cmd_call *c);
/* What stands before the first, between and after the elements of a list result, and an element. */
void json_out_list_open(struct buf *out, const struct type *list);
void json_out_list_row(struct buf *out, const struct type *list, const struct value *row, bool first);
void json_out_list_close(struct buf *out, const struct type *list);
/* The body that tells a failure; *status_out is the HTTP status. */
void json_out_failure(struct buf *out, const struct failure *f, int *status_out);
/* {"status":"error","code":40,"message":"..."} */
void json_out_error(struct buf *out, int code, struct str message);

/* A whole result that is no list, with its line end; nothing for an empty text. Returns the exit code. */
int text_out_result(struct buf *out, const struct cmd_call *c);
/* One line per list element. */
void text_out_row(struct buf *out, const struct type *list, const struct value *row, unsigned version);
int text_out_failure(struct buf *out, const struct failure *f);

#endif
