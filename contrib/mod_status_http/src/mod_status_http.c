/*
 * State of the server for monitoring. Mount it in ejabberd.yml:
 *     request_handlers:
 *       /status: mod_status_http
 * GET /status answers JSON, GET /status/metrics the text format of Prometheus. Whoever reaches the listener may read: numbers and host
 * names only, nothing about accounts. Counting asks every shard, so a request suspends.
 */
#include "cjabberd/module.h"

#include <unistd.h>

static uint64_t resident_bytes(void)
{
    unsigned long long all, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f) {
        if (fscanf(f, "%llu %llu", &all, &resident) != 2)
            resident = 0;
        fclose(f);
    }
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Sessions of every host, in the order of `hosts`; the configuration may change while the shards are asked, so names are copied. */
struct counts {
    struct str *hosts;
    uint64_t *sessions;
    size_t n;
};

static int count(struct arena *a, struct counts *c, struct error *err) YIELDS;
static int count(struct arena *a, struct counts *c, struct error *err)
{
    const struct config *conf = config_current();
    c->n = conf->host_count;
    c->hosts = ARENA_ARRAY(a, struct str, c->n + 1);
    c->sessions = ARENA_ARRAY(a, uint64_t, c->n + 1);
    for (size_t i = 0; i < c->n; i++)
        c->hosts[i] = arena_str(a, conf->hosts[i].name);
    for (size_t i = 0; i < c->n; i++)
        if (account_count_sessions(c->hosts[i], &c->sessions[i], err) != 0)
            return -1;
    return 0;
}

/* Host names are prepared: no character needs an escape in either format. */
static void write_json(struct buf *b, const struct counts *c)
{
    uint64_t all = 0;
    for (size_t i = 0; i < c->n; i++)
        all += c->sessions[i];
    buf_printf(b, "{\"version\":\"%s\",\"uptime_seconds\":%llu,\"resident_bytes\":%llu,\"sessions\":%llu,\"hosts\":{", server_own_version(),
               (unsigned long long)server_uptime_s(), (unsigned long long)resident_bytes(), (unsigned long long)all);
    for (size_t i = 0; i < c->n; i++)
        buf_printf(b, "%s\"%.*s\":%llu", i ? "," : "", STR_ARG(c->hosts[i]), (unsigned long long)c->sessions[i]);
    buf_add_str(b, S("}}\n"));
}

static void write_metrics(struct buf *b, const struct counts *c)
{
    buf_printf(b, "# TYPE cjabberd_uptime_seconds gauge\ncjabberd_uptime_seconds %llu\n", (unsigned long long)server_uptime_s());
    buf_printf(b, "# TYPE cjabberd_resident_bytes gauge\ncjabberd_resident_bytes %llu\n", (unsigned long long)resident_bytes());
    buf_add_str(b, S("# TYPE cjabberd_sessions gauge\n"));
    for (size_t i = 0; i < c->n; i++)
        buf_printf(b, "cjabberd_sessions{host=\"%.*s\"} %llu\n", STR_ARG(c->hosts[i]), (unsigned long long)c->sessions[i]);
}

static void handle(struct http_request *r, const struct http_mount *m, const struct str *path, size_t n) YIELDS;
static void handle(struct http_request *r, const struct http_mount *m, const struct str *path, size_t n)
{
    bool metrics = n == 1 && str_eq(path[0], S("metrics")), head = str_eq(r->method, S("HEAD"));
    struct counts c;
    struct error err = ERROR_INIT;
    struct buf b = BUF_INIT;
    if ((n && !metrics) || (!head && !str_eq(r->method, S("GET")))) {
        http_page(r, n && !metrics ? 404 : 405, m->headers, m->header_count);
        return;
    }
    if (count(r->arena, &c, &err) != 0) {
        http_page(r, 503, m->headers, m->header_count);
        return;
    }
    if (metrics)
        write_metrics(&b, &c);
    else
        write_json(&b, &c);
    http_respond(r, 200, metrics ? S("text/plain; version=0.0.4; charset=utf-8") : S("application/json"), m->headers, m->header_count,
                 head ? S("") : buf_str(&b));
    buf_deinit(&b);
}

static const struct http_handler handlers[] = {{"mod_status_http", handle}, {0}};

MODULE(mod_status_http) = {.name = "mod_status_http", .http = handlers};
