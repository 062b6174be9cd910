/*
 * Sets of options from maps of the file: known names only, each once, each of its type; what has no effect yet is said
 * once. Runs when a configuration is loaded.
 */
#include "core/config/config_internal.h"
#include "base/mem.h"

#include <stdlib.h>

bool option_secret(struct str name)
{
    static const char *const words[] = {"secret", "external_secret", "basic_auth", "ext_api_headers"};
    if (name.n >= 8 && !memcmp(name.p + name.n - 8, "password", 8))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(name, str_of(words[i])))
            return true;
    return false;
}

struct building {
    struct loader *l;
    const struct option_source *src;
    struct opt_entry *entries;
    size_t n;
};

static struct opt_entry *entry_add(struct building *b, const struct opt_def *def)
{
    MEM_MORE(b->entries, b->n);
    struct opt_entry *e = &b->entries[b->n++];
    *e = (struct opt_entry){.def = def};
    return e;
}

static const struct opt_def *def_for(const struct option_source *src, struct str name)
{
    const struct opt_def *d = opt_def_find(src->group, name);
    return d || !src->common ? d : opt_def_find(src->common, name);
}

static int unknown_option(struct building *b, const struct yaml *key)
{
    const struct option_source *src = b->src;
    const char *near = opt_near_def(src->group, src->common, key->text);
    char got[96];
    return yaml_error(key, b->l->err, "unknown option %s%s%s%s%s%s", yaml_got(key, got), src->of ? " of " : "",
                      src->of ? src->of : "", near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static void warn_effect(struct building *b, const struct opt_def *d, const struct yaml *key)
{
    const struct option_source *src = b->src;
    if (src->quiet || opt_has_effect(src->group->name, d->name) ||
        (src->common && opt_has_effect(src->common->name, d->name)))
        return;
    loader_warn(b->l, key, "option '%s'%s%s has no effect yet", d->name, src->of ? " of " : "", src->of ? src->of : "");
}

static bool number_name(struct str s)
{
    int64_t n;
    return str_to_i64(s, &n);
}

static void warn_rule(struct building *b, const struct opt_def *d, const struct yaml *y)
{
    const struct acl_scope *s = b->l->scope;
    if (!s || y->kind != YAML_SCALAR || str_eq(y->text, S("all")) || str_eq(y->text, S("none")))
        return;
    if (!strcmp(d->type, "access") && !rule_find(s->access, s->access_count, y->text))
        loader_warn(b->l, y, "access rule '%.*s' is not defined: it allows nobody", STR_ARG(y->text));
    if (!strcmp(d->type, "shaper") && !number_name(y->text) &&
        !rule_find(s->shapers_by_rule, s->shaper_rule_count, y->text) && !shaper_named(s, y->text))
        loader_warn(b->l, y, "shaper rule '%.*s' is not defined: no limit", STR_ARG(y->text));
}

static struct str joined(struct arena *a, const struct opt_value *v)
{
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < v->list_n; i++)
        buf_printf(&b, "%s%.*s", i ? ":" : "", STR_ARG(v->list[i]));
    struct str s = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return s;
}

static int build_one(struct building *b, struct yaml *key, struct yaml *value)
{
    const struct opt_def *d = def_for(b->src, key->text);
    if (!d)
        return unknown_option(b, key);
    if (b->src->host_config && !(d->flags & OPT_FLAG_HOST))
        return yaml_error(key, b->l->err, "option '%s' holds for the whole server and is not allowed in host_config",
                          d->name);
    struct type_subject subject = {d->name, b->src->of, option_secret(str_of(d->name))};
    struct opt_entry *e = entry_add(b, d);
    e->node = value;
    if (type_check(b->l->arena, d->type, &subject, value, &e->value, b->l->err))
        return -1;
    if (d->kind == OPT_LIST && !e->value.list) { /* a word instead of a list: allow_modules: all */
        struct str *one = ARENA_NEW(b->l->arena, struct str);
        *one = e->value.text;
        e->value.list = one;
        e->value.list_n = 1;
    }
    if (b->src->host_config && !strcmp(d->name, "include_config_file"))
        loader_warn(b->l, key, "option 'include_config_file' has no effect inside host_config");
    size_t n = strlen(d->name);
    if (d->kind == OPT_LIST && n >= 7 && !strcmp(d->name + n - 7, "ciphers"))
        e->value.text = joined(b->l->arena, &e->value);
    warn_effect(b, d, key);
    warn_rule(b, d, value);
    return 0;
}

static struct str put_in(struct arena *a, struct str text, const char *word, struct str value)
{
    const char *at = memmem(text.p, text.n, word, strlen(word));
    if (!at)
        return text;
    size_t before = (size_t)(at - text.p), after = text.n - before - strlen(word);
    return arena_printf(a, "%.*s%.*s%.*s", (int)before, text.p, STR_ARG(value), (int)after, at + strlen(word));
}

static struct str default_text(struct building *b, struct str text)
{
    const struct yaml *home = words_get(&b->l->keywords, S("HOME"));
    text = put_in(b->l->arena, text, "@HOST@", b->src->host);
    text = put_in(b->l->arena, text, "@HOST@", b->src->host); /* an address has it twice */
    return home ? put_in(b->l->arena, text, "@HOME@", home->text) : text;
}

/* Defaults that need memory: lists, and texts with the host in them. */
static void add_default(struct building *b, const struct opt_def *d)
{
    bool list = d->kind == OPT_LIST && d->def && d->def[0] && d->def[0] != '=';
    bool text = d->kind == OPT_STR && d->def && strchr(d->def, '@');
    if (!list && !text)
        return;
    for (size_t i = 0; i < b->n; i++)
        if (b->entries[i].def == d)
            return;
    struct opt_entry *e = entry_add(b, d);
    if (text) {
        e->value.text = default_text(b, str_of(d->def));
        return;
    }
    struct str rest = str_of(d->def), one;
    struct str *v = ARENA_ARRAY(b->l->arena, struct str, strlen(d->def) / 2 + 1);
    while (str_split(&rest, ' ', &one))
        v[e->value.list_n++] = default_text(b, one);
    e->value.list = v;
}

static int by_def(const void *a, const void *b)
{
    const struct opt_entry *x = a, *y = b;
    return (x->def > y->def) - (x->def < y->def);
}

static int build_all(struct building *b)
{
    const struct yaml *map = b->src->map;
    char got[96];
    if (map && map->kind != YAML_MAP && map->kind != YAML_NULL)
        return yaml_error(map, b->l->err, "%s must be a map of options, got %s", b->src->of, yaml_got(map, got));
    ptrdiff_t dup = map ? yaml_duplicate(map) : -1;
    if (dup >= 0)
        return yaml_error(map->key_nodes[dup], b->l->err, "option '%.*s'%s%s is given twice", STR_ARG(map->keys[dup]),
                          b->src->of ? " of " : "", b->src->of ? b->src->of : "");
    for (size_t i = 0; map && i < map->n; i++)
        if (build_one(b, map->key_nodes[i], map->items[i]))
            return -1;
    for (unsigned i = 0; !b->src->below && i < b->src->group->n; i++)
        add_default(b, &b->src->group->defs[i]);
    return 0;
}

int options_build(struct loader *l, const struct option_source *src, const struct options **out)
{
    struct building b = {.l = l, .src = src};
    int rc = build_all(&b);
    if (!rc) {
        struct options *o = ARENA_NEW(l->arena, struct options);
        struct opt_entry *v = ARENA_ARRAY(l->arena, struct opt_entry, b.n + 1);
        if (b.n) {
            qsort(b.entries, b.n, sizeof(*v), by_def);
            memcpy(v, b.entries, b.n * sizeof(*v));
        }
        *o = (struct options){
            .group = src->group, .common = src->common, .below = src->below, .top = src->top, .entries = v, .n = b.n};
        *out = o;
    }
    free(b.entries);
    return rc;
}
