/*
 * The answer to an API request on its way out: body, status and the headers that come on top of the recorded ones
 * (X-Request-Id, X-Reason, paging, Preference-Applied). Small answers go out whole, long lists in chunks while they are made.
 * Belongs to the request's fiber.
 */
#ifndef ADMIN_HTTP_ANSWER_H
#define ADMIN_HTTP_ANSWER_H

#include "admin/http_page.h"
#include "core/http_routes.h"

#define ANSWER_HEADERS 8
#define REASON_MAX 300 /* bytes of X-Reason */

struct answer {
    struct cmd_sink sink; /* first */
    struct http_request *r;
    const struct http_mount *m;
    struct buf out;
    int status;
    struct str type;
    struct http_header headers[ANSWER_HEADERS]; /* besides the mount's */
    size_t header_count;
    struct http_page page;
    bool lines;    /* application/x-ndjson was asked for */
    bool kept;     /* the whole answer is needed before any of it goes out: it is to be kept */
    size_t rows;
    bool begun;    /* status and headers are out */
};

/* Looks at the request's Accept; names the request. */
void answer_init(struct answer *an, struct http_request *r, const struct http_mount *m);
void answer_deinit(struct answer *an);

/* Values are borrowed until the answer is sent. More than ANSWER_HEADERS are left out. */
void answer_header(struct answer *an, struct str name, struct str value);
/*
 * X-Reason: why, in words. ASCII is shown as it is; anything else and '%' is percent-encoded UTF-8 (RFC 3986 §2.1), cut at
 * REASON_MAX between characters.
 */
void answer_reason(struct answer *an, struct str words);
struct str reason_encode(struct arena *a, struct str words);

/* Each makes the answer but does not send it. */
void answer_error(struct answer *an, enum err_code code, const char *text);
void answer_failure(struct answer *an, const struct cmd_call *c);
void answer_value(struct answer *an, struct cmd_call *c);
void answer_dry_run(struct answer *an, const struct cmd_call *c);
/* May send the beginning. -1: the peer is gone. */
int answer_list(struct answer *an, struct cmd_call *c) YIELDS;
/* Sends what is not sent yet. */
void answer_send(struct answer *an) YIELDS;

/* Does the Accept header prefer application/x-ndjson to application/json (RFC 9110 §12.5.1)? */
bool accepts_lines(struct str accept);
/* Is the preference there (RFC 7240 §2)? */
bool prefers(const struct http_request *r, struct str preference);

#endif
