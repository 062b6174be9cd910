/* Which OAuth scopes exist: those of ejabberd, names of commands, and what api_permissions asks for. Nothing suspends. */
#ifndef ADMIN_SCOPES_H
#define ADMIN_SCOPES_H

#include "base/arena.h"

#define SCOPES_MAX 256 /* of one token */

/*
 * The words as they were given, each once, in *out with blanks between them; *v_out (may be NULL) has them one by one. false:
 * one of them is unknown, or there are too many. None are fine, COMPAT(ejabberd), and good for nothing.
 */
bool scopes_check(struct arena *a, const struct str *words, size_t n, struct str *out, const struct str **v_out, size_t *n_out);
/* The same for a text with separators; empty words do not count. */
bool scopes_parse(struct arena *a, struct str text, char separator, struct str *out, const struct str **v_out, size_t *n_out);

#endif
