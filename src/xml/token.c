/*
 * Tokens: the word list and its hash table, both constant. Any thread; suspends never.
 */
#include "xml/token_table.h"

const struct xml_token_slot xml_token_slots[1 << XML_TOKEN_BITS] = {XML_TOKEN_SLOTS};

const struct str xml_token_text[TOK__COUNT] = {
    [TOK_NONE] = {"", 0},
#define TOK(id, text) [TOK_##id] = {text, sizeof(text) - 1},
#include "xml/tokens.def"
#undef TOK
};

enum token token_find(struct str word)
{
    char padded[8] = {0};
    if (word.n == 0)
        return TOK_NONE;
    if (word.n >= sizeof(padded))
        return xml_token_find_padded(word.p, word.n);
    memcpy(padded, word.p, word.n);
    return xml_token_find_padded(padded, word.n);
}

struct str token_str(enum token t)
{
    return xml_token_text[t];
}
