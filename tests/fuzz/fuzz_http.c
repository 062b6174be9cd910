/*
 * HTTP requests from arbitrary bytes through a real connection: whole and in pieces the handler must see the same
 * requests, every request gets one answer, and the connection ends when the peer's bytes do.
 */
#include "base/hash.h"
#include "net/http_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define CHECK(cond)  \
    do {             \
        if (!(cond)) \
            abort(); \
    } while (0)

static uint64_t seen;
static unsigned requests;

static void note(struct str s)
{
    seen = seen * 31 + hash_bytes(s.p ? s.p : "", s.n) + (s.p != NULL);
}

static void handle(struct http_request *r) YIELDS;

static void handle(struct http_request *r)
{
    struct str out;
    requests++;
    CHECK(r->path.p && r->method.n && r->body.n <= 5000);
    note(r->method);
    note(r->path);
    note(r->query);
    note(r->body);
    for (size_t i = 0; i < r->header_count; i++) {
        note(r->headers[i].name);
        note(r->headers[i].value);
    }
    if (r->query.p && http_percent_decode(r->arena, r->query, true, &out))
        CHECK(out.n <= r->query.n);
    if (requests % 3 == 0)
        fiber_sleep(0);
    struct str id = http_request_id(r);
    CHECK(id.n > 0 && id.n <= HTTP_ID_MAX);
    struct http_header echo = {S("X-Echo"), r->path};
    http_respond(r, 200, http_header(r, S("content-type")), &echo, 1, r->body);
}

static const struct http_app app = {.handle = handle, .limits = {.max_body = 5000, .max_header_bytes = 3000}};

static void start(void)
{
    struct error err;
    struct rt_config cfg = {.shards = 1, .pool_threads = 1};
    signal(SIGPIPE, SIG_IGN);
    CHECK(rt_start(&cfg, NULL, &err) == 0);
}

static void drain(int fd)
{
    char sink[4096];
    while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
        ;
}

static void run(const uint8_t *p, size_t n, size_t step)
{
    int fd[2];
    struct ip none = {0};
    seen = requests = 0;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
    struct conn *c = conn_new(fd[0], &none, 0, NULL);
    CHECK(c);
    conn_hold(c);
    http_attach(c, &app);
    conn_begin(c);
    for (size_t at = 0; at < n && conn_alive(c);) {
        size_t k = n - at < step ? n - at : step;
        ssize_t w = send(fd[1], p + at, k, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (w > 0)
            at += (size_t)w;
        else if (errno != EAGAIN)
            break;
        uv_run(shard_loop(), UV_RUN_NOWAIT);
        drain(fd[1]);
    }
    shutdown(fd[1], SHUT_WR);
    while (!c->told || c->state != CONN_DEAD) {
        uv_run(shard_loop(), UV_RUN_NOWAIT);
        drain(fd[1]);
    }
    uv_run(shard_loop(), UV_RUN_NOWAIT);
    conn_release(&c);
    close(fd[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool started;
    if (!started)
        start();
    started = true;
    if (n < 2 || n > 20000)
        return 0;
    run(data + 1, n - 1, n);
    uint64_t whole = seen;
    unsigned count = requests;
    run(data + 1, n - 1, 1 + data[0] % 61);
    CHECK(seen == whole && requests == count);
    return 0;
}
