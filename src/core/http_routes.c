/* Dispatch of HTTP requests to handlers by path. Runs on the connection's fiber; the routes are constant after start. */
#include "core/http_routes.h"

#include "base/mem.h"
#include "core/module/module.h"

#include <stdlib.h>

#define PATH_MAX_ELEMENTS 32
#define HEADERS_MAX 32

struct http_routes {
    struct http_app app; /* first: the listener's app is this */
    struct arena *arena;
    struct http_mount *mounts; /* longest prefix first */
    size_t count;
    struct http_header *headers;
    size_t header_count;
};

extern const struct http_handler *const __start_cj_http_handlers[] __attribute__((weak));
extern const struct http_handler *const __stop_cj_http_handlers[] __attribute__((weak));

const struct http_handler *http_handler_find(struct str name)
{
    for (const struct http_handler *const *h = __start_cj_http_handlers; h < __stop_cj_http_handlers; h++)
        if (*h && str_eq(str_of((*h)->name), name)) /* a sanitizer may pad the section */
            return *h;
    return NULL;
}

static const struct http_header cors_headers[] = {
    {{"Access-Control-Allow-Origin", 27}, {"*", 1}},
    {{"Access-Control-Allow-Headers", 28}, {"Content-Type, Authorization, X-Admin", 36}},
    {{"Access-Control-Allow-Methods", 28}, {"GET, POST, OPTIONS", 18}},
    {{"Access-Control-Max-Age", 22}, {"86400", 5}},
};

void http_page(struct http_request *r, int status, const struct http_header *headers, size_t n)
{
    struct str body = arena_printf(
        r->arena,
        "<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\" "
        "\"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\n"
        "<html xmlns='http://www.w3.org/1999/xhtml' xml:lang='en' lang='en'><head><meta http-equiv='Content-Type' "
        "content='text/html; charset=utf-8'/></head><body><h1>%d %s</h1></body></html>",
        status, http_status_text(status));
    if (str_eq(r->method, S("HEAD")))
        body = S("");
    struct http_header *all = arena_alloc(r->arena, (n + 1) * sizeof(*all));
    if (n)
        memcpy(all, headers, n * sizeof(*all));
    all[n] = (struct http_header){S("X-Request-Id"), http_request_id(r)};
    http_respond(r, status, S("text/html; charset=utf-8"), all, n + 1, body);
}

/* Number of elements, or -1: malformed or too many. */
static int split_path(struct arena *a, struct str path, struct str out[PATH_MAX_ELEMENTS])
{
    struct str part;
    int n = 0;
    while (str_split(&path, '/', &part)) {
        if (str_find(part, '%') >= 0 && !http_percent_decode(a, part, false, &part))
            return -1;
        if (part.n && memchr(part.p, '\0', part.n))
            return -1;
        if (part.n == 0 || str_eq(part, S(".")))
            continue;
        if (str_eq(part, S(".."))) {
            n -= n > 0;
            continue;
        }
        if (n == PATH_MAX_ELEMENTS)
            return -1;
        out[n++] = part;
    }
    return n;
}

static const struct http_mount *find_mount(const struct http_routes *t, const struct str *path, size_t n)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct http_mount *m = &t->mounts[i];
        size_t k = 0;
        while (k < m->prefix_count && k < n && str_eq(m->prefix[k], path[k]))
            k++;
        if (k == m->prefix_count)
            return m;
    }
    return NULL;
}

/* Other methods, and bodies that are announced but missing, never reach a handler: COMPAT(ejabberd). */
static bool method_served(const struct http_request *r)
{
    if (str_eq(r->method, S("POST")) || str_eq(r->method, S("PUT")))
        return r->body.n > 0;
    return str_eq(r->method, S("GET")) || str_eq(r->method, S("HEAD")) || str_eq(r->method, S("OPTIONS")) ||
           str_eq(r->method, S("DELETE"));
}

void http_routes_handle(struct http_request *r)
{
    const struct http_app *app = listener_app(conn_listener(r->conn));
    const struct http_routes *t = app->data;
    struct str path[PATH_MAX_ELEMENTS];
    int n = method_served(r) ? split_path(r->arena, r->path, path) : -1;
    if (n < 0) {
        http_page(r, 400, t->headers, t->header_count);
        return;
    }
    const struct http_mount *m = find_mount(t, path, (size_t)n);
    const struct http_handler *h = !m ? NULL : m->handler ? m->handler : module_http(m->module); /* they come and go */
    if (!h)
        http_page(r, 404, t->headers, t->header_count);
    else
        h->handle(r, m, path + m->prefix_count, (size_t)n - m->prefix_count);
}

/* --- construction --- */

static int by_length(const void *a, const void *b)
{
    const struct http_mount *x = a, *y = b;
    return x->prefix_count < y->prefix_count ? 1 : x->prefix_count > y->prefix_count ? -1 : 0;
}

static const struct http_header *join_headers(struct http_routes *t, size_t cors, size_t *n_out)
{
    struct http_header *h = ARENA_ARRAY(t->arena, struct http_header, cors + t->header_count);
    memcpy(h, cors_headers, cors * sizeof(*h));
    if (t->header_count)
        memcpy(h + cors, t->headers, t->header_count * sizeof(*h));
    *n_out = cors + t->header_count;
    return h;
}

static void custom_headers(struct http_routes *t, const struct yaml *map)
{
    size_t n = map && map->kind == YAML_MAP ? map->n : 0;
    t->headers = ARENA_ARRAY(t->arena, struct http_header, n + 1);
    for (size_t i = 0; i < n && i < HEADERS_MAX; i++)
        t->headers[t->header_count++] = (struct http_header){arena_str(t->arena, map->keys[i]),
                                                             arena_str(t->arena, map->items[i]->text)};
}

static int add_mount(struct http_routes *t, struct str prefix, const struct yaml *module, struct str tag, struct error *err)
{
    struct http_mount *m = &t->mounts[t->count++];
    struct str parts[PATH_MAX_ELEMENTS];
    int n = split_path(t->arena, arena_str(t->arena, prefix), parts);
    if (n < 0 || module->kind != YAML_SCALAR)
        return yaml_error(module, err, "request_handlers: expected \"/path: module\"");
    m->prefix_count = (size_t)n;
    m->prefix = memcpy(ARENA_ARRAY(t->arena, struct str, m->prefix_count + 1), parts, m->prefix_count * sizeof(*parts));
    m->module = arena_str(t->arena, module->text);
    m->tag = tag.p ? arena_str(t->arena, tag) : STR_NULL;
    m->headers = t->headers;
    m->header_count = t->header_count;
    m->cors = join_headers(t, 2, &m->cors_count);
    m->preflight = join_headers(t, 4, &m->preflight_count);
    m->handler = http_handler_find(m->module);
    return 0;
}

struct http_app *http_routes_new(const struct listen_conf *lc, struct error *err)
{
    struct arena *a = arena_new();
    struct http_routes *t = ARENA_NEW(a, struct http_routes);
    const struct yaml *map = opt_node(lc->options, "request_handlers");
    size_t n = map && map->kind == YAML_MAP ? map->n : 0;
    t->arena = a;
    t->app = (struct http_app){.handle = http_routes_handle, .data = t};
    custom_headers(t, opt_node(lc->options, "custom_headers"));
    t->mounts = ARENA_ARRAY(a, struct http_mount, n + 1);
    struct http_app *app = &t->app;
    for (size_t i = 0; i < n; i++)
        if (add_mount(t, map->keys[i], map->items[i], opt_str(lc->options, "tag"), err) < 0) {
            http_routes_delete(&app);
            return NULL;
        }
    qsort(t->mounts, t->count, sizeof(*t->mounts), by_length);
    return app;
}

void http_routes_delete(struct http_app **app)
{
    if (!*app)
        return;
    struct arena *a = ((struct http_routes *)(*app)->data)->arena;
    *app = NULL;
    arena_release(&a);
}
