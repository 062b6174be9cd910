/*
 * Alternative connection methods of a host, XEP-0156: an HTTP handler for /.well-known/host-meta and host-meta.json, which says
 * where BOSH and WebSocket are. URLs are the options', or those of the first listener with TLS that has such a handler: others
 * must not be announced (§2: https and wss only). Pure but for answering; runs on the connection's fiber.
 */
#include "mod/api/host_meta.h"

#include "core/http_routes.h"
#include "core/module/module.h"
#include "xml/writer.h"
#include "xmpp/jid.h"

#include <jansson.h>
#include <stdlib.h>

static const struct {
    const char *rel, *option, *scheme, *handler;
} methods[HOST_META_LINKS] = {
    {"urn:xmpp:alt-connections:xbosh", "bosh_service_url", "https", "mod_bosh"},
    {"urn:xmpp:alt-connections:websocket", "websocket_url", "wss", "ejabberd_http_ws"}};

/* --- links --- */

static const struct yaml *path_of(const struct listen_conf *l, struct str handler)
{
    const struct yaml *map = str_eq(l->module, S("ejabberd_http")) && opt_bool(l->options, "tls")
                                 ? opt_node(l->options, "request_handlers") : NULL;
    for (size_t i = 0; map && map->kind == YAML_MAP && i < map->n; i++)
        if (map->items[i]->kind == YAML_SCALAR && str_eq(map->items[i]->text, handler))
            return map->key_nodes[i];
    return NULL;
}

/* What this server does not answer is not announced. */
static struct str detect(struct arena *a, const struct config *c, const struct vhost *h, const char *scheme, struct str handler)
{
    if (!http_handler_find(handler) && !module_http(handler))
        return STR_NULL;
    for (size_t i = 0; i < c->listener_count; i++) {
        const struct yaml *path = c->listeners[i].port ? path_of(&c->listeners[i], handler) : NULL;
        bool slash = path && path->text.n && path->text.p[0] == '/';
        if (path)
            return arena_printf(a, "%s://%.*s:%u%s%.*s", scheme, STR_ARG(h->name), c->listeners[i].port, slash ? "" : "/",
                                STR_ARG(path->text));
    }
    return STR_NULL;
}

size_t host_meta_links(struct arena *a, const struct config *c, const struct vhost *h, struct host_meta_link out[HOST_META_LINKS])
{
    const struct options *o = config_module(h, S("mod_host_meta"));
    size_t n = 0;
    for (size_t i = 0; o && i < HOST_META_LINKS; i++) {
        struct str url = opt_str(o, methods[i].option);
        if (str_eq(url, S("auto")))
            url = detect(a, c, h, methods[i].scheme, str_of(methods[i].handler));
        if (url.n && !str_eq(url, S("undefined")))
            out[n++] = (struct host_meta_link){methods[i].rel, url};
    }
    return n;
}

/* --- documents --- */

struct str host_meta_xrd(struct arena *a, const struct host_meta_link *links, size_t n)
{
    struct buf b = BUF_INIT;
    buf_add_str(&b, S("<?xml version='1.0' encoding='utf-8'?>\n<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>"));
    for (size_t i = 0; i < n; i++) {
        buf_printf(&b, "<Link rel='%s' href='", links[i].rel);
        xml_escape_attr(&b, links[i].href);
        buf_add_str(&b, S("'/>"));
    }
    buf_add_str(&b, S("</XRD>"));
    struct str text = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return text;
}

struct str host_meta_jrd(struct arena *a, const struct host_meta_link *links, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:s, s:s%}", "rel", links[i].rel, "href", links[i].href.p, links[i].href.n));
    json_t *doc = json_pack("{s:o}", "links", list);
    char *text = json_dumps(doc, JSON_COMPACT);
    struct str out = arena_str(a, text ? str_of(text) : S("{\"links\":[]}"));
    free(text);
    json_decref(doc);
    return out;
}

/* --- requests --- */

const struct vhost *host_meta_host(struct arena *a, const struct config *c, struct str header)
{
    struct str name = header;
    ptrdiff_t colon = str_find(header, ':');
    if (colon >= 0)
        name = str_n(header.p, (size_t)colon);
    return name.n && name.n <= JID_PART_MAX && jid_nameprep(a, name, &name) ? config_host(c, name) : NULL;
}

static void answer(struct http_request *r, const struct http_mount *m, bool json)
{
    const struct config *c = config_current();
    const struct vhost *h = host_meta_host(r->arena, c, http_header(r, S("host")));
    struct host_meta_link links[HOST_META_LINKS];
    if (!h || !config_module(h, S("mod_host_meta"))) {
        http_page(r, 404, m->cors, m->cors_count);
        return;
    }
    size_t n = host_meta_links(r->arena, c, h, links);
    struct str body = json ? host_meta_jrd(r->arena, links, n) : host_meta_xrd(r->arena, links, n);
    http_respond(r, 200, json ? S("application/json") : S("application/xrd+xml; charset=utf-8"), m->cors, m->cors_count,
                 str_eq(r->method, S("HEAD")) ? S("") : body);
}

/* Mounted on a document, or on the folder above both. */
static void handle(struct http_request *r, const struct http_mount *m, const struct str *path, size_t n)
{
    struct str name = n ? path[0] : m->prefix_count ? m->prefix[m->prefix_count - 1] : STR_NULL;
    bool json = str_eq(name, S("host-meta.json")), reads = str_eq(r->method, S("GET")) || str_eq(r->method, S("HEAD"));
    if (n > 1 || (!json && !str_eq(name, S("host-meta"))))
        http_page(r, 404, m->cors, m->cors_count);
    else if (str_eq(r->method, S("OPTIONS")))
        http_respond(r, 200, S("text/plain"), m->preflight, m->preflight_count, S(""));
    else if (reads)
        answer(r, m, json);
    else
        http_page(r, 405, m->cors, m->cors_count);
}

HTTP_HANDLER(host_meta_handler) = {"mod_host_meta", handle};

MODULE(mod_host_meta) = {.name = "mod_host_meta", .xep = "XEP-0156 1.4.0"};
