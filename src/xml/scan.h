/*
 * Inside of the XML parser: runs of harmless bytes. All scanners stop at a NUL, which XML never allows, so a buffer
 * that ends in XML_SLACK zero bytes needs no bounds check; they may read up to XML_SLACK bytes from any position in it.
 */
#ifndef XML_SCAN_H
#define XML_SCAN_H

#include "base/attrs.h"
#include "base/str.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define XML_SLACK 32

enum {
    XML_C_NAME = 1,  /* ASCII NameChar and ':' */
    XML_C_START = 2, /* ASCII NameStartChar without ':' */
    XML_C_SPACE = 4
};

extern const uint8_t xml_class[256];

static inline bool xml_is(char c, unsigned mask)
{
    return xml_class[(unsigned char)c] & mask;
}

static inline bool xml_high(char c)
{
    return (unsigned char)c >= 0x80;
}

static inline const char *xml_skip_space(const char *p)
{
    while (xml_is(*p, XML_C_SPACE))
        p++;
    return p;
}

#if defined(__SSE2__)

static inline __m128i xml_load16(const char *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static inline unsigned xml_eq16(__m128i v, char c)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(c)));
}

/* Bit i: byte i is no ASCII NameChar or ':'. */
static inline unsigned xml_name_stops16(__m128i v)
{
    /* x - lo as unsigned below n  <=>  x + (0x80 - lo) as signed below n - 0x80 */
    __m128i lower = _mm_or_si128(v, _mm_set1_epi8(0x20));
    __m128i alpha = _mm_cmplt_epi8(_mm_add_epi8(lower, _mm_set1_epi8((char)(0x80 - 'a'))), _mm_set1_epi8(26 - 0x80));
    __m128i digit = _mm_cmplt_epi8(_mm_add_epi8(v, _mm_set1_epi8((char)(0x80 - '-'))),
                                   _mm_set1_epi8(':' - '-' + 1 - 0x80));
    __m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('/'));
    __m128i under = _mm_cmpeq_epi8(v, _mm_set1_epi8('_'));
    __m128i name = _mm_or_si128(_mm_or_si128(alpha, under), _mm_andnot_si128(slash, digit));
    return (unsigned)_mm_movemask_epi8(name) ^ 0xffff;
}

/* First byte below 0x20, from 0x80 on, or one of the three. The signed compare takes both ranges at once. */
static inline const char *xml_span(const char *p, char a, char b, char c)
{
    const __m128i low = _mm_set1_epi8(0x20), va = _mm_set1_epi8(a), vb = _mm_set1_epi8(b), vc = _mm_set1_epi8(c);
    for (;; p += 16) {
        __m128i v = xml_load16(p);
        __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmplt_epi8(v, low), _mm_cmpeq_epi8(v, va)),
                                   _mm_or_si128(_mm_cmpeq_epi8(v, vb), _mm_cmpeq_epi8(v, vc)));
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);
        if (mask)
            return p + __builtin_ctz(mask);
    }
}

static inline const char *xml_span_name(const char *p)
{
    for (;; p += 16) {
        unsigned mask = xml_name_stops16(xml_load16(p));
        if (mask)
            return p + __builtin_ctz(mask);
    }
}

/* Both sides can be read for 16 bytes. */
static inline bool xml_same(const char *a, const char *b, size_t n)
{
    if (UNLIKELY(n > 16))
        return memcmp(a, b, n) == 0;
    unsigned eq = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(xml_load16(a), xml_load16(b)));
    return ((eq ^ 0xffff) & ((1u << n) - 1)) == 0;
}

#else

#define XML_ONES UINT64_C(0x0101010101010101)

/* High bit set in every byte that is zero (and perhaps in bytes above the lowest such one). */
static inline uint64_t xml_zero_bytes(uint64_t v)
{
    return (v - XML_ONES) & ~v & (XML_ONES << 7);
}

static inline const char *xml_span(const char *p, char a, char b, char c)
{
    for (;; p += 8) {
        uint64_t v;
        memcpy(&v, p, sizeof(v));
        uint64_t hit = (v & (XML_ONES << 7)) | xml_zero_bytes(v & (XML_ONES * 0xe0)) |
                       xml_zero_bytes(v ^ XML_ONES * (unsigned char)a) |
                       xml_zero_bytes(v ^ XML_ONES * (unsigned char)b) |
                       xml_zero_bytes(v ^ XML_ONES * (unsigned char)c);
        if (!hit)
            continue;
        while ((unsigned char)*p >= 0x20 && !xml_high(*p) && *p != a && *p != b && *p != c)
            p++;
        return p;
    }
}

static inline const char *xml_span_name(const char *p)
{
    while (xml_is(*p, XML_C_NAME))
        p++;
    return p;
}

static inline bool xml_same(const char *a, const char *b, size_t n)
{
    return memcmp(a, b, n) == 0;
}

#endif

/*
 * Bytes of the character at p (first byte >= 0x80): 0 when it is fine but cut at end, -1 when it is not UTF-8 or not an
 * XML Char. *end must be readable.
 */
int xml_char_len(const char *p, const char *end);
/* The same for a character of a name (`start`: NameStartChar), XML 1.0 fifth edition. */
int xml_name_char_len(const char *p, const char *end, bool start);
/* Whole slice is one NCName. */
bool xml_ncname(struct str s);

#endif
