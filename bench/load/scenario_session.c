/* login: N logins, measured alone; idle: what a quiet session costs in resident memory; start: the first login a
 * server accepts. */
#include "load.h"

#include <time.h>

static uint64_t after(double seconds)
{
    return now_ns() + (uint64_t)(seconds * 1e9);
}

static void quiet(double seconds)
{
    const bool never = false;
    loop_until(&never, after(seconds));
}

static void report_tls(const struct client *c)
{
    report_text("tls", conn_tls_version(&c->conn));
    report_text("cipher", conn_tls_cipher(&c->conn));
}

/* The first pass learns the accounts' salts and wakes the server's code; only the second is measured. Sessions stay
 * open until the measurement is done: it holds logins, no logouts. */
int scenario_login(void)
{
    uint64_t deadline = after(opt.timeout);
    struct usage from, to;
    struct account *accounts = accounts_new(opt.count);
    struct client *clients = clients_new(opt.count, accounts);
    clients_login(clients, opt.count, deadline);
    clients_logout(clients, opt.count, deadline);
    quiet(opt.settle);
    usage_read(&from);
    clients_login(clients, opt.count, deadline);
    usage_read(&to);
    report_begin("login");
    report_long("count", opt.count);
    report_usage(&from, &to);
    report_tls(&clients[0]);
    report_end();
    clients_logout(clients, opt.count, deadline);
    return 0;
}

/* The first opt.warm sessions pay for the server's code and tables and are not counted. */
int scenario_idle(void)
{
    uint64_t deadline = after(opt.timeout);
    long all = opt.warm + opt.count;
    struct usage from, to;
    struct account *accounts = accounts_new(all);
    struct client *clients = clients_new(all, accounts);
    clients_login(clients, opt.warm, deadline);
    quiet(opt.settle);
    uint64_t before = server_rss();
    clients_login(clients + opt.warm, opt.count, deadline);
    uint64_t at_once = server_rss();
    usage_read(&from);
    quiet(opt.settle);
    usage_read(&to);
    uint64_t settled = server_rss();
    report_begin("idle");
    report_long("count", opt.count);
    report_long("rss_before", (long)before);
    report_long("rss_at_once", (long)at_once);
    report_long("rss_settled", (long)settled);
    report_double("bytes_per_session", ((double)settled - (double)before) / (double)opt.count);
    report_usage(&from, &to);
    report_tls(&clients[0]);
    report_end();
    clients_logout(clients, all, deadline);
    return 0;
}

/* Runs beside the start of a server: tries every half millisecond. The time is the monotonic clock's, which the caller
 * shares, so it subtracts the moment at which it executed the server. */
int scenario_start(void)
{
    uint64_t deadline = after(opt.timeout);
    struct account *accounts = accounts_new(1);
    struct client *clients = clients_new(1, accounts);
    while (!client_probe(&clients[0], deadline)) {
        if (now_ns() >= deadline)
            die("no login accepted in time");
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
    uint64_t at = now_ns();
    report_begin("start");
    report_long("accepted_at_ns", (long)at);
    report_end();
    clients_logout(clients, 1, deadline);
    return 0;
}
