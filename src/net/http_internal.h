/* What the files of HTTP share. */
#ifndef NET_HTTP_INTERNAL_H
#define NET_HTTP_INTERNAL_H

#include "net/conn_internal.h"
#include "net/http.h"

/* A request while its handler runs. */
struct http_run {
    struct http_request r;
    bool head;    /* no body in the answer */
    bool http10;
    bool streaming, chunked, ended;
};

/* Makes the connection one of HTTP; http_accept without a listener. */
void http_attach(struct conn *c, const struct http_app *app);
/* Answer for what is not a request of anybody: an XHTML page, then the connection ends. id may be absent. */
void http_refuse(struct conn *c, int status, struct str id);
/* Letters, digits and -_.:+=/@~ only, 1 to HTTP_ID_MAX of them: fit for a header, a log line and a search. */
bool http_id_ok(struct str id);

#endif
