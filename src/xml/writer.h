/*
 * Elements to bytes. `context_ns` is the default namespace in force where the bytes go (the stream's content
 * namespace, jabber:client for clients): an element of that namespace gets no xmlns attribute.
 */
#ifndef XML_WRITER_H
#define XML_WRITER_H

#include "base/buf.h"
#include "xml/node.h"

void xml_write(struct buf *out, const struct xml_el *el, enum token context_ns);
/*
 * Start tag with from/to replaced by the given values (absent: left out), everything else of the element as it is, by
 * copying raw_inner when present: the way a stanza is delivered. One call per recipient; nothing in the tree changes.
 */
void xml_write_addressed(struct buf *out, const struct xml_el *el, enum token context_ns, struct str from,
                         struct str to);
/* Can the text be written at all (XML 1.0 §2.2)? What comes from elsewhere than a parser has to be asked. */
bool xml_text_ok(struct str s);
/* The same of one character. */
bool xml_allows(uint32_t code_point);
/* Escaped for text (& < >) and for attribute values (also quotes, tab, CR, LF). */
void xml_escape_text(struct buf *out, struct str s);
void xml_escape_attr(struct buf *out, struct str s);

#endif
