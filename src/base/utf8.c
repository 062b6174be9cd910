/* UTF-8 validation and conversion (RFC 3629). Pure functions, any thread. */
#include "base/utf8.h"

#define HIGH_BITS 0x8080808080808080ull

bool utf8_is_ascii(struct str s)
{
    size_t i = 0;
    for (; i + 8 <= s.n; i += 8) {
        uint64_t w;
        memcpy(&w, s.p + i, 8);
        if (w & HIGH_BITS)
            return false;
    }
    for (; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

static inline bool is_tail(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

unsigned utf8_decode(struct str s, uint32_t *cp_out)
{
    const unsigned char *p = (const unsigned char *)s.p;
    unsigned char c = p[0];
    if (c < 0x80) {
        *cp_out = c;
        return 1;
    }
    if (c >= 0xc2 && c < 0xe0) {
        if (s.n < 2 || !is_tail(p[1]))
            return 0;
        *cp_out = (uint32_t)(c & 0x1f) << 6 | (p[1] & 0x3f);
        return 2;
    }
    if (c >= 0xe0 && c < 0xf0) {
        if (s.n < 3 || !is_tail(p[1]) || !is_tail(p[2]))
            return 0;
        uint32_t cp = (uint32_t)(c & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3f);
        if (cp < 0x800 || (cp >= 0xd800 && cp < 0xe000))
            return 0;
        *cp_out = cp;
        return 3;
    }
    if (c >= 0xf0 && c < 0xf5) {
        if (s.n < 4 || !is_tail(p[1]) || !is_tail(p[2]) || !is_tail(p[3]))
            return 0;
        uint32_t cp = (uint32_t)(c & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 | (uint32_t)(p[2] & 0x3f) << 6 |
                      (p[3] & 0x3f);
        if (cp < 0x10000 || cp > 0x10ffff)
            return 0;
        *cp_out = cp;
        return 4;
    }
    return 0;
}

bool utf8_valid(struct str s)
{
    size_t i = 0;
    while (i < s.n) {
        uint64_t w;
        if (i + 8 <= s.n && (memcpy(&w, s.p + i, 8), !(w & HIGH_BITS))) {
            i += 8;
            continue;
        }
        uint32_t cp;
        unsigned used = utf8_decode(str_n(s.p + i, s.n - i), &cp);
        if (!used)
            return false;
        i += used;
    }
    return true;
}

unsigned utf8_encode(uint32_t cp, char out[4])
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xc0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3f));
        return 2;
    }
    if (cp < 0x10000) {
        if (cp >= 0xd800 && cp < 0xe000)
            return 0;
        out[0] = (char)(0xe0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
        out[2] = (char)(0x80 | (cp & 0x3f));
        return 3;
    }
    if (cp > 0x10ffff)
        return 0;
    out[0] = (char)(0xf0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
    out[3] = (char)(0x80 | (cp & 0x3f));
    return 4;
}
