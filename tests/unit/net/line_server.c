#include "line_server.h"
#include "base/base64.h"
#include "base/mem.h"
#include "harness.h"

struct line_stats line_stats;
struct tls_ctx *line_tls_ctx;

struct session {
    struct timer timer;
    struct conn *conn;
    bool one, busy, abort_late;
};

void line_reset(void)
{
    memset(&line_stats, 0, sizeof(line_stats));
}

static void count(unsigned *n)
{
    __atomic_add_fetch(n, 1, __ATOMIC_RELEASE);
    signal_change();
}

static void on_timer(struct timer *t)
{
    struct session *s = CONTAINER_OF(t, struct session, timer);
    if (s->abort_late) {
        conn_abort(s->conn, "late");
        return;
    }
    conn_write(s->conn, S("resumed\n"));
    conn_resume(s->conn);
}

static void arrived(struct conn *c)
{
    struct buf *b = conn_out_begin(c);
    buf_printf(b, "moved %u\n", shard_self());
    conn_out_end(c);
}

static void pattern(struct conn *c, size_t n, bool shared)
{
    char *p = mem_alloc(n);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)('a' + i % 26);
    if (shared) {
        struct shared_bytes *b = shared_bytes_new(str_n(p, n));
        conn_write(c, S("<"));
        conn_write_shared(c, b);
        conn_write_shared(c, b);
        conn_write(c, S(">"));
        shared_bytes_release(&b);
    } else {
        conn_write(c, str_n(p, n));
    }
    free(p);
}

static void who(struct conn *c)
{
    const char *v = conn_tls_version(c), *k = conn_tls_cipher(c);
    struct str sni = conn_sni(c), alpn = conn_alpn(c);
    struct buf *b = conn_out_begin(c);
    buf_printf(b, "%s %s sni=%.*s alpn=%.*s\n", v ? v : "-", k ? "cipher" : "-", STR_ARG(sni), STR_ARG(alpn));
    conn_out_end(c);
}

static void binding(struct conn *c, struct str type)
{
    struct arena *a = arena_new();
    struct str data;
    conn_write(c, conn_channel_binding(c, type, a, &data) ? hex_encode(a, data) : S("none"));
    conn_write(c, S("\n"));
    arena_release(&a);
}

static uint64_t number(struct str *s)
{
    struct str word;
    int64_t v = 0;
    CHECK(str_split(s, ' ', &word) && str_to_i64(word, &v));
    return (uint64_t)v;
}

static void run(struct conn *c, struct session *s, struct str line) YIELDS;

static void run(struct conn *c, struct session *s, struct str line)
{
    struct str cmd, rest = line;
    CHECK(str_split(&rest, ' ', &cmd));
    if (str_eq(cmd, S("slow")))
        fiber_sleep(2);
    if (str_eq(cmd, S("slow")) || str_eq(cmd, S("echo"))) {
        conn_write(c, rest);
        conn_write(c, S("\n"));
    } else if (str_eq(cmd, S("quit"))) {
        conn_write(c, S("bye\n"));
        conn_close(c);
    } else if (str_eq(cmd, S("abort"))) {
        conn_abort(c, "asked to");
    } else if (str_eq(cmd, S("late"))) {
        s->abort_late = true;
        timer_arm(&s->timer, 20);
        fiber_sleep(100);
        CHECK(!conn_alive(c));
        conn_write(c, S("nobody reads this"));
    } else if (str_eq(cmd, S("big")) || str_eq(cmd, S("shared"))) {
        pattern(c, number(&rest), cmd.n == 6);
    } else if (str_eq(cmd, S("move"))) {
        conn_move(c, (shard_self() + 1) % shard_count(), arrived);
    } else if (str_eq(cmd, S("stay"))) {
        conn_move(c, shard_self(), arrived);
    } else if (str_eq(cmd, S("pause"))) {
        conn_pause(c);
        timer_arm(&s->timer, 20);
    } else if (str_eq(cmd, S("one"))) {
        s->one = true;
    } else if (str_eq(cmd, S("ip"))) {
        char text[IP_TEXT_MAX];
        struct buf *b = conn_out_begin(c);
        buf_printf(b, "%s %u\n", ip_print(conn_ip(c), text), conn_port(c));
        conn_out_end(c);
    } else if (str_eq(cmd, S("limit"))) {
        conn_set_out_limit(c, number(&rest));
    } else if (str_eq(cmd, S("sendtimeout"))) {
        conn_set_send_timeout(c, (unsigned)number(&rest));
    } else if (str_eq(cmd, S("shape"))) {
        uint64_t rate = number(&rest);
        conn_set_shaper(c, rate, number(&rest));
    } else if (str_eq(cmd, S("tls"))) {
        conn_write(c, S("proceed\n"));
        conn_start_tls(c, line_tls_ctx, S("default.test"));
    } else if (str_eq(cmd, S("who"))) {
        who(c);
    } else if (str_eq(cmd, S("cb"))) {
        binding(c, rest);
    } else {
        conn_write(c, S("what?\n"));
    }
}

static bool takes_effect_outside(struct str line)
{
    return str_eq(line, S("move")) || str_eq(line, S("stay")) || str_eq(line, S("pause")) || str_eq(line, S("tls"));
}

static size_t on_bytes(struct conn *c, const char *data, size_t n)
{
    struct session *s = conn_owner(c);
    size_t at = 0;
    CHECK(!s->busy);
    s->busy = true;
    while (at < n && conn_alive(c)) {
        const char *end = memchr(data + at, '\n', n - at);
        if (!end)
            break;
        struct str line = str_n(data + at, (size_t)(end - data) - at);
        at = (size_t)(end - data) + 1;
        bool outside = takes_effect_outside(line);
        run(c, s, line);
        if (outside)
            break;
        if (s->one) {
            conn_resume(c);
            break;
        }
    }
    s->busy = false;
    if (at == 0 && n > 30000) { /* a line that never ends fills the buffer; until this time-out nothing may happen */
        s->abort_late = true;
        timer_arm(&s->timer, 100);
    }
    return at;
}

static void on_tls(struct conn *c)
{
    CHECK(conn_is_tls(c));
    count(&line_stats.tls);
}

static void on_closed(struct conn *c, const char *why)
{
    struct session *s = conn_owner(c);
    CHECK(!s->busy);
    timer_stop(&s->timer);
    free(s);
    __atomic_store_n(&line_stats.why, why, __ATOMIC_RELAXED);
    count(&line_stats.closed);
}

static void on_overflow(struct conn *c)
{
    count(&line_stats.overflows);
    conn_abort(c, "overflow");
}

static const struct conn_ops ops = {on_bytes, on_tls, on_closed, on_overflow};

void line_accept(struct conn *c)
{
    struct session *s = MEM_NEW(struct session);
    s->conn = c;
    timer_setup(&s->timer, on_timer);
    conn_set_owner(c, &ops, s);
    count(&line_stats.accepted);
}
