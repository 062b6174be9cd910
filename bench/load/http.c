/* HTTP/1.1 calls over keep-alive connections, one under way each: `http` asks check_account of one account after the
 * other, `http-list` for the list of all of them, `register` creates them, `rosters` makes them contacts of one another. */
#include "load.h"

#include <stdlib.h>
#include <string.h>

struct http_conn {
    struct conn conn; /* first: a conn is its http_conn */
};

enum job { CHECK, LIST, REGISTER, ROSTERS };

static struct {
    enum job job;
    long accounts, sent, answered, warm, total, refused;
    bool started, finished;
    struct usage from, to;
    struct hist latency;
} run;

static void send_request(struct conn *c)
{
    char body[512], text[1024];
    if (run.sent == run.total)
        return;
    long account = run.sent++ % run.accounts;
    int n = 0;
    long step = run.job == ROSTERS ? (run.sent - 1) / run.accounts : 0;
    switch (run.job) {
    case CHECK:
        n = snprintf(body, sizeof body, "{\"user\":\"%s%ld\",\"host\":\"%s\"}", opt.prefix, account, opt.domain);
        break;
    case LIST:
        n = snprintf(body, sizeof body, "{\"host\":\"%s\"}", opt.domain);
        break;
    case REGISTER:
        n = snprintf(body, sizeof body, "{\"user\":\"%s%ld\",\"host\":\"%s\",\"password\":\"%s\"}", opt.prefix, account,
            opt.domain, opt.password);
        break;
    case ROSTERS: /* half of the contacts have higher numbers, half lower ones: both sides have each other */
        step = step < opt.contacts / 2 ? step + 1 : opt.contacts / 2 - step - 1;
        n = snprintf(body, sizeof body, "{\"localuser\":\"%s%ld\",\"localhost\":\"%s\",\"user\":\"%s%ld\",\"host\":\"%s\","
            "\"nick\":\"Contact\",\"group\":\"Bench\",\"subs\":\"both\"}", opt.prefix, account, opt.domain, opt.prefix,
            (account + step + run.accounts) % run.accounts, opt.domain);
        break;
    }
    int len = snprintf(text, sizeof text, "POST %s HTTP/1.1\r\nHost: %s:%u\r\nContent-Type: application/json\r\n"
        "Content-Length: %d\r\n\r\n%s", opt.path, opt.host, opt.port, n, body);
    conn_send(c, text, (size_t)len);
}

/* Length of the chunked body at p, its last line included (RFC 9112 §7.1); 0 when it is not complete. */
static size_t chunked_length(const char *p, size_t len)
{
    size_t at = 0;
    for (;;) {
        const char *line = memmem(p + at, len - at, "\r\n", 2);
        if (!line)
            return 0;
        size_t size = strtoul(p + at, NULL, 16);
        at = (size_t)(line + 2 - p) + size + 2;
        if (at > len)
            return 0;
        if (size == 0)
            return at;
    }
}

/* Length of the complete response at the start of buf, 0 when it is not complete; *body_out: where its body begins. */
static size_t response_length(const char *buf, size_t len, size_t *body_out)
{
    const char *end = memmem(buf, len, "\r\n\r\n", 4);
    size_t length = 0;
    bool known = false, chunked = false;
    if (!end)
        return 0;
    for (const char *p = buf; p < end;) {
        p = memmem(p, (size_t)(end + 2 - p), "\r\n", 2);
        if (!p || p >= end)
            break;
        p += 2;
        if (strncasecmp(p, "content-length:", 15) == 0) {
            length = strtoul(p + 15, NULL, 10);
            known = true;
        } else if (strncasecmp(p, "transfer-encoding: chunked", 26) == 0) {
            chunked = true;
        }
    }
    if (!known && !chunked)
        die("response without Content-Length: %.*s", (int)(end - buf), buf);
    *body_out = (size_t)(end + 4 - buf);
    if (chunked) {
        length = chunked_length(end + 4, len - *body_out);
        return length ? length + *body_out : 0;
    }
    length += *body_out;
    return length <= len ? length : 0;
}

/* Every name has two quotes around it. */
static bool lists_all(const char *p, size_t n)
{
    long quotes = 0;
    for (const char *end = p + n; (p = memchr(p, '"', (size_t)(end - p))); p++)
        quotes++;
    return quotes == 2 * opt.accounts;
}

static bool is_right(const char *buf, size_t body, size_t n)
{
    if (strncmp(buf, "HTTP/1.1 200", 12) != 0)
        return false;
    switch (run.job) {
    case CHECK:
        return buf[n - 1] == '0';
    case LIST: /* counting all of them would cost the machine more than it says */
        return run.answered % 64 != 0 || lists_all(buf + body, n - body);
    default:
        return true;
    }
}

static void count_answer(void)
{
    run.answered++;
    if (run.answered == run.warm) {
        usage_read(&run.from);
        run.started = true;
    }
    if (run.answered == run.total) {
        usage_read(&run.to);
        run.finished = true;
    }
}

static size_t on_data(struct conn *c, const char *buf, size_t len)
{
    size_t body, n = response_length(buf, len, &body);
    if (n == 0)
        return 0;
    bool ok = is_right(buf, body, n);
    if (!ok && run.refused++ == 0)
        fprintf(stderr, "load: refused: %.*s\n", (int)(n > 600 ? 600 : n), buf);
    count_answer();
    send_request(c);
    return n;
}

static void on_close(struct conn *c)
{
    if (!run.finished)
        die("an HTTP connection was refused or closed");
}

static int http_scenario(const char *name)
{
    uint64_t deadline = now_ns() + (uint64_t)(opt.timeout * 1e9);
    struct http_conn *conns = calloc((size_t)opt.pairs, sizeof *conns);
    if (!conns)
        die("out of memory");
    run.warm = opt.warm;
    run.total = opt.warm + opt.count;
    run.started = run.warm == 0;
    if (run.started)
        usage_read(&run.from);
    for (long i = 0; i < opt.pairs; i++) {
        conns[i].conn = (struct conn){.fd = -1, .on_open = send_request, .on_data = on_data, .on_close = on_close};
        conn_open(&conns[i].conn, TLS_NONE);
    }
    if (!loop_until(&run.finished, deadline))
        die("only %ld of %ld answers in time", run.answered, run.total);
    report_begin(name);
    report_long("count", opt.count);
    report_long("connections", opt.pairs);
    report_usage(&run.from, &run.to);
    report_long("refused", run.refused);
    report_end();
    return run.refused ? 2 : 0;
}

int scenario_http(void)
{
    run.accounts = opt.accounts;
    return http_scenario("http");
}

int scenario_http_list(void)
{
    run.job = LIST;
    run.accounts = 1;
    return http_scenario("http-list");
}

int scenario_register(void)
{
    opt.warm = 0;
    run.job = REGISTER;
    run.accounts = opt.count;
    return http_scenario("register");
}

int scenario_rosters(void)
{
    opt.warm = 0;
    run.job = ROSTERS;
    run.accounts = opt.count;
    if (opt.contacts >= opt.count || opt.contacts % 2)
        die("an even number of contacts below the number of accounts is needed");
    opt.count *= opt.contacts;
    return http_scenario("rosters");
}
