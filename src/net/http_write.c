/*
 * HTTP answers: one write for a whole answer, chunks for streamed ones. Runs on the connection's shard; only http_chunk
 * suspends. Leaves out compression and ranges.
 */
#include "base/clock.h"
#include "net/http_internal.h"

#include <stdio.h>
#include <time.h>

#define CHUNK_HIGH (256u << 10) /* a streamed answer waits above this... */
#define CHUNK_LOW (64u << 10)   /* ...until this is left */

static const struct {
    int status;
    const char *text;
} status_texts[] = {
    {100, "Continue"}, {101, "Switching Protocols"}, {200, "OK"}, {201, "Created"}, {202, "Accepted"}, {204, "No Content"},
    {206, "Partial Content"}, {301, "Moved Permanently"}, {302, "Found"}, {303, "See Other"}, {304, "Not Modified"},
    {307, "Temporary Redirect"}, {308, "Permanent Redirect"}, {400, "Bad Request"}, {401, "Unauthorized"}, {403, "Forbidden"},
    {404, "Not Found"}, {405, "Method Not Allowed"}, {406, "Not Acceptable"}, {408, "Request Timeout"}, {409, "Conflict"},
    {410, "Gone"}, {411, "Length Required"}, {412, "Precondition Failed"}, {413, "Request Entity Too Large"},
    {414, "Request-URI Too Long"}, {415, "Unsupported Media Type"}, {416, "Requested Range Not Satisfiable"},
    {417, "Expectation Failed"}, {422, "Unprocessable Content"}, {426, "Upgrade Required"}, {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"}, {500, "Internal Server Error"}, {501, "Not Implemented"}, {502, "Bad Gateway"},
    {503, "Service Unavailable"}, {504, "Gateway Timeout"}, {505, "HTTP Version Not Supported"}, {507, "Insufficient Storage"},
};

const char *http_status_text(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(status_texts); i++)
        if (status_texts[i].status == status)
            return status_texts[i].text;
    return "Unknown";
}

static void add_number(struct buf *b, uint64_t v)
{
    char tmp[20];
    unsigned i = sizeof(tmp);
    do {
        tmp[--i] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    buf_add(b, tmp + i, sizeof(tmp) - i);
}

static void add_status_line(struct buf *b, int status)
{
    if (status == 200) {
        buf_add_str(b, S("HTTP/1.1 200 OK\r\n"));
        return;
    }
    buf_add_str(b, S("HTTP/1.1 "));
    add_number(b, (uint64_t)(status >= 100 && status <= 599 ? status : 500));
    buf_add_c(b, ' ');
    buf_add_str(b, str_of(http_status_text(status)));
    buf_add_str(b, S("\r\n"));
}

/* RFC 9110 §5.6.7; made once a second. */
static void add_date(struct buf *b)
{
    static __thread uint64_t made;
    static __thread char line[48];
    static __thread size_t n;
    uint64_t now = clock_wall_s();
    if (now != made) {
        time_t t = (time_t)now;
        struct tm tm;
        gmtime_r(&t, &tm);
        n = strftime(line, sizeof(line), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
        made = now;
    }
    buf_add(b, line, n);
}

/* A value that came from elsewhere must not end its line: the rest would be headers or a second answer. */
static void add_clean(struct buf *b, struct str s)
{
    size_t from = b->n;
    buf_add_str(b, s);
    for (size_t i = from; i < b->n; i++)
        if (((unsigned char)b->p[i] < 0x20 && b->p[i] != '\t') || b->p[i] == 0x7f)
            b->p[i] = ' ';
}

static void add_header(struct buf *b, struct str name, struct str value)
{
    add_clean(b, name);
    buf_add_str(b, S(": "));
    add_clean(b, value);
    buf_add_str(b, S("\r\n"));
}

static bool has_body(int status)
{
    return status >= 200 && status != 204 && status != 304; /* RFC 9110 §6.4.1 */
}

static void add_head(struct buf *b, const struct http_run *run, int status, struct str type, const struct http_header *extra,
                     size_t extra_count)
{
    add_status_line(b, status);
    if (type.n)
        add_header(b, S("Content-Type"), type);
    add_date(b);
    for (size_t i = 0; i < extra_count; i++)
        add_header(b, extra[i].name, extra[i].value);
    if (!run->r.keep_alive)
        buf_add_str(b, S("Connection: close\r\n"));
    else if (run->http10)
        buf_add_str(b, S("Connection: keep-alive\r\n"));
}

void http_respond(struct http_request *r, int status, struct str content_type, const struct http_header *extra,
                  size_t extra_count, struct str body)
{
    struct http_run *run = CONTAINER_OF(r, struct http_run, r);
    if (r->answered)
        return;
    r->answered = true;
    run->ended = true;
    struct buf *b = conn_out_begin(r->conn);
    buf_reserve(b, 512 + body.n);
    add_head(b, run, status, content_type, extra, extra_count);
    if (has_body(status)) {
        buf_add_str(b, S("Content-Length: "));
        add_number(b, body.n);
        buf_add_str(b, S("\r\n\r\n"));
        if (!run->head && body.n)
            buf_add_str(b, body);
    } else {
        buf_add_str(b, S("\r\n"));
    }
    conn_out_end(r->conn);
}

void http_begin(struct http_request *r, int status, struct str content_type, const struct http_header *extra, size_t extra_count)
{
    struct http_run *run = CONTAINER_OF(r, struct http_run, r);
    if (r->answered)
        return;
    r->answered = run->streaming = true;
    run->chunked = has_body(status) && !run->http10;
    if (has_body(status) && run->http10)
        r->keep_alive = false; /* the end of the connection is the end of the answer */
    if (!has_body(status))
        run->head = true;
    struct buf *b = conn_out_begin(r->conn);
    add_head(b, run, status, content_type, extra, extra_count);
    if (run->chunked)
        buf_add_str(b, S("Transfer-Encoding: chunked\r\n"));
    buf_add_str(b, S("\r\n"));
    conn_out_end(r->conn);
}

int http_chunk(struct http_request *r, struct str bytes)
{
    struct http_run *run = CONTAINER_OF(r, struct http_run, r);
    if (!conn_alive(r->conn))
        return -1;
    if (!run->streaming || run->ended || run->head || !bytes.n)
        return 0;
    struct buf *b = conn_out_begin(r->conn);
    char size[20];
    if (run->chunked)
        buf_add(b, size, (size_t)snprintf(size, sizeof(size), "%zx\r\n", bytes.n));
    buf_add_str(b, bytes);
    if (run->chunked)
        buf_add_str(b, S("\r\n"));
    conn_out_end(r->conn);
    if (conn_pending(r->conn) > CHUNK_HIGH && !conn_wait_drain(r->conn, CHUNK_LOW))
        return -1;
    return 0;
}

void http_end(struct http_request *r)
{
    struct http_run *run = CONTAINER_OF(r, struct http_run, r);
    if (!run->streaming || run->ended)
        return;
    run->ended = true;
    if (run->chunked && !run->head)
        conn_write(r->conn, S("0\r\n\r\n"));
}

/* The page ejabberd shows for the same. */
void http_refuse(struct conn *c, int status, struct str id)
{
    char page[512];
    int n = snprintf(page, sizeof(page),
                     "<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\" "
                     "\"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\n<html xmlns='http://www.w3.org/1999/xhtml' "
                     "xml:lang='en' lang='en'><head><meta http-equiv='Content-Type' content='text/html; charset=utf-8'/></head>"
                     "<body><h1>%d %s</h1></body></html>",
                     status, http_status_text(status));
    struct http_run run = {.r.conn = c};
    struct http_header header = {S("X-Request-Id"), id};
    http_respond(&run.r, status, S("text/html; charset=utf-8"), &header, id.n > 0, str_n(page, (size_t)n));
}
