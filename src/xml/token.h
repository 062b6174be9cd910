/*
 * Interned names: every element name, attribute name and namespace the server knows is a small integer, so that
 * comparing is comparing integers. The list is xml/tokens.def; unknown words are TOK_NONE and keep their text.
 */
#ifndef XML_TOKEN_H
#define XML_TOKEN_H

#include "base/str.h"

enum token {
    TOK_NONE, /* a word the server has no meaning for */
#define TOK(id, text) TOK_##id,
#include "xml/tokens.def"
#undef TOK
    TOK__COUNT
};

/* TOK_NONE when unknown. */
enum token token_find(struct str word);
/* Text of a known token. */
struct str token_str(enum token t);

#endif
