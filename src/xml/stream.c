/*
 * A stream: header, first-level children, end. Owns the few bytes that live between stanzas and, while a stanza is
 * incomplete, its arena (the parser's state is in there too). One thread at a time; suspends never.
 * Leaves out: what a header must say, stream errors, time-outs.
 */
#include "xml/stream.h"
#include "base/mem.h"
#include "xml/parser.h"

#include <stdlib.h>

/* A read often holds one stanza; from a longer one the first part is taken, and more when that was not enough. */
#define WINDOW_WHOLE 1024
#define WINDOW_FIRST 512
#define WINDOW_LEAST 64
#define MAX_DECL 256
#define USUAL_NAME S("stream:stream")

enum phase { PHASE_PROLOG, PHASE_HEADER, PHASE_CONTENT, PHASE_ENDING, PHASE_CLOSED, PHASE_DEAD };

/* What an unusual header declared: other prefixes than "stream", an unknown content namespace, another root name. */
struct outer {
    size_t bytes;
    struct str root_name;
    struct xml_default def;
    struct xml_binding *bindings;
};

struct xml_stream {
    struct xml_parser *work; /* of the unfinished stanza or header, in its arena */
    struct outer *outer;
    struct xml_limits lim;
    uint16_t def_tok;
    uint8_t phase, error;
};

struct xml_stream *xml_stream_new(const struct xml_limits *limits)
{
    struct xml_stream *s = mem_zalloc(sizeof(*s));
    xml_stream_set_limits(s, limits);
    return s;
}

static void drop_work(struct xml_stream *s)
{
    struct arena *a = s->work ? s->work->arena : NULL;
    s->work = NULL;
    arena_release(&a);
}

void xml_stream_delete(struct xml_stream **s)
{
    if (!*s)
        return;
    drop_work(*s);
    free((*s)->outer);
    free(*s);
    *s = NULL;
}

void xml_stream_reset(struct xml_stream *s)
{
    drop_work(s);
    free(s->outer);
    s->outer = NULL;
    s->def_tok = TOK_NONE;
    s->phase = PHASE_PROLOG;
    s->error = XML_ERR_NONE;
}

void xml_stream_set_limits(struct xml_stream *s, const struct xml_limits *limits)
{
    static const struct xml_limits none;
    const struct xml_limits *l = limits ? limits : &none;
    s->lim.max_stanza = l->max_stanza && l->max_stanza < XML_HARD_MAX ? l->max_stanza : XML_HARD_MAX;
    s->lim.max_depth = l->max_depth ? l->max_depth : 100;
    s->lim.max_attrs = l->max_attrs ? l->max_attrs : 64;
    s->lim.max_name = l->max_name ? l->max_name : 1024;
    s->lim.max_elements = l->max_elements ? l->max_elements : 16384;
}

enum xml_error xml_stream_error(const struct xml_stream *s)
{
    return s->error;
}

bool xml_stream_partial(const struct xml_stream *s)
{
    return s->work != NULL;
}

enum token xml_stream_content_ns(const struct xml_stream *s)
{
    return s->def_tok;
}

size_t xml_stream_footprint(const struct xml_stream *s)
{
    return sizeof(*s) + (s->outer ? s->outer->bytes : 0);
}

static enum xml_event fail(struct xml_stream *s, enum xml_error error)
{
    drop_work(s);
    s->error = (uint8_t)error;
    s->phase = PHASE_DEAD;
    return XML_ERROR;
}

/* ---- what the header leaves behind ---- */

static bool usual_header(const struct xml_parser *x)
{
    const struct xml_binding *b = x->tag.bindings;
    struct str name = str_n(x->buf + x->tag.start + 1, x->tag.qname_n);
    return str_eq(name, USUAL_NAME) && b && !b->next && str_eq(b->prefix, xml_ns_stream_binding.prefix) &&
           b->tok == TOK_NS_STREAM && x->frames[1].def.tok != TOK_NONE;
}

static struct str keep(char **at, struct str s)
{
    struct str copy = {*at, s.n};
    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

static struct outer *keep_header(const struct xml_parser *x)
{
    struct str name = str_n(x->buf + x->tag.start + 1, x->tag.qname_n), uri = x->frames[1].def.uri;
    size_t count = 0, bytes = sizeof(struct outer) + name.n + uri.n;
    for (const struct xml_binding *b = x->tag.bindings; b; b = b->next, count++)
        bytes += sizeof(*b) + b->prefix.n + b->uri.n;
    struct outer *o = mem_zalloc(bytes);
    struct xml_binding *to = (struct xml_binding *)(o + 1), **tail = &o->bindings;
    char *text = (char *)(to + count);
    o->bytes = bytes;
    o->root_name = keep(&text, name);
    o->def = (struct xml_default){.uri = keep(&text, uri), .tok = x->frames[1].def.tok};
    for (const struct xml_binding *b = x->tag.bindings; b; b = b->next, to++) {
        *to = (struct xml_binding){.prefix = keep(&text, b->prefix), .uri = keep(&text, b->uri), .tok = b->tok};
        *tail = to;
        tail = &to->next;
    }
    return o;
}

static void on_header(struct xml_stream *s, const struct xml_parser *x)
{
    s->def_tok = x->frames[1].def.tok;
    s->outer = usual_header(x) ? NULL : keep_header(x);
    s->phase = x->empty ? PHASE_ENDING : PHASE_CONTENT;
}

static void set_surroundings(const struct xml_stream *s, struct xml_parser *x)
{
    struct xml_frame *around = &x->frames[0];
    if (s->phase == PHASE_PROLOG) {
        around->def.uri = S("");
        return;
    }
    x->outer_name = s->outer ? s->outer->root_name : USUAL_NAME;
    around->bindings = s->outer ? s->outer->bindings : &xml_ns_stream_binding;
    around->def = s->outer ? s->outer->def
                           : (struct xml_default){.uri = token_str(s->def_tok), .tok = s->def_tok};
}

/* ---- before the header ---- */

static bool refuse(struct xml_parser *x, enum xml_error error, const char *p)
{
    xml_fail(x, error, "syntax error", p);
    return false;
}

/* At the very start: over the XML declaration when there is one. NULL when x->step is set. */
static const char *declaration(struct xml_parser *x, const char *p, const char *end)
{
    enum xml_error error;
    const char *why;
    size_t seen = (size_t)(end - p) < 6 ? (size_t)(end - p) : 6;
    if (memcmp(p, "<?xml", seen < 5 ? seen : 5) != 0 || (seen == 6 && xml_is(p[5], XML_C_NAME)))
        return xml_fail(x, XML_ERR_RESTRICTED, "processing instruction", p);
    bool longer = end - p > MAX_DECL;
    int n = xml_decl_scan(p, longer ? p + MAX_DECL : end, false, &error, &why);
    if (n < 0)
        return xml_fail(x, error, why, p);
    if (n > 0)
        return p + n;
    return longer ? xml_fail(x, XML_ERR_LIMIT, XML_WHY_LIMIT, p) : NULL;
}

/* false when x->step is set. */
static bool prolog(struct xml_stream *s, struct xml_parser *x)
{
    const char *p = x->buf + x->at, *end = x->buf + x->len;
    x->step = XML_STEP_MORE;
    if (x->at == 0 && p[0] == '<' && (p[1] == '?' || p + 1 == end)) {
        p = declaration(x, p, end);
        if (!p)
            return false;
    }
    p = xml_skip_space(p);
    x->at = (uint32_t)(p - x->buf);
    if (p == end || (*p == '<' && p + 1 == end))
        return false;
    if (*p != '<' || p[1] == '/')
        return refuse(x, XML_ERR_NOT_WELL_FORMED, p);
    x->header = true;
    s->phase = PHASE_HEADER;
    return true;
}

/* ---- the events ---- */

static enum xml_event suspend(struct xml_stream *s, struct xml_parser *x)
{
    if (!s->work)
        s->work = xml_parser_keep(x);
    return XML_MORE;
}

static enum xml_step run(struct xml_stream *s, struct xml_parser *x)
{
    if (UNLIKELY(s->phase == PHASE_PROLOG) && !prolog(s, x))
        return x->step;
    return xml_parser_run(x);
}

static uint32_t max_bytes(const struct xml_stream *s)
{
    return s->phase == PHASE_CONTENT ? (uint32_t)s->lim.max_stanza : XML_MAX_HEADER;
}

static uint32_t first_window(const struct xml_stream *s, size_t n)
{
    size_t cap = n <= WINDOW_WHOLE ? n : WINDOW_FIRST, max = max_bytes(s);
    cap = cap < WINDOW_LEAST ? WINDOW_LEAST : cap;
    return (uint32_t)(cap < max ? cap : max);
}

static void grow(const struct xml_stream *s, struct xml_parser *x)
{
    uint32_t cap = x->cap < 128 ? 256 : x->cap * 2, max = max_bytes(s);
    xml_parser_grow(x, cap < max ? cap : max);
}

/* Until something happens or data is used up; *pos goes to where the next event starts. */
static enum xml_step feed(struct xml_stream *s, struct xml_parser *x, const char *data, size_t n, size_t *pos)
{
    for (;;) {
        if (x->len == x->cap && x->len >= max_bytes(s)) {
            xml_fail(x, XML_ERR_STANZA_TOO_BIG, XML_WHY_LIMIT, x->buf);
            return XML_STEP_ERROR;
        }
        if (x->len == x->cap)
            grow(s, x);
        *pos += xml_parser_fill(x, data + *pos, n - *pos);
        enum xml_step step = run(s, x);
        if (LIKELY(step != XML_STEP_MORE)) {
            if (step != XML_STEP_ERROR)
                *pos -= x->len - x->at;
            return step;
        }
        if (*pos == n)
            return step;
    }
}

static enum xml_event deliver(struct xml_stream *s, struct xml_parser *x, struct arena **arena_out,
                              struct xml_el **el_out)
{
    bool header = x->step == XML_STEP_HEADER;
    if (header)
        on_header(s, x);
    *arena_out = x->arena;
    *el_out = x->root;
    s->work = NULL;
    return header ? XML_OPEN : XML_STANZA;
}

static enum xml_event close_stream(struct xml_stream *s, struct xml_parser *x)
{
    struct arena *a = x->arena;
    s->work = NULL;
    arena_release(&a);
    s->phase = PHASE_CLOSED;
    return XML_CLOSE;
}

static enum xml_event give_up(struct xml_stream *s, struct xml_parser *x)
{
    struct arena *a = x->arena;
    enum xml_error error = x->error;
    s->work = NULL;
    arena_release(&a);
    return fail(s, error);
}

static inline enum xml_event advance(struct xml_stream *s, struct xml_parser *x, const char *data, size_t n,
                                     size_t *pos, struct arena **arena_out, struct xml_el **el_out)
{
    switch (feed(s, x, data, n, pos)) {
    case XML_STEP_MORE:
        return suspend(s, x);
    case XML_STEP_HEADER:
    case XML_STEP_ELEMENT:
        return deliver(s, x, arena_out, el_out);
    case XML_STEP_CLOSE:
        return close_stream(s, x);
    default:
        return give_up(s, x);
    }
}

/* A new stanza, or what stands between two. Apart from the other path, which needs no parser on its stack. */
static __attribute__((noinline)) enum xml_event begin(struct xml_stream *s, const char *data, size_t n, size_t *pos,
                                                      struct arena **arena_out, struct xml_el **el_out)
{
    struct xml_parser x;
    if (UNLIKELY(s->phase == PHASE_DEAD))
        return XML_ERROR;
    if (UNLIKELY(s->phase == PHASE_ENDING)) {
        s->phase = PHASE_CLOSED;
        return XML_CLOSE;
    }
    while (s->phase != PHASE_PROLOG && *pos < n && xml_is(data[*pos], XML_C_SPACE))
        ++*pos;
    if (*pos >= n)
        return XML_MORE;
    if (s->phase == PHASE_CLOSED)
        return fail(s, XML_ERR_NOT_WELL_FORMED);
    if (s->phase == PHASE_CONTENT && data[*pos] != '<')
        return fail(s, (unsigned char)data[*pos] < ' ' ? XML_ERR_NOT_WELL_FORMED : XML_ERR_TEXT);
    xml_parser_init(&x, arena_new(), &s->lim, first_window(s, n - *pos));
    set_surroundings(s, &x);
    return advance(s, &x, data, n, pos, arena_out, el_out);
}

enum xml_event xml_stream_next(struct xml_stream *s, const char *data, size_t n, size_t *pos, struct arena **arena_out,
                               struct xml_el **el_out)
{
    *arena_out = NULL;
    *el_out = NULL;
    if (!s->work)
        return begin(s, data, n, pos, arena_out, el_out);
    return *pos < n ? advance(s, s->work, data, n, pos, arena_out, el_out) : XML_MORE;
}
