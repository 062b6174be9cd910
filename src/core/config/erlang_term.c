/*
 * Reader of Erlang terms; see the header. A tokenizer that gives one token at a time and a recursive parser of bounded depth.
 * Error texts follow the words that Erlang's own reader uses, because people search for them.
 */
#include "core/config/erlang_term.h"

#include "base/buf.h"
#include "base/utf8.h"

#include <stdio.h>

enum token { TOK_END, TOK_ATOM, TOK_STRING, TOK_INT, TOK_FLOAT, TOK_VAR, TOK_PUNCT, TOK_DOT, TOK_BAD };

struct reader {
    struct arena *a;
    struct str text;
    size_t at;
    unsigned line;
    unsigned depth, nodes;
    /* the token in hand */
    enum token tok;
    unsigned tok_line;
    struct str word;  /* decoded; PUNCT: "{", "<<", ... ; BAD: what is wrong */
    int64_t num;
    struct error *err;
};

/* --- characters --- */

static int peek(const struct reader *r, size_t ahead)
{
    return r->at + ahead < r->text.n ? (unsigned char)r->text.p[r->at + ahead] : -1;
}

static int take(struct reader *r)
{
    int c = peek(r, 0);
    if (c >= 0)
        r->at++;
    if (c == '\n')
        r->line++;
    return c;
}

static bool is_lower(int c)
{
    return (c >= 'a' && c <= 'z') || c >= 0xc3; /* letters beyond ASCII are taken for small ones */
}

static bool is_upper(int c)
{
    return (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(int c)
{
    return is_lower(c) || is_upper(c) || is_digit(c) || c == '@' || c >= 0x80;
}

static bool is_space(int c)
{
    return c >= 0 && c <= ' ';
}

static void skip_blanks(struct reader *r)
{
    for (;;) {
        int c = peek(r, 0);
        if (c == '%')
            while (c >= 0 && c != '\n') {
                take(r);
                c = peek(r, 0);
            }
        else if (is_space(c))
            take(r);
        else
            return;
    }
}

/* --- tokens --- */

static void bad(struct reader *r, const char *what)
{
    r->tok = TOK_BAD;
    r->word = str_of(what);
}

static int digit_value(int c)
{
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'z' ? c - 'a' + 10 : c >= 'A' && c <= 'Z' ? c - 'A' + 10 : 99;
}

static bool read_number(struct reader *r, unsigned base, unsigned digits_max, int64_t *out)
{
    unsigned n = 0;
    int64_t v = 0;
    for (int d; n < digits_max && (d = digit_value(peek(r, 0))) < (int)base; n++) {
        if (__builtin_mul_overflow(v, (int64_t)base, &v) || __builtin_add_overflow(v, (int64_t)d, &v))
            return false;
        take(r);
    }
    *out = v;
    return n > 0;
}

static bool add_codepoint(struct buf *b, int64_t cp)
{
    char out[4] = "";
    unsigned n = cp < 0 || cp > 0x10ffff ? 0 : utf8_encode((uint32_t)cp, out);
    buf_add_str(b, str_n(out, n));
    return n > 0;
}

/* \x41 and \x{263a} */
static bool read_hex_escape(struct reader *r, struct buf *b)
{
    int64_t v;
    bool braces = peek(r, 0) == '{';
    if (braces)
        take(r);
    if (!read_number(r, 16, braces ? 6 : 2, &v) || (braces && take(r) != '}'))
        return false;
    return add_codepoint(b, v);
}

static bool read_escape(struct reader *r, struct buf *b)
{
    static const char from[] = "bdefnrstv", to[] = "\b\177\033\f\n\r \t\v";
    int c = peek(r, 0);
    int64_t v;
    const char *known = c > 0 ? strchr(from, c) : NULL;
    if (c < 0)
        return false;
    if (c >= '0' && c <= '7')
        return read_number(r, 8, 3, &v) && add_codepoint(b, v);
    take(r);
    if (c == 'x')
        return read_hex_escape(r, b);
    if (c == '^') {
        c = take(r);
        return c >= 0 && add_codepoint(b, c & 31);
    }
    buf_add_c(b, known ? to[known - from] : (char)c);
    return true;
}

/* After the opening quote. false: it does not end, or an escape is malformed. */
static bool read_quoted(struct reader *r, char quote, struct buf *b)
{
    for (int c; (c = take(r)) != quote;) {
        if (c < 0 || (c == '\\' && !read_escape(r, b)))
            return false;
        if (c != '\\')
            buf_add_c(b, (char)c);
    }
    return true;
}

static void quoted_token(struct reader *r, enum token kind)
{
    struct buf b = BUF_INIT;
    char quote = (char)take(r);
    if (read_quoted(r, quote, &b)) {
        r->tok = kind;
        r->word = arena_str(r->a, b.n ? buf_str(&b) : S(""));
    } else {
        bad(r, kind == TOK_STRING ? "unterminated string or malformed escape" : "unterminated atom or malformed escape");
    }
    buf_deinit(&b);
}

static void word_token(struct reader *r)
{
    size_t from = r->at;
    r->tok = is_upper(peek(r, 0)) ? TOK_VAR : TOK_ATOM;
    while (is_word(peek(r, 0)))
        take(r);
    r->word = arena_str(r->a, str_n(r->text.p + from, r->at - from));
}

/* $a and $\n */
static void char_token(struct reader *r)
{
    struct buf b = BUF_INIT;
    uint32_t cp = 0;
    take(r);
    bool ok;
    if (peek(r, 0) == '\\') {
        take(r);
        ok = read_escape(r, &b);
    } else {
        unsigned used = utf8_decode(str_n(r->text.p + r->at, r->text.n - r->at), &cp);
        ok = used > 0;
        for (unsigned i = 0; i < used; i++)
            buf_add_c(&b, (char)take(r));
    }
    ok = ok && b.n && utf8_decode(buf_str(&b), &cp);
    r->num = cp;
    r->tok = TOK_INT;
    if (!ok)
        bad(r, "illegal character");
    buf_deinit(&b);
}

static void float_token(struct reader *r, size_t from)
{
    take(r);
    while (is_digit(peek(r, 0)))
        take(r);
    if ((peek(r, 0) == 'e' || peek(r, 0) == 'E') &&
        (is_digit(peek(r, 1)) || ((peek(r, 1) == '-' || peek(r, 1) == '+') && is_digit(peek(r, 2))))) {
        take(r);
        take(r);
        while (is_digit(peek(r, 0)))
            take(r);
    }
    r->tok = TOK_FLOAT;
    r->word = arena_str(r->a, str_n(r->text.p + from, r->at - from));
}

static void number_token(struct reader *r)
{
    size_t from = r->at;
    r->tok = TOK_INT;
    if (!read_number(r, 10, 30, &r->num)) {
        bad(r, "a number that is too large");
    } else if (peek(r, 0) == '#') {
        int64_t base = r->num;
        take(r);
        if (base < 2 || base > 36 || !read_number(r, (unsigned)base, 70, &r->num))
            bad(r, "illegal number");
    } else if (peek(r, 0) == '.' && is_digit(peek(r, 1))) {
        float_token(r, from);
    }
}

static void punct_token(struct reader *r)
{
    int c = take(r);
    bool twice = (c == '<' || c == '>') && peek(r, 0) == c;
    if (twice)
        take(r);
    r->tok = TOK_PUNCT;
    r->word = str_n(r->text.p + r->at - (twice ? 2 : 1), twice ? 2 : 1);
    if (c == '.' && (peek(r, 0) < 0 || is_space(peek(r, 0)) || peek(r, 0) == '%'))
        r->tok = TOK_DOT;
}

static void next(struct reader *r)
{
    skip_blanks(r);
    int c = peek(r, 0);
    r->tok_line = r->line;
    r->word = STR_NULL;
    if (c < 0)
        r->tok = TOK_END;
    else if (c == '"')
        quoted_token(r, TOK_STRING);
    else if (c == '\'')
        quoted_token(r, TOK_ATOM);
    else if (c == '$')
        char_token(r);
    else if (is_digit(c))
        number_token(r);
    else if (is_word(c) && c != '@')
        word_token(r);
    else
        punct_token(r);
}

static bool is_punct(const struct reader *r, const char *what)
{
    return r->tok == TOK_PUNCT && str_eq(r->word, str_of(what));
}

/* --- terms --- */

static struct term *fail(struct reader *r)
{
    if (r->tok == TOK_BAD)
        err_set(r->err, ERR_CONFIG, "at line %u: %.*s", r->tok_line, STR_ARG(r->word));
    else if (r->tok == TOK_END)
        err_set(r->err, ERR_CONFIG, "at line %u: syntax error before: end of file", r->tok_line);
    else if (r->tok == TOK_INT)
        err_set(r->err, ERR_CONFIG, "at line %u: syntax error before: %lld", r->tok_line, (long long)r->num);
    else if (r->tok == TOK_PUNCT || r->tok == TOK_DOT)
        err_set(r->err, ERR_CONFIG, "at line %u: syntax error before: '%.*s'", r->tok_line, STR_ARG(r->word));
    else
        err_set(r->err, ERR_CONFIG, "at line %u: syntax error before: %.*s", r->tok_line, (int)(r->word.n > 60 ? 60 : r->word.n),
                r->word.p);
    return NULL;
}

static struct term *too_much(struct reader *r, const char *what)
{
    err_set(r->err, ERR_CONFIG, "at line %u: %s", r->tok_line, what);
    return NULL;
}

static struct term *new_term(struct reader *r, enum term_kind kind)
{
    struct term *t = ARENA_NEW(r->a, struct term);
    t->kind = kind;
    t->line = r->tok_line;
    return t;
}

static void add_item(struct arena *a, struct term ***items, size_t *n, struct term *t)
{
    ARENA_MORE(a, *items, *n);
    (*items)[(*n)++] = t;
}

static struct term *read_term(struct reader *r);

static struct term *read_items(struct reader *r, enum term_kind kind, const char *close)
{
    struct term *t = new_term(r, kind);
    next(r);
    if (is_punct(r, close))
        return t;
    for (;;) {
        struct term *item = read_term(r);
        if (!item)
            return NULL;
        add_item(r->a, &t->items, &t->n, item);
        next(r);
        if (is_punct(r, close))
            return t;
        if (!is_punct(r, ","))
            return fail(r);
        next(r);
    }
}

/* "a" "b" is one string. The token in hand is the first; the one behind the last is put back. */
static struct term *read_string(struct reader *r)
{
    struct term *t = new_term(r, TERM_STRING);
    struct buf b = BUF_INIT;
    struct reader before;
    do {
        buf_add_str(&b, r->word);
        before = *r;
        next(r);
    } while (r->tok == TOK_STRING);
    *r = before;
    t->text = arena_str(r->a, b.n ? buf_str(&b) : S(""));
    buf_deinit(&b);
    return t;
}

/* /utf8, /integer and other type words after a segment say nothing here. */
static bool skip_types(struct reader *r)
{
    if (!is_punct(r, "/"))
        return true;
    next(r);
    if (r->tok != TOK_ATOM)
        return false;
    next(r);
    return true;
}

static bool read_segment(struct reader *r, struct buf *b)
{
    if (r->tok == TOK_STRING)
        buf_add_str(b, r->word);
    else if (r->tok == TOK_INT && r->num >= 0 && r->num <= 255)
        buf_add_c(b, (char)r->num);
    else
        return false;
    next(r);
    return skip_types(r);
}

static struct str to_utf8(struct arena *a, struct str text);

static struct term *read_binary(struct reader *r)
{
    struct term *t = new_term(r, TERM_BINARY);
    struct buf b = BUF_INIT;
    bool ok = true;
    next(r);
    while (ok && !is_punct(r, ">>")) {
        ok = read_segment(r, &b);
        if (ok && is_punct(r, ","))
            next(r);
        else if (ok && !is_punct(r, ">>"))
            ok = false;
    }
    t->text = to_utf8(r->a, arena_str(r->a, b.n ? buf_str(&b) : S("")));
    buf_deinit(&b);
    return ok ? t : fail(r);
}

static struct term *read_negative(struct reader *r)
{
    next(r);
    if (r->tok != TOK_INT && r->tok != TOK_FLOAT)
        return fail(r);
    struct term *t = new_term(r, r->tok == TOK_INT ? TERM_INT : TERM_FLOAT);
    t->num = -r->num;
    if (r->tok == TOK_FLOAT)
        t->text = arena_printf(r->a, "-%.*s", STR_ARG(r->word));
    return t;
}

static struct term *read_simple(struct reader *r)
{
    struct term *t;
    switch (r->tok) {
    case TOK_ATOM:
        t = new_term(r, TERM_ATOM);
        t->text = r->word;
        return t;
    case TOK_STRING: return read_string(r);
    case TOK_INT:
        t = new_term(r, TERM_INT);
        t->num = r->num;
        return t;
    case TOK_FLOAT:
        t = new_term(r, TERM_FLOAT);
        t->text = r->word;
        return t;
    default: return fail(r);
    }
}

static struct term *read_term(struct reader *r)
{
    struct term *t;
    if (r->depth == ERLANG_MAX_DEPTH)
        return too_much(r, "too many levels of brackets");
    if (r->nodes == ERLANG_MAX_NODES)
        return too_much(r, "too many terms in one file");
    r->depth++;
    r->nodes++;
    if (is_punct(r, "{"))
        t = read_items(r, TERM_TUPLE, "}");
    else if (is_punct(r, "["))
        t = read_items(r, TERM_LIST, "]");
    else if (is_punct(r, "<<"))
        t = read_binary(r);
    else if (is_punct(r, "-"))
        t = read_negative(r);
    else
        t = read_simple(r);
    r->depth--;
    return t;
}

/* --- a file --- */

static struct str from_latin1(struct arena *a, struct str text)
{
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < text.n; i++)
        add_codepoint(&b, (unsigned char)text.p[i]);
    struct str out = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return out;
}

static struct str to_utf8(struct arena *a, struct str text)
{
    return utf8_valid(text) ? text : from_latin1(a, text);
}

/* After a whole term. An atom and a colon are the beginning of a call, as far as Erlang's reader is concerned. */
static bool read_dot(struct reader *r, const struct term *t)
{
    next(r);
    if (t->kind == TERM_ATOM && is_punct(r, ":"))
        next(r);
    else if (r->tok == TOK_DOT)
        return true;
    fail(r);
    return false;
}

int erlang_terms_parse(struct arena *a, struct str text, struct terms *out, struct error *err)
{
    struct reader r = {.a = a, .line = 1, .err = err};
    *out = (struct terms){0};
    if (text.n > ERLANG_MAX_BYTES)
        return err_set(err, ERR_CONFIG, "larger than %u bytes", ERLANG_MAX_BYTES);
    r.text = to_utf8(a, text);
    for (next(&r); r.tok != TOK_END; next(&r)) {
        struct term *t = read_term(&r);
        if (!t || !read_dot(&r, t))
            return -1;
        add_item(a, &out->items, &out->n, t);
    }
    return 0;
}
