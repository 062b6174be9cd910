/*
 * Matching with one point to come back to: the last run sign. An earlier one need never be reconsidered, so the time is at
 * most pattern times text. Pure, any thread.
 */
#include "store/pattern.h"

#include "base/utf8.h"

/* Malformed bytes count as characters of their own. */
static uint32_t next_char(struct str *s)
{
    uint32_t cp = (unsigned char)s->p[0];
    unsigned n = utf8_decode(*s, &cp);

    *s = str_n(s->p + (n ? n : 1), s->n - (n ? n : 1));
    return cp;
}

static char run_sign(const struct pattern *p)
{
    return p->kind == PATTERN_GLOB ? '*' : '%';
}

static uint32_t fold(uint32_t c)
{
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

/* Behind the opening bracket. false: it is never closed, so the bracket is a bracket. A ']' right at the start is a member. */
static bool match_set(struct str *pat, uint32_t c, bool *in_out)
{
    struct str rest = *pat;
    bool negated = rest.n && rest.p[0] == '!', in = false, first = true;

    if (negated)
        next_char(&rest);
    while (rest.n && (first || rest.p[0] != ']')) {
        uint32_t low = next_char(&rest), high = low;
        first = false;
        if (rest.n > 1 && rest.p[0] == '-' && rest.p[1] != ']') {
            next_char(&rest);
            high = next_char(&rest);
        }
        in = in || (c >= low && c <= high);
    }
    if (!rest.n)
        return false;
    next_char(&rest);
    *pat = rest;
    *in_out = in != negated;
    return true;
}

/* One character against the pattern's next sign, which is not a run sign; moves the pattern on. */
static bool match_one(const struct pattern *p, struct str *pat, uint32_t c)
{
    uint32_t sign = next_char(pat);
    bool in;

    if (sign == (p->kind == PATTERN_GLOB ? '?' : '_'))
        return true;
    if (p->kind == PATTERN_LIKE)
        return fold(sign) == fold(c);
    if (sign == '[' && match_set(pat, c, &in))
        return in;
    return sign == c;
}

bool pattern_match(const struct pattern *p, struct str text)
{
    struct str pat = p->text, again = STR_NULL, from = text;
    char run = run_sign(p);

    for (;;) {
        if (pat.n && pat.p[0] == run) {
            again = pat = str_n(pat.p + 1, pat.n - 1);
            from = text;
            if (!pat.n)
                return true;
        } else if (!text.n) {
            return !pat.n;
        } else if (pat.n && match_one(p, &pat, next_char(&text))) {
            continue;
        } else if (!again.p) {
            return false;
        } else {
            /* The run takes one more character. */
            next_char(&from);
            text = from;
            pat = again;
        }
    }
}

static bool has_meaning(const struct pattern *p, char c)
{
    return p->kind == PATTERN_GLOB ? c == '*' || c == '?' || c == '[' : c == '%' || c == '_';
}

struct str pattern_prefix(const struct pattern *p)
{
    size_t n = 0;

    while (n < p->text.n && !has_meaning(p, p->text.p[n])) {
        /* Case does not matter there, so letters say nothing about the bytes. */
        if (p->kind == PATTERN_LIKE && fold((unsigned char)(p->text.p[n] & ~32)) - 'a' < 26)
            break;
        n++;
    }
    return str_n(p->text.p ? p->text.p : "", n);
}

bool pattern_is_plain(const struct pattern *p)
{
    for (size_t i = 0; i < p->text.n; i++)
        if (has_meaning(p, p->text.p[i]))
            return false;
    return true;
}
