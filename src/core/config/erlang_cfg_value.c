/* Terms into YAML values, and the trees they are collected in. Pure; any thread. */
#include "core/config/erlang_cfg_internal.h"

#include <stdarg.h>
#include <stdio.h>

#define PRINT_MAX 120
#define NOTES_MAX 1000

/* --- terms --- */

bool term_is(const struct term *t, enum term_kind kind, size_t n)
{
    return t->kind == kind && t->n == n;
}

bool term_is_atom(const struct term *t, const char *word)
{
    return t->kind == TERM_ATOM && str_eq(t->text, str_of(word));
}

bool term_is_text(const struct term *t)
{
    return t->kind == TERM_ATOM || t->kind == TERM_STRING || t->kind == TERM_BINARY;
}

static void print(struct buf *b, const struct term *t)
{
    if (b->n > PRINT_MAX)
        return;
    switch (t->kind) {
    case TERM_STRING: buf_printf(b, "\"%.*s\"", STR_ARG(t->text)); return;
    case TERM_BINARY: buf_printf(b, "<<\"%.*s\">>", STR_ARG(t->text)); return;
    case TERM_INT: buf_printf(b, "%lld", (long long)t->num); return;
    case TERM_ATOM:
    case TERM_FLOAT: buf_add_str(b, t->text); return;
    case TERM_LIST:
    case TERM_TUPLE: break;
    }
    buf_add_c(b, t->kind == TERM_LIST ? '[' : '{');
    for (size_t i = 0; i < t->n; i++) {
        if (i)
            buf_add_c(b, ',');
        print(b, t->items[i]);
    }
    buf_add_c(b, t->kind == TERM_LIST ? ']' : '}');
}

struct str term_print(struct arena *a, const struct term *t)
{
    struct buf b = BUF_INIT;
    print(&b, t);
    bool cut = b.n > PRINT_MAX;
    struct str s = arena_printf(a, "%.*s%s", (int)(cut ? PRINT_MAX : b.n), b.p ? b.p : "", cut ? "..." : "");
    buf_deinit(&b);
    return s;
}

bool term_ip(struct arena *a, const struct term *t, struct str *out)
{
    bool six = term_is(t, TERM_TUPLE, 8);
    struct buf b = BUF_INIT;
    bool ok = six || term_is(t, TERM_TUPLE, 4);
    for (size_t i = 0; ok && i < t->n; i++) {
        const struct term *part = t->items[i];
        ok = part->kind == TERM_INT && part->num >= 0 && part->num <= (six ? 0xffff : 255);
        if (ok)
            buf_printf(&b, six ? "%s%llx" : "%s%lld", i ? (six ? ":" : ".") : "", (long long)part->num);
    }
    if (ok)
        *out = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return ok;
}

/* --- trees --- */

struct yaml *ymap_new(struct conv *c)
{
    return yaml_collection(c->a, YAML_MAP, 0, NULL);
}

struct yaml *ylist_new(struct conv *c)
{
    return yaml_collection(c->a, YAML_LIST, 0, NULL);
}

/* Room is doubled whenever the count is a power of two. */
static void make_room(struct conv *c, struct yaml *y)
{
    if (y->n & (y->n - 1))
        return;
    size_t cap = y->n ? y->n * 2 : 1;
    struct yaml **items = ARENA_ARRAY(c->a, struct yaml *, cap);
    if (y->n)
        memcpy(items, y->items, y->n * sizeof(struct yaml *));
    y->items = items;
    if (y->kind != YAML_MAP)
        return;
    struct str *keys = ARENA_ARRAY(c->a, struct str, cap);
    struct yaml **key_nodes = ARENA_ARRAY(c->a, struct yaml *, cap);
    if (y->n) {
        memcpy(keys, y->keys, y->n * sizeof(struct str));
        memcpy(key_nodes, y->key_nodes, y->n * sizeof(struct yaml *));
    }
    y->keys = keys;
    y->key_nodes = key_nodes;
}

void ylist_add(struct conv *c, struct yaml *list, struct yaml *item)
{
    make_room(c, list);
    list->items[list->n++] = item;
}

static ptrdiff_t ymap_at(const struct yaml *map, struct str key)
{
    for (size_t i = 0; i < map->n; i++)
        if (str_eq(map->keys[i], key))
            return (ptrdiff_t)i;
    return -1;
}

struct yaml *ymap_find(const struct yaml *map, struct str key)
{
    ptrdiff_t i = ymap_at(map, key);
    return i < 0 ? NULL : map->items[i];
}

void ymap_set(struct conv *c, struct yaml *map, struct str key, struct yaml *value)
{
    ptrdiff_t i = ymap_at(map, key);
    if (i >= 0) {
        map->items[i] = value;
        return;
    }
    make_room(c, map);
    map->keys[map->n] = key;
    map->key_nodes[map->n] = yaml_scalar(c->a, key, false, NULL);
    map->items[map->n++] = value;
}

static struct yaml *collection_in(struct conv *c, struct yaml *map, const char *key, enum yaml_kind kind)
{
    struct yaml *y = ymap_find(map, str_of(key));
    if (y && y->kind == kind)
        return y;
    y = yaml_collection(c->a, kind, 0, NULL);
    ymap_set(c, map, str_of(key), y);
    return y;
}

struct yaml *ymap_in(struct conv *c, struct yaml *map, const char *key)
{
    return collection_in(c, map, key, YAML_MAP);
}

struct yaml *ylist_in(struct conv *c, struct yaml *map, const char *key)
{
    return collection_in(c, map, key, YAML_LIST);
}

/* --- values --- */

struct yaml *value_word(struct conv *c, struct str word)
{
    return yaml_scalar(c->a, word, false, NULL);
}

/* Quoted: "5" stays a text. */
struct yaml *value_text(struct conv *c, struct str text)
{
    return yaml_scalar(c->a, text, true, NULL);
}

/* {Key, Value}, or a flag among such. */
static bool is_property(const struct term *t)
{
    return term_is(t, TERM_TUPLE, 2) && term_is_text(t->items[0]);
}

static bool is_property_list(const struct term *t)
{
    size_t pairs = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (!is_property(t->items[i]) && t->items[i]->kind != TERM_ATOM)
            return false;
        pairs += is_property(t->items[i]);
    }
    return pairs > 0;
}

static struct yaml *ymap_of(struct conv *c, const struct term *list)
{
    struct yaml *map = ymap_new(c);
    for (size_t i = 0; i < list->n; i++) {
        const struct term *t = list->items[i];
        if (t->kind == TERM_ATOM)
            ymap_set(c, map, t->text, value_word(c, S("true")));
        else
            ymap_set(c, map, t->items[0]->text, value_of(c, t->items[1]));
    }
    return map;
}

static struct yaml *ylist_of(struct conv *c, const struct term *t)
{
    struct yaml *list = ylist_new(c);
    for (size_t i = 0; i < t->n; i++)
        ylist_add(c, list, value_of(c, t->items[i]));
    return list;
}

struct yaml *value_of(struct conv *c, const struct term *t)
{
    struct str ip;
    switch (t->kind) {
    case TERM_ATOM:
    case TERM_FLOAT: return value_word(c, t->text);
    case TERM_STRING:
    case TERM_BINARY: return value_text(c, t->text);
    case TERM_INT: return value_word(c, arena_printf(c->a, "%lld", (long long)t->num));
    case TERM_LIST: return is_property_list(t) ? ymap_of(c, t) : ylist_of(c, t);
    case TERM_TUPLE: break;
    }
    if (term_ip(c->a, t, &ip))
        return value_text(c, ip);
    if (!is_property(t))
        return ylist_of(c, t);
    struct yaml *map = ymap_new(c);
    ymap_set(c, map, t->items[0]->text, value_of(c, t->items[1]));
    return map;
}

/* --- notes --- */

void note(struct conv *c, const struct term *t, const char *fmt, ...)
{
    char words[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    if (!c->notes)
        c->notes = ARENA_ARRAY(c->a, struct str, NOTES_MAX);
    if (c->note_count < NOTES_MAX) {
        struct str s = t ? arena_printf(c->a, "line %u: %s", t->line, words) : arena_str(c->a, str_of(words));
        c->notes[c->note_count] = s;
    }
    c->note_count++;
}
