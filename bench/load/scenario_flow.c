/* chat and iqping: numbered stanzas flow from a sender to a receiver.
 *
 * chat: pairs, from the even client to the odd one, closed loop (a fixed number under way per pair; each arrival lets
 * the next go) or open loop (a fixed rate, whatever arrives; latency counts from the moment a message was due).
 * iqping: clients ask the server itself; sender and receiver are one.
 * Every number is checked on arrival for loss, disorder and duplicates. */
#include "load.h"

#include <stdlib.h>
#include <string.h>

#define STALL_NS 15000000000u /* closed loop: without an arrival for so long, what is missing is lost */
#define DRAIN_NS 100000000u   /* after the measurement: time for duplicates to show */

struct flow {
    struct client *sender, *receiver;
    char *text;              /* the stanza, with room for number and time */
    size_t len, number_at, time_at;
    uint64_t sent;
    long credit;             /* arrivals of this read not yet answered */
    struct seqcheck seq;
};

static struct {
    struct flow *flows;
    long n;
    bool ping;
    uint64_t sent, total, warm, arrived, errors;
    bool started, finished;
    uint64_t last_arrival;
    struct usage from, to;
    struct hist latency;
} run;

static void prepare_text(struct flow *f)
{
    char head[512];
    size_t room = (size_t)opt.body + 1024;
    const char *pad_end = "</body></message>";
    f->text = calloc(1, room);
    if (!f->text)
        die("out of memory");
    if (run.ping) {
        snprintf(head, sizeof head, "<iq type='get' to='%s' id='", opt.domain);
        f->number_at = strlen(head);
        f->time_at = f->number_at + 16;
        f->len = (size_t)snprintf(f->text, room, "%s%032d'><ping xmlns='urn:xmpp:ping'/></iq>", head, 0);
        return;
    }
    /* the bare relay carries the message as a server would deliver it, with its sender */
    char from[160] = "";
    if (opt.proto == PROTO_RELAY)
        snprintf(from, sizeof from, " from='%s'", f->sender->jid);
    snprintf(head, sizeof head, "<message%s to='%s' type='chat' id='m'><body>", from, f->receiver->jid);
    f->number_at = strlen(head);
    f->time_at = f->number_at + 16;
    f->len = (size_t)snprintf(f->text, room, "%s%032d", head, 0);
    memset(f->text + f->len, 'x', (size_t)opt.body - 32);
    f->len += (size_t)opt.body - 32;
    memcpy(f->text + f->len, pad_end, strlen(pad_end));
    f->len += strlen(pad_end);
}

static void stamp(struct flow *f, uint64_t due)
{
    hex16(f->sent++, f->text + f->number_at);
    hex16(due, f->text + f->time_at);
    run.sent++;
}

static void send_one(struct flow *f, uint64_t due)
{
    stamp(f, due);
    conn_send(&f->sender->conn, f->text, f->len);
}

/* Several messages in one write. */
static void send_joined(struct flow *f, long n)
{
    static char joined[256 * 1024];
    size_t len = 0;
    for (; n > 0 && run.sent < run.total; n--) {
        if (len + f->len > sizeof joined) {
            conn_send(&f->sender->conn, joined, len);
            len = 0;
        }
        stamp(f, now_ns());
        memcpy(joined + len, f->text, f->len);
        len += f->len;
    }
    if (len)
        conn_send(&f->sender->conn, joined, len);
}

static void send_some(struct flow *f, long n)
{
    if (opt.coalesce) {
        send_joined(f, n);
        return;
    }
    for (; n > 0 && run.sent < run.total; n--)
        send_one(f, now_ns());
}

static const char *number_in(const char *s, size_t len)
{
    const char *key = run.ping ? " id=" : "<body>";
    size_t key_len = strlen(key);
    const char *p = memmem(s, len, key, key_len);
    if (!p)
        return NULL;
    p += key_len + (run.ping ? 1 : 0);
    return (size_t)(p - s) + 32 <= len ? p : NULL;
}

static void count_arrival(void)
{
    run.arrived++;
    if (run.arrived == run.warm) {
        usage_read(&run.from);
        run.started = true;
    }
    if (run.arrived == run.total) {
        usage_read(&run.to);
        run.finished = true;
    }
}

static void on_stanza(struct client *c, const char *s, size_t len)
{
    struct flow *f = &run.flows[run.ping ? c->index : c->index / 2];
    uint64_t number, due, now;
    if (memcmp(s, run.ping ? "<iq " : "<mes", 4) != 0)
        return;
    const char *p = number_in(s, len);
    if (c != f->receiver || !p || !unhex16(p, &number) || !unhex16(p + 16, &due) || number >= f->sent ||
        memmem(s, len > 300 ? 300 : len, "type='error'", 12) || memmem(s, len > 300 ? 300 : len, "type=\"error\"", 12)) {
        if (run.errors++ == 0)
            fprintf(stderr, "load: unexpected: %.*s\n", (int)(len > 400 ? 400 : len), s);
        return;
    }
    seqcheck_saw(&f->seq, number);
    now = run.last_arrival = now_ns();
    if (run.started && !run.finished)
        hist_add(&run.latency, now > due ? now - due : 0);
    f->credit++;
    count_arrival();
}

static void on_batch(struct client *c)
{
    struct flow *f = &run.flows[run.ping ? c->index : c->index / 2];
    long credit = f->credit;
    f->credit = 0;
    if (opt.rate <= 0 && credit)
        send_some(f, credit);
}

static void closed_loop(uint64_t deadline)
{
    run.last_arrival = now_ns();
    if (run.warm == 0) {
        usage_read(&run.from);
        run.started = true;
    }
    for (long i = 0; i < run.n; i++)
        send_some(&run.flows[i], opt.window);
    while (!run.finished) {
        uint64_t now = now_ns(), stalled = run.last_arrival + STALL_NS, stop = stalled < deadline ? stalled : deadline;
        if (now >= stop)
            return;
        loop_turn(stop - now);
    }
}

/* Sends what is due and returns the nanoseconds until the next is. */
static uint64_t send_due(uint64_t begin, double step)
{
    for (;;) {
        uint64_t due = begin + (uint64_t)((double)run.sent * step), now = now_ns();
        if (due > now)
            return due - now;
        if (run.sent == run.total)
            return STALL_NS;
        if (run.sent == run.warm && !run.started) {
            usage_read(&run.from);
            run.started = true;
        }
        send_one(&run.flows[run.sent % (uint64_t)run.n], due);
    }
}

static void open_loop(uint64_t deadline)
{
    uint64_t begin = now_ns(), end = begin + (uint64_t)(opt.seconds * 1e9) + STALL_NS;
    double step = 1e9 / opt.rate;
    if (deadline < end)
        end = deadline;
    while (!run.finished && now_ns() < end) {
        uint64_t wait = send_due(begin, step);
        loop_turn(wait < STALL_NS ? wait : STALL_NS);
    }
}

static void setup(struct client *clients, long n)
{
    run.n = n;
    run.warm = (uint64_t)opt.warm;
    run.total = run.warm + (uint64_t)(opt.rate > 0 ? opt.rate * opt.seconds : (double)opt.count);
    run.flows = calloc((size_t)n, sizeof *run.flows);
    if (!run.flows)
        die("out of memory");
    for (long i = 0; i < n; i++) {
        struct flow *f = &run.flows[i];
        f->sender = &clients[run.ping ? i : 2 * i];
        f->receiver = run.ping ? f->sender : &clients[2 * i + 1];
        f->sender->on_stanza = f->receiver->on_stanza = on_stanza;
        f->receiver->on_batch = on_batch;
        seqcheck_init(&f->seq, run.total);
        prepare_text(f);
    }
}

static int report(const char *name, const struct client *any)
{
    long lost = 0, disorder = 0, duplicates = 0;
    for (long i = 0; i < run.n; i++) {
        const struct seqcheck *s = &run.flows[i].seq;
        lost += (long)(run.flows[i].sent - s->seen);
        disorder += (long)s->disorder;
        duplicates += (long)(s->duplicates + s->invalid);
    }
    report_begin(name);
    report_long("count", (long)(run.arrived - run.warm));
    report_long("pairs", run.n);
    report_long("window", opt.rate > 0 ? 0 : opt.window);
    report_double("rate", opt.rate);
    report_usage(&run.from, &run.to);
    report_long("lost", lost);
    report_long("disorder", disorder);
    report_long("duplicates", duplicates);
    report_long("errors", (long)run.errors);
    report_hist(&run.latency);
    report_text("tls", conn_tls_version(&any->conn));
    report_end();
    return lost || disorder || duplicates || run.errors || !run.finished ? 2 : 0;
}

static int flow_scenario(const char *name, bool ping)
{
    uint64_t deadline = now_ns() + (uint64_t)(opt.timeout * 1e9);
    const bool never = false;
    long n = ping ? opt.pairs : 2 * opt.pairs;
    if (!ping && opt.body < 32)
        die("a body needs 32 bytes for number and time");
    struct account *accounts = accounts_new(n);
    struct client *clients = clients_new(n, accounts);
    run.ping = ping;
    opt.echo = ping;
    clients_login(clients, n, deadline);
    setup(clients, opt.pairs);
    loop_until(&never, now_ns() + (uint64_t)(opt.settle * 1e9));
    if (opt.rate > 0)
        open_loop(deadline);
    else
        closed_loop(deadline);
    if (!run.finished)
        usage_read(&run.to);
    loop_until(&never, now_ns() + DRAIN_NS);
    int status = report(name, &clients[0]);
    if (opt.proto == PROTO_XMPP)
        clients_logout(clients, n, now_ns() + 30000000000u);
    return status;
}

int scenario_chat(void)
{
    return flow_scenario("chat", false);
}

int scenario_iqping(void)
{
    return flow_scenario("iqping", true);
}
