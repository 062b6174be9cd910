/*
 * Inside of xml/token.c for the parser's inner loop: the hash table made at build time by tokgen.py. Constant data, so
 * it needs no start and is safe from every thread. Not for other rooms: they call token_find.
 */
#ifndef XML_TOKEN_TABLE_H
#define XML_TOKEN_TABLE_H

#include "base/attrs.h"
#include "xml/token.h"
#include "xml_tokens.h"

struct xml_token_slot {
    uint64_t first; /* first eight bytes of the word, little endian, zero-filled */
    uint16_t tok;   /* TOK_NONE: free slot, ends a probe */
    uint16_t n;
};

extern const struct xml_token_slot xml_token_slots[1 << XML_TOKEN_BITS];
extern const struct str xml_token_text[TOK__COUNT];

static inline uint64_t xml_load64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static inline uint64_t xml_token_rotl(uint64_t v, unsigned n)
{
    return (v << n) | (v >> (64 - n));
}

/* `first` as in the slot; words of up to eight bytes are told apart by it alone. */
static inline enum token xml_token_probe(uint64_t key, uint64_t first, const char *p, size_t n)
{
    size_t at = (size_t)((key * XML_TOKEN_MULT) >> (64 - XML_TOKEN_BITS));
    for (;; at = (at + 1) & ((1u << XML_TOKEN_BITS) - 1)) {
        const struct xml_token_slot *s = &xml_token_slots[at];
        if (s->tok == TOK_NONE)
            return TOK_NONE;
        if (s->first == first && s->n == n && (n <= 8 || memcmp(p + 8, xml_token_text[s->tok].p + 8, n - 8) == 0))
            return (enum token)s->tok;
    }
}

/* n > 0, and eight bytes from p on can be read whatever n is. */
static inline enum token xml_token_find_padded(const char *p, size_t n)
{
    uint64_t first = xml_load64(p);
    if (LIKELY(n <= 8)) {
        first &= ~UINT64_C(0) >> (64 - 8 * n);
        return xml_token_probe(first, first, p, n);
    }
    uint64_t middle = xml_load64(p + n / 2 - 4), last = xml_load64(p + n - 8);
    return xml_token_probe(first ^ xml_token_rotl(middle, 21) ^ xml_token_rotl(last, 42) ^ n, first, p, n);
}

#endif
