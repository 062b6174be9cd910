/*
 * The XML declaration (XML §2.8). Any thread; suspends never.
 */
#include "xml/parser.h"

#define WHY "XML declaration not well-formed"

struct decl {
    const char *p, *end;
    bool cut, bad;
};

static bool refuse(struct decl *d)
{
    if (d->p == d->end)
        d->cut = true;
    else
        d->bad = true;
    return false;
}

static bool literal(struct decl *d, const char *text)
{
    for (; *text; text++, d->p++)
        if (d->p == d->end || *d->p != *text)
            return refuse(d);
    return true;
}

static bool spaces(struct decl *d)
{
    const char *p = d->p;
    while (d->p < d->end && xml_is(*d->p, XML_C_SPACE))
        d->p++;
    return d->p > p;
}

/* = "value" */
static bool value(struct decl *d, struct str *out)
{
    spaces(d);
    if (!literal(d, "="))
        return false;
    spaces(d);
    if (d->p == d->end || (*d->p != '"' && *d->p != '\''))
        return refuse(d);
    char quote = *d->p++;
    const char *start = d->p;
    while (d->p < d->end && xml_is(*d->p, XML_C_NAME) && *d->p != ':')
        d->p++;
    if (d->p == d->end || *d->p != quote)
        return refuse(d);
    *out = str_n(start, (size_t)(d->p++ - start));
    return true;
}

struct fields {
    struct str version, encoding, standalone;
};

/* Optional field; true also when it is not there. *had_space: white space was seen before the next thing. */
static bool field(struct decl *d, char first, const char *name, bool *had_space, struct str *out)
{
    if (d->p == d->end)
        return refuse(d);
    if (*d->p != first)
        return true;
    if (!*had_space || !literal(d, name) || !value(d, out))
        return !d->cut ? refuse(d) : false;
    *had_space = spaces(d);
    return true;
}

static bool scan(struct decl *d, struct fields *f)
{
    bool had_space;
    if (!literal(d, "<?xml"))
        return false;
    had_space = spaces(d);
    if (!had_space || !literal(d, "version") || !value(d, &f->version))
        return d->cut ? false : refuse(d);
    had_space = spaces(d);
    return field(d, 'e', "encoding", &had_space, &f->encoding) &&
           field(d, 's', "standalone", &had_space, &f->standalone) && literal(d, "?>");
}

/* XML 1.0 §2.8: '1.' [0-9]+; a stream says 1.0 (RFC 6120 §11.5). */
static bool known_version(struct str v, bool document)
{
    size_t i = 2;
    if (!document || !str_starts(v, S("1.")))
        return str_eq(v, S("1.0"));
    while (i < v.n && v.p[i] >= '0' && v.p[i] <= '9')
        i++;
    return v.n > 2 && i == v.n;
}

static bool known_encoding(struct str e)
{
    return !e.p || str_ieq_ascii(e, S("utf-8"));
}

int xml_decl_scan(const char *p, const char *end, bool document, enum xml_error *error_out, const char **why_out)
{
    struct decl d = {.p = p, .end = end};
    struct fields f = {STR_NULL, STR_NULL, STR_NULL};
    *error_out = XML_ERR_NOT_WELL_FORMED;
    *why_out = WHY;
    if (!scan(&d, &f))
        return d.bad ? -1 : 0;
    if (!known_version(f.version, document))
        return -1;
    if (f.encoding.p && !(f.encoding.n && xml_is(f.encoding.p[0], XML_C_START)))
        return -1;
    if (f.standalone.p && !str_eq(f.standalone, S("yes")) && !str_eq(f.standalone, S("no")))
        return -1;
    if (known_encoding(f.encoding))
        return (int)(d.p - p);
    *error_out = XML_ERR_ENCODING;
    *why_out = "unknown encoding";
    return -1;
}
