/*
 * mod_http_api: admin commands over HTTP. POST with a JSON object or GET with a query string at PREFIX/command[/vN].
 * Order of checks: JSON, command, credentials, arguments, permission. COMPAT(ejabberd): statuses and bodies as recorded.
 */
#ifndef ADMIN_HTTP_API_H
#define ADMIN_HTTP_API_H

#include "admin/http_routes.h"

void http_api_handle(struct http_request *r, const struct http_mount *m, const struct str *path, size_t n) YIELDS;

#endif
