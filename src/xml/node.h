/*
 * Element tree of one stanza. Everything lives in the stanza's arena. Text is stored decoded (entities resolved).
 * An element parsed from a stream remembers its source bytes while nothing in it has been changed: writing it out is
 * then one copy (see xml/writer.h). All editing goes through the functions below, which drop those bytes upward.
 */
#ifndef XML_NODE_H
#define XML_NODE_H

#include "base/arena.h"
#include "xml/token.h"

struct xml_attr {
    struct xml_attr *next;
    struct str name;  /* local name */
    struct str value; /* decoded */
    uint16_t tok;     /* enum token of the local name */
    uint16_t ns;      /* enum token of the namespace, TOK_NONE when none or unknown */
    struct str ns_uri; /* empty when the attribute has no namespace */
};

enum xml_kind { XML_ELEMENT, XML_TEXT };

/* Common head of elements and text, so that mixed content keeps its order. */
struct xml_node {
    struct xml_node *next;
    uint8_t kind;
};

struct xml_text {
    struct xml_node node;
    struct str text;
};

struct xml_el {
    struct xml_node node;
    uint16_t tok; /* local name */
    uint16_t ns;  /* namespace */
    bool raw_leans; /* raw has no xmlns of its own: right only where the default namespace is this element's */
    struct str name, ns_uri; /* text of both, always set */
    struct xml_attr *attrs;  /* in source order, without xmlns declarations */
    struct xml_node *children, **children_tail;
    struct xml_el *parent;   /* NULL at the top */
    /*
     * Source bytes from '<' to '>', or absent once anything inside was changed or when they cannot be copied as they
     * are (a prefix or default namespace that is declared outside, other than the stream's content namespace).
     * raw_inner: the bytes between start tag and end tag, same rule; lets the start tag be rewritten with a new
     * from/to while the children are copied.
     */
    struct str raw, raw_inner;
};

/* First attribute without namespace of that name; absent slice when missing. */
struct str xml_attr_get(const struct xml_el *el, enum token name);
/* The same with a namespace (xml:lang: TOK_NS_XML, TOK_lang). */
struct str xml_attr_get_ns(const struct xml_el *el, enum token ns, enum token name);
struct str xml_attr_get_text(const struct xml_el *el, struct str name);
/* First child element with that name and namespace; NULL when missing. ns TOK_NONE: any. */
struct xml_el *xml_child(const struct xml_el *el, enum token name, enum token ns);
/* First child element whatever it is called; the next sibling element after `prev`. */
struct xml_el *xml_first(const struct xml_el *el);
struct xml_el *xml_next(const struct xml_el *prev);
/* All direct text joined; no copy when there is one piece. Empty when there is none. */
struct str xml_text_of(struct arena *a, const struct xml_el *el);

/* Building. Strings are borrowed: they must live in the arena or longer. */
struct xml_el *xml_new(struct arena *a, enum token name, enum token ns);
struct xml_el *xml_new_text(struct arena *a, struct str name, struct str ns_uri);
/* Replaces or adds; an absent value removes. */
void xml_attr_set(struct arena *a, struct xml_el *el, enum token name, struct str value);
/* The same with a namespace (xml:lang: TOK_NS_XML, TOK_lang). */
void xml_attr_set_ns(struct arena *a, struct xml_el *el, enum token ns, enum token name, struct str value);
void xml_attr_set_text(struct arena *a, struct xml_el *el, struct str name, struct str value);
void xml_append(struct xml_el *parent, struct xml_el *child);
void xml_append_text(struct arena *a, struct xml_el *parent, struct str text);
/* New child in the same call; ns TOK_NONE: the parent's namespace. */
struct xml_el *xml_add(struct arena *a, struct xml_el *parent, enum token name, enum token ns);
/* <name>text</name> in the parent's namespace. */
struct xml_el *xml_add_leaf(struct arena *a, struct xml_el *parent, enum token name, struct str text);
void xml_remove(struct xml_el *parent, struct xml_el *child);
/* Deep copy into another arena; keeps raw bytes. */
struct xml_el *xml_copy(struct arena *a, const struct xml_el *el);

#endif
