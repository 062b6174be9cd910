/*
 * HTTP/1.1 server over conn: keep-alive, pipelining, limits and time-outs. A request runs on the connection's fiber and
 * may suspend; answers keep their order because the next request is read only after the answer.
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include "net/listener.h"

struct http_header {
    struct str name, value;
};

struct http_request {
    struct arena *arena; /* dies after the handler */
    struct conn *conn;
    struct str method;       /* "POST" */
    struct str path, query;  /* raw, still percent-encoded; query absent when there is no '?' */
    const struct http_header *headers;
    size_t header_count;
    struct str body;         /* whole; absent when the request had neither Content-Length nor chunks */
    bool keep_alive;
    bool answered;
    struct str id;           /* see http_request_id */
};

typedef void (*http_handler_fn)(struct http_request *r) YIELDS;

struct http_limits {
    size_t max_body;         /* 0: 10 MiB; larger: 413 */
    size_t max_header_bytes; /* 0: 64 KiB; larger: 431 */
    unsigned idle_timeout_ms, request_timeout_ms; /* 0: 60 s between requests, 30 s for a request to come in */
};

/* What a listener of HTTP carries as `app`. */
struct http_app {
    http_handler_fn handle;
    struct http_limits limits;
    void *data;
};

/* on_accept for HTTP listeners. */
void http_accept(struct conn *c);

/* Value of a header (name in any case), absent when missing. */
struct str http_header(const struct http_request *r, struct str name);
/*
 * What the request is called in answers and logs: X-Request-Id of the client where that is 1 to HTTP_ID_MAX harmless
 * characters, otherwise a new name. The same for the life of the request.
 */
#define HTTP_ID_MAX 128
struct str http_request_id(struct http_request *r);
/* Percent-decoding; plus_is_space for query strings. false: malformed. */
bool http_percent_decode(struct arena *a, struct str in, bool plus_is_space, struct str *out);

/* The whole answer at once, with Content-Length. extra may be NULL. Date and Connection are added as needed. */
void http_respond(struct http_request *r, int status, struct str content_type, const struct http_header *extra,
                  size_t extra_count, struct str body);
/* Streamed answer (chunked, or until close for HTTP/1.0): begin, chunks, end. http_chunk waits while the peer is slow. */
void http_begin(struct http_request *r, int status, struct str content_type, const struct http_header *extra, size_t extra_count);
int http_chunk(struct http_request *r, struct str bytes) YIELDS; /* -1: the peer is gone */
void http_end(struct http_request *r);
const char *http_status_text(int status);

#endif
