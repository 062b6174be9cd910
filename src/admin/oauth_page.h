/* The authorization page: plain HTML and one style sheet, no scripts. Pure. */
#ifndef ADMIN_OAUTH_PAGE_H
#define ADMIN_OAUTH_PAGE_H

#include "base/buf.h"

/* What the page asks the user; everything comes from outside and is escaped. */
struct oauth_ask {
    struct str client_id, client_name, redirect_uri, state;
    struct str scope;             /* as it goes back */
    const struct str *scopes;
    size_t scope_count;
    struct str username;          /* typed before */
    int64_t ttl_s;                /* preselected */
    const char *complaint;        /* NULL: none */
};

void oauth_page_form(struct buf *out, const struct oauth_ask *ask);
/* A page that says why there is nothing to authorize. */
void oauth_page_error(struct buf *out, const char *headline, const char *words);
struct str oauth_page_style(void);
/* "https://client.test" of an address, for the page and its security policy; absent when it has no such form. */
struct str oauth_origin(struct str uri);

#endif
