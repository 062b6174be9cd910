/*
 * A whole document in one piece, with the words expat has for what is wrong. Comments and processing instructions are
 * passed over, a document type declaration is refused. Owns nothing; any thread; suspends never.
 */
#include "xml/parser.h"

/* What stands before and after the element. */
enum outside { OUT_END, OUT_ELEMENT, OUT_WORD, OUT_ERROR };

static enum outside refuse(struct xml_parser *x, const char *why, const char *p)
{
    xml_fail(x, XML_ERR_NOT_WELL_FORMED, why, p);
    return OUT_ERROR;
}

static bool cut_outside(struct xml_parser *x)
{
    if (x->step == XML_STEP_MORE)
        x->why = x->cut ? "partial character" : "unclosed token";
    return false;
}

static enum outside literal(struct xml_parser *x, const char *p)
{
    p = xml_parser_skip(x, p + 1, str_n(p, 1));
    if (!p) {
        cut_outside(x);
        return OUT_ERROR;
    }
    bool ends = p == x->buf + x->len || xml_is(*p, XML_C_SPACE) || *p == '>' || *p == '%' || *p == '[';
    return ends ? OUT_WORD : refuse(x, XML_WHY_TOKEN, p);
}

/* Text outside of the element: expat reads it as a word of a DTD, when it can. */
static enum outside word(struct xml_parser *x, const char *p)
{
    static const char after[] = "*+?>),|[%";
    const char *end = x->buf + x->len, *start = p;
    if (memchr(",[]()|>", *p, 7))
        return OUT_WORD;
    if (*p == '"' || *p == '\'')
        return literal(x, p);
    /* only a name, not every token, may be followed by "*", "+" or "?" */
    size_t follow = xml_is(*p, XML_C_START) || xml_name_char_len(p, end, true) > 0 ? 0 : 3;
    while (p < end) {
        int n = xml_high(*p) ? xml_name_char_len(p, end, false) : xml_is(*p, XML_C_NAME);
        if (n <= 0 && xml_high(*p) && xml_parser_cut(x, p))
            return refuse(x, "partial character", p);
        if (n <= 0)
            break;
        p += n;
    }
    if (p == end && p > start + 1 && p[-1] == ':' && follow == 0)
        return refuse(x, "unclosed token", start);
    if (p > start && p[-1] == ':')
        follow = 3;
    if (p == start || (p < end && !xml_is(*p, XML_C_SPACE) && !memchr(&after[follow], *p, sizeof(after) - 1 - follow)))
        return refuse(x, XML_WHY_TOKEN, p);
    return OUT_WORD;
}

/* "<!", of a DTD as far as expat can tell. */
static enum outside declared(struct xml_parser *x, const char *p)
{
    const char *end = x->buf + x->len, *q = p + 2;
    if (q < end && *q == '[')
        return OUT_WORD;
    if (q < end && *q == '-')
        return refuse(x, q + 1 == end ? "unclosed token" : XML_WHY_TOKEN, p);
    while (q < end && xml_is(*q, XML_C_START))
        q++;
    if (q == end)
        return refuse(x, "unclosed token", p);
    bool word = q > p + 2 && (xml_is(*q, XML_C_SPACE) || *q == '%');
    return word ? OUT_WORD : refuse(x, XML_WHY_TOKEN, p);
}

static enum outside markup(struct xml_parser *x, const char *p)
{
    char c = p[1];
    if (p + 1 == x->buf + x->len)
        return refuse(x, "unclosed token", p);
    bool lead = (unsigned char)c >= 0xc0 && (unsigned char)c <= 0xf4;
    if (lead || xml_is(c, XML_C_START))
        return OUT_ELEMENT;
    return c == '!' ? declared(x, p) : refuse(x, XML_WHY_TOKEN, p);
}

static bool is_misc(const struct xml_parser *x, const char *p)
{
    return p[0] == '<' && (p[1] == '?' || (p[1] == '!' && p[2] == '-' && p[3] == '-'));
}

/* Over white space, comments and instructions; x->at is where it stopped. */
static enum outside outside(struct xml_parser *x)
{
    const char *p = x->buf + x->at;
    while (*(p = xml_skip_space(p)) && is_misc(x, p)) {
        p = p[1] == '!' ? xml_comment(x, p) : xml_instruction(x, p);
        if (!p) {
            cut_outside(x);
            return OUT_ERROR;
        }
    }
    x->at = (uint32_t)(p - x->buf);
    if (p == x->buf + x->len)
        return OUT_END;
    return *p == '<' ? markup(x, p) : word(x, p);
}

static bool declaration(struct xml_parser *x)
{
    enum xml_error error;
    const char *p = x->buf + x->at, *end = x->buf + x->len;
    if (end - p < 6 || memcmp(p, "<?xml", 5) != 0 || !(xml_is(p[5], XML_C_SPACE) || memcmp(p + 5, "?>", 2) == 0))
        return true;
    if (!xml_parser_skip(x, p, S("?>")))
        return cut_outside(x);
    int n = xml_decl_scan(p, end, true, &error, &x->why);
    if (n <= 0)
        return false;
    x->at += (uint32_t)n;
    return true;
}

/* Words for bytes that end in the middle of the element. */
static const char *why_cut(const struct xml_parser *x)
{
    if (x->cut)
        return "partial character";
    if (x->state == XML_ST_CDATA)
        return "unclosed CDATA section";
    bool between = x->state == XML_ST_TEXT && x->buf[x->at] != '&';
    return between ? "no element found" : "unclosed token";
}

static bool prolog(struct xml_parser *x)
{
    if (x->len >= 3 && memcmp(x->buf, "\xef\xbb\xbf", 3) == 0)
        x->at = 3;
    if (!declaration(x))
        return false;
    switch (outside(x)) {
    case OUT_END:
        x->why = "no element found";
        return false;
    case OUT_WORD:
        x->why = "syntax error";
        return false;
    case OUT_ELEMENT:
        return true;
    default:
        return false;
    }
}

static bool element(struct xml_parser *x)
{
    x->state = XML_ST_LT;
    x->decode = false;
    enum xml_step step = xml_parser_run(x);
    if (step == XML_STEP_MORE)
        x->why = why_cut(x);
    return step == XML_STEP_ELEMENT;
}

static bool epilog(struct xml_parser *x)
{
    switch (outside(x)) {
    case OUT_END:
        return true;
    case OUT_ERROR:
        if (strcmp(x->why, XML_WHY_MISPLACED) == 0)
            x->why = "junk after document element";
        return false;
    default:
        x->why = "junk after document element";
        return false;
    }
}

struct xml_el *xml_parse(struct arena *a, struct str doc, enum token default_ns, const char **why_out)
{
    struct xml_parser x;
    const char *why = NULL;
    if (doc.n > XML_HARD_MAX) {
        why = XML_WHY_LIMIT;
    } else {
        xml_parser_init(&x, a, NULL, (uint32_t)doc.n);
        x.document = true;
        x.frames[0].def = (struct xml_default){.uri = token_str(default_ns), .tok = (uint16_t)default_ns};
        xml_parser_fill(&x, doc.p, doc.n);
        if (!prolog(&x) || !element(&x) || !epilog(&x))
            why = x.why;
    }
    if (why_out)
        *why_out = why;
    return why ? NULL : x.root;
}
