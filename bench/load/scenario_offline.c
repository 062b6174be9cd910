/* offline: messages to accounts that are away, and what becomes of them when these log in (RFC 6121 §8.5.2.2, XEP-0160).
 *
 * Every absent account hears from one sender, so that its messages have an order. A sender writes opt.window messages and a ping
 * in one write and goes on when the ping is answered: a server that answers has taken the messages. The second login shows
 * that nothing is delivered twice. */
#include "load.h"

#include <stdlib.h>
#include <string.h>

#define STALL_NS 15000000000u
#define PASSED_NS 1000000000u /* the last pass: time for what must not come */

static struct {
    struct client *clients; /* senders, then the absent */
    long senders, absent, each;
    long *sent;             /* of each sender */
    long waiting;           /* senders that are not done */
    bool stored;
    struct seqcheck *seq;   /* of each absent one */
    long arrived, errors;
    uint64_t last_arrival;
} run;

static void unexpected(const char *s, size_t len)
{
    if (run.errors++ == 0)
        fprintf(stderr, "load: unexpected: %.*s\n", (int)(len > 400 ? 400 : len), s);
}

static long share(long sender)
{
    return (run.absent - sender + run.senders - 1) / run.senders * run.each;
}

/* The n-th message of a sender goes to one of its accounts after the other. */
static size_t write_message(char *out, size_t room, long sender, long n)
{
    char number[17] = "";
    long mine = (run.absent - sender + run.senders - 1) / run.senders;
    hex16((uint64_t)(n / mine), number);
    size_t len = (size_t)snprintf(out, room, "<message to='%s%ld@%s' type='chat' id='m'><body>%s", opt.prefix,
        run.senders + sender + n % mine * run.senders, opt.domain, number);
    memset(out + len, 'x', (size_t)opt.body - 16);
    len += (size_t)opt.body - 16;
    return len + (size_t)snprintf(out + len, room - len, "</body></message>");
}

static void send_some(struct client *c)
{
    static char text[512 * 1024];
    size_t len = 0;
    long n = 0, all = share(c->index);
    for (; n < opt.window && run.sent[c->index] < all && len + (size_t)opt.body + 1024 < sizeof text; n++)
        len += write_message(text + len, sizeof text - len, c->index, run.sent[c->index]++);
    len += (size_t)snprintf(text + len, sizeof text - len, "<iq type='get' to='%s' id='p'><ping xmlns='urn:xmpp:ping'/></iq>",
        opt.domain);
    conn_send(&c->conn, text, len);
}

static void on_sender(struct client *c, const char *s, size_t len)
{
    char type[32];
    if (memcmp(s, "<iq", 3) != 0 || !attribute(s, len, " type=", type, sizeof type) || strcmp(type, "result") != 0) {
        unexpected(s, len);
        return;
    }
    if (run.sent[c->index] < share(c->index))
        send_some(c);
    else if (--run.waiting == 0)
        run.stored = true;
}

static void on_message(struct client *c, const char *s, size_t len)
{
    uint64_t number;
    char type[32] = "";
    if (len < 9 || memcmp(s, "<message", 8) != 0)
        return;
    const char *p = memmem(s, len, "<body>", 6);
    attribute(s, len, " type=", type, sizeof type);
    if (!p || (size_t)(p + 6 + 16 - s) > len || !unhex16(p + 6, &number) || strcmp(type, "chat") != 0) {
        unexpected(s, len);
        return;
    }
    seqcheck_saw(&run.seq[c->index - run.senders], number);
    run.arrived++;
    run.last_arrival = now_ns();
}

static void wait_for_messages(uint64_t deadline)
{
    run.last_arrival = now_ns();
    while (run.arrived < run.absent * run.each) {
        uint64_t now = now_ns(), stalled = run.last_arrival + STALL_NS, stop = stalled < deadline ? stalled : deadline;
        if (now >= stop)
            return;
        loop_turn(stop - now);
    }
}

static void setup(void)
{
    run.senders = opt.pairs;
    run.absent = opt.accounts;
    run.each = opt.count / run.absent;
    if (run.absent < run.senders || run.each < 1 || opt.body < 16)
        die("more absent accounts than senders, a message for each and 16 bytes of text are needed");
    run.clients = clients_new(run.senders + run.absent, accounts_new(run.senders + run.absent));
    run.sent = calloc((size_t)run.senders, sizeof *run.sent);
    run.seq = calloc((size_t)run.absent, sizeof *run.seq);
    if (!run.sent || !run.seq)
        die("out of memory");
    for (long i = 0; i < run.senders; i++)
        run.clients[i].on_stanza = on_sender;
    for (long i = 0; i < run.absent; i++) {
        run.clients[run.senders + i].on_stanza = on_message;
        seqcheck_init(&run.seq[i], (uint64_t)run.each);
    }
}

static void store(uint64_t deadline)
{
    run.waiting = run.senders;
    for (long i = 0; i < run.senders; i++)
        send_some(&run.clients[i]);
    if (!loop_until(&run.stored, deadline))
        die("%ld senders are not done in time", run.waiting);
}

static int report(const struct usage u[4], const struct client *any)
{
    long lost = 0, disorder = 0, duplicates = 0;
    for (long i = 0; i < run.absent; i++) {
        lost += run.each - (long)run.seq[i].seen;
        disorder += (long)run.seq[i].disorder;
        duplicates += (long)(run.seq[i].duplicates + run.seq[i].invalid);
    }
    report_begin("offline");
    report_long("count", run.absent * run.each);
    report_long("absent", run.absent);
    report_usage(&u[0], &u[3]);
    report_double("store_seconds", (double)(u[1].at - u[0].at) / 1e9);
    report_double("store_cpu", u[1].server_cpu - u[0].server_cpu);
    report_double("delivery_seconds", (double)(u[3].at - u[2].at) / 1e9);
    report_double("delivery_cpu", u[3].server_cpu - u[2].server_cpu);
    report_long("lost", lost);
    report_long("disorder", disorder);
    report_long("duplicates", duplicates);
    report_long("errors", run.errors);
    report_text("tls", conn_tls_version(&any->conn));
    report_end();
    return lost || disorder || duplicates || run.errors ? 2 : 0;
}

int scenario_offline(void)
{
    uint64_t deadline = now_ns() + (uint64_t)(opt.timeout * 1e9);
    const bool never = false;
    struct usage u[4]; /* before and after storing, before and after delivery */
    setup();
    struct client *absent = run.clients + run.senders;
    clients_login(run.clients, run.senders, deadline);
    usage_read_quiet(&u[0]);
    u[0].at = now_ns();
    store(deadline);
    u[1].at = now_ns();
    uint64_t stored_at = u[1].at;
    usage_read_quiet(&u[1]); /* some servers answer before they have stored */
    u[1].at = stored_at;
    usage_read_quiet(&u[2]);
    u[2].at = now_ns();
    clients_login(absent, run.absent, deadline);
    wait_for_messages(deadline);
    uint64_t delivered_at = now_ns();
    usage_read_quiet(&u[3]); /* and remove after they have delivered */
    u[3].at = delivered_at;
    clients_logout(absent, run.absent, deadline);
    clients_login(absent, run.absent, deadline);
    loop_until(&never, now_ns() + PASSED_NS);
    int status = report(u, &run.clients[0]);
    clients_logout(run.clients, run.senders + run.absent, deadline);
    return status;
}
