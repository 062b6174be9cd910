/* Listeners from the configuration; see the header. State belongs to shard 0. */
#include "core/listeners.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/c2s/c2s.h"
#include "xml/stream.h"
#include <stdio.h>
#include <stdlib.h>

#define KINDS_MAX 16

struct running {
    struct list link;
    struct listener *listener;
    struct str key;     /* address and every option, to tell a changed one from an unchanged one */
    bool wanted;
    struct arena *arena;
};

static const struct listen_kind *kinds[KINDS_MAX];
static unsigned kinds_n;
static struct list running = {&running, &running};

void listeners_register(const struct listen_kind *kind)
{
    if (kinds_n == KINDS_MAX)
        abort();
    kinds[kinds_n++] = kind;
}

static const struct listen_kind *find_kind(struct str module)
{
    for (unsigned i = 0; i < kinds_n; i++)
        if (str_eq(module, str_of(kinds[i]->module)))
            return kinds[i];
    return NULL;
}

/* --- TLS --- */

static const char *cstr_or_null(struct arena *a, struct str s)
{
    return s.n ? arena_cstr(a, s) : NULL;
}

/* A list option as one text; absent when it is empty. */
static struct str joined(struct arena *a, const struct options *o, const char *name, const char *sep)
{
    const struct str *v;
    size_t n = opt_list(o, name, &v);
    struct str all = STR_NULL;
    for (size_t i = 0; i < n; i++)
        all = arena_printf(a, "%.*s%s%.*s", STR_ARG(all), i ? sep : "", STR_ARG(v[i]));
    return all;
}

static const char *pick(struct arena *a, const struct listen_conf *lc, const char *own, struct str general)
{
    struct str v = opt_str(lc->options, own);
    return cstr_or_null(a, v.n ? v : general);
}

/* The host-wide options are for client streams only. */
struct general {
    struct str ciphers, dhfile, cafile, protocol_options;
};

static bool openssl_records(const struct config *c)
{
    return str_eq(opt_str(c->global, "tls_record_layer"), S("openssl"));
}

static struct general general_options(struct arena *a, const struct listen_conf *lc, const struct config *c)
{
    if (!str_eq(lc->module, S("ejabberd_c2s")))
        return (struct general){0};
    return (struct general){.ciphers = joined(a, c->global, "c2s_ciphers", ":"), .dhfile = opt_str(c->global, "c2s_dhfile"),
                            .cafile = opt_str(c->global, "c2s_cafile"),
                            .protocol_options = joined(a, c->global, "c2s_protocol_options", "|")};
}

struct tls_ctx *listeners_tls(const struct listen_conf *lc, const struct config *c, struct error *err)
{
    struct arena *a = arena_new();
    struct general g = general_options(a, lc, c);
    struct str po = joined(a, lc->options, "protocol_options", "|");
    struct tls_options o = {.ciphers = pick(a, lc, "ciphers", g.ciphers),
                            .protocol_options = cstr_or_null(a, po.n ? po : g.protocol_options),
                            .dhfile = pick(a, lc, "dhfile", g.dhfile), .cafile = pick(a, lc, "cafile", g.cafile),
                            .request_client_cert = str_eq(lc->module, S("ejabberd_c2s")) && opt_bool(lc->options, "tls_verify"),
                            .openssl_records = openssl_records(c)};
    struct tls_ctx *ctx = tls_ctx_new(&o, err);
    arena_release(&a);
    return ctx;
}

/* --- client streams --- */

static void drop_tls(void *arg)
{
    struct tls_ctx *ctx = arg;
    tls_ctx_delete(&ctx);
}

static void drop_config(void *arg)
{
    struct config *c = arg;
    config_release(&c);
}

static int make_c2s(struct arena *a, const struct listen_conf *lc, const struct config *c, struct listener_config *out,
                    struct error *err)
{
    static const char *const alpn[] = {"xmpp-client", NULL};
    struct c2s_listen *l = ARENA_NEW(a, struct c2s_listen);
    int64_t max = opt_int(lc->options, "max_stanza_size");
    l->access = opt_node(lc->options, "access");
    l->shaper = opt_node(lc->options, "shaper");
    arena_on_release(a, drop_config, config_hold(c));
    l->starttls_required = opt_bool(lc->options, "starttls_required");
    l->verify = opt_bool(lc->options, "tls_verify");
    l->cafile = opt_str(lc->options, "cafile");
    l->plain_sasl2 = opt_bool(lc->options, "allow_unencrypted_sasl2");
    l->starttls = l->starttls_required || opt_bool(lc->options, "starttls");
    l->max_stanza = max == OPT_INFINITY || max > (int64_t)XML_HARD_MAX ? XML_HARD_MAX : (size_t)max;
    if (l->starttls) {
        l->tls_ctx = listeners_tls(lc, c, err);
        if (!l->tls_ctx)
            return -1;
        arena_on_release(a, drop_tls, l->tls_ctx);
    }
    out->on_accept = c2s_accept;
    out->app = l;
    out->alpn = alpn;
    return 0;
}

static const struct listen_kind c2s_kind = {"ejabberd_c2s", make_c2s};

/* --- keeping what runs equal to what is configured --- */

static const char *describe(struct arena *a, const struct listen_conf *lc)
{
    char ip[IP_TEXT_MAX];
    return lc->unix_path.n ? arena_cstr(a, arena_printf(a, "%.*s unix:%.*s", STR_ARG(lc->module), STR_ARG(lc->unix_path)))
                           : arena_cstr(a, arena_printf(a, "%.*s %s:%u", STR_ARG(lc->module), ip_print(&lc->ip, ip), lc->port));
}

/* "inf" is what the net room calls 0. */
static unsigned limit_of(const struct options *o, const char *name)
{
    int64_t n = opt_int(o, name);
    return n == OPT_INFINITY ? 0 : (unsigned)n;
}

static int fill(struct running *r, const struct listen_kind *kind, const struct listen_conf *lc, const struct config *c,
                struct listener_config *cfg, struct error *err)
{
    bool tls = opt_bool(lc->options, "tls");
    *cfg = (struct listener_config){
        .name = describe(r->arena, lc), .unix_path = cstr_or_null(r->arena, lc->unix_path), .unix_mode = 0660, .ip = lc->ip,
        .port = lc->port, .backlog = (int)opt_int(lc->options, "backlog"),
        .use_proxy_protocol = opt_bool(lc->options, "use_proxy_protocol"), .tls = tls,
        .default_host = c->host_count ? arena_cstr(r->arena, c->hosts[0].name) : NULL,
        .max_connections = limit_of(lc->options, "max_connections"),
        .max_per_ip = limit_of(lc->options, "max_connections_per_ip"),
        .send_timeout_ms = limit_of(lc->options, "send_timeout"), .arena = r->arena};
    if (tls && !(cfg->tls_ctx = listeners_tls(lc, c, err)))
        return -1;
    return kind->make(r->arena, lc, c, cfg, err);
}

/* All that makes a listener what it is: a change of any of it means a new one. */
static struct str key_of(struct arena *a, const struct config *c, const struct listen_conf *lc)
{
    struct general g = general_options(a, lc, c);
    struct buf b = BUF_INIT;
    if (lc->where)
        yaml_write(&b, lc->where, NULL);
    buf_printf(&b, "\n%s", describe(a, lc));
    buf_printf(&b, "\n%.*s\n%.*s\n%.*s\n%.*s\n%d", STR_ARG(g.ciphers), STR_ARG(g.dhfile), STR_ARG(g.cafile),
               STR_ARG(g.protocol_options), openssl_records(c));
    struct str key = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return key;
}

static int start_one(const struct listen_kind *kind, const struct listen_conf *lc, const struct config *c, struct str key,
                     struct error *err) YIELDS;
static int start_one(const struct listen_kind *kind, const struct listen_conf *lc, const struct config *c, struct str key,
                     struct error *err)
{
    struct running *r = mem_zalloc(sizeof *r);
    r->arena = arena_new();
    r->key = arena_str(r->arena, key);
    r->wanted = true;
    struct listener_config cfg = {0};
    struct arena *listeners_own = arena_hold(r->arena);
    if (fill(r, kind, lc, c, &cfg, err) == 0) {
        listeners_own = NULL; /* listener_start takes it, and the TLS settings, whatever comes of it */
        r->listener = listener_start(&cfg, err);
    } else {
        tls_ctx_delete(&cfg.tls_ctx);
    }
    arena_release(&listeners_own);
    if (!r->listener) {
        err_wrap(err, "%s", describe(r->arena, lc));
        arena_release(&r->arena);
        free(r);
        return -1;
    }
    list_push(&running, &r->link);
    LOG(INFO, "listen", NULL, "start accepting connections at %s", cfg.name);
    return 0;
}

static void stop_one(struct running *r) YIELDS;
static void stop_one(struct running *r)
{
    list_del(&r->link);
    LOG(INFO, "listen", NULL, "stop accepting connections at %s", listener_config(r->listener)->name);
    listener_stop(&r->listener);
    arena_release(&r->arena);
    free(r);
}

static struct running *find_running(struct str key)
{
    LIST_EACH(it, &running) {
        struct running *r = LIST_ENTRY(it, struct running, link);
        if (str_eq(r->key, key))
            return r;
    }
    return NULL;
}

static void stop_unwanted(void) YIELDS;
static void stop_unwanted(void)
{
    LIST_EACH_SAFE(it, &running) {
        struct running *r = LIST_ENTRY(it, struct running, link);
        if (!r->wanted)
            stop_one(r);
    }
}

int listeners_apply(const struct config *c, struct error *err)
{
    struct arena *a = arena_new();
    int rc = 0;
    if (!find_kind(S("ejabberd_c2s")))
        listeners_register(&c2s_kind);
    LIST_EACH(it, &running)
        LIST_ENTRY(it, struct running, link)->wanted = false;
    struct str *keys = ARENA_ARRAY(a, struct str, c->listener_count + 1);
    for (size_t i = 0; i < c->listener_count; i++) {
        keys[i] = key_of(a, c, &c->listeners[i]);
        struct running *r = find_running(keys[i]);
        if (r)
            r->wanted = true;
    }
    stop_unwanted(); /* first, so that a changed one finds its port free */
    for (size_t i = 0; i < c->listener_count; i++) {
        const struct listen_kind *kind = find_kind(c->listeners[i].module);
        if (!kind || c->listeners[i].udp || find_running(keys[i]))
            continue; /* the configuration said already that this kind has no effect yet */
        struct error e = ERROR_INIT;
        if (start_one(kind, &c->listeners[i], c, keys[i], &e) != 0 && rc == 0) {
            *err = e;
            rc = -1;
        }
    }
    arena_release(&a);
    return rc;
}

void listeners_drain(bool keep_c2s)
{
    LIST_EACH(it, &running) {
        struct running *r = LIST_ENTRY(it, struct running, link);
        r->wanted = keep_c2s && listener_config(r->listener)->on_accept == c2s_accept;
    }
    stop_unwanted();
}

void listeners_stop(void)
{
    LIST_EACH(it, &running)
        LIST_ENTRY(it, struct running, link)->wanted = false;
    stop_unwanted();
}
