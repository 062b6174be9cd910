/* Types and values of admin commands: comparison, order, names of types. Pure functions, any thread. */
#include "admin/value.h"

#include <stdlib.h>

static const char *const kind_words[] = {
    [V_INTEGER] = "integer", [V_STRING] = "string",     [V_BINARY] = "binary", [V_ATOM] = "atom", [V_RESCODE] = "rescode",
    [V_RESTUPLE] = "restuple", [V_LIST] = "list", [V_TUPLE] = "tuple", [V_ANY] = "any",
};

bool type_is_map(const struct type *list)
{
    const struct type *el = list->kind == V_LIST ? &list->of[0] : NULL;
    if (!el || el->kind != V_TUPLE || el->count != 2)
        return false;
    return el->of[0].kind == V_ATOM || (!strcmp(el->of[0].name, "name") && !strcmp(el->of[1].name, "value"));
}

void type_print(struct buf *out, const struct type *t)
{
    if (t->kind != V_LIST && t->kind != V_TUPLE) {
        buf_add_str(out, str_of(kind_words[t->kind]));
        return;
    }
    buf_add_c(out, t->kind == V_LIST ? '[' : '{');
    for (unsigned i = 0; i < t->count; i++) {
        buf_printf(out, "%s%s::", i ? ", " : "", t->of[i].name);
        type_print(out, &t->of[i]);
    }
    buf_add_c(out, t->kind == V_LIST ? ']' : '}');
}

void type_print_term(struct buf *out, const struct type *t)
{
    if (t->kind != V_LIST && t->kind != V_TUPLE) {
        buf_add_str(out, str_of(kind_words[t->kind]));
        return;
    }
    buf_add_str(out, t->kind == V_LIST ? S("{list,") : S("{tuple,["));
    for (unsigned i = 0; i < t->count; i++) {
        buf_printf(out, "%s{%s,", i ? "," : "", t->of[i].name);
        type_print_term(out, &t->of[i]);
        buf_add_c(out, '}');
    }
    buf_add_str(out, t->kind == V_LIST ? S("}") : S("]}"));
}

static int cmp_many(const struct type *types, unsigned step, const struct value *a, size_t an, const struct value *b, size_t bn)
{
    for (size_t i = 0; i < an && i < bn; i++) {
        int d = value_cmp(&types[i * step], &a[i], &b[i]);
        if (d)
            return d;
    }
    return an < bn ? -1 : an > bn;
}

int value_cmp(const struct type *t, const struct value *a, const struct value *b)
{
    switch (t->kind) {
    case V_INTEGER:
    case V_RESCODE:
        return a->i < b->i ? -1 : a->i > b->i;
    case V_LIST:
        return cmp_many(t->of, 0, a->items, a->n, b->items, b->n);
    case V_TUPLE:
        return cmp_many(t->of, 1, a->items, t->count, b->items, t->count);
    default:
        return str_cmp(a->s, b->s);
    }
}

static int cmp_sorted(const void *a, const void *b, void *t)
{
    return value_cmp(t, a, b);
}

void value_sort(const struct type *t, struct value *items, size_t n)
{
    bool sorted = true;
    for (size_t i = 1; i < n && sorted; i++)
        sorted = value_cmp(t, &items[i - 1], &items[i]) <= 0;
    /* glibc's qsort_r is a merge sort as long as memory lasts: stable */
    if (!sorted)
        qsort_r(items, n, sizeof(*items), cmp_sorted, (void *)(uintptr_t)t);
}
