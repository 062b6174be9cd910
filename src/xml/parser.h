/*
 * Inside of src/xml: the parser shared by the stream (xml/stream.c) and the whole document (xml/document.c).
 *
 * The bytes of one first-level child are gathered in a buffer of its arena; slices of the tree point there. When the
 * buffer is full a larger one takes its place and older slices keep pointing into the old one, which lives as long as
 * the arena. Every byte is looked at once, however the input is cut (a reference, at most XML_MAX_REF bytes, excepted).
 *
 * It wraps one parser per stanza; it owns nothing but what is in the arena. One thread; suspends never.
 */
#ifndef XML_PARSER_H
#define XML_PARSER_H

#include "xml/scan.h"
#include "xml/stream.h"

#define XML_MAX_REF 32       /* bytes of one reference in a stream */
#define XML_MAX_BINDINGS 128 /* prefixes in scope: lookups are linear */

#define XML_WHY_TOKEN "not well-formed (invalid token)"
#define XML_WHY_LIMIT "limit exceeded"
#define XML_WHY_MISPLACED "XML or text declaration not at start of entity"

enum xml_state {
    XML_ST_TEXT,      /* in character data; mark: start of the run */
    XML_ST_LT,        /* at a '<' whose next bytes are missing */
    XML_ST_CDATA,
    XML_ST_END_TAG,   /* after '</'; mark: there */
    XML_ST_END_SPACE, /* after the name of an end tag */
    XML_ST_TAG_NAME,  /* mark: start of the name */
    XML_ST_GAP,       /* after a name or a value, no space seen */
    XML_ST_SPACE,
    XML_ST_SLASH,     /* at the '/' of an empty-element tag */
    XML_ST_ATTR_NAME, /* mark: start of the name */
    XML_ST_EQ,
    XML_ST_QUOTE,
    XML_ST_VALUE /* mark: after the quote */
};

enum xml_step { XML_STEP_MORE, XML_STEP_HEADER, XML_STEP_ELEMENT, XML_STEP_CLOSE, XML_STEP_ERROR };

struct xml_binding {
    struct xml_binding *next;
    struct str prefix, uri;
    uint16_t tok;
    uint32_t depth; /* of the declaring element; 0: outside of the stanza */
    uint32_t count; /* of this and those behind it */
};

struct xml_default {
    struct str uri;
    uint16_t tok;
    uint32_t depth;
};

/* An open element; frame 0 stands for what is around it. */
struct xml_frame {
    struct xml_el *el;
    struct xml_binding *bindings;
    struct xml_default def;
    uint32_t start, inner; /* offsets of '<' and of the byte after the start tag's '>' */
    uint32_t qname_n;
    bool prefixed;
    bool raw_bad, inner_bad; /* the bytes cannot stand alone, see xml/node.h */
};

enum xml_attr_kind { XML_ATTR_PLAIN, XML_ATTR_DEFAULT_NS, XML_ATTR_PREFIX_NS };

/* The start tag under way. */
struct xml_tag {
    struct xml_el *el;
    struct xml_attr *attr, **tail;
    struct xml_binding *bindings;
    struct xml_default def;
    struct str prefix, declares;
    uint64_t seen; /* filter before the search for duplicates */
    uint32_t start, qname_n, count;
    uint8_t kind;
    bool has_default, unresolved; /* unresolved: some attribute has a prefix */
    bool dropped;                 /* attribute is parsed for its syntax only (a document with an error already) */
};

#define XML_INLINE_FRAMES 8

struct xml_parser {
    struct arena *arena;
    const struct xml_limits *lim; /* no zero in it */
    char *buf;                    /* len bytes, then XML_SLACK zeros */
    char *spare, *spare_end;      /* for nodes */
    uint32_t len, cap;
    uint32_t at, mark;
    uint32_t depth, frames_cap;
    uint32_t elements; /* begun so far */
    uint32_t prefixed; /* open elements written with a prefix */
    uint8_t state, step;
    uint8_t quote;
    bool decode;   /* the run or value has something to resolve */
    bool document; /* xml_parse: comments and PIs are skipped, errors come in expat's order */
    bool header;   /* the element is the stream's start tag */
    bool empty;    /* header: it was an empty-element tag */
    bool cut;      /* waiting in the middle of a character */
    uint8_t error;
    uint8_t late;         /* document: error of the tag, told at its end */
    const char *why, *late_why;
    struct str outer_name; /* name of the stream's element, for its end tag */
    struct xml_el *root;
    struct xml_tag tag;
    struct xml_frame *frames; /* `inlined` or in the arena */
    struct xml_frame inlined[XML_INLINE_FRAMES];
};

/* Empties x and gives it a buffer of `cap` bytes; lim NULL: the defaults. */
void xml_parser_init(struct xml_parser *x, struct arena *a, const struct xml_limits *lim, uint32_t cap);
/* Appends as much as fits in `cap`; bytes taken. */
uint32_t xml_parser_fill(struct xml_parser *x, const char *data, size_t n);
void xml_parser_grow(struct xml_parser *x, uint32_t cap);
/* Copy in its arena, with fewer frames inlined than x has. */
struct xml_parser *xml_parser_keep(const struct xml_parser *x);
/* Goes on until bytes are missing or something is complete. */
enum xml_step xml_parser_run(struct xml_parser *x);

/*
 * Pieces of the parser. All take and return a position, and answer NULL when they have set x->step.
 */
/* Over the comment ("<!--") or the processing instruction ("<?") at p; a stream must not have any. */
const char *xml_comment(struct xml_parser *x, const char *p);
const char *xml_instruction(struct xml_parser *x, const char *p);
/* Over one character >= 0x80; NULL also when it is cut. */
const char *xml_high_char(struct xml_parser *x, const char *p, enum xml_state st);
/* Over the rest of the name that starts at mark; *prefix_n_out: bytes before its ':'. */
const char *xml_name_slow(struct xml_parser *x, const char *p, enum xml_state st, size_t *prefix_n_out);
/* More bytes are needed: goes on in `st` at p. */
const char *xml_wait(struct xml_parser *x, enum xml_state st, const char *p);
/* Something that cannot go on at p: the end of the bytes, or a byte that does not belong there. */
const char *xml_stuck(struct xml_parser *x, enum xml_state st, const char *p);
const char *xml_bad_token(struct xml_parser *x, const char *p);
/* Over characters up to and including `stop`, in a document. */
const char *xml_parser_skip(struct xml_parser *x, const char *p, struct str stop);
/* expat asks first whether all bytes of a character are there, and only then whether they are right. */
bool xml_parser_cut(const struct xml_parser *x, const char *p);
/* NULL, after noting the error. */
const char *xml_fail(struct xml_parser *x, enum xml_error code, const char *why, const char *p);
/* Error in what a tag means rather than in its characters: at once in a stream, at the tag's end in a document. */
bool xml_fail_tag(struct xml_parser *x, enum xml_error code, const char *why);
void *xml_take_slow(struct xml_parser *x, size_t n);

/* Nodes are cut from larger pieces; under ASan each is an allocation of its own. */
#if defined(__SANITIZE_ADDRESS__)
#define XML_TAKE_PLAIN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define XML_TAKE_PLAIN 1
#endif
#endif

static inline const char *xml_end(const struct xml_parser *x)
{
    return x->buf + x->len;
}

static inline uint32_t xml_offset(const struct xml_parser *x, const char *p)
{
    return (uint32_t)(p - x->buf);
}

static inline void *xml_take(struct xml_parser *x, size_t n)
{
#ifndef XML_TAKE_PLAIN
    if (LIKELY((size_t)(x->spare_end - x->spare) >= n)) {
        void *p = x->spare;
        x->spare += n;
        return p;
    }
#endif
    return xml_take_slow(x, n);
}

/* xml/ns.c */
void xml_ns_declare(struct xml_parser *x, struct str uri);
/* Expands the names of the tag; false after xml_fail_tag. */
bool xml_ns_resolve(struct xml_parser *x);
void xml_ns_note_default(struct xml_parser *x);
struct xml_binding *xml_ns_find(struct xml_binding *b, struct str prefix);
extern struct xml_binding xml_ns_stream_binding; /* prefix "stream" of nearly every stream header */

/* xml/decode.c: raw must have passed the parser. */
struct str xml_decode_text(struct arena *a, struct str raw);
struct str xml_decode_value(struct arena *a, struct str raw);
enum xml_ref { XML_REF_OK, XML_REF_CUT, XML_REF_BAD, XML_REF_UNKNOWN, XML_REF_CHAR };
/*
 * Reference at p ('&'): its length and code point; CUT: it may go on after end; BAD: not well-formed; UNKNOWN: an
 * entity nobody declared; CHAR: number of something that is no XML Char. `early`: UNKNOWN as soon as nothing known can follow.
 */
enum xml_ref xml_ref_scan(const char *p, const char *end, bool early, uint32_t *cp_out, size_t *n_out);

/*
 * xml/decl.c: XML declaration at p ("<?xml" and a space): its length, 0 when it is cut, -1 when bad. A stream is held
 * to version 1.0; a document may name any, as with expat.
 */
int xml_decl_scan(const char *p, const char *end, bool document, enum xml_error *error_out, const char **why_out);

#endif
