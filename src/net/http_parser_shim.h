/*
 * llhttp where the distribution has it, its predecessor http-parser where not, under one set of names. A request's
 * callbacks are the same; feeding stops after a whole request.
 */
#ifndef NET_HTTP_PARSER_SHIM_H
#define NET_HTTP_PARSER_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_feed {
    HTTP_FEED_MORE, /* all bytes used, the request goes on */
    HTTP_FEED_DONE, /* a whole request; *used bytes belong to it */
    HTTP_FEED_STOP, /* a callback refused */
    HTTP_FEED_BAD
};

#ifdef HAVE_LLHTTP
#include <llhttp.h>

typedef llhttp_t http_machine;
typedef llhttp_settings_t http_machine_settings;
#define HTTP_CB_REFUSE (-1)

static inline void http_machine_init(http_machine *m, const http_machine_settings *s, void *data)
{
    llhttp_init(m, HTTP_REQUEST, s);
    m->data = data;
}

static inline enum http_feed http_machine_feed(http_machine *m, const http_machine_settings *s, const char *p, size_t n,
                                              size_t *used)
{
    llhttp_errno_t e = llhttp_execute(m, p, n);
    *used = n;
    if (e == HPE_OK)
        return HTTP_FEED_MORE;
    if (e == HPE_PAUSED_UPGRADE) {
        llhttp_resume_after_upgrade(m);
        *used = (size_t)(llhttp_get_error_pos(m) - p);
        return HTTP_FEED_DONE;
    }
    *used = llhttp_get_error_pos(m) ? (size_t)(llhttp_get_error_pos(m) - p) : n;
    if (e == HPE_PAUSED) {
        llhttp_resume(m);
        return HTTP_FEED_DONE;
    }
    return e == HPE_USER || e == HPE_CB_HEADERS_COMPLETE ? HTTP_FEED_STOP : HTTP_FEED_BAD;
}

static inline int http_machine_pause(http_machine *m)
{
    return HPE_PAUSED;
}

static inline bool http_machine_keep_alive(const http_machine *m)
{
    return llhttp_should_keep_alive(m);
}

static inline const char *http_machine_method(const http_machine *m)
{
    return llhttp_method_name((llhttp_method_t)m->method);
}

static inline void http_machine_no_upgrade(http_machine *m)
{
    m->upgrade = 0;
}

#else
#include <http_parser.h>

typedef http_parser http_machine;
typedef http_parser_settings http_machine_settings;
#define HTTP_CB_REFUSE (-1)

static inline void http_machine_init(http_machine *m, const http_machine_settings *s, void *data)
{
    (void)s;
    http_parser_init(m, HTTP_REQUEST);
    m->data = data;
}

static inline enum http_feed http_machine_feed(http_machine *m, const http_machine_settings *s, const char *p, size_t n,
                                              size_t *used)
{
    *used = http_parser_execute(m, s, p, n);
    enum http_errno e = HTTP_PARSER_ERRNO(m);
    if (e == HPE_OK)
        return *used == n ? HTTP_FEED_MORE : HTTP_FEED_BAD;
    if (e == HPE_PAUSED) {
        http_parser_pause(m, 0);
        return HTTP_FEED_DONE;
    }
    return e >= HPE_CB_message_begin && e <= HPE_CB_chunk_complete ? HTTP_FEED_STOP : HTTP_FEED_BAD;
}

static inline int http_machine_pause(http_machine *m)
{
    http_parser_pause(m, 1);
    return 0;
}

static inline bool http_machine_keep_alive(const http_machine *m)
{
    return http_should_keep_alive(m);
}

static inline const char *http_machine_method(const http_machine *m)
{
    return http_method_str((enum http_method)m->method);
}

static inline void http_machine_no_upgrade(http_machine *m)
{
    m->upgrade = 0;
}
#endif

/* UINT64_MAX: the request does not say. */
static inline uint64_t http_machine_length(const http_machine *m)
{
#ifdef HAVE_LLHTTP
    return m->flags & F_CONTENT_LENGTH ? m->content_length : UINT64_MAX;
#else
    return m->content_length;
#endif
}

static inline bool http_machine_chunked(const http_machine *m)
{
    return m->flags & F_CHUNKED;
}

#endif
