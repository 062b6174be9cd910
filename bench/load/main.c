/* The load generator's command line: one scenario per run, its report as JSON on standard output.
 * Exit status: 0 done and clean, 1 could not be done, 2 done with loss, disorder, duplicates or refusals. */
#include "load.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <sys/resource.h>

struct options opt = {
    .host = "127.0.0.1", .domain = "localhost", .prefix = "bench", .password = "bench-password",
    .path = "/api/check_account", .accounts = 100, .contacts = 100, .rounds = 10, .count = 1000, .concurrency = 50,
    .pairs = 100, .window = 1, .body = 100,
    .seconds = 10, .settle = 1, .timeout = 300,
};

static const struct {
    const char *name, *brief;
    int (*main)(void);
    bool remote;
} modes[] = {
    {"login", "--count logins, --concurrency at once, PLAIN or SCRAM, with or without TLS", scenario_login, true},
    {"idle", "--count quiet sessions after --warm others: resident bytes per session", scenario_idle, true},
    {"start", "try until the server accepts a login; prints the monotonic clock", scenario_start, true},
    {"chat", "--pairs, --window under way each, --count in all; or --rate for --seconds", scenario_chat, true},
    {"storm", "--count accounts, --contacts each, log in, ask for the roster, and log out again", scenario_storm, true},
    {"offline", "--pairs senders write --count messages to --accounts absent ones; then these log in", scenario_offline, true},
    {"resume", "--count sessions cut and resumed --rounds times, --window unacknowledged messages each", scenario_resume, true},
    {"iqping", "--pairs clients ping the server, --window under way each", scenario_iqping, true},
    {"http", "--count POST requests to --path over --pairs keep-alive connections", scenario_http, true},
    {"http-list", "the same for registered_users; --accounts names are expected", scenario_http_list, true},
    {"register", "create --count accounts by POST to --path", scenario_register, true},
    {"rosters", "make --count accounts contacts of --contacts neighbours each by POST to --path", scenario_rosters, true},
    {"relay", "be the bare relay on --host and --port", relay_main, false},
    {"selftest", "test the generator itself", selftest_main, false},
};
#define MODES (sizeof modes / sizeof modes[0])

static const struct option long_options[] = {
    {"host", required_argument, 0, 'h'},     {"port", required_argument, 0, 'p'},
    {"domain", required_argument, 0, 'd'},   {"prefix", required_argument, 0, 'x'},
    {"password", required_argument, 0, 'w'}, {"path", required_argument, 0, 'u'},
    {"tls", required_argument, 0, 't'},      {"mech", required_argument, 0, 'm'},
    {"proto", required_argument, 0, 'P'},    {"server-pid", required_argument, 0, 'S'},
    {"count", required_argument, 0, 'n'},    {"warm", required_argument, 0, 'W'},
    {"concurrency", required_argument, 0, 'c'}, {"pairs", required_argument, 0, 'k'},
    {"window", required_argument, 0, 'i'},   {"body", required_argument, 0, 'b'},
    {"rate", required_argument, 0, 'r'},     {"seconds", required_argument, 0, 's'},
    {"settle", required_argument, 0, 'q'},   {"timeout", required_argument, 0, 'o'},
    {"accounts", required_argument, 0, 'a'}, {"coalesce", no_argument, 0, 'C'},
    {"contacts", required_argument, 0, 'f'}, {"rounds", required_argument, 0, 'R'},
    {0},
};

_Noreturn static void usage(void)
{
    fputs("usage: load SCENARIO [--OPTION VALUE ...]\nscenarios:\n", stderr);
    for (size_t i = 0; i < MODES; i++)
        fprintf(stderr, "  %-9s %s\n", modes[i].name, modes[i].brief);
    fputs("options:", stderr);
    for (const struct option *o = long_options; o->name; o++)
        fprintf(stderr, " --%s", o->name);
    fputc('\n', stderr);
    exit(1);
}

static long number(const char *text, long least, long most)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (end == text || *end || n < least || n > most)
        die("a number from %ld to %ld expected, not %s", least, most, text);
    return n;
}

static double real(const char *text)
{
    char *end;
    double n = strtod(text, &end);
    if (end == text || *end || !(n >= 0 && n <= 1e7))
        die("a number expected, not %s", text);
    return n;
}

/* Index of text among two or three choices. */
static int choice(const char *text, const char *a, const char *b, const char *c)
{
    if (strcmp(text, a) == 0)
        return 0;
    if (strcmp(text, b) == 0)
        return 1;
    if (c && strcmp(text, c) == 0)
        return 2;
    die("%s, %s%s%s expected, not %s", a, b, c ? ", " : "", c ? c : "", text);
}

static void set(int key, const char *value)
{
    switch (key) {
    case 'h': opt.host = value; break;
    case 'p': opt.port = (uint16_t)number(value, 1, 65535); break;
    case 'd': opt.domain = value; break;
    case 'x': opt.prefix = value; break;
    case 'w': opt.password = value; break;
    case 'u': opt.path = value; break;
    case 't': opt.tls = (enum tls_mode)choice(value, "none", "starttls", "direct"); break;
    case 'm': opt.mech = (enum mech)choice(value, "plain", "scram", NULL); break;
    case 'P': opt.proto = (enum proto)choice(value, "xmpp", "relay", NULL); break;
    case 'S': opt.server_pid = (pid_t)number(value, 1, 1 << 22); break;
    case 'a': opt.accounts = number(value, 1, 1000000); break;
    case 'f': opt.contacts = number(value, 2, 10000); break;
    case 'R': opt.rounds = number(value, 1, 100000); break;
    case 'n': opt.count = number(value, 1, 100000000); break;
    case 'W': opt.warm = number(value, 0, 100000000); break;
    case 'c': opt.concurrency = number(value, 1, 100000); break;
    case 'k': opt.pairs = number(value, 1, 30000); break;
    case 'i': opt.window = number(value, 1, 100000); break;
    case 'b': opt.body = number(value, 1, 100000); break;
    case 'r': opt.rate = real(value); break;
    case 's': opt.seconds = real(value); break;
    case 'q': opt.settle = real(value); break;
    case 'o': opt.timeout = real(value); break;
    case 'C': opt.coalesce = true; break;
    default: usage();
    }
}

static void raise_descriptor_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

int main(int argc, char **argv)
{
    size_t mode = 0;
    if (argc < 2)
        usage();
    while (mode < MODES && strcmp(argv[1], modes[mode].name) != 0)
        mode++;
    if (mode == MODES)
        usage();
    for (int key; (key = getopt_long(argc - 1, argv + 1, "", long_options, NULL)) != -1;)
        set(key, optarg);
    if (!opt.port && modes[mode].main != selftest_main)
        die("--port is needed");
    raise_descriptor_limit();
    if (modes[mode].remote)
        loop_init();
    return modes[mode].main();
}
