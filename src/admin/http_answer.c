/* Answers of the HTTP API; see the header. Suspends: what sends chunks. */
#include "admin/http_answer.h"

#include "admin/out.h"
#include "base/utf8.h"
#include "rt/pool.h"

#define CHUNK (32 * 1024)
#define FIRST_CHUNK (8 * 1024) /* of a list that comes bit by bit: its beginning should not wait */
#define SORT_HERE 5000         /* longer lists are sorted on a blocking thread */
#define LINK_QUERY_MAX 1000    /* a longer one is not repeated in a header */
static const struct str json_type = {"application/json", 16}, lines_type = {"application/x-ndjson", 20};

static int on_row(struct cmd_sink *s, struct cmd_call *c, const struct value *row) YIELDS;

/* --- what was asked for --- */

/* Quality of a media range in thousandths; 1000 when it is not said. */
static unsigned quality(struct str params)
{
    struct str p;
    while (str_split(&params, ';', &p)) {
        p = str_trim(p);
        if (p.n < 3 || (p.p[0] | 0x20) != 'q' || p.p[1] != '=')
            continue;
        static const unsigned weight[] = {100, 10, 1};
        unsigned q = p.p[2] == '1' ? 1000 : 0;
        for (size_t i = 4; !(q / 1000) && i < p.n && i < 7 && p.p[i] >= '0' && p.p[i] <= '9'; i++)
            q += (unsigned)(p.p[i] - '0') * weight[i - 4];
        return q;
    }
    return 1000;
}

bool accepts_lines(struct str accept)
{
    struct str range;
    unsigned lines = 0, json = 0;
    while (str_split(&accept, ',', &range)) {
        struct str params = range, type;
        str_split(&params, ';', &type);
        type = str_trim(type);
        if (str_ieq_ascii(type, lines_type))
            lines = quality(params);
        else if (str_ieq_ascii(type, json_type))
            json = quality(params);
    }
    return lines && lines >= json;
}

bool prefers(const struct http_request *r, struct str preference)
{
    for (size_t i = 0; i < r->header_count; i++) {
        struct str rest = r->headers[i].value, p;
        if (!str_ieq_ascii(r->headers[i].name, S("Prefer")))
            continue;
        while (str_split(&rest, ',', &p)) {
            struct str word;
            str_split(&p, ';', &word);
            if (str_ieq_ascii(str_trim(word), preference))
                return true;
        }
    }
    return false;
}

void answer_init(struct answer *an, struct http_request *r, const struct http_mount *m)
{
    struct str accept = http_header(r, S("Accept"));
    an->sink.row = on_row;
    an->r = r;
    an->m = m;
    an->status = 200;
    an->type = json_type;
    an->lines = accept.n && accepts_lines(accept);
    answer_header(an, S("X-Request-Id"), http_request_id(r));
}

void answer_deinit(struct answer *an)
{
    page_deinit(&an->page);
    buf_deinit(&an->out);
}

/* --- headers --- */

void answer_header(struct answer *an, struct str name, struct str value)
{
    if (an->header_count < ANSWER_HEADERS)
        an->headers[an->header_count++] = (struct http_header){name, value};
}

struct str reason_encode(struct arena *a, struct str words)
{
    static const char hex[] = "0123456789ABCDEF";
    char *p = arena_alloc(a, REASON_MAX);
    size_t n = 0;
    while (words.n) {
        uint32_t cp;
        unsigned len = (unsigned char)words.p[0] < 0x80 ? 1 : utf8_decode(words, &cp);
        len = len ? len : 1;
        unsigned char ch = (unsigned char)words.p[0];
        bool plain = len == 1 && ch >= 0x20 && ch < 0x7f && ch != '%';
        if (n + (plain ? 1 : 3 * len) > REASON_MAX)
            break;
        for (unsigned i = 0; i < len; i++) {
            ch = (unsigned char)words.p[i];
            if (plain) {
                p[n++] = (char)ch;
            } else {
                p[n++] = '%';
                p[n++] = hex[ch >> 4];
                p[n++] = hex[ch & 15];
            }
        }
        words = str_n(words.p + len, words.n - len);
    }
    return str_n(p, n);
}

void answer_reason(struct answer *an, struct str words)
{
    answer_header(an, S("X-Reason"), reason_encode(an->r->arena, words));
}

/* The mount's headers and ours. */
static const struct http_header *all_headers(struct answer *an, size_t *n_out)
{
    struct http_header *h = arena_alloc(an->r->arena, (an->m->cors_count + an->header_count) * sizeof(*h));
    memcpy(h, an->m->cors, an->m->cors_count * sizeof(*h));
    memcpy(h + an->m->cors_count, an->headers, an->header_count * sizeof(*h));
    *n_out = an->m->cors_count + an->header_count;
    return h;
}

void answer_send(struct answer *an)
{
    size_t n;
    if (an->begun) {
        http_chunk(an->r, buf_str(&an->out));
        http_end(an->r);
        return;
    }
    const struct http_header *h = all_headers(an, &n);
    http_respond(an->r, an->status, an->type, h, n, str_eq(an->r->method, S("HEAD")) ? S("") : buf_str(&an->out));
}

/* --- what is not a list --- */

void answer_error(struct answer *an, enum err_code code, const char *text)
{
    const struct err_info *info = err_info(code);
    struct str words = str_of(text ? text : info->text);
    if (info->api)
        json_out_error(&an->out, info->api, words);
    else
        json_out_str(&an->out, words);
    an->status = info->http;
    answer_reason(an, words);
}

void answer_failure(struct answer *an, const struct cmd_call *c)
{
    buf_clear(&an->out);
    an->type = json_type;
    json_out_failure(&an->out, &c->failure, &an->status);
    answer_reason(an, c->reason.n ? c->reason : c->failure.text);
}

void answer_value(struct answer *an, struct cmd_call *c)
{
    bool refused = c->shape->result->kind == V_RESCODE && c->result.i != 0;
    json_out_result(&an->out, c);
    if (an->lines) {
        buf_add_c(&an->out, '\n');
        an->type = lines_type;
    }
    if (c->reason.n)
        answer_reason(an, c->reason);
    else if (refused)
        answer_reason(an, c->result.s.n ? c->result.s : S("the command says no more than that it was not done"));
}

void answer_dry_run(struct answer *an, const struct cmd_call *c)
{
    buf_printf(&an->out, "{\"dry_run\":true,\"count\":%llu,\"items\":[", (unsigned long long)c->would_count);
    for (uint64_t i = 0; i < c->would_count && i < CMD_WOULD_SHOWN; i++) {
        if (i)
            buf_add_c(&an->out, ',');
        json_out_str(&an->out, c->would[i]);
    }
    buf_add_str(&an->out, an->lines ? S("]}\n") : S("]}"));
    an->type = an->lines ? lines_type : json_type;
    answer_header(an, S("Preference-Applied"), S("dry-run"));
    if (c->reason.n)
        answer_reason(an, c->reason);
}

/* --- lists --- */

static int flush(struct answer *an) YIELDS;
static int flush(struct answer *an)
{
    if (!an->begun) {
        size_t n;
        const struct http_header *h = all_headers(an, &n);
        http_begin(an->r, 200, an->type, h, n);
    }
    an->begun = true;
    int rc = http_chunk(an->r, buf_str(&an->out));
    buf_clear(&an->out);
    return rc;
}

static void list_open(struct answer *an, const struct type *list)
{
    if (an->lines)
        an->type = lines_type;
    else
        json_out_list_open(&an->out, list);
}

/* The sink of streamed rows. */
static int on_row(struct cmd_sink *s, struct cmd_call *c, const struct value *row)
{
    struct answer *an = (struct answer *)s;
    const struct type *list = c->shape->result;
    enum page_verdict verdict = page_row(&an->page, &list->of[0], row);
    if (verdict != PAGE_TAKE)
        return verdict == PAGE_SKIP ? 0 : -1;
    if (an->rows++ == 0)
        list_open(an, list);
    if (an->lines) {
        json_out_value(&an->out, &list->of[0], row);
        buf_add_c(&an->out, '\n');
    } else {
        json_out_list_row(&an->out, list, row, an->rows == 1);
    }
    /* the cursor for the next page stands in a header: a page goes out whole */
    if (an->kept || an->page.limit || an->out.n < (c->streamed && !an->begun ? FIRST_CHUNK : CHUNK))
        return 0;
    return flush(an);
}

/* RFC 8288: the same request with another cursor. Not where the query has characters of the header's own. */
static void link_next(struct answer *an, const struct cmd_call *c, struct str cursor)
{
    struct str rest = an->r->query, pair;
    struct buf b = BUF_INIT;
    bool fit = !c->cmd->has_secret && rest.n <= LINK_QUERY_MAX;
    for (size_t i = 0; i < rest.n && fit; i++)
        fit = rest.p[i] != '<' && rest.p[i] != '>' && rest.p[i] != '"' && (unsigned char)rest.p[i] < 0x80;
    if (!fit)
        return;
    buf_add_str(&b, S("<?"));
    while (str_split(&rest, '&', &pair))
        if (pair.n && !str_starts(pair, S("after=")))
            buf_printf(&b, "%.*s&", STR_ARG(pair));
    buf_printf(&b, "after=%.*s>; rel=\"next\"", STR_ARG(cursor));
    answer_header(an, S("Link"), arena_str(an->r->arena, buf_str(&b)));
    buf_deinit(&b);
}

static void sort_on_thread(void *arg, void *state)
{
    struct cmd_call *c = arg;
    (void)state;
    value_sort(&c->shape->result->of[0], c->rows, c->row_count);
}

int answer_list(struct answer *an, struct cmd_call *c)
{
    const struct type *list = c->shape->result;
    if (!c->streamed) {
        if (c->row_count > SORT_HERE)
            pool_run(pool_general(), sort_on_thread, c);
        else
            value_sort(&list->of[0], c->rows, c->row_count);
        for (size_t i = 0; i < c->row_count && !an->page.more; i++)
            if (on_row(&an->sink, c, &c->rows[i]) < 0 && !an->page.more)
                return -1;
    }
    if (an->rows == 0)
        list_open(an, list);
    if (!an->lines)
        json_out_list_close(&an->out, list);
    struct str next = page_next(&an->page, an->r->arena);
    if (next.p) {
        answer_header(an, S("X-Next-After"), next);
        link_next(an, c, next);
    }
    if (c->reason.n && !an->begun)
        answer_reason(an, c->reason);
    return 0;
}
