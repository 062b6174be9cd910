/*
 * References, line ends and CDATA sections of text that the parser has already accepted. Any thread; suspends never.
 */
#include "base/utf8.h"
#include "xml/parser.h"

static const struct {
    struct str name; /* with the ';' */
    char c;
} known[] = {{{"amp;", 4}, '&'}, {{"lt;", 3}, '<'}, {{"gt;", 3}, '>'}, {{"quot;", 5}, '"'}, {{"apos;", 5}, '\''}};

static bool is_char(uint32_t cp)
{
    return cp >= 0x20 ? cp <= 0xd7ff || (cp >= 0xe000 && cp <= 0xfffd) || (cp >= 0x10000 && cp <= 0x10ffff)
                      : cp == '\t' || cp == '\n' || cp == '\r';
}

static int digit(char c, unsigned base)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (base == 16 && (c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

/* p is after "&#". */
static enum xml_ref scan_number(const char *start, const char *p, const char *end, uint32_t *cp_out, size_t *n_out)
{
    unsigned base = p < end && *p == 'x' ? 16 : 10;
    const char *first = p += base == 16;
    uint32_t cp = 0;
    for (; p < end && digit(*p, base) >= 0; p++)
        if (cp <= 0x10ffff)
            cp = cp * base + (uint32_t)digit(*p, base);
    if (p == end)
        return XML_REF_CUT;
    if (*p != ';' || p == first)
        return XML_REF_BAD;
    *cp_out = cp;
    *n_out = (size_t)(p + 1 - start);
    return is_char(cp) ? XML_REF_OK : XML_REF_CHAR;
}

static bool may_become_known(struct str s)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_starts(known[i].name, s))
            return true;
    return false;
}

/* Name of no predefined entity. */
static enum xml_ref scan_name(const char *start, const char *end, bool early, size_t *n_out)
{
    const char *p = start + 1;
    while (p < end && *p != ';') {
        int n = xml_is(*p, p == start + 1 ? XML_C_START : XML_C_NAME) && *p != ':';
        if (xml_high(*p))
            n = xml_name_char_len(p, end, p == start + 1);
        else if (!n)
            return XML_REF_BAD;
        if (n <= 0)
            return n == 0 ? XML_REF_CUT : XML_REF_BAD;
        p += n;
        if (early && !may_become_known(str_n(start + 1, (size_t)(p - start - 1))))
            return XML_REF_UNKNOWN;
    }
    if (p == end)
        return XML_REF_CUT;
    *n_out = (size_t)(p + 1 - start);
    return p == start + 1 ? XML_REF_BAD : XML_REF_UNKNOWN;
}

enum xml_ref xml_ref_scan(const char *p, const char *end, bool early, uint32_t *cp_out, size_t *n_out)
{
    struct str rest = str_n(p + 1, (size_t)(end - p - 1));
    if (rest.n && rest.p[0] == '#')
        return scan_number(p, p + 2, end, cp_out, n_out);
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_starts(rest, known[i].name)) {
            *cp_out = (unsigned char)known[i].c;
            *n_out = known[i].name.n + 1;
            return XML_REF_OK;
        }
    return scan_name(p, end, early, n_out);
}

struct cursor {
    const char *p, *end;
    char *out;
};

static void put(struct cursor *c, const char *p, size_t n)
{
    memcpy(c->out, p, n);
    c->out += n;
}

static void put_reference(struct cursor *c)
{
    uint32_t cp = 0;
    size_t n = 1;
    xml_ref_scan(c->p, c->end, false, &cp, &n);
    c->out += utf8_encode(cp, c->out);
    c->p += n;
}

/* CR LF and CR are one line end (XML §2.11). */
static void put_line_end(struct cursor *c, char as)
{
    c->p += c->end - c->p > 1 && c->p[0] == '\r' && c->p[1] == '\n' ? 2 : 1;
    *c->out++ = as;
}

static void put_until(struct cursor *c, const char *stop)
{
    while (c->p < stop) {
        if (*c->p == '\r')
            put_line_end(c, '\n');
        else
            *c->out++ = *c->p++;
    }
}

static const char *find(const struct cursor *c, struct str what)
{
    const char *at = memmem(c->p, (size_t)(c->end - c->p), what.p, what.n);
    return at ? at : c->end;
}

/* At '<': the content of a CDATA section counts, comments and instructions do not. */
static void put_markup(struct cursor *c)
{
    static const char open[] = "<![CDATA[";
    struct str stop = c->p[1] == '?' ? S("?>") : S("-->");
    size_t left = (size_t)(c->end - c->p);
    if (left >= sizeof(open) - 1 && memcmp(c->p, open, sizeof(open) - 1) == 0) {
        c->p += sizeof(open) - 1;
        stop = S("]]>");
        put_until(c, find(c, stop));
    } else {
        c->p += left < 4 || c->p[1] == '?' ? 2 : 4;
        c->p = find(c, stop);
    }
    c->p += c->end - c->p < (ptrdiff_t)stop.n ? c->end - c->p : (ptrdiff_t)stop.n;
}

struct str xml_decode_text(struct arena *a, struct str raw)
{
    struct cursor c = {raw.p, raw.p + raw.n, arena_alloc(a, raw.n)};
    char *start = c.out;
    while (c.p < c.end) {
        const char *q = c.p;
        while (q < c.end && *q != '&' && *q != '<' && *q != '\r')
            q++;
        put(&c, c.p, (size_t)(q - c.p));
        c.p = q;
        if (q == c.end)
            break;
        if (*q == '&')
            put_reference(&c);
        else if (*q == '<')
            put_markup(&c);
        else
            put_line_end(&c, '\n');
    }
    return str_n(start, (size_t)(c.out - start));
}

struct str xml_decode_value(struct arena *a, struct str raw)
{
    struct cursor c = {raw.p, raw.p + raw.n, arena_alloc(a, raw.n + 1)};
    char *start = c.out;
    while (c.p < c.end) {
        if (*c.p == '&')
            put_reference(&c);
        else if (xml_is(*c.p, XML_C_SPACE)) /* XML §3.3.3 */
            put_line_end(&c, ' ');
        else
            *c.out++ = *c.p++;
    }
    return str_n(start, (size_t)(c.out - start));
}
