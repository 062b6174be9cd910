/*
 * The configuration file with what it includes, as one map of top-level options. Blocks on files.
 * define_macro, define_keyword, host_config and append_host_config may come from several files and are joined;
 * any other option may be defined once.
 */
#include "core/config/config_internal.h"

#include <stdio.h>

struct merged {
    struct yaml *map;
    size_t cap;
};

static bool joinable(struct str name)
{
    return str_eq(name, S("define_macro")) || str_eq(name, S("define_keyword")) || str_eq(name, S("host_config")) ||
           str_eq(name, S("append_host_config"));
}

static void map_add(struct arena *a, struct merged *m, struct yaml *key, struct str name, struct yaml *value)
{
    if (m->map->n == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 64;
        struct yaml *bigger = yaml_collection(a, YAML_MAP, cap, m->map);
        for (size_t i = 0; i < m->map->n; i++) {
            bigger->items[i] = m->map->items[i];
            bigger->keys[i] = m->map->keys[i];
            bigger->key_nodes[i] = m->map->key_nodes[i];
        }
        bigger->n = m->map->n;
        m->map = bigger;
        m->cap = cap;
    }
    size_t i = m->map->n++;
    m->map->items[i] = value;
    m->map->keys[i] = name;
    m->map->key_nodes[i] = key;
}

static struct yaml *joined(struct arena *a, const struct yaml *x, const struct yaml *y)
{
    struct yaml *out = yaml_collection(a, YAML_MAP, x->n + y->n, x);
    for (size_t i = 0; i < out->n; i++) {
        const struct yaml *from = i < x->n ? x : y;
        size_t k = i < x->n ? i : i - x->n;
        out->items[i] = from->items[k];
        out->keys[i] = from->keys[k];
        out->key_nodes[i] = from->key_nodes[k];
    }
    return out;
}

static int add_option(struct loader *l, struct merged *m, const struct yaml *from, size_t i)
{
    if (m->map->n == CONFIG_TOP_MAX)
        return yaml_error(from->key_nodes[i], l->err, "more than %d options", CONFIG_TOP_MAX);
    for (size_t k = 0; k < m->map->n; k++) {
        if (!str_eq(m->map->keys[k], from->keys[i]))
            continue;
        struct yaml *first = m->map->items[k];
        bool both = first->kind == YAML_MAP && from->items[i]->kind == YAML_MAP && first->file != from->items[i]->file;
        if (!joinable(from->keys[i]) || !both)
            return yaml_error(from->key_nodes[i], l->err, "option '%.*s' is given twice, first at %s:%u:%u",
                              STR_ARG(from->keys[i]), m->map->key_nodes[k]->file, m->map->key_nodes[k]->line,
                              m->map->key_nodes[k]->column);
        m->map->items[k] = joined(l->arena, first, from->items[i]);
        return 0;
    }
    map_add(l->arena, m, from->key_nodes[i], from->keys[i], from->items[i]);
    return 0;
}

static bool named(const struct yaml *list, struct str name)
{
    if (list && list->kind == YAML_SCALAR)
        return str_eq(list->text, name);
    for (size_t i = 0; list && list->kind == YAML_LIST && i < list->n; i++)
        if (list->items[i]->kind == YAML_SCALAR && str_eq(list->items[i]->text, name))
            return true;
    return false;
}

static bool admitted(struct loader *l, const struct yaml *filter, const struct yaml *key)
{
    const struct yaml *only = yaml_get(filter, S("allow_only")), *not = yaml_get(filter, S("disallow"));
    if ((!only || named(only, key->text)) && !named(not, key->text))
        return true;
    loader_warn(l, key, "option '%.*s' is not allowed in this included file and left out", STR_ARG(key->text));
    return false;
}

static int read_into(struct loader *l, struct merged *m, const char *file, const struct yaml *where,
                     const struct yaml *filter, unsigned depth);

static int filter_check(struct loader *l, const struct yaml *filter)
{
    char got[96];
    if (filter->kind != YAML_MAP && filter->kind != YAML_NULL)
        return yaml_error(filter, l->err,
                          "options of an included file must be a map with 'allow_only' or 'disallow', got %s",
                          yaml_got(filter, got));
    for (size_t i = 0; i < filter->n; i++)
        if (!str_eq(filter->keys[i], S("allow_only")) && !str_eq(filter->keys[i], S("disallow")))
            return yaml_error(
                filter->key_nodes[i], l->err,
                "unknown option %s of option 'include_config_file'; known are 'allow_only' and 'disallow'",
                yaml_got(filter->key_nodes[i], got));
    return 0;
}

static int include_one(struct loader *l, struct merged *m, const struct yaml *name, const struct yaml *filter,
                       unsigned depth)
{
    char got[96];
    if (name->kind != YAML_SCALAR || !name->text.n)
        return yaml_error(name, l->err, "option 'include_config_file' must name files, got %s", yaml_got(name, got));
    if (l->text.p)
        return yaml_error(name, l->err, "files cannot be included here");
    if (filter && filter_check(l, filter))
        return -1;
    struct str path = name->text;
    if (path.p[0] != '/') {
        const char *slash = strrchr(l->file, '/');
        path = arena_printf(l->arena, "%.*s%.*s", slash ? (int)(slash - l->file + 1) : 0, l->file, STR_ARG(path));
    }
    return read_into(l, m, arena_cstr(l->arena, path), name, filter, depth + 1);
}

static int include(struct loader *l, struct merged *m, const struct yaml *y, unsigned depth)
{
    if (y->kind == YAML_SCALAR)
        return include_one(l, m, y, NULL, depth);
    for (size_t i = 0; i < y->n; i++) {
        bool map = y->kind == YAML_MAP;
        const struct yaml *item = y->items[i];
        if (!map && item->kind == YAML_MAP ? include(l, m, item, depth)
                                           : include_one(l, m, map ? y->key_nodes[i] : item, map ? item : NULL, depth))
            return -1;
    }
    return 0;
}

static int read_into(struct loader *l, struct merged *m, const char *file, const struct yaml *where,
                     const struct yaml *filter, unsigned depth)
{
    if (depth > CONFIG_INCLUDE_DEPTH || ++l->files > CONFIG_FILES_MAX)
        return yaml_error(where, l->err, "too many included files, or files that include each other");
    struct yaml *y = l->text.p ? yaml_parse(l->arena, l->file, l->text, l->err) : yaml_read(l->arena, file, l->err);
    if (!y)
        return where ? err_wrap(l->err, "%s:%u:%u", where->file, where->line, where->column) : -1;
    char got[96];
    if (y->kind != YAML_MAP && y->kind != YAML_NULL)
        return yaml_error(y, l->err, "a configuration file must be a map of options, got %s", yaml_got(y, got));
    if (!m->map)
        m->map = yaml_collection(l->arena, YAML_MAP, 0, y);
    ptrdiff_t dup = yaml_duplicate(y);
    if (dup >= 0)
        return yaml_error(y->key_nodes[dup], l->err, "option '%.*s' is given twice", STR_ARG(y->keys[dup]));
    for (size_t i = 0; i < y->n; i++) {
        if (filter && !admitted(l, filter, y->key_nodes[i]))
            continue;
        if (str_eq(y->keys[i], S("include_config_file")) ? include(l, m, y->items[i], depth) : add_option(l, m, y, i))
            return -1;
    }
    return 0;
}

struct yaml *config_source(struct loader *l)
{
    struct merged m = {0};
    if (read_into(l, &m, l->file, NULL, NULL, 0))
        return NULL;
    return m.map;
}
