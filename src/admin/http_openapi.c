/* See the header. The document is made at the first request, by whichever shard has it, and never changes. */
#include "admin/http_openapi.h"

#include "admin/doc.h"
#include "base/hash.h"

#include <pthread.h>
#include <stdio.h>

static struct buf document;
static char etag[24];

static void make(void)
{
    doc_openapi(&document);
    snprintf(etag, sizeof(etag), "\"%016llx\"", (unsigned long long)hash_stable(document.p, document.n));
}

void http_openapi_answer(struct http_request *r, const struct http_header *headers, size_t n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT; /* not call_once, which the thread sanitizer does not know */
    pthread_once(&once, make);
    struct http_header *h = ARENA_ARRAY(r->arena, struct http_header, n + 2);
    if (n)
        memcpy(h, headers, n * sizeof(*h));
    h[n++] = (struct http_header){S("ETag"), str_of(etag)};
    h[n++] = (struct http_header){S("Cache-Control"), S("no-cache")};
    if (str_eq(http_header(r, S("if-none-match")), str_of(etag)))
        http_respond(r, 304, S(""), h, n, S(""));
    else
        http_respond(r, 200, S("application/json"), h, n, buf_str(&document));
}
