/* The options column of an OAuth client: Erlang's external term format in base64, from bytes and from text. */
#include "base/base64.h"
#include "store/oauth.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What was read of one kind is read the same after it was written. */
static void write_again(struct arena *a, const struct oauth_client *c)
{
    struct oauth_client again = {0}, out = *c;
    out.grant = c->redirect_uri.n ? OAUTH_GRANT_IMPLICIT : OAUTH_GRANT_PASSWORD;
    if (!oauth_client_read_options(a, oauth_client_options(a, &out), &again))
        abort();
    struct str want = c->redirect_uri.n ? c->redirect_uri : c->secret;
    if (!str_eq(c->redirect_uri.n ? again.redirect_uri : again.secret, want))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena *a = arena_new();
    struct oauth_client c = {0};
    struct str bytes = str_n((const char *)data, n);
    if (oauth_client_read_options(a, base64_encode(a, bytes), &c))
        write_again(a, &c);
    c = (struct oauth_client){0};
    if (oauth_client_read_options(a, bytes, &c))
        write_again(a, &c);
    arena_release(&a);
    return 0;
}
