/* The listener kind ejabberd_http: ties the request handlers of the configuration to the HTTP server. Shard 0. */
#include "core/listen_http.h"
#include "core/http_routes.h"

static void drop_routes(void *arg)
{
    struct http_app *app = arg;
    http_routes_delete(&app);
}

static int make(struct arena *a, const struct listen_conf *lc, const struct config *c, struct listener_config *out,
                struct error *err)
{
    static const char *const alpn[] = {"http/1.1", NULL};
    (void)c;
    struct http_app *app = http_routes_new(lc, err);
    if (!app)
        return -1;
    arena_on_release(a, drop_routes, app);
    out->on_accept = http_accept;
    out->app = app;
    out->alpn = alpn;
    return 0;
}

const struct listen_kind listen_http = {"ejabberd_http", make};
