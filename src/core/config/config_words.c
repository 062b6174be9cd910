/*
 * Macros and keywords: words of the configuration that stand for values. A scalar that is the word becomes the value;
 * "@WORD@" inside a text becomes the value's text. Macros (define_macro, EJABBERD_MACRO_* of the environment, which
 * win) are put in first and everywhere; keywords (define_keyword and predefined ones) afterwards, per host where they
 * differ.
 */
#include "core/config/config_internal.h"
#include "base/mem.h"

#include <stdlib.h>
#include <unistd.h>

#define EXPAND_TEXT_MAX 65536
/* COMPAT(ejabberd): what VERSION and SEMVER stand for. */
#define COMPAT_VERSION "25.03"
#define COMPAT_SEMVER "25.3.0"

enum progress { WAITING, UNDER_WAY, DONE };

struct expander {
    struct loader *l;
    const struct words *words;
    enum progress *progress; /* of the words themselves; NULL: their values are expanded already */
    size_t budget;
};

void words_set(struct arena *a, struct words *w, struct str name, struct yaml *value)
{
    for (size_t i = 0; i < w->n; i++)
        if (str_eq(w->names[i], name)) {
            w->values[i] = value;
            return;
        }
    ARENA_MORE(a, w->names, w->n);
    ARENA_MORE(a, w->values, w->n);
    w->names[w->n] = name;
    w->values[w->n++] = value;
}

static ptrdiff_t words_at(const struct words *w, struct str name)
{
    for (size_t i = 0; i < w->n; i++)
        if (str_eq(w->names[i], name))
            return (ptrdiff_t)i;
    return -1;
}

struct yaml *words_get(const struct words *w, struct str name)
{
    ptrdiff_t i = words_at(w, name);
    return i < 0 ? NULL : w->values[i];
}

static struct yaml *expand(struct expander *x, struct yaml *y);

/* The value of a word, itself expanded. NULL with err when it needs itself. */
static struct yaml *word_value(struct expander *x, size_t i, const struct yaml *where)
{
    struct yaml *value = x->words->values[i];
    if (!x->progress || x->progress[i] == DONE)
        return value;
    if (x->progress[i] == UNDER_WAY) {
        yaml_error(where, x->l->err, "'%.*s' is defined by itself", STR_ARG(x->words->names[i]));
        return NULL;
    }
    x->progress[i] = UNDER_WAY;
    value = expand(x, value);
    x->progress[i] = DONE;
    if (value)
        x->words->values[i] = value;
    return value;
}

/* "@WORD@" at s[at]: position of the word, or -1; *end_out stands behind it. */
static ptrdiff_t word_in_text(const struct words *w, struct str s, size_t at, size_t *end_out)
{
    const char *end = memchr(s.p + at + 1, '@', s.n - at - 1);
    if (!end)
        return -1;
    *end_out = (size_t)(end - s.p) + 1;
    return words_at(w, str_n(s.p + at + 1, *end_out - at - 2));
}

static int expand_at(struct expander *x, struct yaml *y, struct buf *out, size_t *at, bool *changed)
{
    size_t end;
    ptrdiff_t i = y->text.p[*at] == '@' ? word_in_text(x->words, y->text, *at, &end) : -1;
    struct yaml *value = i >= 0 ? word_value(x, (size_t)i, y) : NULL;
    if (i >= 0 && !value)
        return -1;
    if (!value || value->kind != YAML_SCALAR) {
        buf_add_c(out, y->text.p[(*at)++]);
        return 0;
    }
    buf_add_str(out, value->text);
    *at = end;
    *changed = true;
    return out->n > EXPAND_TEXT_MAX ? yaml_error(y, x->l->err, "text grows beyond %d bytes", EXPAND_TEXT_MAX) : 0;
}

static struct yaml *expand_text(struct expander *x, struct yaml *y)
{
    struct buf out = BUF_INIT;
    bool changed = false;
    int rc = 0;
    for (size_t at = 0; at < y->text.n && !rc;)
        rc = expand_at(x, y, &out, &at, &changed);
    struct yaml *made = rc ? NULL : y;
    if (!rc && changed)
        made = yaml_scalar(x->l->arena, arena_str(x->l->arena, buf_str(&out)), true, y);
    buf_deinit(&out);
    return made;
}

static struct yaml *expand_scalar(struct expander *x, struct yaml *y)
{
    struct str s = y->text;
    ptrdiff_t i = words_at(x->words, s);
    if (i < 0 && s.n > 2 && s.p[0] == '@' && s.p[s.n - 1] == '@')
        i = words_at(x->words, str_n(s.p + 1, s.n - 2));
    if (i >= 0)
        return word_value(x, (size_t)i, y);
    return str_find(s, '@') < 0 ? y : expand_text(x, y);
}

static struct yaml *copy_of(struct arena *a, const struct yaml *y)
{
    struct yaml *c = yaml_collection(a, y->kind, y->n, y);
    memcpy(c->items, y->items, y->n * sizeof(struct yaml *));
    if (y->kind == YAML_MAP) {
        memcpy(c->keys, y->keys, y->n * sizeof(struct str));
        memcpy(c->key_nodes, y->key_nodes, y->n * sizeof(struct yaml *));
    }
    return c;
}

static struct yaml *expand(struct expander *x, struct yaml *y)
{
    if (!x->budget--) {
        x->budget = 0;
        yaml_error(y, x->l->err, "the configuration grows beyond %d nodes", YAML_MAX_NODES);
        return NULL;
    }
    if (y->kind == YAML_SCALAR)
        return expand_scalar(x, y);
    struct yaml *copy = NULL;
    for (size_t i = 0; i < y->n; i++) {
        struct yaml *item = expand(x, y->items[i]);
        if (!item)
            return NULL;
        if (item != y->items[i] && !copy)
            copy = copy_of(x->l->arena, y);
        if (copy)
            copy->items[i] = item;
    }
    return copy ? copy : y;
}

struct yaml *words_expand(struct loader *l, const struct words *w, struct yaml *y)
{
    enum progress *progress = mem_zalloc((w->n + 1) * sizeof(*progress));
    struct expander x = {l, w, progress, YAML_MAX_NODES};
    struct yaml *out = expand(&x, y);
    free(progress);
    /* Values are shared, not copied: it is the walk over the result that must stay short. */
    if (out && yaml_weight(out, YAML_MAX_NODES) > YAML_MAX_NODES) {
        yaml_error(y, l->err, "the configuration grows beyond %d nodes", YAML_MAX_NODES);
        return NULL;
    }
    return out;
}

static int collect(struct loader *l, const struct yaml *map, const char *option, struct words *out)
{
    char got[96];
    if (!map || map->kind == YAML_NULL)
        return 0;
    if (map->kind != YAML_MAP)
        return yaml_error(map, l->err, "option '%s' must be a map, got %s", option, yaml_got(map, got));
    ptrdiff_t dup = yaml_duplicate(map);
    if (dup >= 0)
        return yaml_error(map->key_nodes[dup], l->err, "'%.*s' is given twice in option '%s'", STR_ARG(map->keys[dup]),
                          option);
    if (map->n > CONFIG_MACROS_MAX)
        return yaml_error(map, l->err, "option '%s' has more than %d entries", option, CONFIG_MACROS_MAX);
    for (size_t i = 0; i < map->n; i++)
        words_set(l->arena, out, map->keys[i], map->items[i]);
    return 0;
}

static void collect_environment(struct loader *l)
{
    static const char prefix[] = "EJABBERD_MACRO_";
    for (char **e = environ; e && *e && l->macros.n < CONFIG_MACROS_MAX; e++) {
        const char *eq = strchr(*e, '=');
        if (strncmp(*e, prefix, sizeof(prefix) - 1) || !eq || eq == *e + sizeof(prefix) - 1)
            continue;
        struct str name = arena_str(l->arena, str_n(*e + sizeof(prefix) - 1, (size_t)(eq - *e) - sizeof(prefix) + 1));
        struct yaml *v = yaml_scalar(l->arena, arena_str(l->arena, str_of(eq + 1)), false, NULL);
        v->file = arena_cstr(l->arena, arena_printf(l->arena, "environment variable %s%.*s", prefix, STR_ARG(name)));
        words_set(l->arena, &l->macros, name, v);
    }
}

int config_macros(struct loader *l, struct yaml *top)
{
    if (collect(l, yaml_get(top, S("define_macro")), "define_macro", &l->macros))
        return -1;
    collect_environment(l);
    struct yaml *rest = yaml_collection(l->arena, YAML_MAP, top->n, top);
    rest->n = 0;
    for (size_t i = 0; i < top->n; i++) {
        if (str_eq(top->keys[i], S("define_macro")))
            continue;
        rest->items[rest->n] = top->items[i];
        rest->keys[rest->n] = top->keys[i];
        rest->key_nodes[rest->n++] = top->key_nodes[i];
    }
    l->top = l->macros.n ? words_expand(l, &l->macros, rest) : rest;
    return l->top ? 0 : -1;
}

static void predefine(struct loader *l, const char *name, const char *value)
{
    if (value)
        words_set(l->arena, &l->keywords, str_of(name),
                  yaml_scalar(l->arena, arena_str(l->arena, str_of(value)), true, NULL));
}

int config_keywords(struct loader *l)
{
    predefine(l, "HOME", getenv("HOME"));
    predefine(l, "VERSION", COMPAT_VERSION);
    predefine(l, "SEMVER", COMPAT_SEMVER);
    predefine(l, "CONFIG_PATH", l->env ? l->env->config_dir : NULL);
    predefine(l, "LOGS_PATH", l->env ? l->env->log_dir : NULL);
    predefine(l, "SPOOL_PATH", l->env ? l->env->spool_dir : NULL);
    return collect(l, yaml_get(l->top, S("define_keyword")), "define_keyword", &l->keywords);
}

int words_extend(struct loader *l, const struct words *from, const struct yaml *map, struct words *out)
{
    *out = (struct words){0};
    for (size_t i = 0; i < from->n; i++)
        words_set(l->arena, out, from->names[i], from->values[i]);
    return collect(l, map, "define_keyword", out);
}
