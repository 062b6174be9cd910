/*
 * Reading options: what the file says, else the default of the table, else the top-level option the default follows.
 * Pure functions over frozen sets; any thread. Asking for a name that the set does not know is a programming error and
 * aborts.
 */
#include "core/config/option.h"

#include <stdio.h>
#include <stdlib.h>

static const struct opt_def *def_of(const struct options *o, const char *name)
{
    const struct opt_def *d = opt_def_find(o->group, str_of(name));
    if (!d && o->common)
        d = opt_def_find(o->common, str_of(name));
    if (!d) {
        fprintf(stderr, "option '%s' is not in the table of '%s'\n", name, o->group->name);
        abort();
    }
    return d;
}

static const struct opt_def *def_kind(const struct options *o, const char *name, enum opt_kind kind)
{
    const struct opt_def *d = def_of(o, name);
    if (d->kind != kind) {
        fprintf(stderr, "option '%s' of '%s' is asked for as another type than it has\n", name, o->group->name);
        abort();
    }
    return d;
}

static const struct opt_entry *entry_here(const struct options *o, const struct opt_def *d)
{
    size_t lo = 0, hi = o->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (o->entries[mid].def == d)
            return &o->entries[mid];
        if (d < o->entries[mid].def)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

static const struct opt_entry *entry_find(const struct options *o, const struct opt_def *d)
{
    for (; o; o = o->below) {
        const struct opt_entry *e = entry_here(o, d);
        if (e)
            return e;
    }
    return NULL;
}

static const struct options *top_of(const struct options *o)
{
    return o->top ? o->top : o;
}

bool opt_bool(const struct options *o, const char *name)
{
    const struct opt_def *d = def_kind(o, name, OPT_BOOL);
    const struct opt_entry *e = entry_find(o, d);
    if (e)
        return e->value.num != 0;
    if (d->def && d->def[0] == '=')
        return opt_bool(top_of(o), d->def + 1);
    return d->def && !strcmp(d->def, "true");
}

int64_t opt_int(const struct options *o, const char *name)
{
    const struct opt_def *d = def_kind(o, name, OPT_INT);
    const struct opt_entry *e = entry_find(o, d);
    if (e)
        return e->value.num;
    if (!d->def)
        return 0;
    if (d->def[0] == '=')
        return opt_int(top_of(o), d->def + 1);
    return !strcmp(d->def, "inf") ? OPT_INFINITY : strtoll(d->def, NULL, 10);
}

struct str opt_str(const struct options *o, const char *name)
{
    const struct opt_def *d = def_of(o, name);
    const struct opt_entry *e = entry_find(o, d);
    if (d->kind == OPT_NODE) { /* the name of an access or shaper rule; absent when the rule is given in place */
        const struct yaml *y = e ? e->node : opt_default_rule(d->def);
        return y && y->kind == YAML_SCALAR ? y->text : STR_NULL;
    }
    if (d->kind == OPT_LIST) /* joined when the set was built */
        return e ? e->value.text : STR_NULL;
    def_kind(o, name, OPT_STR);
    if (e)
        return e->value.text;
    if (d->def && d->def[0] == '=')
        return opt_str(top_of(o), d->def + 1);
    return str_of(d->def);
}

/* A list option that follows a word: auth_method follows default_db. */
static size_t list_of_word(struct str word, const struct str **out)
{
    static const struct str words[] = {{"mnesia", 6}, {"sql", 3}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(words[i], word)) {
            *out = &words[i];
            return 1;
        }
    return 0;
}

size_t opt_list(const struct options *o, const char *name, const struct str **out)
{
    const struct opt_def *d = def_kind(o, name, OPT_LIST);
    const struct opt_entry *e = entry_find(o, d);
    *out = NULL;
    if (e) {
        *out = e->value.list;
        return e->value.list_n;
    }
    if (!d->def || d->def[0] != '=')
        return 0; /* defaults that are not empty are entries, made when the set is built */
    const struct opt_def *followed = def_of(top_of(o), d->def + 1);
    if (followed->kind == OPT_STR)
        return list_of_word(opt_str(top_of(o), followed->name), out);
    return opt_list(top_of(o), followed->name, out);
}

const struct yaml *opt_node(const struct options *o, const char *name)
{
    const struct opt_def *d = def_of(o, name);
    const struct opt_entry *e = entry_find(o, d);
    if (e)
        return e->node;
    if (d->kind == OPT_NODE && d->def && d->def[0] == '=')
        return opt_node(top_of(o), d->def + 1);
    return d->kind == OPT_NODE ? opt_default_rule(d->def) : NULL;
}

bool opt_is_set(const struct options *o, const char *name)
{
    const struct opt_entry *e = entry_find(o, def_of(o, name));
    return e && e->node;
}
