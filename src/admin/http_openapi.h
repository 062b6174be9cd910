/* GET PREFIX/openapi.json: the API's description, for anybody who can reach the listener; it holds nothing but the table. */
#ifndef ADMIN_HTTP_OPENAPI_H
#define ADMIN_HTTP_OPENAPI_H

#include "net/http.h"

/* The headers go out with the answer, before an ETag. */
void http_openapi_answer(struct http_request *r, const struct http_header *headers, size_t n);

#endif
