/*
 * Character classes of XML 1.0 (fifth edition) §2.2 and §2.3. Any thread; suspends never.
 */
#include "base/utf8.h"
#include "xml/scan.h"
#include "xml/writer.h"

#define N XML_C_NAME
#define B (XML_C_NAME | XML_C_START)
#define W XML_C_SPACE

const uint8_t xml_class[256] = {
    ['\t'] = W, ['\n'] = W, ['\r'] = W, [' '] = W,
    ['-'] = N, ['.'] = N, [':'] = N, ['_'] = B,
    ['0' ... '9'] = N, ['A' ... 'Z'] = B, ['a' ... 'z'] = B,
};

#undef N
#undef B
#undef W

static bool trail(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* A failed byte is only "cut" when it is the end itself. */
static int refuse(const char *at, const char *end)
{
    return at == end ? 0 : -1;
}

int xml_char_len(const char *p, const char *end)
{
    unsigned char c = (unsigned char)p[0];
    if (c < 0xc2 || c > 0xf4)
        return -1;
    if (p + 1 >= end)
        return 0;
    unsigned char d = (unsigned char)p[1];
    /* Shortest form, no surrogates, at most U+10FFFF: all decided by the second byte. */
    if (!trail(p[1]) || (c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) || (c == 0xf0 && d < 0x90) ||
        (c == 0xf4 && d > 0x8f))
        return -1;
    if (c < 0xe0)
        return 2;
    if (p + 2 >= end || !trail(p[2]))
        return refuse(p + 2, end);
    if (c < 0xf0) /* U+FFFE and U+FFFF are not Chars */
        return c == 0xef && d == 0xbf && (unsigned char)p[2] >= 0xbe ? -1 : 3;
    if (p + 3 >= end || !trail(p[3]))
        return refuse(p + 3, end);
    return 4;
}

struct range {
    uint32_t from, to;
};

static const struct range name_start[] = {
    {0xc0, 0xd6}, {0xd8, 0xf6}, {0xf8, 0x2ff}, {0x370, 0x37d}, {0x37f, 0x1fff}, {0x200c, 0x200d}, {0x2070, 0x218f},
    {0x2c00, 0x2fef}, {0x3001, 0xd7ff}, {0xf900, 0xfdcf}, {0xfdf0, 0xfffd}, {0x10000, 0xeffff},
};

static const struct range name_more[] = {{0xb7, 0xb7}, {0x300, 0x36f}, {0x203f, 0x2040}};

static bool in_ranges(const struct range *r, size_t n, uint32_t cp)
{
    for (size_t i = 0; i < n; i++)
        if (cp >= r[i].from && cp <= r[i].to)
            return true;
    return false;
}

int xml_name_char_len(const char *p, const char *end, bool start)
{
    uint32_t cp;
    int n = xml_char_len(p, end);
    if (n <= 0)
        return n;
    if (utf8_decode(str_n(p, (size_t)n), &cp) == 0)
        return -1;
    if (in_ranges(name_start, ARRAY_LEN(name_start), cp))
        return n;
    return !start && in_ranges(name_more, ARRAY_LEN(name_more), cp) ? n : -1;
}

bool xml_ncname(struct str s)
{
    for (size_t i = 0; i < s.n;) {
        int n = 1;
        if (xml_high(s.p[i]))
            n = xml_name_char_len(s.p + i, s.p + s.n, i == 0);
        else if (!xml_is(s.p[i], i == 0 ? XML_C_START : XML_C_NAME) || s.p[i] == ':')
            n = -1;
        if (n <= 0)
            return false;
        i += (size_t)n;
    }
    return s.n > 0;
}

bool xml_text_ok(struct str s)
{
    if (!utf8_valid(s))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        if (ch < 0x20 && ch != '\t' && ch != '\n' && ch != '\r')
            return false;
        if (ch == 0xef && s.n - i >= 3 && (unsigned char)s.p[i + 1] == 0xbf && (unsigned char)s.p[i + 2] >= 0xbe)
            return false;
    }
    return true;
}

bool xml_allows(uint32_t cp)
{
    if (cp < 0x20)
        return cp == '\t' || cp == '\n' || cp == '\r';
    return cp != 0xfffe && cp != 0xffff;
}
