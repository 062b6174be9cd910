/*
 * Arguments from typed trees into typed values: XML-RPC parameters, fields of data forms. The checks and their order are
 * those of admin/args.h. Nothing suspends; everything lives in the arena of the call or longer.
 */
#ifndef ADMIN_ARGS_TREE_H
#define ADMIN_ARGS_TREE_H

#include "admin/command.h"

enum tree_kind { TREE_TEXT, TREE_INTEGER, TREE_DOUBLE, TREE_NIL, TREE_LIST, TREE_STRUCT };

struct tree {
    enum tree_kind kind;
    struct str s;       /* TEXT; INTEGER and DOUBLE: as written */
    int64_t i;          /* INTEGER */
    struct str *names;  /* STRUCT: of its items */
    struct tree *items; /* LIST, STRUCT */
    size_t n;
};

/* Of a STRUCT; NULL: none of that name, or no STRUCT. */
const struct tree *tree_member(const struct tree *v, const char *name);

enum tree_fault { TREE_OK, TREE_DOUBLED, TREE_MISSING, TREE_UNFIT, TREE_UNKNOWN };

/* What was wrong, for front ends that tell it their own way. */
struct tree_problem {
    enum tree_fault fault;
    const struct type *arg;   /* DOUBLED, MISSING, UNFIT */
    const struct type *type;  /* UNFIT: what was expected of the value, inside of the argument */
    const struct tree *value;
};

/*
 * Fills c->args for c->shape from a struct whose members are the arguments. Anything but TREE_OK: c->failure says what is
 * wrong, in words; *out (may be NULL) in detail. What clients send for lists and tuples differs, and all of it is taken:
 *   list   an array of elements, of structs named after the element ([{"group": "a"}]); one element alone
 *   tuple  a struct of its fields, perhaps inside a struct of the tuple's name; an array of structs with one field each; an
 *          array of values in the fields' order; a text "a:b:c" as on the command line
 */
enum tree_fault args_bind_tree(struct cmd_call *c, const struct tree *args, struct tree_problem *out);
/* Today's name of an argument, for a name of any version. */
struct str args_tree_name(const struct admin_cmd *d, struct str name);

#endif
