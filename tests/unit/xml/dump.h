/*
 * Trees and streams as text, and what must hold for every tree; for tests and fuzz targets, so without cmocka. A check
 * that fails ends the program.
 */
#ifndef XML_DUMP_H
#define XML_DUMP_H

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "xml/stream.h"
#include "xml/writer.h"

#define CHECK(x)                                                        \
    do {                                                                \
        if (!(x)) {                                                     \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);     \
            abort();                                                    \
        }                                                               \
    } while (0)

static inline uint64_t test_draw(uint64_t *seed, uint64_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*seed >> 33) % below;
}

static inline void dump_name(struct buf *out, struct str ns, struct str name)
{
    if (ns.n)
        buf_printf(out, "{%.*s}", STR_ARG(ns));
    buf_add_str(out, name);
}

/* (name attr=[value] ... "text" (child)) : namespaces in braces */
static inline void dump_tree(struct buf *out, const struct xml_el *el)
{
    buf_add_c(out, '(');
    dump_name(out, el->ns_uri, el->name);
    for (const struct xml_attr *a = el->attrs; a; a = a->next) {
        buf_add_c(out, ' ');
        dump_name(out, a->ns_uri, a->name);
        buf_printf(out, "=[%.*s]", STR_ARG(a->value));
    }
    for (const struct xml_node *n = el->children; n; n = n->next) {
        buf_add_c(out, ' ');
        if (n->kind == XML_ELEMENT)
            dump_tree(out, (const struct xml_el *)n);
        else
            buf_printf(out, "\"%.*s\"", STR_ARG(((const struct xml_text *)n)->text));
    }
    buf_add_c(out, ')');
}

/* Tokens must be those of the words everywhere, and the links sound. */
static inline void check_tree(const struct xml_el *el)
{
    CHECK(el->tok == token_find(el->name));
    CHECK(el->ns == token_find(el->ns_uri));
    CHECK(el->ns_uri.p);
    for (const struct xml_attr *a = el->attrs; a; a = a->next) {
        CHECK(a->tok == token_find(a->name));
        CHECK(a->ns == token_find(a->ns_uri));
        CHECK(a->value.p);
    }
    const struct xml_node *last = NULL;
    for (const struct xml_node *n = el->children; n; last = n, n = n->next) {
        if (n->kind == XML_TEXT) {
            CHECK(((const struct xml_text *)n)->text.n > 0);
            CHECK(!(last && last->kind == XML_TEXT));
            continue;
        }
        CHECK(((const struct xml_el *)n)->parent == el);
        check_tree((const struct xml_el *)n);
    }
    CHECK(!*el->children_tail);
}

/* One piece in memory of exactly its size; false when the stream has ended in an error. */
static inline bool feed_piece(struct xml_stream *s, struct buf *out, const char *p, size_t n)
{
    char *copy = malloc(n ? n : 1);
    size_t pos = 0;
    enum xml_event ev;
    if (n)
        memcpy(copy, p, n);
    do {
        struct arena *a;
        struct xml_el *el;
        ev = xml_stream_next(s, copy, n, &pos, &a, &el);
        CHECK(pos <= n);
        if (ev == XML_OPEN || ev == XML_STANZA) {
            if (pos < n) /* nothing in the tree may point into data */
                memset(copy, '#', pos);
            check_tree(el);
            buf_add_str(out, ev == XML_OPEN ? S("open ") : S("stanza "));
            dump_tree(out, el);
            buf_add_c(out, '\n');
            arena_release(&a);
        } else if (ev == XML_CLOSE) {
            buf_add_str(out, S("close\n"));
        } else if (ev == XML_ERROR) {
            buf_printf(out, "error %d\n", xml_stream_error(s));
        }
    } while (ev != XML_MORE && ev != XML_ERROR);
    free(copy);
    return ev != XML_ERROR;
}

/* Pieces of 1..most bytes (0: all at once); caller frees with buf_deinit. */
static inline struct buf feed_cut(const struct xml_limits *lim, struct str doc, unsigned most, uint64_t seed)
{
    struct xml_stream *s = xml_stream_new(lim);
    struct buf out = BUF_INIT;
    size_t at = 0;
    do {
        size_t n = most ? 1 + test_draw(&seed, most) : doc.n;
        n = n < doc.n - at ? n : doc.n - at;
        if (!feed_piece(s, &out, doc.p + at, n))
            break;
        at += n;
    } while (at < doc.n);
    if (xml_stream_partial(s))
        buf_add_str(&out, S("partial\n"));
    xml_stream_delete(&s);
    return out;
}

/* ---- writing ---- */

static inline struct xml_el *reparse(struct arena *a, struct buf *out, enum token ctx)
{
    const char *why;
    struct xml_el *el = xml_parse(a, buf_str(out), ctx, &why);
    if (!el)
        fprintf(stderr, "%s: %.*s\n", why, STR_ARG(buf_str(out)));
    CHECK(el);
    return el;
}

static inline bool same_tree(const struct xml_el *a, const struct xml_el *b)
{
    struct buf da = BUF_INIT, db = BUF_INIT;
    dump_tree(&da, a);
    dump_tree(&db, b);
    bool same = str_eq(buf_str(&da), buf_str(&db));
    if (!same)
        fprintf(stderr, "%.*s\n%.*s\n", STR_ARG(buf_str(&da)), STR_ARG(buf_str(&db)));
    buf_deinit(&da);
    buf_deinit(&db);
    return same;
}

/* Text of foreign namespaces is kept, prefixes are not, so only trees can be compared. */
static inline void check_written(const struct xml_el *el, enum token ctx)
{
    struct arena *a = arena_new();
    struct buf out = BUF_INIT;
    xml_write(&out, el, ctx);
    CHECK(same_tree(reparse(a, &out, ctx), el));
    buf_clear(&out);
    xml_write_addressed(&out, el, ctx, S("f&"), S("t'"));
    struct xml_el *got = reparse(a, &out, ctx), *want = xml_copy(a, el);
    CHECK(str_eq(xml_attr_get(got, TOK_from), S("f&")) && str_eq(xml_attr_get(got, TOK_to), S("t'")));
    xml_attr_set(a, got, TOK_from, STR_NULL);
    xml_attr_set(a, got, TOK_to, STR_NULL);
    xml_attr_set(a, want, TOK_from, STR_NULL);
    xml_attr_set(a, want, TOK_to, STR_NULL);
    CHECK(same_tree(got, want));
    buf_clear(&out);
    xml_write(&out, want, ctx); /* start tag anew, content copied */
    CHECK(same_tree(reparse(a, &out, ctx), want));
    buf_deinit(&out);
    arena_release(&a);
}

static inline void forget_raw(struct xml_el *el)
{
    el->raw = el->raw_inner = STR_NULL;
    for (struct xml_el *c = xml_first(el); c; c = xml_next(c))
        forget_raw(c);
}

/* Every element of a tree, wherever it is written to, is read as the same tree again. */
static inline void check_writing(const struct xml_el *el)
{
    static const enum token contexts[] = {TOK_NS_CLIENT, TOK_NS_SERVER, TOK_NONE, TOK_NS_STREAM, TOK_NS_PING};
    struct arena *a = arena_new();
    struct xml_el *plain = xml_copy(a, el);
    CHECK(same_tree(plain, el));
    forget_raw(plain);
    for (size_t i = 0; i < ARRAY_LEN(contexts); i++) {
        check_written(el, contexts[i]);
        check_written(plain, contexts[i]);
    }
    arena_release(&a);
    for (const struct xml_el *c = xml_first(el); c; c = xml_next(c))
        check_writing(c);
}

#endif
