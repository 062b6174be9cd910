/* resume: sessions whose connection is cut come back and get again what they had not acknowledged (XEP-0198 §5).
 *
 * In every round each client gets opt.window messages from its partner and acknowledges none; then all connections are closed
 * without a word, and opened again opt.concurrency at a time. Measured is from the cut until everybody has everything again:
 * accepting, authenticating, resuming, sending again. The client acknowledges what came the second time, so that anything the
 * server sends once more shows as a duplicate. */
#include "load.h"

#include <stdlib.h>
#include <string.h>

#define STALL_NS 15000000000u
#define DRAIN_NS 100000000u

static struct {
    struct client *clients;
    struct seqcheck *live, *again; /* of each client: before the cut, after it */
    long round, arrived, resent, errors;
    bool cut;
    uint64_t last_arrival;
    struct usage sum;
} run;

static void unexpected(const char *s, size_t len)
{
    if (run.errors++ == 0)
        fprintf(stderr, "load: unexpected: %.*s\n", (int)(len > 400 ? 400 : len), s);
}

static void on_stanza(struct client *c, const char *s, size_t len)
{
    uint64_t number;
    if (s[1] == 'r' || s[1] == 'a') /* <r/> and <a/> */
        return;
    if (run.cut)
        c->handled++;
    const char *p = memmem(s, len, "<body>", 6);
    if (memcmp(s, "<message", 8) != 0 || !p || (size_t)(p + 22 - s) > len || !unhex16(p + 6, &number)) {
        unexpected(s, len);
        return;
    }
    seqcheck_saw(run.cut ? &run.again[c->index] : &run.live[c->index], number);
    run.last_arrival = now_ns();
    if (run.cut)
        run.resent++;
    else
        run.arrived++;
}

static void send_round(struct client *c)
{
    char text[1024], number[17] = "";
    for (long i = 0; i < opt.window; i++) {
        hex16((uint64_t)(run.round * opt.window + i), number);
        snprintf(text, sizeof text, "<message to='%s' type='chat' id='m'><body>%s%0*d</body></message>",
            run.clients[c->index ^ 1].jid, number, (int)opt.body - 16, 0);
        client_send(c, text);
        c->sent++;
    }
}

static void wait_for(const long *counter, long all, uint64_t deadline)
{
    run.last_arrival = now_ns();
    while (*counter < all) {
        uint64_t now = now_ns(), stalled = run.last_arrival + STALL_NS, stop = stalled < deadline ? stalled : deadline;
        if (now >= stop)
            return;
        loop_turn(stop - now);
    }
}

static void add_usage(const struct usage *from, const struct usage *to)
{
    run.sum.server_cpu += to->server_cpu - from->server_cpu;
    run.sum.load_cpu += to->load_cpu - from->load_cpu;
    run.sum.at += to->at - from->at;
}

static void acknowledge(struct client *c)
{
    char text[100];
    snprintf(text, sizeof text, "<a xmlns='urn:xmpp:sm:3' h='%u'/>", c->handled);
    client_send(c, text);
}

static void one_round(uint64_t deadline)
{
    struct usage from, to;
    long all = opt.count * opt.window * (run.round + 1);
    run.cut = false;
    for (long i = 0; i < opt.count; i++)
        send_round(&run.clients[i]);
    wait_for(&run.arrived, all, deadline);
    usage_read_quiet(&from);
    from.at = now_ns();
    run.cut = true;
    for (long i = 0; i < opt.count; i++) {
        client_cut(&run.clients[i]);
        run.clients[i].resumes = true;
    }
    clients_login(run.clients, opt.count, deadline);
    wait_for(&run.resent, all, deadline);
    usage_read(&to);
    add_usage(&from, &to);
    for (long i = 0; i < opt.count; i++)
        acknowledge(&run.clients[i]);
}

static int report(void)
{
    long lost = 0, disorder = 0, duplicates = 0;
    for (long i = 0; i < opt.count; i++)
        for (int again = 0; again < 2; again++) {
            const struct seqcheck *s = again ? &run.again[i] : &run.live[i];
            lost += (long)(s->limit - s->seen);
            disorder += (long)s->disorder;
            duplicates += (long)(s->duplicates + s->invalid);
        }
    report_begin("resume");
    report_long("count", opt.count * opt.rounds);
    report_long("sessions", opt.count);
    report_long("resent", run.resent);
    report_usage(&(struct usage){0}, &run.sum);
    report_long("lost", lost);
    report_long("disorder", disorder);
    report_long("duplicates", duplicates);
    report_long("errors", run.errors);
    report_text("tls", conn_tls_version(&run.clients[0].conn));
    report_end();
    return lost || disorder || duplicates || run.errors ? 2 : 0;
}

int scenario_resume(void)
{
    uint64_t deadline = now_ns() + (uint64_t)(opt.timeout * 1e9);
    const bool never = false;
    if (opt.count % 2 || opt.body < 16 || opt.body > 500)
        die("an even number of sessions and bodies of 16 to 500 bytes are needed");
    run.clients = clients_new(opt.count, accounts_new(opt.count));
    run.live = calloc((size_t)opt.count, sizeof *run.live);
    run.again = calloc((size_t)opt.count, sizeof *run.again);
    if (!run.live || !run.again)
        die("out of memory");
    for (long i = 0; i < opt.count; i++) {
        run.clients[i].manages = true;
        seqcheck_init(&run.live[i], (uint64_t)(opt.rounds * opt.window));
        seqcheck_init(&run.again[i], (uint64_t)(opt.rounds * opt.window));
    }
    clients_login(run.clients, opt.count, deadline);
    for (long i = 0; i < opt.count; i++)
        run.clients[i].on_stanza = on_stanza;
    for (run.round = 0; run.round < opt.rounds; run.round++)
        one_round(deadline);
    loop_until(&never, now_ns() + DRAIN_NS);
    int status = report();
    clients_logout(run.clients, opt.count, deadline);
    return status;
}
