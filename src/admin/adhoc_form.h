/*
 * Commands of the table as data forms (XEP-0004) and back: what the ad-hoc front ends share. The form of the arguments and
 * that of the result are made from the entry; answers are bound through admin/args_tree.h.
 */
#ifndef ADMIN_ADHOC_FORM_H
#define ADMIN_ADHOC_FORM_H

#include "admin/args_tree.h"
#include "core/config/access.h"
#include "mod/api/adhoc.h"

#define ADHOC_ROWS_MAX 5000 /* of a list, in one answer: the rest is counted */

/* Who asks, with the address of the session where it is known. Copies into a. */
void adhoc_caller(struct arena *a, struct str frontend, struct jid from, struct api_caller *out) YIELDS;

/* Title, instructions and a field for every argument; answers: to fill in again, NULL: examples. */
void adhoc_form_args(struct arena *a, struct xml_el *command, const struct cmd_call *c, struct str host,
                     const struct dataform *answers);
/* Binds the answers; FORM_TYPE is passed over. TREE_OK, or c->failure says what is wrong. */
enum tree_fault adhoc_form_bind(struct cmd_call *c, const struct dataform *answers);
/*
 * Runs the bound call, keeping the first ADHOC_ROWS_MAX rows of a list in c->rows, sorted; *total_out is how many there were. Logs.
 * 0 or -1 as cmd_run.
 */
int adhoc_run(struct cmd_call **c, size_t *total_out) YIELDS;
/* Arguments as they were asked for (c->args before the run) and result. */
void adhoc_form_result(struct arena *a, struct xml_el *command, const struct cmd_call *c, const struct value *asked);
/* Any value as text: lists one element a line, tuples with ':' between the fields. */
void adhoc_value_text(struct buf *out, const struct type *t, const struct value *v);

#endif
