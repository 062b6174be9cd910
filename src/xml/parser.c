/*
 * Around the parser proper (parse.c): its buffer and memory, its errors, and what is rare: unusual names, comments,
 * instructions. Owns nothing (see xml/parser.h); runs on the stream's thread; suspends never.
 */
#include "xml/parser.h"

static const struct xml_limits default_limits = {.max_stanza = XML_HARD_MAX, .max_depth = 100, .max_attrs = 64,
                                                 .max_name = 1024, .max_elements = 16384};

/* ---- stopping ---- */

const char *xml_fail(struct xml_parser *x, enum xml_error code, const char *why, const char *p)
{
    x->error = code;
    x->why = why;
    x->at = xml_offset(x, p);
    x->step = XML_STEP_ERROR;
    return NULL;
}

const char *xml_bad_token(struct xml_parser *x, const char *p)
{
    return xml_fail(x, XML_ERR_NOT_WELL_FORMED, XML_WHY_TOKEN, p);
}

bool xml_fail_tag(struct xml_parser *x, enum xml_error code, const char *why)
{
    if (!x->document) {
        xml_fail(x, code, why, x->buf + x->mark);
    } else if (!x->late) {
        x->late = code;
        x->late_why = why;
    }
    return false;
}

const char *xml_wait(struct xml_parser *x, enum xml_state st, const char *p)
{
    x->state = st;
    x->at = xml_offset(x, p);
    x->step = XML_STEP_MORE;
    return NULL;
}

const char *xml_stuck(struct xml_parser *x, enum xml_state st, const char *p)
{
    return p == xml_end(x) ? xml_wait(x, st, p) : xml_bad_token(x, p);
}

/* ---- memory ---- */

/* Small enough that buffer, nodes and the state of a stanza in pieces fit an arena's first block. */
#define FIRST_NODES 640
#define MORE_NODES 512

void *xml_take_slow(struct xml_parser *x, size_t n)
{
#ifndef XML_TAKE_PLAIN
    if (n <= MORE_NODES / 2) {
        x->spare = arena_alloc(x->arena, MORE_NODES);
        x->spare_end = x->spare + MORE_NODES;
        return xml_take(x, n);
    }
#endif
    return arena_alloc(x->arena, n);
}

void xml_parser_init(struct xml_parser *x, struct arena *a, const struct xml_limits *lim, uint32_t cap)
{
    /* The inlined frames are left as they are: 400 bytes that most stanzas never touch. */
    memset(x, 0, offsetof(struct xml_parser, inlined));
    x->arena = a;
    x->lim = lim ? lim : &default_limits;
    x->frames = x->inlined;
    x->frames_cap = XML_INLINE_FRAMES;
    x->frames[0] = (struct xml_frame){.el = NULL};
    x->cap = cap;
    x->state = XML_ST_LT;
#ifdef XML_TAKE_PLAIN
    x->buf = arena_alloc(a, (size_t)cap + XML_SLACK);
#else
    /* Buffer and first nodes in one piece. */
    size_t bytes = ((size_t)cap + XML_SLACK + 7) & ~(size_t)7;
    x->buf = arena_alloc(a, bytes + FIRST_NODES);
    x->spare = x->buf + bytes;
    x->spare_end = x->spare + FIRST_NODES;
#endif
    memset(x->buf, 0, XML_SLACK);
}

struct xml_parser *xml_parser_keep(const struct xml_parser *x)
{
    uint32_t frames = x->depth + 3 < XML_INLINE_FRAMES ? x->depth + 3 : XML_INLINE_FRAMES;
    size_t n = offsetof(struct xml_parser, inlined) + frames * sizeof(x->inlined[0]);
    struct xml_parser *kept = arena_alloc(x->arena, n);
    memcpy(kept, x, n);
    if (x->frames == x->inlined) {
        kept->frames = kept->inlined;
        kept->frames_cap = frames;
    }
    return kept;
}

uint32_t xml_parser_fill(struct xml_parser *x, const char *data, size_t n)
{
    uint32_t room = x->cap - x->len, take = n < room ? (uint32_t)n : room;
    if (take)
        memcpy(x->buf + x->len, data, take);
    x->len += take;
    memset(x->buf + x->len, 0, XML_SLACK);
    return take;
}

void xml_parser_grow(struct xml_parser *x, uint32_t cap)
{
    char *buf = arena_alloc(x->arena, (size_t)cap + XML_SLACK);
    memcpy(buf, x->buf, (size_t)x->len + XML_SLACK);
    x->buf = buf;
    x->cap = cap;
}

/* ---- characters and names ---- */

bool xml_parser_cut(const struct xml_parser *x, const char *p)
{
    unsigned char c = (unsigned char)*p;
    return x->document && xml_end(x) - p < (c < 0xc0 || c > 0xf4 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4);
}

static const char *cut(struct xml_parser *x, enum xml_state st, const char *p)
{
    x->cut = true;
    return xml_wait(x, st, p);
}

const char *xml_high_char(struct xml_parser *x, const char *p, enum xml_state st)
{
    int n = xml_char_len(p, xml_end(x));
    if (LIKELY(n > 0))
        return p + n;
    return n == 0 || xml_parser_cut(x, p) ? cut(x, st, p) : xml_fail(x, XML_ERR_UTF8, XML_WHY_TOKEN, p);
}

/*
 * What of the name is there up to p: one colon at most, with an NCName on both sides; none in the target of an
 * instruction. An end tag is only compared, so its colons do not matter. `open`: the name may go on after p.
 */
static bool name_fits(struct xml_parser *x, const char *p, enum xml_state st, bool open, size_t *prefix_n)
{
    const char *name = x->buf + x->mark, *colon = memchr(name, ':', (size_t)(p - name));
    *prefix_n = 0;
    if (!colon || st == XML_ST_END_TAG)
        return true;
    *prefix_n = (size_t)(colon - name);
    struct str local = str_n(colon + 1, (size_t)(p - colon - 1));
    return st != XML_ST_LT && *prefix_n > 0 && ((open && local.n == 0) || xml_ncname(local));
}

/* A byte >= 0x80 at p cannot be part of the name. What is wrong before p comes first, however the input is cut. */
static const char *bad_name_char(struct xml_parser *x, const char *p, enum xml_state st)
{
    size_t prefix_n;
    if (!name_fits(x, p, st, true, &prefix_n))
        return xml_bad_token(x, p);
    return xml_char_len(p, xml_end(x)) < 0 ? xml_fail(x, XML_ERR_UTF8, XML_WHY_TOKEN, p) : xml_bad_token(x, p);
}

static const char *name_too_long(struct xml_parser *x, enum xml_state st)
{
    size_t prefix_n;
    const char *p = x->buf + x->mark + x->lim->max_name;
    while (((unsigned char)*p & 0xc0) == 0x80)
        p--;
    if (!name_fits(x, p, st, true, &prefix_n))
        return xml_bad_token(x, p);
    return xml_fail(x, XML_ERR_LIMIT, XML_WHY_LIMIT, p);
}

const char *xml_name_slow(struct xml_parser *x, const char *p, enum xml_state st, size_t *prefix_n)
{
    for (;;) {
        bool start = xml_offset(x, p) == x->mark;
        if (start && p != xml_end(x) && !xml_high(*p) && !xml_is(*p, XML_C_START))
            return xml_bad_token(x, p);
        p = xml_span_name(p);
        if (xml_offset(x, p) - x->mark > x->lim->max_name)
            return name_too_long(x, st);
        if (!xml_high(*p))
            break;
        int n = xml_name_char_len(p, xml_end(x), start && xml_offset(x, p) == x->mark);
        if (n == 0 || (n < 0 && xml_parser_cut(x, p)))
            return name_fits(x, p, st, true, prefix_n) ? cut(x, st, p) : xml_bad_token(x, p);
        if (n < 0)
            return bad_name_char(x, p, st);
        p += n;
    }
    bool open = p == xml_end(x);
    if (!name_fits(x, p, st, open, prefix_n))
        return xml_bad_token(x, p);
    return open ? xml_wait(x, st, p) : p;
}

/* ---- comments and instructions ---- */

const char *xml_parser_skip(struct xml_parser *x, const char *p, struct str stop)
{
    for (;; p++) {
        p = xml_span(p, stop.p[0], stop.p[0], stop.p[0]);
        if (*p == stop.p[0]) {
            if ((size_t)(xml_end(x) - p) >= stop.n && memcmp(p, stop.p, stop.n) == 0)
                return p + stop.n;
        } else if (xml_high(*p)) {
            p = xml_high_char(x, p, XML_ST_LT);
            if (!p)
                return NULL;
            p--;
        } else if (!xml_is(*p, XML_C_SPACE)) {
            return xml_stuck(x, XML_ST_LT, p);
        }
    }
}

/* What is skipped stays in the run of text and is cut out by xml_decode_text. */
static void spoil_raw(struct xml_parser *x)
{
    x->decode = true;
    for (uint32_t i = 1; i <= x->depth; i++)
        x->frames[i].raw_bad = x->frames[i].inner_bad = true;
}

const char *xml_comment(struct xml_parser *x, const char *p)
{
    if (!x->document)
        return xml_fail(x, XML_ERR_RESTRICTED, "comment", p);
    spoil_raw(x);
    p = xml_parser_skip(x, p + 4, S("--"));
    if (!p)
        return NULL;
    return *p == '>' ? p + 1 : xml_stuck(x, XML_ST_LT, p);
}

const char *xml_instruction(struct xml_parser *x, const char *p)
{
    size_t prefix_n;
    uint32_t mark = x->mark;
    if (!x->document)
        return xml_fail(x, XML_ERR_RESTRICTED, "processing instruction", p);
    spoil_raw(x);
    x->mark = xml_offset(x, p) + 2;
    p = xml_name_slow(x, p + 2, XML_ST_LT, &prefix_n);
    if (!p)
        return NULL;
    struct str target = str_n(x->buf + x->mark, xml_offset(x, p) - x->mark);
    x->mark = mark;
    bool declaration = str_eq(target, S("xml"));
    if (!declaration && str_ieq_ascii(target, S("xml")))
        return xml_bad_token(x, p);
    if (p[0] != '?' && !xml_is(*p, XML_C_SPACE))
        return xml_stuck(x, XML_ST_LT, p);
    p = p[0] == '?' && p[1] != '>' ? xml_stuck(x, XML_ST_LT, p + 1) : xml_parser_skip(x, p, S("?>"));
    if (p && declaration)
        return xml_fail(x, XML_ERR_NOT_WELL_FORMED, XML_WHY_MISPLACED, p);
    return p;
}
