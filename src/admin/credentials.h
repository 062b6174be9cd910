/*
 * Who is calling, from an Authorization header (RFC 7617 Basic with a full JID, RFC 6750 Bearer). Shared by every front end
 * that speaks HTTP. Without a header the call is judged by address and listener alone; a header that cannot be verified
 * is an error even where nobody asked for one.
 */
#ifndef ADMIN_CREDENTIALS_H
#define ADMIN_CREDENTIALS_H

#include "core/config/access.h"
#include "net/http.h"

/* Fills caller->who.jid and ->oauth_scopes. ERR_NOT_AUTHORIZED, ERR_BAD_TOKEN, or what the store says. Copies into a. */
int credentials_check(struct http_request *r, struct arena *a, struct api_caller *caller, struct error *err) YIELDS;
/* The owner and the scopes of an OAuth token, which need not be an account. ERR_BAD_TOKEN, or what the store says. */
int credentials_token(struct arena *a, struct str token, struct api_caller *caller, struct error *err) YIELDS;
/* For logs: the bare JID, or the network address of whoever did not say who he is, as the log may have it. */
struct str caller_name(struct arena *a, const struct api_caller *caller);

#endif
