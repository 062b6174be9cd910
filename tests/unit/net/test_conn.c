#include "base/mem.h"
#include "harness.h"
#include "line_server.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void with(void (*client)(struct bed *), struct listener_config cfg)
{
    line_reset();
    struct bed b = {.client = client, .cfg = cfg};
    b.cfg.name = "test";
    b.cfg.on_accept = line_accept;
    bed_run(&b);
    assert_int_equal(listener_total(), 0);
}

static void plain(void (*client)(struct bed *))
{
    with(client, (struct listener_config){0});
}

static void gone(unsigned n, const char *why)
{
    await(&line_stats.closed, n);
    const char *was = __atomic_load_n(&line_stats.why, __ATOMIC_RELAXED);
    if (why && (!was || strcmp(was, why) != 0))
        fprintf(stderr, "closed with \"%s\"\n", was ? was : "");
    CHECK(!why || (was && strcmp(was, why) == 0));
}

static void at_end(int fd)
{
    char c;
    CHECK(get(fd, &c, 1) == 0);
    close(fd);
}

/* The server drops connections that linger within two seconds; a client that has closed is gone at once. */
static void empty(const struct bed *b)
{
    await_count(b, 0);
}

static void echo_client(struct bed *b)
{
    int fd[30];
    for (int i = 0; i < 30; i++)
        fd[i] = dial(b);
    for (int i = 0; i < 30; i++)
        put_s(fd[i], "echo one\necho two\nslow three\necho fo");
    for (int i = 0; i < 30; i++)
        expect(fd[i], "one\ntwo\nthree\n");
    for (int i = 0; i < 30; i++)
        put_s(fd[i], "ur\n");
    for (int i = 0; i < 30; i++) {
        expect(fd[i], "four\n");
        close(fd[i]);
    }
    gone(30, "peer closed");
    empty(b);
}

static void bytewise_client(struct bed *b)
{
    static const char text[] = "echo one\nslow two\nmove\necho three\none\necho four\npause\necho five\n";
    int fd = dial(b);
    for (const char *p = text; *p; p++) {
        put(fd, p, 1);
        turn();
    }
    char line[64];
    expect(fd, "one\ntwo\nmoved ");
    get(fd, line, 2);
    expect(fd, "three\nfour\nresumed\nfive\n");
    close(fd);
    gone(1, NULL);
}

static void order_client(struct bed *b)
{
    int fd = dial(b);
    struct buf out = BUF_INIT, want = BUF_INIT;
    for (int i = 0; i < 3000; i++) {
        buf_printf(&out, "%s %d\n", i % 500 ? "echo" : "slow", i);
        buf_printf(&want, "%d\n", i);
    }
    buf_printf(&out, "one\n");
    for (int i = 0; i < 3000; i++) {
        buf_printf(&out, "echo %d\n", i);
        buf_printf(&want, "%d\n", i);
    }
    buf_add_c(&want, '\0');
    put(fd, out.p, out.n);
    expect(fd, want.p);
    buf_deinit(&out);
    buf_deinit(&want);
    close(fd);
    gone(1, NULL);
}

static void closing_client(struct bed *b)
{
    static char big[3000001];
    int fd = dial(b);
    put_s(fd, "echo x\nquit\necho never\n");
    expect(fd, "x\nbye\n");
    at_end(fd);
    gone(1, "closed");

    fd = dial(b);
    put_s(fd, "big 3000000\nquit\n");
    turn(); /* it is closing while we have read nothing */
    CHECK(get(fd, big, 3000000) == 3000000);
    for (size_t i = 0; i < 3000000; i += 999)
        CHECK(big[i] == (char)('a' + i % 26));
    expect(fd, "bye\n");
    at_end(fd);
    gone(2, "closed");

    /* half-closed: what was asked before is still answered */
    fd = dial(b);
    put_s(fd, "slow a\nslow b\nbig 100000\n");
    shutdown(fd, SHUT_WR);
    expect(fd, "a\nb\n");
    CHECK(get(fd, big, 100001) == 100000);
    close(fd);
    gone(3, "peer closed");
    empty(b);
}

static void aborting_client(struct bed *b)
{
    int fd = dial(b);
    put_s(fd, "big 1000\nabort\n");
    char c[2000];
    get(fd, c, sizeof(c));
    close(fd);
    gone(1, "asked to");
    fd = dial(b);
    put_s(fd, "late\n");
    CHECK(get(fd, c, 1) == 0);
    close(fd);
    gone(2, "late");
    /* the peer goes while on_bytes waits */
    fd = dial(b);
    put_s(fd, "slow 1\nslow 2\nslow 3\n");
    close(fd);
    gone(3, NULL);
    empty(b);
}

static void *mover(void *arg)
{
    struct bed *b = arg;
    int fd = dial(b);
    char line[32];
    struct buf out = BUF_INIT;
    for (int i = 0; i < 100; i++)
        buf_printf(&out, "echo %d\nmove\nstay\nbig 5000\n", i);
    put(fd, out.p, out.n);
    for (int i = 0; i < 100; i++) {
        snprintf(line, sizeof(line), "%d\nmoved ", i);
        expect(fd, line);
        char got[8], again[8];
        get(fd, got, 2);
        expect(fd, "moved ");
        get(fd, again, 2);
        CHECK(got[0] == again[0] && (got[0] == '0' || got[0] == '1'));
        char big[5000];
        CHECK(get(fd, big, 5000) == 5000 && big[4999] == 'a' + 4999 % 26);
    }
    buf_deinit(&out);
    close(fd);
    return NULL;
}

static void move_client(struct bed *b)
{
    pthread_t t[8];
    for (int i = 0; i < 8; i++)
        pthread_create(&t[i], NULL, mover, b);
    for (int i = 0; i < 8; i++)
        pthread_join(t[i], NULL);
    gone(8, NULL);
    empty(b);
}

static void overflow_client(struct bed *b)
{
    int fd = dial(b), other = dial(b);
    for (int i = 0; i < 40 && !__atomic_load_n(&line_stats.overflows, __ATOMIC_ACQUIRE); i++) {
        send(fd, "big 1000000\n", 12, MSG_NOSIGNAL);
        put_s(other, "echo still here\n");
        expect(other, "still here\n");
    }
    gone(1, "overflow");
    CHECK(line_stats.overflows == 1);
    close(fd);
    put_s(other, "limit 0\nsendtimeout 100\nbig 20000000\n");
    gone(2, "send timeout");
    CHECK(line_stats.overflows == 1);
    close(other);
}

static void shared_client(struct bed *b)
{
    static char got[2 * 100000 + 2];
    int fd = dial(b);
    put_s(fd, "shared 100000\nshared 10\nmove\nshared 5000\n");
    CHECK(get(fd, got, 200002) == 200002 && got[0] == '<' && got[1] == 'a' && got[100001] == 'a' && got[200001] == '>');
    expect(fd, "<abcdefghijabcdefghij>moved ");
    CHECK(get(fd, got, 2 + 10002) == 2 + 10002 && got[2] == '<' && got[2 + 10001] == '>');
    close(fd);
    gone(1, NULL);
}

static void shaper_client(struct bed *b)
{
    int fd = dial(b);
    char line[1001];
    memset(line, 'x', sizeof(line));
    memcpy(line, "echo ", 5);
    line[1000] = '\n';
    put_s(fd, "shape 20000 2000\necho go\n");
    expect(fd, "go\n");
    uint64_t t = now_ms();
    for (int i = 0; i < 8; i++)
        put(fd, line, sizeof(line));
    put_s(fd, "echo end\n");
    for (int i = 0; i < 8; i++)
        get(fd, line, 996);
    expect(fd, "end\n");
    t = now_ms() - t;
    CHECK(t >= 250 && t < 3000); /* 8 kB at 20 kB/s, 2 kB of it at once */
    put_s(fd, "shape 0 0\n");
    close(fd);
    gone(1, NULL);
}

static void limits_client(struct bed *b)
{
    int a = dial(b), c = dial(b);
    put_s(a, "echo a\n");
    put_s(c, "echo c\n");
    expect(a, "a\n");
    expect(c, "c\n");
    int d = dial(b);
    char x;
    CHECK(get(d, &x, 1) == 0);
    close(d);
    close(a);
    await_count(b, 1);
    d = dial(b);
    put_s(d, "echo d\n");
    expect(d, "d\n");
    close(c);
    close(d);
    empty(b);
}

static void total_client(struct bed *b)
{
    listener_set_total_limit(2);
    limits_client(b);
    listener_set_total_limit(0);
}

static void proxy_client(struct bed *b)
{
    int fd = dial(b);
    put_s(fd, "PROXY TCP4 192.0.2.7 198.51.100.1 56324 5222\r\nip\n");
    expect(fd, "192.0.2.7 56324\n");
    int second = dial(b);
    const char *v1 = "PROXY TCP6 2001:db8::9 ::1 7 8\r\nip\n";
    for (; *v1; v1++) {
        put(second, v1, 1);
        turn();
    }
    expect(second, "2001:db8::9 7\n");
    static const char v2[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\x08\xc6\x33\x64\1\xdc\x04\x01\xbbip\n";
    int third = dial(b);
    put(third, v2, sizeof(v2) - 1);
    expect(third, "192.0.2.8 56324\n");
    /* one per address */
    int fourth = dial(b);
    put(fourth, v2, sizeof(v2) - 1);
    char x;
    CHECK(get(fourth, &x, 1) == 0);
    close(fourth);
    gone(1, "too many connections from this address");
    int bad = dial(b);
    put_s(bad, "echo no header\n");
    CHECK(get(bad, &x, 1) == 0);
    close(bad);
    gone(2, "malformed PROXY header");
    int silent = dial(b);
    CHECK(get(silent, &x, 1) == 0);
    close(silent);
    gone(3, "PROXY header timeout");
    close(fd);
    close(second);
    close(third);
    gone(6, NULL);
    empty(b);
}

static void unix_client(struct bed *b)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = "test_conn.sock"};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
    put_s(fd, "ip\nmove\necho there\nquit\n");
    expect(fd, " 0\nmoved 1\nthere\nbye\n");
    at_end(fd);
    gone(1, "closed");
}

/* Accepting goes on when descriptors have been missing for a while. */
static void descriptors_client(struct bed *b)
{
    struct rlimit old, low;
    char x;
    int fd = dial(b), probe = dup(fd);
    put_s(fd, "echo 1\n");
    expect(fd, "1\n");
    int late = dial(b), spare = socket(AF_INET, SOCK_STREAM, 0);
    put_s(late, "echo 2\n");
    expect(late, "2\n");
    close(late);
    gone(1, NULL);
    CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
    low = old;
    low.rlim_cur = (rlim_t)probe; /* no new descriptor below this */
    int fill[64], n = 0;
    CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
    while (n < 64 && (fill[n] = open("/dev/null", O_RDONLY)) >= 0)
        n++;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(listener_config(b->l)->port)};
    CHECK(connect(spare, (struct sockaddr *)&in, sizeof(in)) == 0);
    CHECK(get(spare, &x, 1) == 0); /* refused, not left hanging */
    while (n)
        close(fill[--n]);
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
    int again = dial(b);
    put_s(again, "echo 3\n");
    expect(again, "3\n");
    put_s(fd, "echo 4\n");
    expect(fd, "4\n");
    close(again);
    close(fd);
    close(probe);
    close(spare);
    empty(b);
}

static void reset_client(struct bed *b)
{
    struct linger l = {.l_onoff = 1};
    for (int i = 0; i < 200; i++) {
        int fd = dial(b);
        if (i % 4 == 1)
            put_s(fd, "slow 1\nbig 100000\n");
        if (i % 4 == 2)
            put_s(fd, "move\nslow 2\n");
        if (i % 4 == 3)
            put_s(fd, "quit\n");
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
        close(fd);
    }
    await(&line_stats.closed, 200);
    empty(b);
}

/* A protocol that never takes a full buffer must not make the loop spin or the buffer grow. */
static void stall_client(struct bed *b)
{
    int fd = dial(b), other = dial(b);
    char block[4096];
    memset(block, 'x', sizeof(block));
    for (int i = 0; i < 64; i++)
        put(fd, block, sizeof(block));
    put_s(other, "echo fine\n");
    expect(other, "fine\n");
    gone(1, "late");
    close(fd);
    put_s(other, "quit\n");
    expect(other, "bye\n");
    at_end(other);
    empty(b);
}

#define CASE(name) \
    static void name(void **state) { plain(name##_client); }
CASE(echo)
CASE(bytewise)
CASE(order)
CASE(closing)
CASE(aborting)
CASE(move)
CASE(overflow)
CASE(shared)
CASE(shaper)
CASE(total)
CASE(descriptors)
CASE(reset)

static void limits(void **state)
{
    with(limits_client, (struct listener_config){.max_connections = 2});
    with(limits_client, (struct listener_config){.max_per_ip = 2});
}

static void proxy(void **state)
{
    with(proxy_client, (struct listener_config){.use_proxy_protocol = true, .max_per_ip = 1, .handshake_timeout_ms = 200});
}

static void local(void **state)
{
    with(unix_client, (struct listener_config){.unix_path = "test_conn.sock", .unix_mode = 0600});
    assert_int_equal(access("test_conn.sock", F_OK), -1);
}

static void taken_fiber(void *arg)
{
    struct error err = ERROR_INIT;
    struct bed *b = arg;
    struct listener_config cfg = *listener_config(b->l);
    CHECK(!listener_start(&cfg, &err) && err.code == ERR_IO);
}

static void on_taken(struct msg *m)
{
    fiber_run(taken_fiber, *(struct bed **)(m + 1));
    __atomic_store_n(&line_stats.overflows, 7, __ATOMIC_RELEASE);
    signal_change();
}

/* SO_REUSEPORT must not let a second server slip in. */
static void taken_client(struct bed *b)
{
    static struct {
        struct msg m;
        struct bed *b;
    } post;
    post.m.fn = on_taken;
    post.b = b;
    mail_post_foreign(0, &post.m);
    await(&line_stats.overflows, 7);
}
CASE(taken)

static void stall(void **state)
{
    plain(stall_client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo), cmocka_unit_test(bytewise), cmocka_unit_test(order), cmocka_unit_test(closing),
        cmocka_unit_test(aborting), cmocka_unit_test(move), cmocka_unit_test(overflow), cmocka_unit_test(shared),
        cmocka_unit_test(shaper), cmocka_unit_test(limits), cmocka_unit_test(total), cmocka_unit_test(proxy),
        cmocka_unit_test(local), cmocka_unit_test(descriptors), cmocka_unit_test(reset), cmocka_unit_test(taken),
        cmocka_unit_test(stall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
