/*
 * Arguments from outside into typed values: JSON bodies, query strings, words of the command line. One binder with one
 * order of checks (behaviour recorded from ejabberd): old names are renamed, then for each declared argument in order
 * doubled, missing, wrong type; last what is left over. Nothing suspends.
 */
#ifndef ADMIN_ARGS_H
#define ADMIN_ARGS_H

#include "admin/command.h"

struct raw_args;

/* Once at start, before any thread parses. */
void args_start(void);
/*
 * A JSON object in UTF-8 (RFC 8259); a body of exactly one newline is an empty one. Strings are not copied again: they
 * live in `a`, so does everything the parser allocates. NULL: not one JSON object.
 */
struct raw_args *raw_args_json(struct arena *a, struct str body);
/* "a=b&c=d", percent-decoded, absent or empty: no arguments. NULL: malformed. */
struct raw_args *raw_args_query(struct arena *a, struct str query);
/* Takes one out, so that it is no argument any more: how many times it was there; *out is the last. JSON: none is. */
unsigned raw_args_take(struct raw_args *raw, struct str key, struct str *out);
/* Fills c->args for c->shape. -1: c->failure says what is wrong. */
int args_bind(struct cmd_call *c, const struct raw_args *raw);
/* Is that the name of an argument? */
bool cmd_shape_has(const struct cmd_shape *s, struct str name);
/* One word per argument: lists separated by ',', tuples by ':'. n fits the shape. */
int args_bind_words(struct cmd_call *c, const struct str *words, size_t n);
/* One such word as a value of the type; -1 with a failure set. */
int args_from_word(struct cmd_call *c, const struct type *t, struct str word, struct value *out);

#endif
