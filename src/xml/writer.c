/*
 * Elements to bytes. Prefixes of the source are not kept: an element gets an xmlns where its namespace is not the one
 * in force, attributes with a namespace get a prefix declared on the spot. Owns nothing; any thread; suspends never.
 */
#include "xml/writer.h"
#include "xml/scan.h"

struct scope {
    struct str uri;
    uint16_t tok;
};

static bool in_force(const struct xml_el *el, struct scope ctx)
{
    return el->ns || ctx.tok ? el->ns == ctx.tok : str_eq(el->ns_uri, ctx.uri);
}

/*
 * Peers expect these with the prefix of the standards (RFC 6120 §4.8.5, XEP-0220 §2.2.1); declared each time, since not
 * every transport has a stream header around (RFC 7395 §3.3).
 */
static struct str fixed_prefix(const struct xml_el *el)
{
    switch (el->ns) {
    case TOK_NS_STREAM:
        return S("stream");
    case TOK_NS_DIALBACK:
        return S("db");
    case TOK_NS_XML: /* may have no other (Namespaces in XML §3), and needs no declaration */
        return S("xml");
    default:
        return STR_NULL;
    }
}

/* ---- escaping ---- */

enum { ESC_TEXT = 1, ESC_ATTR = 2 };

static const uint8_t special[256] = {
    [0 ... 8] = 3, [11 ... 31] = 3, ['\t'] = ESC_ATTR, ['\n'] = ESC_ATTR, [128 ... 255] = 3,
    ['&'] = 3, ['<'] = 3, ['>'] = 3, ['\''] = ESC_ATTR, ['"'] = ESC_ATTR,
};

static const char *clean_run(const char *p, const char *end, unsigned mode)
{
#if defined(__SSE2__)
    char q = mode == ESC_ATTR ? '\'' : '&', dq = mode == ESC_ATTR ? '"' : '&';
    for (; end - p >= 16; p += 16) {
        __m128i v = xml_load16(p);
        unsigned hit = (unsigned)_mm_movemask_epi8(_mm_cmplt_epi8(v, _mm_set1_epi8(0x20))) | xml_eq16(v, '&') |
                       xml_eq16(v, '<') | xml_eq16(v, '>') | xml_eq16(v, q) | xml_eq16(v, dq);
        if (hit) {
            p += __builtin_ctz(hit);
            break;
        }
    }
#endif
    while (p < end && !(special[(unsigned char)*p] & mode))
        p++;
    return p;
}

static struct str escape_of(char c)
{
    switch (c) {
    case '&':
        return S("&amp;");
    case '<':
        return S("&lt;");
    case '>':
        return S("&gt;");
    case '\'':
        return S("&apos;");
    case '"':
        return S("&quot;");
    case '\t':
        return S("&#9;");
    case '\n':
        return S("&#10;");
    case '\r':
        return S("&#13;");
    default: /* no XML Char: one bad string must not end the peer's stream */
        return S("\xef\xbf\xbd");
    }
}

static void escape(struct buf *out, struct str s, unsigned mode)
{
    const char *p = s.n ? s.p : "", *end = p + s.n; /* an absent slice has no address to count from */
    while (p < end) {
        const char *q = clean_run(p, end, mode);
        for (int n; q < end && xml_high(*q) && (n = xml_char_len(q, end)) > 0;)
            q += n;
        buf_add(out, p, (size_t)(q - p));
        p = q;
        if (p < end && (special[(unsigned char)*p] & mode) && !(xml_high(*p) && xml_char_len(p, end) > 0))
            buf_add_str(out, escape_of(*p++));
    }
}

void xml_escape_text(struct buf *out, struct str s)
{
    escape(out, s, ESC_TEXT);
}

void xml_escape_attr(struct buf *out, struct str s)
{
    escape(out, s, ESC_ATTR);
}

/* ---- start tag ---- */

static char *put(char *at, struct str s)
{
    memcpy(at, s.p, s.n);
    return at + s.n;
}

/* ` prefix:name='value'` */
static void put_attr(struct buf *out, struct str prefix, struct str name, struct str value)
{
    char *at = buf_reserve(out, prefix.n + name.n + value.n + 5), *start = at;
    *at++ = ' ';
    if (prefix.n) {
        at = put(at, prefix);
        *at++ = ':';
    }
    at = put(at, name);
    *at++ = '=';
    *at++ = '\'';
    if (LIKELY(value.n == 0 || clean_run(value.p, value.p + value.n, ESC_ATTR) == value.p + value.n)) {
        at = value.n ? put(at, value) : at;
        *at++ = '\'';
        out->n += (size_t)(at - start);
        return;
    }
    out->n += (size_t)(at - start);
    escape(out, value, ESC_ATTR);
    buf_add_c(out, '\'');
}

static void put_foreign_attr(struct buf *out, const struct xml_attr *a, unsigned number)
{
    char prefix[16] = "n";
    size_t n = 1, digits = 1;
    for (unsigned rest = number; rest >= 10; rest /= 10)
        digits++;
    for (n += digits; digits; digits--, number /= 10)
        prefix[digits] = (char)('0' + number % 10);
    put_attr(out, S("xmlns"), str_n(prefix, n), a->ns_uri);
    put_attr(out, str_n(prefix, n), a->name, a->value);
}

static bool is_address(const struct xml_attr *a)
{
    return (a->tok == TOK_from || a->tok == TOK_to) && a->ns_uri.n == 0;
}

static void put_attrs(struct buf *out, const struct xml_el *el, bool addressed)
{
    unsigned foreign = 0;
    for (const struct xml_attr *a = el->attrs; a; a = a->next) {
        if (addressed && is_address(a))
            continue;
        if (a->ns_uri.n == 0) {
            if (a->tok != TOK_xmlns) /* a declaration is ours to make */
                put_attr(out, STR_NULL, a->name, a->value);
        } else if (a->ns == TOK_NS_XML) {
            put_attr(out, S("xml"), a->name, a->value);
        } else {
            put_foreign_attr(out, a, ++foreign);
        }
    }
}

/* "<name" with its namespace; the default namespace that its content is in. */
static struct scope open_tag(struct buf *out, const struct xml_el *el, struct scope ctx, struct str prefix)
{
    buf_add_c(out, '<');
    if (prefix.n) {
        buf_add_str(out, prefix);
        buf_add_c(out, ':');
    }
    buf_add_str(out, el->name);
    if (prefix.n) {
        if (el->ns != TOK_NS_XML)
            put_attr(out, S("xmlns"), prefix, el->ns_uri);
        return ctx;
    }
    if (!in_force(el, ctx))
        put_attr(out, STR_NULL, S("xmlns"), el->ns_uri);
    return (struct scope){.uri = el->ns_uri, .tok = el->ns};
}

static void close_tag(struct buf *out, struct str prefix, struct str name)
{
    char *at = buf_reserve(out, prefix.n + name.n + 4), *start = at;
    *at++ = '<';
    *at++ = '/';
    if (prefix.n) {
        at = put(at, prefix);
        *at++ = ':';
    }
    at = put(at, name);
    *at++ = '>';
    out->n += (size_t)(at - start);
}

/* ---- elements ---- */

static void write_element(struct buf *out, const struct xml_el *el, struct scope ctx);

static void write_children(struct buf *out, const struct xml_el *el, struct scope ctx)
{
    for (const struct xml_node *n = el->children; n; n = n->next) {
        if (n->kind == XML_ELEMENT)
            write_element(out, (const struct xml_el *)n, ctx);
        else
            xml_escape_text(out, ((const struct xml_text *)n)->text);
    }
}

/* From the end of the start tag's attributes on. */
static void write_rest(struct buf *out, const struct xml_el *el, struct scope inner, struct str prefix)
{
    if (!el->children) {
        buf_add(out, "/>", 2);
        return;
    }
    buf_add_c(out, '>');
    /* Those bytes may lean on a default namespace that a prefixed start tag does not set. */
    if (el->raw_inner.p && !prefix.n)
        buf_add_str(out, el->raw_inner);
    else
        write_children(out, el, inner);
    close_tag(out, prefix, el->name);
}

static void write_element(struct buf *out, const struct xml_el *el, struct scope ctx)
{
    if (el->raw.p && (!el->raw_leans || in_force(el, ctx))) {
        buf_add_str(out, el->raw);
        return;
    }
    struct str prefix = fixed_prefix(el);
    struct scope inner = open_tag(out, el, ctx, prefix);
    put_attrs(out, el, false);
    write_rest(out, el, inner, prefix);
}

static struct scope scope_of(enum token ns)
{
    return (struct scope){.uri = token_str(ns), .tok = (uint16_t)ns};
}

void xml_write(struct buf *out, const struct xml_el *el, enum token context_ns)
{
    write_element(out, el, scope_of(context_ns));
}

void xml_write_addressed(struct buf *out, const struct xml_el *el, enum token context_ns, struct str from,
                         struct str to)
{
    struct str prefix = fixed_prefix(el);
    buf_reserve(out, el->raw_inner.n + 2 * el->name.n + from.n + to.n + 128);
    struct scope inner = open_tag(out, el, scope_of(context_ns), prefix);
    if (to.p)
        put_attr(out, STR_NULL, token_str(TOK_to), to);
    if (from.p)
        put_attr(out, STR_NULL, token_str(TOK_from), from);
    put_attrs(out, el, true);
    write_rest(out, el, inner, prefix);
}
