/* UTF-8 (RFC 3629): shortest form only, no surrogates, at most U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/str.h"

bool utf8_valid(struct str s);
bool utf8_is_ascii(struct str s);
/* Decodes one code point at s.p (s.n > 0); bytes used, or 0 when malformed or cut. */
unsigned utf8_decode(struct str s, uint32_t *cp_out);
/* Writes 1..4 bytes; 0 when cp is not encodable. */
unsigned utf8_encode(uint32_t cp, char out[4]);

#endif
