/*
 * Reader and writer of sr_group.opts. ejabberd prints a binary as a string when every byte is printable in Latin-1, whatever
 * it means in UTF-8, and as a list of numbers otherwise; both are read, and written under the same rule. Pure.
 */
#include "store/srg_opts.h"

#include "base/buf.h"
#include "base/utf8.h"

#include <string.h>

struct reader {
    struct arena *a;
    struct str rest;
};

static void blanks(struct reader *r)
{
    while (r->rest.n && strchr(" \t\r\n", r->rest.p[0]) && r->rest.p[0])
        r->rest = str_n(r->rest.p + 1, r->rest.n - 1);
}

/* Takes a sign, with blanks before it. */
static bool sign(struct reader *r, struct str s)
{
    blanks(r);
    if (!str_starts(r->rest, s))
        return false;
    r->rest = str_n(r->rest.p + s.n, r->rest.n - s.n);
    return true;
}

static int take(struct reader *r)
{
    int c = r->rest.n ? (unsigned char)r->rest.p[0] : -1;

    if (c >= 0)
        r->rest = str_n(r->rest.p + 1, r->rest.n - 1);
    return c;
}

static int digit_of(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 16;
}

static int peek(const struct reader *r)
{
    return r->rest.n ? (unsigned char)r->rest.p[0] : -1;
}

/* Up to `max` digits; -1 when there is none. */
static int32_t number(struct reader *r, int base, unsigned max)
{
    int32_t n = -1;

    for (unsigned i = 0; i < max && peek(r) >= 0 && digit_of(peek(r)) < base; i++)
        n = (n < 0 ? 0 : n) * base + digit_of(take(r));
    return n;
}

/* Behind a backslash. -1: malformed. */
static int32_t escape(struct reader *r)
{
    static const char names[] = "nrtvbfesd", values[] = "\n\r\t\v\b\f\x1b \x7f";
    int c = take(r);
    const char *at;
    int32_t n;

    if (c == 'x' && peek(r) == '{') {
        take(r);
        n = number(r, 16, 6);
        return take(r) == '}' ? n : -1;
    }
    if (c == 'x')
        return number(r, 16, 2);
    if (c == '^')
        return take(r) & 31;
    if (c >= '0' && c <= '7') {
        r->rest = str_n(r->rest.p - 1, r->rest.n + 1);
        return number(r, 8, 3);
    }
    at = c > 0 ? strchr(names, c) : NULL;
    return at ? values[at - names] : c;
}

/* `wide`: characters beyond ASCII that were escaped are meant as Unicode, otherwise as bytes. */
static bool add_char(struct buf *b, int32_t c, bool wide)
{
    char utf8[4];
    unsigned n;

    if (c < 0 || (!wide && c > 255))
        return false;
    if (c < 128 || !wide) {
        buf_add_c(b, (char)c);
        return true;
    }
    n = utf8_encode((uint32_t)c, utf8);
    buf_add(b, utf8, n);
    return n != 0;
}

/* Behind the opening quote. Raw bytes stay what they are: the column is UTF-8 already. */
static bool quoted(struct reader *r, char quote, bool wide, struct buf *b)
{
    for (;;) {
        int c = take(r);
        if (c == quote)
            return true;
        if (c < 0 || (c == '\\' && !add_char(b, escape(r), wide)))
            return false;
        if (c != '\\')
            buf_add_c(b, (char)c);
    }
}

/* Whether "/utf8" stands behind the string; it decides how the escapes inside are meant. */
static bool is_wide(struct reader r)
{
    struct buf b = BUF_INIT;
    bool wide = quoted(&r, '"', true, &b) && sign(&r, S("/utf8"));

    buf_deinit(&b);
    return wide;
}

static bool segment(struct reader *r, struct buf *b)
{
    int32_t n;

    if (sign(r, S("\""))) {
        bool wide = is_wide(*r);
        return quoted(r, '"', wide, b) && (!wide || sign(r, S("/utf8")));
    }
    n = number(r, 10, 4);
    return n >= 0 && n < 256 && add_char(b, n, false);
}

static bool binary_bytes(struct reader *r, struct buf *b)
{
    if (!sign(r, S("<<")))
        return false;
    if (sign(r, S(">>")))
        return true;
    do {
        blanks(r);
        if (!segment(r, b))
            return false;
    } while (sign(r, S(",")));
    return sign(r, S(">>"));
}

/* false: no binary, or none that is text; the reader is where it was then. */
static bool text(struct reader *r, struct str *out)
{
    struct reader before = *r;
    struct buf b = BUF_INIT;
    bool ok = binary_bytes(r, &b) && utf8_valid(buf_str(&b)) && (b.n == 0 || !memchr(b.p, 0, b.n));

    if (ok)
        *out = arena_str(r->a, buf_str(&b));
    else
        *r = before;
    buf_deinit(&b);
    return ok;
}

static bool atom_char(int c, bool first)
{
    return (c >= 'a' && c <= 'z') || (!first && ((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '@'));
}

static bool atom(struct reader *r, struct str *out)
{
    struct buf b = BUF_INIT;
    bool ok;

    blanks(r);
    if (sign(r, S("'"))) {
        ok = quoted(r, '\'', true, &b) && b.n && utf8_valid(buf_str(&b)) && !memchr(b.p, 0, b.n);
    } else {
        while (atom_char(peek(r), b.n == 0))
            buf_add_c(&b, (char)take(r));
        ok = b.n != 0;
    }
    if (ok)
        *out = arena_str(r->a, buf_str(&b));
    buf_deinit(&b);
    return ok;
}

static bool list(struct reader *r, struct srg_opt *o)
{
    struct reader before = *r;
    bool ok = sign(r, S("["));

    if (ok && sign(r, S("]")))
        return true;
    while (ok) {
        ARENA_MORE(r->a, o->items, o->n);
        ok = text(r, &o->items[o->n]);
        o->n += ok;
        if (ok && !sign(r, S(",")))
            break;
    }
    ok = ok && sign(r, S("]"));
    if (!ok) {
        *r = before;
        o->items = NULL;
        o->n = 0;
    }
    return ok;
}

/* Over one term that is not understood, with its brackets and quotes. */
static bool skip_term(struct reader *r)
{
    char open[SRG_OPTS_MAX_DEPTH];
    struct buf b = BUF_INIT;
    unsigned depth = 0;
    bool ok = true, any = false;

    while (ok && r->rest.n && (depth || !strchr(",}]", r->rest.p[0]))) {
        int c = take(r);
        any = true;
        if (c == '"' || c == '\'')
            ok = quoted(r, (char)c, true, &b);
        else if (c == '{' || c == '[')
            ok = depth < SRG_OPTS_MAX_DEPTH && (open[depth++] = c == '{' ? '}' : ']');
        else if (c == '}' || c == ']')
            ok = depth && open[--depth] == c;
        else
            ok = c >= ' ' || (c && strchr("\t\r\n", c));
    }
    buf_deinit(&b);
    return ok && any && depth == 0;
}

static bool value(struct reader *r, struct srg_opt *o)
{
    struct reader before;
    struct str word;

    blanks(r);
    before = *r;
    o->kind = SRG_TEXT;
    if (text(r, &o->text))
        return true;
    o->kind = SRG_LIST;
    if (list(r, o))
        return true;
    o->kind = SRG_FLAG;
    if (atom(r, &word) && (str_eq(word, S("true")) || str_eq(word, S("false")))) {
        blanks(r);
        o->on = word.n == 4;
        if (peek(r) == '}')
            return true;
    }
    *r = before;
    o->kind = SRG_OTHER;
    if (!skip_term(r))
        return false;
    o->text = arena_str(r->a, str_trim(str_n(before.rest.p, before.rest.n - r->rest.n)));
    return o->text.n && utf8_valid(o->text);
}

static bool pair(struct reader *r, struct srg_opt *o)
{
    return sign(r, S("{")) && atom(r, &o->name) && sign(r, S(",")) && value(r, o) && sign(r, S("}"));
}

static bool pairs(struct reader *r, struct srg_opts *out)
{

    if (!sign(r, S("[")))
        return false;
    if (sign(r, S("]")))
        return true;
    do {
        ARENA_MORE(r->a, out->opts, out->n);
        if (!pair(r, &out->opts[out->n]))
            return false;
        out->n++;
    } while (sign(r, S(",")));
    return sign(r, S("]"));
}

bool srg_opts_parse(struct arena *a, struct str source, struct srg_opts *out)
{
    struct reader r = {a, source};
    bool ok = source.n <= SRG_OPTS_MAX_BYTES;

    *out = (struct srg_opts){0};
    ok = ok && pairs(&r, out);
    sign(&r, S("."));
    blanks(&r);
    ok = ok && r.rest.n == 0;
    if (!ok)
        *out = (struct srg_opts){0};
    return ok;
}

/* --- writing --- */

static bool latin1_printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 32 && !strchr("\n\r\t\v\b\f\x1b", c)) || !c || (c > 126 && c < 160))
            return false;
    }
    return true;
}

static void write_string(struct buf *b, struct str s, char quote)
{
    static const char names[] = "nrtvbfe", values[] = "\n\r\t\v\b\f\x1b";

    buf_add_c(b, quote);
    for (size_t i = 0; i < s.n; i++) {
        const char *at = s.p[i] ? strchr(values, s.p[i]) : NULL;
        if (at || s.p[i] == quote || s.p[i] == '\\')
            buf_add_c(b, '\\');
        buf_add_c(b, at ? names[at - values] : s.p[i]);
    }
    buf_add_c(b, quote);
}

static void write_text(struct buf *b, struct str s)
{
    buf_add_str(b, S("<<"));
    if (s.n && latin1_printable(s))
        write_string(b, s, '"');
    else
        for (size_t i = 0; i < s.n; i++)
            buf_printf(b, i ? ",%u" : "%u", (unsigned char)s.p[i]);
    buf_add_str(b, S(">>"));
}

static void write_atom(struct buf *b, struct str s)
{
    bool plain = s.n != 0;

    for (size_t i = 0; i < s.n; i++)
        plain = plain && atom_char((unsigned char)s.p[i], i == 0);
    if (plain)
        buf_add_str(b, s);
    else
        write_string(b, s, '\'');
}

static void write_value(struct buf *b, const struct srg_opt *o)
{
    switch (o->kind) {
    case SRG_TEXT:
        write_text(b, o->text);
        break;
    case SRG_LIST:
        buf_add_c(b, '[');
        for (size_t i = 0; i < o->n; i++) {
            if (i)
                buf_add_c(b, ',');
            write_text(b, o->items[i]);
        }
        buf_add_c(b, ']');
        break;
    case SRG_FLAG:
        buf_add_str(b, o->on ? S("true") : S("false"));
        break;
    case SRG_OTHER:
        buf_add_str(b, o->text);
        break;
    }
}

struct str srg_opts_write(struct arena *a, const struct srg_opts *o)
{
    struct buf b = BUF_INIT;
    struct str out;

    buf_add_c(&b, '[');
    for (size_t i = 0; i < o->n; i++) {
        buf_add_str(&b, i ? S(",{") : S("{"));
        write_atom(&b, o->opts[i].name);
        buf_add_c(&b, ',');
        write_value(&b, &o->opts[i]);
        buf_add_c(&b, '}');
    }
    buf_add_c(&b, ']');
    out = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return out;
}

const struct srg_opt *srg_opts_find(const struct srg_opts *o, struct str name, enum srg_kind kind)
{
    for (size_t i = 0; i < o->n; i++)
        if (o->opts[i].kind == kind && str_eq(o->opts[i].name, name))
            return &o->opts[i];
    return NULL;
}

bool srg_opts_drop(struct srg_opts *o, struct str name)
{
    size_t kept = 0, before = o->n;

    for (size_t i = 0; i < before; i++)
        if (!str_eq(o->opts[i].name, name))
            o->opts[kept++] = o->opts[i];
    o->n = kept;
    return kept != before;
}

void srg_opts_put(struct arena *a, struct srg_opts *o, const struct srg_opt *opt)
{
    struct srg_opt *all = ARENA_ARRAY(a, struct srg_opt, o->n + 1);

    all[0] = *opt;
    srg_opts_drop(o, opt->name);
    if (o->n)
        memcpy(all + 1, o->opts, o->n * sizeof(*all));
    o->opts = all;
    o->n++;
}
