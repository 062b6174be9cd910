/* Binding of typed trees; see the header. The tree is hostile, its depth and size were bounded by whoever made it. */
#include "admin/args_tree.h"

#include "admin/args.h"

#define NAMES_SHOWN 20

struct binder {
    struct cmd_call *c;
    const struct type *arg;
    struct tree_problem problem;
};

static int unfit(struct binder *b, const struct type *t, const struct tree *v)
{
    b->problem = (struct tree_problem){TREE_UNFIT, b->arg, t, v};
    return -1;
}

static void describe(struct binder *bi)
{
    struct cmd_call *c = bi->c;
    const struct type *arg = bi->arg, *t = bi->problem.type;
    struct buf b = BUF_INIT;
    type_print(&b, t);
    if (arg == t)
        cmd_fail(c, ERR_BAD_ARGUMENT, "Argument '%s': expected %.*s", arg->name, (int)b.n, b.p);
    else
        cmd_fail(c, ERR_BAD_ARGUMENT, "Argument '%s': expected %.*s for '%s'", arg->name, (int)b.n, b.p, t->name);
    buf_deinit(&b);
}

static int bind_value(struct binder *b, const struct type *t, const struct tree *v, struct value *out);

static int bind_int(struct binder *b, const struct type *t, const struct tree *v, struct value *out)
{
    struct str digits = str_trim(v->s);
    if (v->kind == TREE_INTEGER) {
        out->i = v->i;
        return 0;
    }
    return v->kind == TREE_TEXT && str_to_i64(digits, &out->i) ? 0 : unfit(b, t, v);
}

const struct tree *tree_member(const struct tree *v, const char *name)
{
    for (size_t i = 0; v->kind == TREE_STRUCT && i < v->n; i++)
        if (str_eq(v->names[i], str_of(name)))
            return &v->items[i];
    return NULL;
}

/* What an element's or tuple's name stands around: {"group": X} for X. */
static const struct tree *unwrap(const struct type *t, const struct tree *v)
{
    const struct tree *inner = v->kind == TREE_STRUCT && v->n == 1 ? tree_member(v, t->name) : NULL;
    return inner ? inner : v;
}

static int fields_from_text(struct binder *b, const struct type *t, const struct tree *v, struct value *out)
{
    struct str rest = v->s;
    for (unsigned i = 0; i < t->count; i++) {
        struct tree part = {.kind = TREE_TEXT, .s = rest};
        if (i + 1u < t->count)
            str_split(&rest, ':', &part.s);
        if ((i + 1u < t->count && !rest.p) || bind_value(b, &t->of[i], &part, &out->items[i]) < 0)
            return unfit(b, t, v);
    }
    return 0;
}

static int fields_from_list(struct binder *b, const struct type *t, const struct tree *v, struct value *out)
{
    if (v->n != t->count)
        return unfit(b, t, v);
    for (unsigned i = 0; i < t->count; i++) {
        const struct tree *part = &v->items[i];
        /* [{"value": "x"}, {"name": "y"}]: the names decide, where there are names */
        for (size_t k = 0; k < v->n; k++)
            if (v->items[k].kind == TREE_STRUCT && v->items[k].n == 1 && tree_member(&v->items[k], t->of[i].name))
                part = &v->items[k];
        if (bind_value(b, &t->of[i], unwrap(&t->of[i], part), &out->items[i]) < 0)
            return -1;
    }
    return 0;
}

static int bind_tuple(struct binder *b, const struct type *t, const struct tree *v, struct value *out)
{
    out->n = t->count;
    out->items = ARENA_ARRAY(b->c->arena, struct value, t->count);
    v = unwrap(t, v);
    if (v->kind == TREE_TEXT)
        return fields_from_text(b, t, v, out);
    if (v->kind == TREE_LIST)
        return fields_from_list(b, t, v, out);
    if (v->kind != TREE_STRUCT || v->n != t->count)
        return unfit(b, t, v);
    for (unsigned i = 0; i < t->count; i++) {
        const struct tree *field = tree_member(v, t->of[i].name);
        if (!field)
            return unfit(b, t, v);
        if (bind_value(b, &t->of[i], field, &out->items[i]) < 0)
            return -1;
    }
    return 0;
}

/* {"public": "true"} for a list of pairs, as in JSON: the names are not those of the element or its fields. */
static bool is_map(const struct type *el, const struct tree *v)
{
    return v->kind == TREE_STRUCT && el->kind == V_TUPLE && el->count == 2 && el->of[0].kind != V_INTEGER &&
           !tree_member(v, el->name) && !tree_member(v, el->of[0].name) && !tree_member(v, el->of[1].name);
}

static int bind_map(struct binder *b, const struct type *el, const struct tree *v, struct value *out)
{
    out->items = ARENA_ARRAY(b->c->arena, struct value, v->n + 1);
    for (; out->n < v->n; out->n++) {
        struct value *pair = &out->items[out->n];
        pair->n = 2;
        pair->items = ARENA_ARRAY(b->c->arena, struct value, 2);
        pair->items[0].s = v->names[out->n];
        if (bind_value(b, &el->of[1], &v->items[out->n], &pair->items[1]) < 0)
            return -1;
    }
    return 0;
}

static int bind_list(struct binder *b, const struct type *t, const struct tree *v, struct value *out)
{
    const struct type *el = &t->of[0];
    if (is_map(el, v))
        return bind_map(b, el, v, out);
    size_t n = v->kind == TREE_LIST ? v->n : 1;
    out->items = ARENA_ARRAY(b->c->arena, struct value, n + 1);
    for (; out->n < n; out->n++) {
        const struct tree *item = v->kind == TREE_LIST ? &v->items[out->n] : v;
        if (bind_value(b, el, unwrap(el, item), &out->items[out->n]) < 0)
            return -1;
    }
    return 0;
}

static int bind_value(struct binder *b, const struct type *t, const struct tree *v, struct value *out)
{
    switch (t->kind) {
    case V_INTEGER:
        return bind_int(b, t, v, out);
    case V_LIST:
        return bind_list(b, t, v, out);
    case V_TUPLE:
        return bind_tuple(b, t, v, out);
    case V_STRING:
    case V_BINARY:
    case V_ATOM:
        if (v->kind != TREE_TEXT)
            return unfit(b, t, v);
        out->s = v->s;
        return 0;
    default:
        return unfit(b, t, v);
    }
}

/* --- the arguments --- */

struct str args_tree_name(const struct admin_cmd *d, struct str name)
{
    for (unsigned i = 0; i < d->rename_count; i++)
        if (str_eq(str_of(d->renames[i].old_name), name))
            return str_of(d->renames[i].name);
    return name;
}

static enum tree_fault bind_one(struct binder *b, const struct tree *args, const struct type *t, struct value *out)
{
    const struct tree *found = NULL;
    b->arg = t;
    b->problem.arg = t;
    for (size_t i = 0; i < args->n; i++) {
        if (!str_eq(args_tree_name(b->c->cmd->d, args->names[i]), str_of(t->name)))
            continue;
        if (found) {
            cmd_fail(b->c, ERR_BAD_ARGUMENT, "Argument '%s' is given twice", t->name);
            return TREE_DOUBLED;
        }
        found = &args->items[i];
    }
    if (!found && t->kind == V_LIST)
        return TREE_OK;
    if (!found) {
        cmd_fail(b->c, ERR_BAD_ARGUMENT, "Argument '%s' is missing", t->name);
        return TREE_MISSING;
    }
    if (bind_value(b, t, found, out) == 0)
        return TREE_OK;
    describe(b);
    return TREE_UNFIT;
}

static enum tree_fault left_over(struct cmd_call *c, const struct tree *args)
{
    struct buf b = BUF_INIT;
    unsigned n = 0;
    for (size_t i = 0; i < args->n && n < NAMES_SHOWN; i++) {
        if (cmd_shape_has(c->shape, args_tree_name(c->cmd->d, args->names[i])))
            continue;
        struct str name = args->names[i];
        buf_printf(&b, "%s%.*s", n++ ? ", " : "", (int)(name.n < 64 ? name.n : 64), name.p ? name.p : "");
    }
    if (n)
        cmd_fail(c, ERR_BAD_ARGUMENT, "The command has no such arguments: %.*s", (int)b.n, b.p);
    buf_deinit(&b);
    return n ? TREE_UNKNOWN : TREE_OK;
}

static enum tree_fault bind_all(struct binder *b, const struct tree *args)
{
    const struct cmd_shape *s = b->c->shape;
    struct value *values = ARENA_ARRAY(b->c->arena, struct value, s->arg_count + 1u);
    b->c->args = values;
    for (unsigned i = 0; i < s->arg_count; i++) {
        enum tree_fault fault = bind_one(b, args, &s->args[i], &values[i]);
        if (fault != TREE_OK)
            return fault;
    }
    return left_over(b->c, args);
}

enum tree_fault args_bind_tree(struct cmd_call *c, const struct tree *args, struct tree_problem *out)
{
    struct binder b = {.c = c};
    b.problem.fault = bind_all(&b, args);
    if (out)
        *out = b.problem;
    return b.problem.fault;
}
