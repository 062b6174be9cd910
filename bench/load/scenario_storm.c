/* storm: accounts that are contacts of one another log in with roster and presence, all within a few seconds, and log out again.
 *
 * Account i has the contacts i ± 1 to i ± contacts / 2, around the circle (load rosters). Each must have seen every contact come;
 * of the accounts with even numbers, which leave first, every contact that stays must see them go. Who comes while the other
 * does may be told twice, by the broadcast and as an answer to the probe (RFC 6121 §4.2.2, §4.3.2): counted, not judged. */
#include "load.h"

#include <stdlib.h>
#include <string.h>

#define STALL_NS 15000000000u

static struct {
    struct client *clients;
    uint8_t *seen, *gone;      /* [client][contact]: has come, has left */
    long arrived, came, left, repeated, errors;
    uint64_t last_arrival;
} run;

/* Place of account j among the contacts of i; -1: not one of them. */
static long slot(long i, long j)
{
    long half = opt.contacts / 2, up = (j - i + opt.count) % opt.count, down = opt.count - up;
    return up == 0 ? -1 : up <= half ? up - 1 : down <= half ? half + down - 1 : -1;
}

static void unexpected(const char *s, size_t len)
{
    if (run.errors++ == 0)
        fprintf(stderr, "load: unexpected: %.*s\n", (int)(len > 400 ? 400 : len), s);
}

static void saw(uint8_t *place, long *counter)
{
    if (*place)
        run.repeated++;
    else
        ++*counter;
    *place = 1;
}

static void on_stanza(struct client *c, const char *s, size_t len)
{
    char from[128], type[32] = "";
    size_t prefix = strlen(opt.prefix);
    if (len < 10 || memcmp(s, "<presence", 9) != 0)
        return;
    if (!attribute(s, len, " from=", from, sizeof from) || strncmp(from, opt.prefix, prefix) != 0) {
        unexpected(s, len);
        return;
    }
    attribute(s, len, " type=", type, sizeof type);
    long other = strtol(from + prefix, NULL, 10), place = slot(c->index, other);
    if (other == c->index)
        return;
    run.arrived++;
    run.last_arrival = now_ns();
    if (place < 0 || (type[0] && strcmp(type, "unavailable") != 0))
        unexpected(s, len);
    else if (type[0])
        saw(&run.gone[c->index * opt.contacts + place], &run.left);
    else
        saw(&run.seen[c->index * opt.contacts + place], &run.came);
}

/* Until *counter has reached all, or nothing has come for a while. */
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

/* Those with odd numbers who have somebody with an even number to see go. */
static long goings_expected(void)
{
    long n = 0;
    for (long i = 1; i < opt.count; i += 2)
        for (long step = -opt.contacts / 2; step <= opt.contacts / 2; step++)
            n += (i + step + opt.count) % opt.count % 2 == 0;
    return n;
}

/* Even ones left first: of them nothing is expected. */
static long goings_seen(void)
{
    long n = 0;
    for (long i = 1; i < opt.count; i += 2)
        for (long j = 0; j < opt.count; j += 2) {
            long place = slot(i, j);
            n += place >= 0 && run.gone[i * opt.contacts + place];
        }
    return n;
}

static int report(const struct usage *from, const struct usage *online, const struct usage *to)
{
    long lost_in = opt.count * opt.contacts - run.came, lost_out = goings_expected() - goings_seen();
    report_begin("storm");
    report_long("count", opt.count);
    report_long("contacts", opt.contacts);
    report_long("presences", run.arrived);
    report_usage(from, to);
    report_double("login_cpu", online->server_cpu - from->server_cpu);
    report_double("login_seconds", (double)(online->at - from->at) / 1e9);
    report_double("presences_per_second", (double)run.arrived / ((double)(to->at - from->at) / 1e9));
    report_long("lost", lost_in + lost_out);
    report_long("disorder", 0);
    report_long("duplicates", 0);
    report_long("repeated", run.repeated);
    report_long("errors", run.errors);
    report_end();
    return lost_in || lost_out || run.errors ? 2 : 0;
}

int scenario_storm(void)
{
    uint64_t deadline = now_ns() + (uint64_t)(opt.timeout * 1e9);
    struct usage from, online, to;
    if (opt.count % 2 || opt.contacts % 2 || opt.contacts >= opt.count)
        die("even numbers of accounts and contacts are needed, fewer contacts than accounts");
    struct client *clients = run.clients = clients_new(opt.count, accounts_new(opt.count));
    run.seen = calloc((size_t)(opt.count * opt.contacts), 1);
    run.gone = calloc((size_t)(opt.count * opt.contacts), 1);
    if (!run.seen || !run.gone)
        die("out of memory");
    for (long i = 0; i < opt.count; i++) {
        clients[i].gets_roster = true;
        clients[i].on_stanza = on_stanza;
    }
    usage_read_quiet(&from);
    from.at = now_ns();
    clients_login(clients, opt.count, deadline);
    wait_for(&run.came, opt.count * opt.contacts, deadline);
    usage_read(&online);
    clients_logout_every(clients, opt.count, 0, 2, deadline);
    wait_for(&run.left, goings_expected(), deadline);
    clients_logout_every(clients, opt.count, 1, 2, deadline);
    usage_read(&to);
    return report(&from, &online, &to);
}
