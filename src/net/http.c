/*
 * HTTP/1.1 requests: reads them incrementally, bounds them, runs the handler on the connection's fiber, keeps order by
 * reading the next request only after the answer. A connection between requests owns its parser's few words and a timer.
 * Handlers may suspend; the data of a request stays valid until the handler returns. Leaves out: trailers (read and
 * dropped), upgrades (an offer is ignored), HTTP/2.
 */
#include "net/http.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "net/http_internal.h"
#include "net/http_parser_shim.h"

#include <stdlib.h>

#define MAX_BODY ((size_t)10 << 20)
#define MAX_HEADER_BYTES ((size_t)64 << 10)
#define MAX_HEADERS 100
#define IDLE_MS 60000
#define REQUEST_MS 30000
#define PIPELINE_HIGH (1u << 20) /* queued answers above this hold the next request back */

struct span {
    uint32_t at, n;
};

/* A request on its way in. Offsets, because the text grows. */
struct incoming {
    struct arena *arena;
    struct buf text;           /* target, then names and values */
    uint32_t target_n;
    struct span (*headers)[2]; /* name, value; MAX_HEADERS of them */
    unsigned count;
    bool in_value;
    bool headers_done;
    bool body_declared;
    struct str body_seen;      /* the body so far lies in the connection's buffer */
    struct buf body;           /* or here, when it came in several pieces */
    int refuse;                /* status */
};

struct http_conn {
    http_machine machine;
    struct timer timer;
    struct conn *conn;
    const struct http_app *app;
    struct incoming *in; /* NULL between requests */
};

static http_machine_settings settings;

static size_t or_default(size_t v, size_t dflt)
{
    return v ? v : dflt;
}

static size_t max_body(const struct http_conn *h)
{
    return or_default(h->app->limits.max_body, MAX_BODY);
}

/* --- a request on its way in --- */
static void incoming_free(struct http_conn *h)
{
    struct incoming *in = h->in;
    h->in = NULL;
    if (!in)
        return;
    buf_deinit(&in->text);
    buf_deinit(&in->body);
    arena_release(&in->arena);
}

static int on_begin(http_machine *m)
{
    struct http_conn *h = m->data;
    incoming_free(h);
    struct arena *a = arena_new();
    h->in = ARENA_NEW(a, struct incoming);
    h->in->arena = a;
    buf_reserve(&h->in->text, 1024);
    timer_arm(&h->timer, or_default(h->app->limits.request_timeout_ms, REQUEST_MS));
    return 0;
}

static int refuse_with(struct incoming *in, int status)
{
    in->refuse = status;
    return HTTP_CB_REFUSE;
}

static bool text_add(struct http_conn *h, const char *p, size_t n)
{
    struct incoming *in = h->in;
    if (in->text.n + n > or_default(h->app->limits.max_header_bytes, MAX_HEADER_BYTES))
        return false;
    buf_add(&in->text, p, n);
    return true;
}

static int on_url(http_machine *m, const char *p, size_t n)
{
    struct http_conn *h = m->data;
    if (!text_add(h, p, n))
        return refuse_with(h->in, 414);
    h->in->target_n += (uint32_t)n;
    return 0;
}

static int on_field(http_machine *m, const char *p, size_t n)
{
    struct http_conn *h = m->data;
    struct incoming *in = h->in;
    if (in->headers_done) /* trailers */
        return 0;
    if (in->in_value || in->count == 0) {
        if (!in->headers)
            in->headers = arena_alloc(in->arena, MAX_HEADERS * sizeof(*in->headers));
        if (in->count == MAX_HEADERS)
            return refuse_with(in, 431);
        in->headers[in->count][0] = (struct span){(uint32_t)in->text.n, 0};
        in->headers[in->count][1] = (struct span){(uint32_t)in->text.n, 0};
        in->count++;
        in->in_value = false;
    }
    if (!text_add(h, p, n))
        return refuse_with(in, 431);
    in->headers[in->count - 1][0].n += (uint32_t)n;
    return 0;
}

static int on_value(http_machine *m, const char *p, size_t n)
{
    struct http_conn *h = m->data;
    struct incoming *in = h->in;
    if (in->headers_done || !in->count)
        return 0;
    struct span *v = &in->headers[in->count - 1][1];
    if (!in->in_value) {
        in->in_value = true;
        v->at = (uint32_t)in->text.n;
    }
    if (!text_add(h, p, n))
        return refuse_with(in, 431);
    v->n += (uint32_t)n;
    return 0;
}

static struct str span_str(const struct incoming *in, struct span s)
{
    return str_n(in->text.p + s.at, s.n);
}

static struct str incoming_header(const struct incoming *in, struct str name)
{
    for (unsigned i = 0; i < in->count; i++)
        if (str_ieq_ascii(span_str(in, in->headers[i][0]), name))
            return str_trim(span_str(in, in->headers[i][1]));
    return STR_NULL;
}

/* RFC 9110 §10.1.1; a client of HTTP/1.0 does not understand the interim answer. */
static int expectation(struct http_conn *h)
{
    struct str expect = incoming_header(h->in, S("Expect"));
    if (!expect.p || h->machine.http_minor == 0)
        return 0;
    if (!str_ieq_ascii(expect, S("100-continue")))
        return refuse_with(h->in, 417);
    if (h->in->body_declared)
        conn_write(h->conn, S("HTTP/1.1 100 Continue\r\n\r\n"));
    return 0;
}

/* RFC 9110 §5.6.2 */
static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!alnum && (c <= ' ' || c >= 0x7f || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return s.n > 0;
}

/*
 * RFC 9112 §5.1, §6.1, §6.3: where we and a proxy in front of us could disagree about the length of a request, the rest of
 * it would be somebody else's request. Parsers differ in what they let through.
 */
static int framing(const struct http_conn *h)
{
    const struct incoming *in = h->in;
    unsigned lengths = 0, codings = 0;
    bool chunked = true, chunked_last = true;
    for (unsigned i = 0; i < in->count; i++) {
        struct str name = span_str(in, in->headers[i][0]);
        if (!is_token(name))
            return 400;
        if (str_ieq_ascii(name, S("Content-Length"))) {
            lengths++;
        } else if (str_ieq_ascii(name, S("Transfer-Encoding"))) {
            codings++;
            struct str all = str_trim(span_str(in, in->headers[i][1])), rest = all, last = STR_NULL;
            while (str_split(&rest, ',', &last))
                ;
            chunked = str_ieq_ascii(all, S("chunked"));
            chunked_last = str_ieq_ascii(str_trim(last), S("chunked"));
        }
    }
    /* §6.3: a body whose last coding is another one has no end that can be told */
    if (lengths + codings > 1 || (codings && h->machine.http_minor == 0) || !chunked_last)
        return 400;
    return chunked ? 0 : 501;
}

static int on_headers_complete(http_machine *m)
{
    struct http_conn *h = m->data;
    struct incoming *in = h->in;
    uint64_t length = http_machine_length(m);
    in->headers_done = true;
    http_machine_no_upgrade(m);
    if (m->http_major != 1 || m->http_minor > 1)
        return refuse_with(in, 505);
    int status = framing(h);
    if (status)
        return refuse_with(in, status);
    in->body_declared = http_machine_chunked(m) || length != UINT64_MAX;
    if (!http_machine_chunked(m) && length != UINT64_MAX && length > max_body(h))
        return refuse_with(in, 413);
    return expectation(h);
}

static int on_body(http_machine *m, const char *p, size_t n)
{
    struct http_conn *h = m->data;
    struct incoming *in = h->in;
    if (in->body_seen.n + in->body.n + n > max_body(h))
        return refuse_with(in, 413);
    if (!in->body_seen.p && !in->body.n) {
        in->body_seen = str_n(p, n);
        return 0;
    }
    if (in->body_seen.p) {
        buf_add_str(&in->body, in->body_seen);
        in->body_seen = STR_NULL;
    }
    buf_add(&in->body, p, n);
    return 0;
}

static int on_complete(http_machine *m)
{
    return http_machine_pause(m);
}

__attribute__((constructor)) static void fill_settings(void)
{
    settings.on_message_begin = on_begin;
    settings.on_url = on_url;
    settings.on_header_field = on_field;
    settings.on_header_value = on_value;
    settings.on_headers_complete = on_headers_complete;
    settings.on_body = on_body;
    settings.on_message_complete = on_complete;
}

/* --- running it --- */
/* Absolute form names the server too (RFC 9112 §3.2.2); what serves is the path. */
static struct str origin_form(struct str target)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        struct str scheme = str_of(schemes[i]);
        if (target.n < scheme.n || !str_ieq_ascii(str_n(target.p, scheme.n), scheme))
            continue;
        struct str rest = str_n(target.p + scheme.n, target.n - scheme.n);
        for (size_t k = 0; k < rest.n; k++)
            if (rest.p[k] == '/' || rest.p[k] == '?')
                return str_n(rest.p + k, rest.n - k);
        return S("/");
    }
    return target;
}

static void set_target(struct http_request *r, struct str target)
{
    ptrdiff_t at = str_find(target, '#');
    if (at >= 0)
        target.n = (size_t)at;
    target = origin_form(target);
    at = str_find(target, '?');
    r->path = at >= 0 ? str_n(target.p, (size_t)at) : target;
    r->query = at >= 0 ? str_n(target.p + at + 1, target.n - (size_t)at - 1) : STR_NULL;
}

static void set_headers(struct http_request *r, const struct incoming *in)
{
    struct http_header *out = arena_alloc(in->arena, (in->count ? in->count : 1) * sizeof(*out));
    for (unsigned i = 0; i < in->count; i++) {
        out[i].name = span_str(in, in->headers[i][0]);
        out[i].value = str_trim(span_str(in, in->headers[i][1]));
        if (!out[i].value.n)
            out[i].value = S("");
    }
    r->headers = out;
    r->header_count = in->count;
}

static void fill_run(struct http_conn *h, struct http_run *run)
{
    struct incoming *in = h->in;
    struct http_request *r = &run->r;
    *run = (struct http_run){.http10 = h->machine.http_minor == 0};
    r->arena = in->arena;
    r->conn = h->conn;
    r->method = str_of(http_machine_method(&h->machine));
    run->head = str_eq(r->method, S("HEAD"));
    set_target(r, str_n(in->text.p ? in->text.p : "", in->target_n));
    set_headers(r, in);
    if (in->body.n)
        r->body = buf_str(&in->body);
    else if (in->body_seen.p)
        r->body = in->body_seen;
    else if (in->body_declared)
        r->body = S("");
    r->keep_alive = http_machine_keep_alive(&h->machine);
}

static bool run_request(struct http_conn *h) YIELDS;

/* false: the connection ends. */
static bool run_request(struct http_conn *h)
{
    struct http_run run;
    struct conn *c = h->conn;
    timer_stop(&h->timer);
    fill_run(h, &run);
    if (conn_pending(c) > PIPELINE_HIGH && !conn_wait_drain(c, PIPELINE_HIGH / 2))
        run.r.answered = run.ended = true;
    else
        h->app->handle(&run.r);
    if (!run.r.answered)
        http_respond(&run.r, 500, STR_NULL, NULL, 0, STR_NULL);
    if (!run.ended) /* the peer must not take half an answer for a whole one */
        conn_abort(c, "unfinished answer");
    incoming_free(h);
    if (!conn_alive(c))
        return false;
    if (run.r.keep_alive) {
        timer_arm(&h->timer, or_default(h->app->limits.idle_timeout_ms, IDLE_MS));
        return true;
    }
    conn_flush(c);
    conn_wait_drain(c, 0); /* a large answer may take longer than the two seconds of conn_close */
    conn_close(c);
    return false;
}

/* The client's name of the request, as far as it has come. */
static struct str refused_id(const struct http_conn *h, char made[17])
{
    struct str id = h->in && h->in->headers_done ? incoming_header(h->in, S("X-Request-Id")) : STR_NULL;
    if (http_id_ok(id))
        return id;
    rand_token(made, 16);
    return str_n(made, 16);
}

static void give_up(struct http_conn *h, int status)
{
    char made[17];
    struct log_ctx ctx = {.request_id = refused_id(h, made)};
    timer_stop(&h->timer);
    LOG_LIMITED(DEBUG, "http", &ctx, "request refused: %d %s", status, http_status_text(status));
    http_refuse(h->conn, status, ctx.request_id);
    incoming_free(h);
    conn_close(h->conn);
}

/* The connection's buffer is about to go: what lies in it has to be kept. */
static void keep_body(struct incoming *in)
{
    if (!in || !in->body_seen.p)
        return;
    buf_add_str(&in->body, in->body_seen);
    in->body_seen = STR_NULL;
}

static size_t http_on_bytes(struct conn *c, const char *data, size_t n) YIELDS;

static size_t http_on_bytes(struct conn *c, const char *data, size_t n)
{
    struct http_conn *h = conn_owner(c);
    size_t at = 0;
    while (at < n) {
        size_t used = 0;
        enum http_feed f = http_machine_feed(&h->machine, &settings, data + at, n - at, &used);
        at += used;
        if (f == HTTP_FEED_DONE && h->in) {
            if (!run_request(h))
                return n;
        } else if (f == HTTP_FEED_MORE) {
            break;
        } else {
            give_up(h, f == HTTP_FEED_STOP && h->in && h->in->refuse ? h->in->refuse : 400);
            return n;
        }
    }
    keep_body(h->in);
    return n;
}

static void on_http_timer(struct timer *t)
{
    struct http_conn *h = CONTAINER_OF(t, struct http_conn, timer);
    if (h->in)
        give_up(h, 408);
    else if (conn_pending(h->conn)) /* the last answer is still on its way; the send time-out watches it */
        timer_arm(t, or_default(h->app->limits.idle_timeout_ms, IDLE_MS));
    else
        conn_close(h->conn);
}

static void http_on_closed(struct conn *c, const char *why)
{
    struct http_conn *h = conn_owner(c);
    timer_stop(&h->timer);
    incoming_free(h);
    free(h);
}

static const struct conn_ops http_ops = {.on_bytes = http_on_bytes, .on_closed = http_on_closed};

void http_accept(struct conn *c)
{
    http_attach(c, listener_app(conn_listener(c)));
}

void http_attach(struct conn *c, const struct http_app *app)
{
    struct http_conn *h = MEM_NEW(struct http_conn);
    h->conn = c;
    h->app = app;
    http_machine_init(&h->machine, &settings, h);
    timer_setup(&h->timer, on_http_timer);
    /* The first request has as long as TLS and PROXY may take, and then as long as any. */
    timer_arm(&h->timer, or_default(h->app->limits.idle_timeout_ms, IDLE_MS));
    conn_set_out_limit(c, 0); /* one answer at a time; the send time-out and PIPELINE_HIGH bound it */
    conn_set_owner(c, &http_ops, h);
}

/* --- helpers for handlers --- */
struct str http_header(const struct http_request *r, struct str name)
{
    for (size_t i = 0; i < r->header_count; i++)
        if (str_ieq_ascii(r->headers[i].name, name))
            return r->headers[i].value;
    return STR_NULL;
}

bool http_id_ok(struct str id)
{
    for (size_t i = 0; i < id.n; i++) {
        unsigned char c = (unsigned char)id.p[i];
        bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!alnum && (!c || !strchr("-_.:+=/@~", c)))
            return false;
    }
    return id.n > 0 && id.n <= HTTP_ID_MAX;
}

struct str http_request_id(struct http_request *r)
{
    if (r->id.n)
        return r->id;
    r->id = http_header(r, S("X-Request-Id"));
    if (!http_id_ok(r->id)) {
        char *made = arena_alloc(r->arena, 17);
        rand_token(made, 16);
        r->id = str_n(made, 16);
    }
    return r->id;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool http_percent_decode(struct arena *a, struct str in, bool plus_is_space, struct str *out)
{
    char *p = arena_alloc(a, in.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < in.n; i++) {
        if (in.p[i] == '%') {
            bool whole = in.n - i > 2;
            int hi = whole ? hex(in.p[i + 1]) : -1, lo = whole ? hex(in.p[i + 2]) : -1;
            if (hi < 0 || lo < 0)
                return false;
            p[n++] = (char)(hi << 4 | lo);
            i += 2;
        } else {
            p[n++] = plus_is_space && in.p[i] == '+' ? ' ' : in.p[i];
        }
    }
    p[n] = '\0';
    *out = str_n(p, n);
    return true;
}
