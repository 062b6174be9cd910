/*
 * The local control socket. Lives on shard 0 like every local listener; a request runs on the connection's fiber, several
 * may follow on one connection. Hostile input: only the server's own user and root get past ctl_accept, lengths are
 * bounded anyway.
 */
#include "admin/ctl.h"

#include "admin/ctl_proto.h"
#include "admin/start.h"
#include "base/mem.h"
#include "rt/fiber.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HEADER 8
#define PENDING_MAX (1u << 20)
#define DRAIN_MS 2

ptrdiff_t ctl_parse(const char *data, size_t n, struct str *out, size_t *count_out)
{
    if (n < HEADER)
        return memcmp(data, CTL_MAGIC, n < 4 ? n : 4) ? -1 : 0;
    if (memcmp(data, CTL_MAGIC, 4))
        return -1;
    const unsigned char *u = (const unsigned char *)data + 4;
    size_t len = (size_t)u[0] | (size_t)u[1] << 8 | (size_t)u[2] << 16 | (size_t)u[3] << 24;
    if (len == 0 || len > CTL_MAX_REQUEST)
        return -1;
    if (n - HEADER < len)
        return 0;
    const char *p = data + HEADER, *end = p + len;
    if (end[-1] != '\0')
        return -1;
    for (*count_out = 0; p < end;) {
        if (*count_out == CTL_MAX_WORDS)
            return -1;
        size_t word = strlen(p);
        out[(*count_out)++] = str_n(p, word);
        p += word + 1;
    }
    return (ptrdiff_t)(HEADER + len);
}

struct conn_output {
    struct ctl_output out; /* first */
    struct conn *c;
};

static void write_frame(struct conn *c, char kind, struct str bytes)
{
    unsigned char head[5] = {(unsigned char)kind, bytes.n & 0xff, bytes.n >> 8 & 0xff, bytes.n >> 16 & 0xff, bytes.n >> 24 & 0xff};
    conn_write(c, str_n((const char *)head, sizeof(head)));
    conn_write(c, bytes);
}

/* A slow reader of a long list slows the list down instead of filling memory. */
static int on_write(struct ctl_output *o, struct str bytes) YIELDS;
static int on_write(struct ctl_output *o, struct str bytes)
{
    struct conn *c = ((struct conn_output *)o)->c;
    write_frame(c, CTL_FRAME_OUTPUT, bytes);
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

static size_t on_bytes(struct conn *c, const char *data, size_t n) YIELDS;
static size_t on_bytes(struct conn *c, const char *data, size_t n)
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

static void on_closed(struct conn *c, const char *why)
{
    (void)c;
    (void)why;
}

static void on_overflow(struct conn *c)
{
    conn_abort(c, "the control client does not read");
}

static const struct conn_ops ops = {.on_bytes = on_bytes, .on_closed = on_closed, .on_overflow = on_overflow};

static void on_accept(struct conn *c)
{
    uint32_t uid;
    conn_set_owner(c, &ops, NULL);
    if (!conn_peer_uid(c, &uid) || (uid != geteuid() && uid != 0))
        conn_abort(c, "control socket: not the server's user");
}

static struct listener *listener;
static char path[256];

int ctl_start(const char *spool_dir, struct error *err)
{
    if (admin_start(err) < 0)
        return -1;
    snprintf(path, sizeof(path), "%s/%s", spool_dir, CTL_SOCKET);
    struct listener_config cfg = {.name = "control socket", .unix_path = path, .unix_mode = 0600, .backlog = 64,
                                  .on_accept = on_accept};
    listener = listener_start(&cfg, err);
    return listener ? 0 : -1;
}

static void stop_fiber(void *arg) YIELDS;
static void stop_fiber(void *arg)
{
    (void)arg;
    listener_stop(&listener);
}

void ctl_stop(void)
{
    if (!listener)
        return;
    unlink(path);
    fiber_run(stop_fiber, NULL);
}
