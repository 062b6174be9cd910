/*
 * The local control socket. Lives on shard 0 like every local listener; a request runs on the connection's fiber, several
 * may follow on one connection. Hostile input: only the server's own user and root get past on_accept, lengths are
 * bounded anyway. A connection owns a buffer only while a request is incomplete.
 */
#include "admin/ctl.h"

#include "admin/ctl_proto.h"
#include "admin/start.h"
#include "base/mem.h"
#include "base/secret.h"
#include "rt/fiber.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#define PENDING_MAX (1u << 20)
#define DRAIN_MS 2

/* Bytes of the whole request at the front; 0: the header is incomplete; -1: not this protocol or over the limits. */
static ptrdiff_t request_size(const char *data, size_t n)
{
    if (memcmp(data, CTL_MAGIC, n < 4 ? n : 4))
        return -1;
    if (n < CTL_HEADER)
        return 0;
    const unsigned char *u = (const unsigned char *)data + 4;
    size_t len = (size_t)u[0] | (size_t)u[1] << 8 | (size_t)u[2] << 16 | (size_t)u[3] << 24;
    return len == 0 || len > CTL_MAX_REQUEST ? -1 : (ptrdiff_t)(CTL_HEADER + len);
}

ptrdiff_t ctl_parse(const char *data, size_t n, struct str *out, size_t *count_out)
{
    ptrdiff_t size = request_size(data, n);
    if (size <= 0)
        return size;
    if (n < (size_t)size)
        return 0;
    const char *p = data + CTL_HEADER, *end = data + size;
    if (end[-1] != '\0')
        return -1;
    for (*count_out = 0; p < end;) {
        if (*count_out == CTL_MAX_WORDS)
            return -1;
        size_t word = strlen(p);
        out[(*count_out)++] = str_n(p, word);
        p += word + 1;
    }
    return size;
}

struct conn_output {
    struct ctl_output out; /* first */
    struct conn *c;
};

static void write_frame(struct conn *c, char kind, struct str bytes)
{
    unsigned char head[CTL_FRAME_HEADER] = {(unsigned char)kind, bytes.n & 0xff, bytes.n >> 8 & 0xff, bytes.n >> 16 & 0xff,
                                            bytes.n >> 24 & 0xff};
    conn_write(c, str_n((const char *)head, sizeof(head)));
    conn_write(c, bytes);
}

/* A slow reader of a long list slows the list down instead of filling memory. */
static int on_write(struct ctl_output *o, char kind, struct str bytes) YIELDS;
static int on_write(struct ctl_output *o, char kind, struct str bytes)
{
    struct conn *c = ((struct conn_output *)o)->c;
    write_frame(c, kind, bytes);
    while (conn_alive(c) && conn_pending(c) > PENDING_MAX)
        fiber_sleep(DRAIN_MS);
    return conn_alive(c) ? 0 : -1;
}

static void serve(struct conn *c, const struct str *words, size_t n) YIELDS;
static void serve(struct conn *c, const struct str *words, size_t n)
{
    struct conn_output o = {.out.write = on_write, .c = c};
    char code = (char)ctl_run(words, n, &o.out);
    write_frame(c, CTL_FRAME_EXIT, str_n(&code, 1));
}

/* Bytes of the complete requests at the front, after they were served. */
static size_t serve_all(struct conn *c, const char *data, size_t n) YIELDS;
static size_t serve_all(struct conn *c, const char *data, size_t n)
{
    size_t used = 0, count;
    struct str *words = mem_alloc(CTL_MAX_WORDS * sizeof(*words)); /* too big for a fiber's stack */
    while (used < n && conn_alive(c)) {
        ptrdiff_t took = ctl_parse(data + used, n - used, words, &count);
        if (took < 0)
            conn_abort(c, "not the control protocol");
        if (took <= 0)
            break;
        serve(c, words, count);
        used += (size_t)took;
    }
    free(words);
    return used;
}

/* There may be a password in it. */
static void forget(struct buf *in)
{
    if (in->p)
        secret_wipe(in->p, in->cap);
    buf_deinit(in);
    *in = BUF_INIT;
}

/* A request may be larger than what is offered at once: its beginning is kept, in one piece of the size it names. */
static void keep(struct buf *in, const char *data, size_t n)
{
    ptrdiff_t size = in->n ? 0 : request_size(data, n);
    buf_reserve(in, size > (ptrdiff_t)n ? (size_t)size : n);
    buf_add(in, data, n);
}

static size_t on_bytes(struct conn *c, const char *data, size_t n) YIELDS;
static size_t on_bytes(struct conn *c, const char *data, size_t n)
{
    struct buf *in = conn_owner(c);
    if (in->n == 0) {
        size_t used = serve_all(c, data, n);
        if (used < n && conn_alive(c))
            keep(in, data + used, n - used);
        return n;
    }
    keep(in, data, n);
    struct buf whole = *in; /* served from a buffer that nobody else appends to */
    *in = BUF_INIT;
    size_t used = serve_all(c, whole.p, whole.n);
    if (used == 0) {
        *in = whole;
        return n;
    }
    if (used < whole.n && conn_alive(c))
        keep(in, whole.p + used, whole.n - used);
    forget(&whole);
    return n;
}

static void on_closed(struct conn *c, const char *why)
{
    struct buf *in = conn_owner(c);
    (void)why;
    if (!in)
        return;
    forget(in);
    free(in);
}

static void on_overflow(struct conn *c)
{
    conn_abort(c, "the control client does not read");
}

static const struct conn_ops ops = {.on_bytes = on_bytes, .on_closed = on_closed, .on_overflow = on_overflow};

static void on_accept(struct conn *c)
{
    uint32_t uid;
    conn_set_owner(c, &ops, MEM_NEW(struct buf));
    conn_set_send_timeout(c, 0); /* somebody reads a long list in a pager */
    if (!conn_peer_uid(c, &uid) || (uid != geteuid() && uid != 0))
        conn_abort(c, "control socket: not the server's user");
}

static struct listener *listener;
static char path[4096];
static int folder = -1; /* of the socket, when its path is too long for an address */

static const char *short_path(const char *spool_dir, char *alias, size_t size)
{
    snprintf(path, sizeof(path), "%s/%s", spool_dir, CTL_SOCKET);
    if (strlen(path) < sizeof(((struct sockaddr_un *)0)->sun_path))
        return path;
    if (folder < 0)
        folder = open(spool_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    snprintf(alias, size, "/proc/self/fd/%d/%s", folder, CTL_SOCKET);
    return alias;
}

int ctl_start(const char *spool_dir, struct error *err)
{
    char alias[64];
    if (admin_start(err) < 0)
        return -1;
    struct listener_config cfg = {.name = "control socket", .unix_path = short_path(spool_dir, alias, sizeof(alias)),
                                  .unix_mode = 0600, .backlog = 64, .on_accept = on_accept};
    listener = listener_start(&cfg, err);
    return listener ? 0 : -1;
}

static void stop_fiber(void *arg) YIELDS;
static void stop_fiber(void *arg)
{
    (void)arg;
    listener_stop(&listener);
    if (folder >= 0)
        close(folder);
    folder = -1;
}

void ctl_stop(void)
{
    if (!listener)
        return;
    unlink(path);
    fiber_run(stop_fiber, NULL);
}
