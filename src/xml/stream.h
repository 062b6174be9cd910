/*
 * Incremental parser of one XMPP stream (RFC 6120 §11): UTF-8 only, no comments, no processing instructions, no DTD,
 * no entities but the five, namespaces well-formed (XML Names 1.0). Complete first-level children come out as trees in
 * an arena of their own; nothing but a few bytes is kept between stanzas. Pull style: the caller asks for the next
 * event until XML_MORE, so it may stop between two stanzas (back-pressure) and go on later with the rest of its bytes.
 */
#ifndef XML_STREAM_H
#define XML_STREAM_H

#include "xml/node.h"

struct xml_limits {
    size_t max_stanza;      /* bytes of one first-level child; 0: XML_HARD_MAX */
    unsigned max_depth;     /* levels inside a stanza; 0: 100 */
    unsigned max_attrs;     /* per element, xmlns included; 0: 64 */
    unsigned max_name;      /* bytes of a name; 0: 1024 */
    unsigned max_elements;  /* per stanza; 0: 16384. A tree costs many times the bytes of an empty element */
};
#define XML_HARD_MAX ((size_t)16 << 20)
#define XML_MAX_HEADER 8192 /* bytes up to the end of the stream's start tag */

enum xml_event {
    XML_MORE,    /* all bytes used */
    XML_OPEN,    /* stream start tag: *el_out is it (attributes, no children) in its own arena */
    XML_STANZA,  /* *el_out complete */
    XML_CLOSE,   /* stream end tag */
    XML_ERROR    /* see xml_stream_error; the parser is dead */
};

enum xml_error {
    XML_ERR_NONE,
    XML_ERR_NOT_WELL_FORMED,    /* <not-well-formed/> */
    XML_ERR_RESTRICTED,         /* <restricted-xml/>: comment, PI, DTD, foreign entity */
    XML_ERR_BAD_NS_PREFIX,      /* <bad-namespace-prefix/> or undeclared prefix */
    XML_ERR_ENCODING,           /* <unsupported-encoding/>: other declared encoding */
    XML_ERR_UTF8,               /* <not-well-formed/>; RFC 6120 §11.6 */
    XML_ERR_STANZA_TOO_BIG,     /* <policy-violation/> */
    XML_ERR_LIMIT,              /* depth, attributes, elements, name length: <policy-violation/> */
    XML_ERR_TEXT                /* <bad-format/>: text between stanzas (RFC 6120 §4.9.3.1) */
};

struct xml_stream; /* opaque; xml_stream_footprint() bytes when idle */

struct xml_stream *xml_stream_new(const struct xml_limits *limits);
void xml_stream_delete(struct xml_stream **s);
/* Expects a new stream header (after TLS or SASL); keeps limits. */
void xml_stream_reset(struct xml_stream *s);
void xml_stream_set_limits(struct xml_stream *s, const struct xml_limits *limits);
/*
 * Consumes from data[*pos..n). On XML_OPEN and XML_STANZA the caller owns *arena_out (release it) and *el_out lives
 * there; nothing in the tree points into data. White space between stanzas is dropped (keep-alive).
 */
enum xml_event xml_stream_next(struct xml_stream *s, const char *data, size_t n, size_t *pos, struct arena **arena_out,
                               struct xml_el **el_out);
enum xml_error xml_stream_error(const struct xml_stream *s);
/* Default namespace of the stream header (jabber:client ...); TOK_NONE before it and when unknown. */
enum token xml_stream_content_ns(const struct xml_stream *s);
/* Bytes held at the moment, without what is in the arena of an unfinished stanza. */
size_t xml_stream_footprint(const struct xml_stream *s);
/* Inside a started but unfinished stanza or header (for stall time-outs). */
bool xml_stream_partial(const struct xml_stream *s);

/*
 * A whole document in one piece (admin API, tests): element tree or NULL with the words a client knows from expat
 * ("syntax error", "unclosed token", "no element found", "junk after document element", "mismatched tag" ...).
 */
struct xml_el *xml_parse(struct arena *a, struct str doc, enum token default_ns, const char **why_out);

#endif
