/*
 * The parser proper: characters to tree. Owns nothing (see xml/parser.h); runs on the stream's thread; suspends never.
 * Leaves out: buffers and the rarer things (parser.c), cutting a stream into stanzas (stream.c), prefixes (ns.c),
 * references (decode.c).
 *
 * Every function takes and returns the position and answers NULL when it has set x->step: bytes are missing, something
 * is complete, or an error was found.
 */
#include "xml/parser.h"
#include "xml/token_table.h"

static const char *complete(struct xml_parser *x, enum xml_step step, const char *p)
{
    x->at = xml_offset(x, p);
    x->step = step;
    return NULL;
}

/* ---- characters ---- */

/* The bytes from p to the end end in the middle of a character. */
static bool ends_in_part(const struct xml_parser *x, const char *p)
{
    const char *q = xml_end(x);
    while (q > p && ((unsigned char)q[-1] & 0xc0) == 0x80)
        q--;
    return q > p && xml_high(q[-1]) && xml_parser_cut(x, q - 1);
}

/* Over one reference. */
static const char *reference(struct xml_parser *x, const char *p, enum xml_state st)
{
    uint32_t cp;
    size_t n = 0;
    bool longer = !x->document && xml_end(x) - p > XML_MAX_REF;
    enum xml_ref found = xml_ref_scan(p, longer ? p + XML_MAX_REF : xml_end(x), !x->document, &cp, &n);
    x->decode = true;
    if (LIKELY(found == XML_REF_OK))
        return p + n;
    if (found == XML_REF_BAD)
        return xml_bad_token(x, p);
    if (found == XML_REF_CUT && x->document)
        x->cut = ends_in_part(x, p);
    if (found == XML_REF_CUT)
        return longer ? xml_fail(x, XML_ERR_LIMIT, XML_WHY_LIMIT, p) : xml_wait(x, st, p);
    enum xml_error code = found == XML_REF_CHAR ? XML_ERR_NOT_WELL_FORMED : XML_ERR_RESTRICTED;
    const char *why = found == XML_REF_CHAR ? "reference to invalid character number" : "undefined entity";
    if (st != XML_ST_VALUE || !x->document)
        return xml_fail(x, code, why, p);
    xml_fail_tag(x, code, why);
    x->decode = false; /* the value is lost, and decoding relies on known references */
    x->tag.dropped = true;
    return p + n;
}

/* ---- names ---- */

/* Over the rest of the name that starts at mark. */
static inline const char *name(struct xml_parser *x, const char *p, enum xml_state st, size_t *prefix_n)
{
#if defined(__SSE2__)
    __m128i v = xml_load16(p);
    unsigned stops = xml_name_stops16(v);
    if (LIKELY(stops && xml_offset(x, p) == x->mark && xml_is(*p, XML_C_START))) {
        unsigned n = (unsigned)__builtin_ctz(stops);
        unsigned colons = xml_eq16(v, ':') & ((1u << n) - 1);
        if (LIKELY((signed char)p[n] > 0 && !colons && n <= x->lim->max_name)) {
            *prefix_n = 0;
            return p + n;
        }
    }
#endif
    return xml_name_slow(x, p, st, prefix_n);
}

/* ---- text ---- */

static void add_text(struct xml_parser *x, struct str s)
{
    struct xml_el *el = x->frames[x->depth].el;
    struct xml_text *t = xml_take(x, sizeof(*t));
    t->node.next = NULL;
    t->node.kind = XML_TEXT;
    t->text = s;
    *el->children_tail = &t->node;
    el->children_tail = &t->node.next;
}

/* The run from mark to p is over. */
static inline void end_text(struct xml_parser *x, const char *p)
{
    struct str run = {x->buf + x->mark, xml_offset(x, p) - x->mark};
    if (run.n == 0)
        return;
    if (UNLIKELY(x->decode)) {
        run = xml_decode_text(x->arena, run);
        x->decode = false;
        if (run.n == 0)
            return;
    }
    add_text(x, run);
}

/* To the next '<'. */
static inline const char *text(struct xml_parser *x, const char *p)
{
    for (;;) {
        p = xml_span(p, '<', '&', ']');
        switch (*p) {
        case '<':
            return p;
        case '&':
            p = reference(x, p, XML_ST_TEXT);
            break;
        case ']':
            if (p[1] == ']' && p[2] == '>')
                return xml_bad_token(x, p);
            if (xml_end(x) - p < 3 && (p + 1 == xml_end(x) || p[1] == ']'))
                return xml_wait(x, XML_ST_TEXT, p);
            p++;
            break;
        case '\r':
            x->decode = true;
            p++;
            break;
        case '\t':
        case '\n':
            p++;
            break;
        default:
            if (!xml_high(*p))
                return xml_stuck(x, XML_ST_TEXT, p);
            do
                p = xml_high_char(x, p, XML_ST_TEXT);
            while (p && xml_high(*p));
        }
        if (!p)
            return NULL;
    }
}

/* To the end of a CDATA section, which is part of the run of text around it. */
static const char *cdata(struct xml_parser *x, const char *p)
{
    for (;;) {
        p = xml_span(p, ']', ']', ']');
        if (*p == ']') {
            if (p[1] == ']' && p[2] == '>')
                return p + 3;
            if (xml_end(x) - p < 3 && (p + 1 == xml_end(x) || p[1] == ']'))
                return xml_wait(x, XML_ST_CDATA, p);
            p++;
        } else if (xml_high(*p)) {
            p = xml_high_char(x, p, XML_ST_CDATA);
            if (!p)
                return NULL;
        } else if (xml_is(*p, XML_C_SPACE)) {
            p++;
        } else {
            return xml_stuck(x, XML_ST_CDATA, p);
        }
    }
}

/* ---- end of an element ---- */

static const char *close_element(struct xml_parser *x, const char *inner_end, const char *p)
{
    struct xml_frame *f = &x->frames[x->depth];
    struct xml_el *el = f->el;
    el->raw_leans = !f->prefixed && f->def.depth < x->depth;
    if (LIKELY(!f->raw_bad))
        el->raw = str_n(x->buf + f->start, (size_t)(p - x->buf) - f->start);
    if (LIKELY(!f->inner_bad))
        el->raw_inner = str_n(x->buf + f->inner, (size_t)(inner_end - x->buf) - f->inner);
    x->mark = xml_offset(x, p);
    x->prefixed -= f->prefixed;
    if (--x->depth > 0)
        return p;
    x->root = el;
    return complete(x, XML_STEP_ELEMENT, p);
}

/* Name that the end tag under way must have. */
static struct str open_name(const struct xml_parser *x)
{
    const struct xml_frame *f = &x->frames[x->depth];
    return x->depth ? str_n(x->buf + f->start + 1, f->qname_n) : x->outer_name;
}

static const char *end_tag_done(struct xml_parser *x, const char *p)
{
    if (x->depth == 0)
        return complete(x, XML_STEP_CLOSE, p + 1);
    return close_element(x, x->buf + x->mark - 2, p + 1);
}

static const char *end_tag_space(struct xml_parser *x, const char *p)
{
    p = xml_skip_space(p);
    return *p == '>' ? end_tag_done(x, p) : xml_stuck(x, XML_ST_END_SPACE, p);
}

static const char *mismatch(struct xml_parser *x, const char *p)
{
    /* expat looks at the whole tag before it compares the name */
    if (x->document) {
        size_t prefix_n;
        p = name(x, x->buf + x->mark, XML_ST_END_TAG, &prefix_n);
        if (!p)
            return NULL;
        p = xml_skip_space(p);
        if (*p != '>')
            return xml_stuck(x, XML_ST_END_SPACE, p);
    }
    return xml_fail(x, XML_ERR_NOT_WELL_FORMED, "mismatched tag", p);
}

/* p is after mark when part of the name has been compared already. */
static const char *end_tag_slow(struct xml_parser *x, const char *p)
{
    struct str want = open_name(x);
    size_t have = xml_offset(x, p) - x->mark, left = want.n - have, n = (size_t)(xml_end(x) - p);
    if (memcmp(p, want.p + have, n < left ? n : left) != 0)
        return mismatch(x, p);
    if (n <= left)
        return xml_wait(x, XML_ST_END_TAG, xml_end(x));
    p += left;
    if (xml_is(*p, XML_C_NAME) || xml_high(*p))
        return mismatch(x, p);
    return end_tag_space(x, p);
}

static inline const char *end_tag(struct xml_parser *x, const char *p)
{
    struct str want = open_name(x);
    if (LIKELY(x->depth && xml_offset(x, p) == x->mark && (size_t)(xml_end(x) - p) > want.n && p[want.n] == '>' &&
               xml_same(p, want.p, want.n)))
        return end_tag_done(x, p + want.n);
    return end_tag_slow(x, p);
}

/* ---- start of an element ---- */

static inline const char *begin_tag(struct xml_parser *x, const char *p)
{
    x->tag.start = xml_offset(x, p);
    x->mark = xml_offset(x, p) + 1;
    if (UNLIKELY(x->depth >= x->lim->max_depth || ++x->elements > x->lim->max_elements))
        return xml_fail(x, XML_ERR_LIMIT, XML_WHY_LIMIT, p);
    return p + 1;
}

static inline void name_element(struct xml_parser *x, const char *p, size_t prefix_n)
{
    struct xml_tag *t = &x->tag;
    struct xml_el *el = xml_take(x, sizeof(*el));
    const char *start = x->buf + x->mark;
    size_t local = prefix_n ? prefix_n + 1 : 0;
    *el = (struct xml_el){.node.kind = XML_ELEMENT};
    t->qname_n = (uint32_t)(p - start);
    t->prefix = prefix_n ? str_n(start, prefix_n) : STR_NULL;
    el->name = str_n(start + local, t->qname_n - local);
    el->tok = (uint16_t)xml_token_find_padded(el->name.p, el->name.n);
    t->el = el;
    t->tail = &el->attrs;
    t->bindings = x->frames[x->depth].bindings;
    t->seen = 0;
    t->count = 0;
    t->has_default = t->unresolved = false;
}

static bool same_attr(const struct xml_attr *a, const struct xml_attr *b)
{
    return a->tok == b->tok && str_eq(a->name, b->name) && str_eq(a->ns_uri, b->ns_uri);
}

/* Before expansion ns_uri holds the prefix, so this finds equal names as written. */
static bool attr_repeats(struct xml_parser *x, const struct xml_attr *at)
{
    uint64_t bit = UINT64_C(1) << ((at->tok ? at->tok : (unsigned char)at->name.p[at->name.n - 1]) & 63);
    if (LIKELY(!(x->tag.seen & bit))) {
        x->tag.seen |= bit;
        return false;
    }
    for (const struct xml_attr *b = x->tag.el->attrs; b; b = b->next)
        if (same_attr(at, b))
            return true;
    return false;
}

static bool declaration_repeats(const struct xml_parser *x, struct str prefix)
{
    if (x->tag.kind == XML_ATTR_DEFAULT_NS)
        return x->tag.has_default;
    for (const struct xml_binding *b = x->tag.bindings; b && b->depth == x->depth + 1; b = b->next)
        if (str_eq(b->prefix, prefix))
            return true;
    return false;
}

static bool repeated(struct xml_parser *x)
{
    x->tag.dropped = true;
    xml_fail_tag(x, XML_ERR_NOT_WELL_FORMED, "duplicate attribute");
    return x->document;
}

static bool name_declaration(struct xml_parser *x, struct str prefix)
{
    x->tag.kind = prefix.n ? XML_ATTR_PREFIX_NS : XML_ATTR_DEFAULT_NS;
    x->tag.declares = prefix;
    return !declaration_repeats(x, prefix) || repeated(x);
}

/* false: x->step is set */
static inline bool name_attr(struct xml_parser *x, const char *p, size_t prefix_n)
{
    struct xml_tag *t = &x->tag;
    const char *start = x->buf + x->mark;
    size_t n = (size_t)(p - start), local = prefix_n ? prefix_n + 1 : 0;
    t->dropped = false;
    if (UNLIKELY(n >= 5 && memcmp(start, "xmlns", 5) == 0 && (n == 5 || prefix_n == 5)))
        return name_declaration(x, prefix_n ? str_n(start + local, n - local) : STR_NULL);
    struct xml_attr *at = xml_take(x, sizeof(*at));
    at->next = NULL;
    at->name = str_n(start + local, n - local);
    at->value = STR_NULL;
    at->tok = (uint16_t)xml_token_find_padded(at->name.p, at->name.n);
    at->ns = TOK_NONE;
    at->ns_uri = STR_NULL;
    if (UNLIKELY(prefix_n)) {
        at->ns_uri = str_n(start, prefix_n);
        t->unresolved = true;
    }
    t->attr = at;
    t->kind = XML_ATTR_PLAIN;
    if (UNLIKELY(attr_repeats(x, at)))
        return repeated(x);
    *t->tail = at;
    t->tail = &at->next;
    return true;
}

static inline const char *end_value(struct xml_parser *x, const char *p)
{
    struct str v = {x->buf + x->mark, xml_offset(x, p) - x->mark};
    if (UNLIKELY(x->tag.dropped))
        return p + 1;
    if (UNLIKELY(x->decode))
        v = xml_decode_value(x->arena, v);
    if (LIKELY(x->tag.kind == XML_ATTR_PLAIN)) {
        x->tag.attr->value = v;
        return p + 1;
    }
    xml_ns_declare(x, v);
    return x->step == XML_STEP_ERROR ? NULL : p + 1;
}

static inline const char *value(struct xml_parser *x, const char *p)
{
    char quote = (char)x->quote;
    for (;;) {
        p = xml_span(p, quote, '<', '&');
        if (LIKELY(*p == quote))
            return end_value(x, p);
        if (*p == '&') {
            p = reference(x, p, XML_ST_VALUE);
        } else if (xml_high(*p)) {
            p = xml_high_char(x, p, XML_ST_VALUE);
        } else if (xml_is(*p, XML_C_SPACE)) {
            x->decode = true;
            p++;
        } else {
            return xml_stuck(x, XML_ST_VALUE, p);
        }
        if (!p)
            return NULL;
    }
}

static void more_frames(struct xml_parser *x)
{
    uint32_t cap = x->frames_cap * 2;
    struct xml_frame *frames = arena_alloc(x->arena, cap * sizeof(*frames));
    memcpy(frames, x->frames, x->frames_cap * sizeof(*frames));
    x->frames = frames;
    x->frames_cap = cap;
}

static void push(struct xml_parser *x, const char *p)
{
    struct xml_tag *t = &x->tag;
    struct xml_frame *up = &x->frames[x->depth];
    struct xml_el *el = t->el;
    el->parent = up->el;
    el->children_tail = &el->children;
    if (up->el) {
        *up->el->children_tail = &el->node;
        up->el->children_tail = &el->node.next;
    }
    if (UNLIKELY(x->depth + 1 == x->frames_cap))
        more_frames(x);
    struct xml_frame *f = &x->frames[++x->depth];
    f->el = el;
    f->bindings = t->bindings;
    f->def = t->has_default ? t->def : x->frames[x->depth - 1].def;
    f->start = t->start;
    f->inner = xml_offset(x, p);
    f->qname_n = t->qname_n;
    f->prefixed = t->prefix.n > 0;
    x->prefixed += f->prefixed;
    f->raw_bad = f->inner_bad = false;
}

static const char *end_header(struct xml_parser *x, const char *p, bool empty)
{
    x->root = x->tag.el;
    x->empty = empty;
    return complete(x, XML_STEP_HEADER, p);
}

/* p is after '>'. */
static inline const char *open_element(struct xml_parser *x, const char *p, bool empty)
{
    struct xml_tag *t = &x->tag;
    push(x, p);
    struct xml_frame *f = &x->frames[x->depth];
    if (LIKELY(!t->prefix.n && !t->unresolved)) {
        t->el->ns = f->def.tok;
        t->el->ns_uri = f->def.uri;
    } else if (!xml_ns_resolve(x) && !x->document) {
        return NULL;
    }
    if (UNLIKELY(x->prefixed) && !t->prefix.n)
        xml_ns_note_default(x);
    if (UNLIKELY(x->late))
        return xml_fail(x, x->late, x->late_why, p);
    if (UNLIKELY(x->header))
        return end_header(x, p, empty);
    x->mark = f->inner;
    x->decode = false;
    return empty ? close_element(x, p, p) : p;
}

static inline const char *end_start_tag(struct xml_parser *x, const char *p)
{
    if (LIKELY(*p == '>'))
        return open_element(x, p + 1, false);
    if (*p == '/') {
        if (LIKELY(p[1] == '>'))
            return open_element(x, p + 2, true);
        return p + 1 == xml_end(x) ? xml_wait(x, XML_ST_SLASH, p) : xml_bad_token(x, p + 1);
    }
    return xml_stuck(x, XML_ST_GAP, p);
}

static bool too_many_attrs(struct xml_parser *x, const char *p)
{
    if (LIKELY(++x->tag.count <= x->lim->max_attrs))
        return false;
    xml_fail(x, XML_ERR_LIMIT, XML_WHY_LIMIT, p);
    return true;
}

/* A start tag from any point of it; in the usual case the states are passed through in order without a jump. */
static inline const char *start_tag(struct xml_parser *x, const char *p, enum xml_state st)
{
    size_t prefix_n;
    for (;;) {
        switch (st) {
        case XML_ST_TAG_NAME:
            p = name(x, p, XML_ST_TAG_NAME, &prefix_n);
            if (!p)
                return NULL;
            name_element(x, p, prefix_n);
            /* fall through */
        case XML_ST_GAP:
            if (!xml_is(*p, XML_C_SPACE))
                return end_start_tag(x, p);
            p++;
            /* fall through */
        case XML_ST_SPACE:
            p = xml_skip_space(p);
            if (*p == '>' || *p == '/')
                return end_start_tag(x, p);
            if (p == xml_end(x))
                return xml_wait(x, XML_ST_SPACE, p);
            x->mark = xml_offset(x, p);
            if (too_many_attrs(x, p))
                return NULL;
            /* fall through */
        case XML_ST_ATTR_NAME:
            p = name(x, p, XML_ST_ATTR_NAME, &prefix_n);
            if (!p)
                return NULL;
            if (!name_attr(x, p, prefix_n))
                return NULL;
            /* fall through */
        case XML_ST_EQ:
            p = xml_skip_space(p);
            if (*p != '=')
                return xml_stuck(x, XML_ST_EQ, p);
            p++;
            /* fall through */
        case XML_ST_QUOTE:
            p = xml_skip_space(p);
            if (*p != '\'' && *p != '"')
                return xml_stuck(x, XML_ST_QUOTE, p);
            x->quote = (uint8_t)*p++;
            x->mark = xml_offset(x, p);
            x->decode = false;
            /* fall through */
        case XML_ST_VALUE:
            p = value(x, p);
            if (!p)
                return NULL;
            st = XML_ST_GAP;
            break;
        case XML_ST_SLASH:
            return end_start_tag(x, p);
        default:
            return NULL;
        }
    }
}

/* ---- what a '<' opens ---- */

/* "<!": a CDATA section, or something a stream must not have. */
static const char *declaration(struct xml_parser *x, const char *p)
{
    static const char open[] = "<![CDATA[";
    size_t n = (size_t)(xml_end(x) - p);
    if (n > 2 && p[2] == '-') {
        if (n > 3 && p[3] != '-')
            return xml_bad_token(x, p + 3);
        return n > 3 ? xml_comment(x, p) : xml_wait(x, XML_ST_LT, p);
    }
    if (n > 2 && p[2] == 'D')
        return x->document ? xml_bad_token(x, p + 2) : xml_fail(x, XML_ERR_RESTRICTED, "document type declaration", p);
    bool unseen = x->document && n > 2 && n < 9 && p[2] == '['; /* expat waits for all of it */
    if (!unseen && memcmp(p, open, n < 9 ? n : 9) != 0)
        return xml_bad_token(x, p);
    if (n < 9)
        return xml_wait(x, XML_ST_LT, p);
    if (x->depth == 0)
        return xml_bad_token(x, p);
    x->decode = true;
    return cdata(x, p + 9);
}

static inline const char *markup(struct xml_parser *x, const char *p)
{
    switch (p[1]) {
    case '/':
        if (x->depth)
            end_text(x, p);
        x->mark = xml_offset(x, p) + 2;
        return end_tag(x, p + 2);
    case '!':
        return declaration(x, p);
    case '?':
        return xml_instruction(x, p);
    default:
        if (p + 1 == xml_end(x))
            return xml_wait(x, XML_ST_LT, p);
        if (x->depth)
            end_text(x, p);
        p = begin_tag(x, p);
        return p ? start_tag(x, p, XML_ST_TAG_NAME) : NULL;
    }
}

enum xml_step xml_parser_run(struct xml_parser *x)
{
    const char *p = x->buf + x->at;
    enum xml_state st = x->state;
    x->cut = false;
    for (;;) {
        switch (st) {
        case XML_ST_TEXT:
            p = text(x, p);
            if (!p)
                break;
            /* fall through */
        case XML_ST_LT:
            p = markup(x, p);
            break;
        case XML_ST_CDATA:
            p = cdata(x, p);
            break;
        case XML_ST_END_TAG:
            p = end_tag(x, p);
            break;
        case XML_ST_END_SPACE:
            p = end_tag_space(x, p);
            break;
        default:
            p = start_tag(x, p, st);
        }
        if (!p)
            return x->step;
        st = XML_ST_TEXT;
    }
}
