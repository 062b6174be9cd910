#include "harness.h"
#include "base/mem.h"
#include "net/http.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static struct http_app app;
static unsigned handled, chunks; /* atomic */

static void add(struct buf *b, const char *name, struct str v)
{
    buf_printf(b, "%s=%s%.*s%s ", name, v.p ? "[" : "-", STR_ARG(v), v.p ? "]" : "");
}

/* Tells what it saw; some paths do something else. */
static void handle(struct http_request *r) YIELDS;

static void handle(struct http_request *r)
{
    struct buf b = BUF_INIT;
    __atomic_add_fetch(&handled, 1, __ATOMIC_RELEASE);
    if (str_starts(r->path, S("/slow")))
        fiber_sleep(3);
    if (str_eq(r->path, S("/none"))) {
        return;
    } else if (str_eq(r->path, S("/stream")) || str_eq(r->path, S("/unfinished"))) {
        http_begin(r, 200, S("text/plain"), NULL, 0);
        char block[1000];
        memset(block, 'z', sizeof(block));
        for (int i = 0; i < 10000; i++)
            if (http_chunk(r, str_n(block, sizeof(block))) < 0)
                break;
            else
                __atomic_add_fetch(&chunks, 1, __ATOMIC_RELEASE);
        if (str_eq(r->path, S("/stream")))
            http_end(r);
    } else if (str_eq(r->path, S("/big"))) {
        char *p = mem_zalloc(20000000);
        http_respond(r, 200, S("text/plain"), NULL, 0, str_n(p, 20000000));
        free(p);
    } else if (str_eq(r->path, S("/204"))) {
        http_respond(r, 204, STR_NULL, NULL, 0, S("never sent"));
    } else if (str_eq(r->path, S("/inject"))) {
        struct http_header h = {S("Location"), S("/x\r\nSet-Cookie: a=b")};
        http_respond(r, 302, STR_NULL, &h, 1, S(""));
        http_respond(r, 200, STR_NULL, NULL, 0, S("second answer"));
    } else {
        add(&b, "m", r->method);
        add(&b, "p", r->path);
        add(&b, "q", r->query);
        add(&b, "x", http_header(r, S("x-TEST")));
        add(&b, "b", r->body);
        http_respond(r, 200, S("text/plain"), NULL, 0, buf_str(&b));
    }
    buf_deinit(&b);
}

static void with(void (*client)(struct bed *), struct http_limits limits, unsigned linger_ms)
{
    app = (struct http_app){.handle = handle, .limits = limits};
    handled = 0;
    struct bed b = {.client = client};
    b.cfg.name = "http";
    b.cfg.on_accept = http_accept;
    b.cfg.app = &app;
    b.cfg.linger_ms = linger_ms;
    bed_run(&b);
    assert_int_equal(listener_total(), 0);
}

static const struct http_limits small = {
    .max_body = 1000, .max_header_bytes = 2000, .idle_timeout_ms = 150, .request_timeout_ms = 300};

struct answer {
    int status;
    char head[4096], *body;
    size_t n;
};

static char storage[21000000];

/* One answer; body until Content-Length, chunks joined, or the end. */
static struct answer answer(int fd, bool no_body)
{
    struct answer a = {0};
    size_t n = 0;
    do {
        CHECK(n < sizeof(a.head) - 1 && get(fd, a.head + n, 1) == 1);
        n++;
    } while (n < 4 || memcmp(a.head + n - 4, "\r\n\r\n", 4) != 0);
    CHECK(sscanf(a.head, "HTTP/1.1 %d", &a.status) == 1);
    a.body = storage;
    const char *len = strstr(a.head, "Content-Length: ");
    if (no_body || a.status == 204 || a.status < 200)
        return a;
    if (len) {
        a.n = strtoul(len + 16, NULL, 10);
        CHECK(a.n < sizeof(storage) && get(fd, storage, a.n) == a.n);
    } else if (strstr(a.head, "Transfer-Encoding: chunked\r\n")) {
        for (;;) {
            char line[20];
            size_t k = 0;
            do {
                CHECK(get(fd, line + k, 1) == 1);
            } while (line[k++] != '\n');
            unsigned long size = strtoul(line, NULL, 16);
            CHECK(get(fd, storage + a.n, size + 2) == size + 2);
            if (!size)
                break;
            a.n += size;
        }
    } else {
        a.n = get_all(fd, storage, sizeof(storage) - 1);
    }
    storage[a.n] = '\0';
    return a;
}

static void wants(int fd, const char *body)
{
    struct answer a = answer(fd, false);
    if (a.status != 200 || a.n != strlen(body) || memcmp(a.body, body, a.n) != 0)
        fprintf(stderr, "expected \"%s\", got %d \"%.*s\"\n", body, a.status, (int)a.n, a.body);
    CHECK(a.status == 200 && a.n == strlen(body) && memcmp(a.body, body, a.n) == 0);
}

static void ended(int fd)
{
    char c;
    CHECK(get(fd, &c, 1) == 0);
    close(fd);
}

static void refused(const struct bed *b, const char *req, int status)
{
    int fd = dial(b);
    put_s(fd, req);
    struct answer a = answer(fd, false);
    if (a.status != status)
        fprintf(stderr, "%s: %d\n", req, a.status);
    CHECK(a.status == status && strstr(a.head, "Connection: close\r\n") && strstr(a.head, "text/html; charset=utf-8"));
    char title[16];
    snprintf(title, sizeof(title), "<h1>%d ", status);
    CHECK(strstr(a.body, title));
    ended(fd);
}

static const struct {
    const char *req, *body;
} requests[] = {
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "m=[GET] p=[/] q=- x=- b=- "},
    {"GET /a%20b?c=d&e HTTP/1.1\r\nX-Test:  v w \r\n\r\n", "m=[GET] p=[/a%20b] q=[c=d&e] x=[v w] b=- "},
    {"POST /p? HTTP/1.1\r\nContent-Length: 5\r\nx-test:\r\n\r\nhello", "m=[POST] p=[/p] q=[] x=[] b=[hello] "},
    {"POST /p HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "m=[POST] p=[/p] q=- x=- b=[] "},
    {"PUT /p HTTP/1.1\r\n\r\n", "m=[PUT] p=[/p] q=- x=- b=- "},
    {"\r\nPOST /slow HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nX-Test: trailer\r\n\r\n",
     "m=[POST] p=[/slow] q=- x=- b=[abc0123456789] "},
    {"DELETE http://host:5280/z?y#f HTTP/1.1\r\n\r\n", "m=[DELETE] p=[/z] q=[y] x=- b=- "},
    {"OPTIONS * HTTP/1.1\r\n\r\n", "m=[OPTIONS] p=[*] q=- x=- b=- "},
    {"GET http://host HTTP/1.1\r\n\r\n", "m=[GET] p=[/] q=- x=- b=- "},
    {"GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "m=[GET] p=[/ws] q=- x=- b=- "},
    {"TRACE /t HTTP/1.1\r\n\r\n", "m=[TRACE] p=[/t] q=- x=- b=- "},
    {"PATCH /t HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "m=[PATCH] p=[/t] q=- x=- b=[{}] "},
};

static void requests_client(struct bed *b)
{
    int fd = dial(b);
    struct buf all = BUF_INIT;
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        put_s(fd, requests[i].req);
        wants(fd, requests[i].body);
        buf_add_str(&all, str_of(requests[i].req));
    }
    for (int k = 0; k < 20; k++) { /* pipelined */
        put(fd, all.p, all.n);
        for (size_t i = 0; i < ARRAY_LEN(requests); i++)
            wants(fd, requests[i].body);
    }
    for (size_t i = 0; i < all.n; i++) { /* byte by byte */
        put(fd, all.p + i, 1);
        if (i % 5 == 0)
            turn();
    }
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        wants(fd, requests[i].body);
    buf_deinit(&all);
    close(fd);
}

static void versions_client(struct bed *b)
{
    int fd = dial(b);
    put_s(fd, "GET /x HTTP/1.0\r\n\r\n");
    struct answer a = answer(fd, false);
    CHECK(a.status == 200 && strstr(a.head, "Connection: close\r\n") && strstr(a.head, "Date: "));
    ended(fd);
    fd = dial(b);
    put_s(fd, "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    a = answer(fd, false);
    CHECK(strstr(a.head, "Connection: keep-alive\r\n"));
    put_s(fd, "GET /x HTTP/1.1\r\nConnection: close\r\n\r\nGET /never HTTP/1.1\r\n\r\n");
    a = answer(fd, false);
    CHECK(strstr(a.head, "Connection: close\r\n"));
    ended(fd);
    CHECK(__atomic_load_n(&handled, __ATOMIC_ACQUIRE) == 3);
    fd = dial(b);
    put_s(fd, "HEAD /x HTTP/1.1\r\n\r\nGET /204 HTTP/1.1\r\n\r\nGET /none HTTP/1.1\r\n\r\nGET /inject HTTP/1.1\r\n\r\n");
    a = answer(fd, true);
    CHECK(a.status == 200 && strstr(a.head, "Content-Length: ") && !strstr(a.head, "Connection"));
    a = answer(fd, false);
    CHECK(a.status == 204 && !strstr(a.head, "Content-Length"));
    CHECK(answer(fd, false).status == 500);
    a = answer(fd, false);
    CHECK(a.status == 302 && !strstr(a.head, "\r\nSet-Cookie"));
    shutdown(fd, SHUT_WR);
    ended(fd);
}

static void streams_client(struct bed *b)
{
    int fd = dial(b);
    put_s(fd, "GET /stream HTTP/1.1\r\n\r\nHEAD /stream HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\n\r\n");
    await_standstill(&chunks); /* the streaming fiber has to wait for us */
    CHECK(__atomic_load_n(&chunks, __ATOMIC_ACQUIRE) < 10000);
    struct answer a = answer(fd, false);
    CHECK(a.status == 200 && a.n == 10000000 && a.body[9999999] == 'z');
    CHECK(answer(fd, true).status == 200);
    wants(fd, "m=[GET] p=[/x] q=- x=- b=- ");
    put_s(fd, "GET /stream HTTP/1.0\r\n\r\n");
    a = answer(fd, false);
    CHECK(a.n == 10000000 && strstr(a.head, "Connection: close\r\n"));
    ended(fd);
    fd = dial(b);
    put_s(fd, "GET /big HTTP/1.1\r\nConnection: close\r\n\r\n");
    ended(dial(b)); /* the idle time-out is longer than a closing connection may linger */
    CHECK(answer(fd, false).n == 20000000);
    ended(fd);
    fd = dial(b);
    put_s(fd, "GET /unfinished HTTP/1.1\r\n\r\n");
    CHECK(get_all(fd, storage, sizeof(storage)) < 10100000);
    close(fd);
    fd = dial(b); /* the peer goes in the middle */
    put_s(fd, "GET /stream HTTP/1.1\r\n\r\n");
    get(fd, storage, 10);
    close(fd);
}

static void continue_client(struct bed *b)
{
    int fd = dial(b);
    put_s(fd, "POST /c HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    expect(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    put_s(fd, "abc");
    wants(fd, "m=[POST] p=[/c] q=- x=- b=[abc] ");
    close(fd);
    refused(b, "POST /c HTTP/1.1\r\nExpect: magic\r\nContent-Length: 3\r\n\r\n", 417);
    refused(b, "POST /c HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3000\r\n\r\n", 413);
}

static void malformed_client(struct bed *b)
{
    static const char *const bad[] = {
        "nonsense\r\n\r\n", "GET\r\n\r\n", "<stream:stream xmlns='jabber:client'>", "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        "GET / HTTP/1.1\r\nA: b\x01\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nContent-Length : 3\r\n\r\nabc", "POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        refused(b, bad[i], 400);
    refused(b, "GET / HTTP/2.0\r\n\r\n", 505);
    refused(b, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400);
    refused(b, "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n", 400);
    refused(b, "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501);
    CHECK(__atomic_load_n(&handled, __ATOMIC_ACQUIRE) == 0);
}

static void limits_client(struct bed *b)
{
    char req[8000], fill[4001];
    memset(fill, 'f', 4000);
    fill[4000] = '\0';
    snprintf(req, sizeof(req), "GET /%s HTTP/1.1\r\n\r\n", fill);
    refused(b, req, 414);
    snprintf(req, sizeof(req), "GET / HTTP/1.1\r\nX: %s\r\n\r\n", fill);
    refused(b, req, 431);
    snprintf(req, sizeof(req), "GET / HTTP/1.1\r\n%s: x\r\n\r\n", fill);
    refused(b, req, 431);
    snprintf(req, sizeof(req), "POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n%.1001s", fill);
    refused(b, req, 413);
    snprintf(req, sizeof(req), "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n%.1000s\r\n1\r\nx\r\n0\r\n\r\n", fill);
    refused(b, req, 413);
    struct buf many = BUF_INIT;
    buf_printf(&many, "GET / HTTP/1.1\r\n");
    for (int i = 0; i < 101; i++)
        buf_printf(&many, "a:b\r\n");
    buf_printf(&many, "\r\n");
    buf_add_c(&many, '\0');
    refused(b, many.p, 431);
    buf_deinit(&many);
    int fd = dial(b);
    snprintf(req, sizeof(req), "POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n%.1000s", fill);
    put_s(fd, req);
    CHECK(answer(fd, false).status == 200);
    ended(fd); /* after the idle time-out, without a word */
}

static void timeouts_client(struct bed *b)
{
    int idle = dial(b), head = dial(b), body = dial(b), trickle = dial(b);
    put_s(head, "GET / HTTP/1.1\r\nX: ");
    put_s(body, "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
    put_s(trickle, "GET /");
    struct pollfd answered = {.fd = trickle, .events = POLLIN};
    while (poll(&answered, 1, 15) == 0) /* bytes alone do not buy time */
        if (send(trickle, "x", 1, MSG_NOSIGNAL) < 0)
            break;
    ended(idle);
    CHECK(answer(head, false).status == 408);
    ended(head);
    CHECK(answer(body, false).status == 408);
    ended(body);
    char c[2000];
    get_all(trickle, c, sizeof(c));
    CHECK(strncmp(c, "HTTP/1.1 408 ", 13) == 0);
    close(trickle);
}

static void body_client(struct bed *b)
{
    struct buf req = BUF_INIT;
    size_t n = 3000000;
    buf_printf(&req, "POST /b HTTP/1.1\r\nContent-Length: %zu\r\n\r\n", n);
    for (size_t i = 0; i < n; i++)
        buf_add_c(&req, (char)('a' + i % 26));
    int fd = dial(b);
    put(fd, req.p, req.n);
    struct answer a = answer(fd, false);
    CHECK(a.status == 200 && a.n > n);
    const char *body = strstr(a.body, "b=[");
    CHECK(body);
    for (size_t i = 0; i < n; i++)
        CHECK(body[3 + i] == (char)('a' + i % 26));
    buf_deinit(&req);
    close(fd);
}

static void requests_(void **state)
{
    with(requests_client, (struct http_limits){0}, 0);
}

static void versions(void **state)
{
    with(versions_client, (struct http_limits){0}, 0);
}

static void streams(void **state)
{
    with(streams_client, (struct http_limits){.idle_timeout_ms = 400}, 50);
}

static void continue_(void **state)
{
    with(continue_client, small, 0);
}

static void malformed(void **state)
{
    with(malformed_client, (struct http_limits){0}, 0);
}

static void limits(void **state)
{
    with(limits_client, small, 0);
}

static void timeouts(void **state)
{
    with(timeouts_client, small, 0);
}

static void body(void **state)
{
    with(body_client, (struct http_limits){0}, 0);
}

static bool taken_over(struct str id)
{
    struct arena *a = arena_new();
    struct http_header h = {S("x-request-id"), id};
    struct http_request r = {.arena = a, .headers = &h, .header_count = 1}, other = {.arena = a};
    struct str got = http_request_id(&r), second = http_request_id(&r), made = http_request_id(&other);
    assert_ptr_equal(got.p, second.p);
    assert_int_equal(made.n, 16);
    bool same = str_eq(got, id);
    assert_true(same || (got.n == 16 && !str_eq(got, made)));
    arena_release(&a);
    return same;
}

static void request_ids(void **state)
{
    char longest[HTTP_ID_MAX + 1];
    memset(longest, 'a', sizeof(longest));
    assert_true(taken_over(S("a")) && taken_over(S("00-4bf92f35/77b34da6=_~.:+@Z9")));
    assert_true(taken_over(str_n(longest, HTTP_ID_MAX)));
    assert_false(taken_over(str_n(longest, HTTP_ID_MAX + 1)));
    static const char *const bad[] = {"", " ", "a b", "a\tb", "\"a\"", "a,b", "a;b", "<a>", "\xc3\xa9", "a\x7f", "%0a", "a\\b"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(taken_over(str_of(bad[i])));
    assert_false(taken_over(S("a\0b")));
}

static void percent(void **state)
{
    struct arena *a = arena_new();
    struct str out;
    assert_true(http_percent_decode(a, S("a%20b+c%C3%a9%00"), false, &out));
    assert_true(str_eq(out, S("a b+c\xc3\xa9\0")));
    assert_true(http_percent_decode(a, S("a+b%2B"), true, &out) && str_eq(out, S("a b+")));
    assert_true(http_percent_decode(a, S(""), true, &out) && out.n == 0);
    assert_false(http_percent_decode(a, S("%"), true, &out));
    assert_false(http_percent_decode(a, S("%1"), true, &out));
    assert_false(http_percent_decode(a, S("x%gg"), true, &out));
    assert_true(http_percent_decode(a, S("%41"), true, &out) && str_eq(out, S("A")));
    arena_release(&a);
    assert_string_equal(http_status_text(404), "Not Found");
    assert_string_equal(http_status_text(599), "Unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_), cmocka_unit_test(versions), cmocka_unit_test(streams), cmocka_unit_test(continue_),
        cmocka_unit_test(malformed), cmocka_unit_test(limits), cmocka_unit_test(timeouts), cmocka_unit_test(body),
        cmocka_unit_test(percent), cmocka_unit_test(request_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
