/*
 * The request handlers of an ejabberd_http listener: the configured path prefix with the most elements wins. Elements are
 * percent-decoded, empty ones vanish, ".." goes up.
 */
#ifndef CORE_HTTP_ROUTES_H
#define CORE_HTTP_ROUTES_H

#include "core/config/config.h"
#include "net/http.h"

/* One configured prefix; handlers get it with the elements that follow. Lives as long as the listener. */
struct http_mount {
    const struct str *prefix;
    size_t prefix_count;
    struct str module;                   /* "mod_http_api" */
    const struct http_handler *handler;  /* built in; NULL: a contributed module's, or not served */
    struct str tag;                      /* of the listener, for api_permissions; may be absent */
    const struct http_header *headers;   /* sent with every answer: custom_headers of the listener */
    size_t header_count;
    const struct http_header *cors, *preflight; /* the same after the API's CORS headers */
    size_t cors_count, preflight_count;
};

/* Who answers under a prefix: found by the name the configuration uses. One constant entry beside each handler. */
struct http_handler {
    const char *name;
    void (*handle)(struct http_request *r, const struct http_mount *m, const struct str *path, size_t n) YIELDS;
};
#define HTTP_HANDLER(ident)                                                                                  \
    static const struct http_handler ident;                                                                  \
    static const struct http_handler *const ident##_entry SECTION_ENTRY("cj_http_handlers") = &ident;         \
    static const struct http_handler ident

/* Built-in ones; contributed modules' are found for every request (core/module/module.h). NULL: nobody by that name. */
const struct http_handler *http_handler_find(struct str name);

struct http_routes;

/* The app of such a listener (listener_config.app, with http_accept), from its options; everything is copied to heap memory. */
struct http_app *http_routes_new(const struct listen_conf *lc, struct error *err);
/* After the last connection of the listener is gone. */
void http_routes_delete(struct http_app **app);
/* http_app.handle of it. */
void http_routes_handle(struct http_request *r) YIELDS;
/* The small XHTML page of a status, for what reaches no handler. */
void http_page(struct http_request *r, int status, const struct http_header *headers, size_t n);

#endif
