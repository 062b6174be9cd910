/*
 * YAML read through libyaml's events into a tree with places. Runs wherever a configuration is loaded; blocks on the
 * file, suspends never. Leaves out tags, merge keys and several documents in one file. The text is trusted to be an
 * administrator's, yet bounded: size, depth, nodes, anchors, and nodes counted through aliases (billion laughs).
 */
#include "core/config/yaml.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

struct anchor {
    struct anchor *next;
    struct str name;
    struct yaml *node;
    size_t weight;
};

struct reader {
    yaml_parser_t parser;
    struct arena *arena;
    const char *file;
    struct error *err;
    struct anchor *anchors;
    unsigned anchor_count;
    size_t weight; /* nodes so far, those reached through aliases counted each time */
};

static int fail_at(struct reader *r, const yaml_mark_t *m, const char *words)
{
    return err_set(r->err, ERR_CONFIG, "%s:%zu:%zu: %s", r->file, m->line + 1, m->column + 1, words);
}

static int next_event(struct reader *r, yaml_event_t *ev)
{
    if (yaml_parser_parse(&r->parser, ev))
        return 0;
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_READER_ERROR)
        return err_set(r->err, ERR_CONFIG, "%s: byte %zu: %s", r->file, p->problem_offset, p->problem);
    return fail_at(r, &p->problem_mark, p->problem ? p->problem : "cannot be read as YAML");
}

static struct yaml *node_new(struct reader *r, enum yaml_kind kind, const yaml_event_t *ev)
{
    struct yaml *y = ARENA_NEW(r->arena, struct yaml);
    y->kind = kind;
    y->file = r->file;
    y->line = (unsigned)ev->start_mark.line + 1;
    y->column = (unsigned)ev->start_mark.column + 1;
    return y;
}

static int count_nodes(struct reader *r, size_t n, const yaml_event_t *ev)
{
    r->weight += n;
    return r->weight > YAML_MAX_NODES ? fail_at(r, &ev->start_mark, "too many nodes") : 0;
}

static int anchor_add(struct reader *r, const yaml_event_t *ev, const char *name, struct yaml *y, size_t weight)
{
    if (!name)
        return 0;
    if (++r->anchor_count > YAML_MAX_ANCHORS)
        return fail_at(r, &ev->start_mark, "too many anchors");
    struct anchor *an = ARENA_NEW(r->arena, struct anchor);
    an->name = arena_str(r->arena, str_of(name));
    an->node = y;
    an->weight = weight;
    an->next = r->anchors;
    r->anchors = an;
    return 0;
}

static int read_alias(struct reader *r, const yaml_event_t *ev, struct yaml **out)
{
    struct str name = str_of((const char *)ev->data.alias.anchor);
    for (struct anchor *an = r->anchors; an; an = an->next)
        if (str_eq(an->name, name)) {
            *out = an->node;
            return count_nodes(r, an->weight, ev);
        }
    return fail_at(r, &ev->start_mark, "alias of an anchor that is not complete before it");
}

static bool plain_null(struct str s)
{
    return s.n == 0 || str_eq(s, S("~")) || str_eq(s, S("null"));
}

static int read_scalar(struct reader *r, const yaml_event_t *ev, struct yaml **out)
{
    struct str text = str_n((const char *)ev->data.scalar.value, ev->data.scalar.length);
    bool quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    struct yaml *y = node_new(r, !quoted && plain_null(text) ? YAML_NULL : YAML_SCALAR, ev);
    y->quoted = quoted;
    if (memchr(text.p, 0, text.n))
        return fail_at(r, &ev->start_mark, "text with a zero byte");
    y->text = y->kind == YAML_SCALAR ? arena_str(r->arena, text) : STR_NULL;
    *out = y;
    return 0;
}

static int read_node(struct reader *r, const yaml_event_t *ev, unsigned depth, struct yaml **out);

struct children {
    struct yaml **v;
    size_t n;
};

static void children_add(struct children *c, struct yaml *y)
{
    MEM_MORE(c->v, c->n);
    c->v[c->n++] = y;
}

static void collection_fill(struct reader *r, struct yaml *y, const struct children *c)
{
    bool map = y->kind == YAML_MAP;
    y->n = map ? c->n / 2 : c->n;
    y->items = ARENA_ARRAY(r->arena, struct yaml *, y->n + 1);
    if (!map) {
        for (size_t i = 0; i < y->n; i++)
            y->items[i] = c->v[i];
        return;
    }
    y->keys = ARENA_ARRAY(r->arena, struct str, y->n + 1);
    y->key_nodes = ARENA_ARRAY(r->arena, struct yaml *, y->n + 1);
    for (size_t i = 0; i < y->n; i++) {
        y->key_nodes[i] = c->v[2 * i];
        y->keys[i] = c->v[2 * i]->text.p ? c->v[2 * i]->text : S("");
        y->items[i] = c->v[2 * i + 1];
    }
}

static int read_children(struct reader *r, struct yaml *y, unsigned depth, struct children *c)
{
    yaml_event_type_t end = y->kind == YAML_MAP ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
    for (;;) {
        yaml_event_t ev;
        if (next_event(r, &ev))
            return -1;
        if (ev.type == end) {
            yaml_event_delete(&ev);
            return 0;
        }
        struct yaml *child = NULL;
        int rc = read_node(r, &ev, depth + 1, &child);
        if (!rc && y->kind == YAML_MAP && c->n % 2 == 0 && (child->kind == YAML_LIST || child->kind == YAML_MAP))
            rc = fail_at(r, &ev.start_mark, "a key must be a word or text");
        yaml_event_delete(&ev);
        if (rc)
            return -1;
        children_add(c, child);
    }
}

static int read_collection(struct reader *r, const yaml_event_t *ev, unsigned depth, struct yaml **out)
{
    if (depth >= YAML_MAX_DEPTH)
        return fail_at(r, &ev->start_mark, "nested too deep");
    struct yaml *y = node_new(r, ev->type == YAML_MAPPING_START_EVENT ? YAML_MAP : YAML_LIST, ev);
    struct children c = {0};
    int rc = read_children(r, y, depth, &c);
    if (!rc)
        collection_fill(r, y, &c);
    free(c.v);
    *out = y;
    return rc;
}

static int read_node(struct reader *r, const yaml_event_t *ev, unsigned depth, struct yaml **out)
{
    if (ev->type == YAML_ALIAS_EVENT)
        return read_alias(r, ev, out);
    size_t before = r->weight;
    if (count_nodes(r, 1, ev))
        return -1;
    const char *anchor;
    if (ev->type == YAML_SCALAR_EVENT) {
        anchor = (const char *)ev->data.scalar.anchor;
        if (read_scalar(r, ev, out))
            return -1;
    } else {
        anchor = (const char *)(ev->type == YAML_MAPPING_START_EVENT ? ev->data.mapping_start.anchor
                                                                     : ev->data.sequence_start.anchor);
        if (read_collection(r, ev, depth, out))
            return -1;
    }
    /* Only now: an alias inside its own anchor would make a cycle. */
    return anchor_add(r, ev, anchor, *out, r->weight - before);
}

static int read_document(struct reader *r, struct yaml **out)
{
    for (;;) {
        yaml_event_t ev;
        if (next_event(r, &ev))
            return -1;
        int rc = 0;
        bool last = ev.type == YAML_STREAM_END_EVENT;
        if (ev.type == YAML_DOCUMENT_START_EVENT && *out)
            rc = fail_at(r, &ev.start_mark, "only one document is allowed in a file");
        else if (ev.type == YAML_SCALAR_EVENT || ev.type == YAML_SEQUENCE_START_EVENT ||
                 ev.type == YAML_MAPPING_START_EVENT || ev.type == YAML_ALIAS_EVENT)
            rc = read_node(r, &ev, 0, out);
        yaml_event_delete(&ev);
        if (rc || last)
            return rc;
    }
}

struct yaml *yaml_parse(struct arena *a, const char *file, struct str text, struct error *err)
{
    if (text.n > YAML_MAX_BYTES) {
        err_set(err, ERR_CONFIG, "%s: larger than %u bytes", file, YAML_MAX_BYTES);
        return NULL;
    }
    struct reader r = {.arena = a, .file = file, .err = err};
    if (!yaml_parser_initialize(&r.parser)) {
        err_set(err, ERR_INTERNAL, "%s: the YAML parser cannot start", file);
        return NULL;
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.p ? text.p : ""), text.n);
    struct yaml *out = NULL;
    int rc = read_document(&r, &out);
    yaml_parser_delete(&r.parser);
    if (rc)
        return NULL;
    if (!out) {
        out = ARENA_NEW(a, struct yaml);
        out->file = file;
        out->line = out->column = 1;
    }
    return out;
}

static int read_file(const char *file, struct buf *out, struct error *err)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe is refused, not waited for */
    if (fd < 0)
        return err_set(err, ERR_CONFIG, "%s: cannot be opened: %s", file, strerror(errno));
    struct stat st;
    int rc = 0;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        rc = err_set(err, ERR_CONFIG, "%s: not a file", file);
    while (!rc) {
        ssize_t n = read(fd, buf_reserve(out, 65536), 65536);
        if (n < 0)
            rc = err_set(err, ERR_CONFIG, "%s: cannot be read: %s", file, strerror(errno));
        if (n <= 0)
            break;
        out->n += (size_t)n;
        if (out->n > YAML_MAX_BYTES)
            rc = err_set(err, ERR_CONFIG, "%s: larger than %u bytes", file, YAML_MAX_BYTES);
    }
    close(fd);
    return rc;
}

struct yaml *yaml_read(struct arena *a, const char *file, struct error *err)
{
    struct buf b = BUF_INIT;
    struct yaml *y = NULL;
    if (!read_file(file, &b, err))
        y = yaml_parse(a, arena_cstr(a, str_of(file)), buf_str(&b), err);
    buf_deinit(&b);
    return y;
}

const struct yaml *yaml_get(const struct yaml *map, struct str key)
{
    if (!map || map->kind != YAML_MAP)
        return NULL;
    for (size_t i = 0; i < map->n; i++)
        if (str_eq(map->keys[i], key))
            return map->items[i];
    return NULL;
}

bool yaml_bool(const struct yaml *y, bool *out)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "n", "y"};
    if (!y || y->kind != YAML_SCALAR || y->quoted)
        return false;
    for (unsigned i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(y->text, str_of(words[i]))) {
            *out = i % 2;
            return true;
        }
    return false;
}

bool yaml_int(const struct yaml *y, int64_t *out)
{
    return y && y->kind == YAML_SCALAR && !y->quoted && str_to_i64(y->text, out);
}

struct yaml *yaml_scalar(struct arena *a, struct str text, bool quoted, const struct yaml *where)
{
    struct yaml *y = ARENA_NEW(a, struct yaml);
    y->kind = YAML_SCALAR;
    y->quoted = quoted;
    y->text = text.p ? text : S("");
    y->file = where ? where->file : "";
    y->line = where ? where->line : 0;
    y->column = where ? where->column : 0;
    return y;
}

struct yaml *yaml_collection(struct arena *a, enum yaml_kind kind, size_t n, const struct yaml *where)
{
    struct yaml *y = yaml_scalar(a, STR_NULL, false, where);
    y->kind = kind;
    y->text = STR_NULL;
    y->n = n;
    y->items = ARENA_ARRAY(a, struct yaml *, n + 1);
    if (kind == YAML_MAP) {
        y->keys = ARENA_ARRAY(a, struct str, n + 1);
        y->key_nodes = ARENA_ARRAY(a, struct yaml *, n + 1);
    }
    return y;
}

bool yaml_equal(const struct yaml *a, const struct yaml *b)
{
    if (a == b)
        return true;
    if (!a || !b || a->kind != b->kind || a->n != b->n)
        return false;
    if (a->kind == YAML_SCALAR)
        return a->quoted == b->quoted && str_eq(a->text, b->text);
    for (size_t i = 0; i < a->n; i++)
        if ((a->kind == YAML_MAP && !str_eq(a->keys[i], b->keys[i])) || !yaml_equal(a->items[i], b->items[i]))
            return false;
    return true;
}

size_t yaml_weight(const struct yaml *y, size_t limit)
{
    size_t sum = 1;
    for (size_t i = 0; y && i < y->n && sum <= limit; i++)
        sum += yaml_weight(y->items[i], limit - sum);
    return sum <= limit ? sum : limit + 1;
}

static int key_order(const void *a, const void *b, void *map)
{
    const struct yaml *m = map;
    size_t i = *(const size_t *)a, j = *(const size_t *)b;
    int c = str_cmp(m->keys[i], m->keys[j]);
    return c ? c : (i > j) - (i < j);
}

ptrdiff_t yaml_duplicate(const struct yaml *map)
{
    if (map->kind != YAML_MAP || map->n < 2)
        return -1;
    size_t *order = mem_alloc(map->n * sizeof(*order));
    for (size_t i = 0; i < map->n; i++)
        order[i] = i;
    qsort_r(order, map->n, sizeof(*order), key_order, (void *)(uintptr_t)map);
    ptrdiff_t first = -1;
    for (size_t i = 1; i < map->n; i++)
        if (str_eq(map->keys[order[i]], map->keys[order[i - 1]]) && (first < 0 || order[i] < (size_t)first))
            first = (ptrdiff_t)order[i];
    free(order);
    return first;
}

const char *yaml_got(const struct yaml *y, char out[96])
{
    if (!y || y->kind == YAML_NULL)
        return "nothing";
    if (y->kind != YAML_SCALAR)
        return y->kind == YAML_LIST ? "a list" : "a map";
    size_t n = y->text.n < 60 ? y->text.n : 60, at = 0;
    out[at++] = '\'';
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)y->text.p[i];
        out[at++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    /* A cut inside a character would leave the message as invalid UTF-8. */
    if (n < y->text.n) {
        while (at > 1 && ((unsigned char)out[at - 1] & 0xc0) == 0x80)
            at--;
        if (at > 1 && (unsigned char)out[at - 1] >= 0xc0)
            at--;
        at += (size_t)snprintf(out + at, 96 - at, "...");
    }
    int64_t number;
    bool digits = y->quoted && str_to_i64(y->text, &number);
    snprintf(out + at, 96 - at, digits ? "' in quotes" : "'");
    return out;
}

int yaml_error(const struct yaml *y, struct error *err, const char *fmt, ...)
{
    char words[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    if (!y || !y->line)
        return err_set(err, ERR_CONFIG, "%s: %s", y && y->file && *y->file ? y->file : "configuration", words);
    return err_set(err, ERR_CONFIG, "%s:%u:%u: %s", y->file, y->line, y->column, words);
}
