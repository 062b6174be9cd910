/*
 * XML stream parser: the same events whole and in pieces (the first byte chooses how), every tree sound, and every
 * element written out is read as the same tree again. The bytes are also read as one document.
 */
#include "../unit/xml/dump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_stanzas(const struct xml_limits *lim, struct str doc)
{
    struct xml_stream *s = xml_stream_new(lim);
    struct arena *a;
    struct xml_el *el;
    enum xml_event ev;
    size_t pos = 0;
    while ((ev = xml_stream_next(s, doc.p, doc.n, &pos, &a, &el)) != XML_MORE && ev != XML_ERROR) {
        if (ev == XML_STANZA)
            check_writing(el);
        arena_release(&a);
    }
    xml_stream_delete(&s);
}

static void check_document(struct str doc)
{
    struct arena *a = arena_new();
    const char *why = NULL;
    struct xml_el *el = xml_parse(a, doc, TOK_NS_CLIENT, &why);
    CHECK(!el == !!why);
    if (el) {
        check_tree(el);
        check_writing(el);
    }
    arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct xml_limits small = {.max_stanza = 300, .max_depth = 5, .max_attrs = 6, .max_name = 20};
    if (n == 0 || n > 4096)
        return 0;
    const struct xml_limits *lim = data[0] & 0x80 ? &small : NULL;
    struct str doc = str_n((const char *)data + 1, n - 1);
    struct buf whole = feed_cut(lim, doc, 0, 0), cut = feed_cut(lim, doc, 1 + (data[0] & 0x1f), data[0]);
    if (!str_eq(buf_str(&whole), buf_str(&cut)))
        fprintf(stderr, "whole: %.*s\nin pieces: %.*s\n", STR_ARG(buf_str(&whole)), STR_ARG(buf_str(&cut)));
    CHECK(str_eq(buf_str(&whole), buf_str(&cut)));
    buf_deinit(&whole);
    buf_deinit(&cut);
    check_stanzas(lim, doc);
    check_document(doc);
    return 0;
}
