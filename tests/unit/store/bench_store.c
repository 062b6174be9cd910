/*
 * What the store costs: a read through a reader thread, durable writes alone and in company, memory after the start.
 * Run by hand or by `meson test --benchmark`; prints, judges nothing.
 */
#include "harness.h"

#include "base/clock.h"
#include <sys/resource.h>

#define HOST S("a.example")
#define ACCOUNTS 10000
#define READS 50000
#define WRITES 2000
#define FIBERS 32

static uint64_t cpu_us(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static long status_kb(const char *field)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[128];
    long kb = 0;

    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, field, strlen(field)) == 0)
            kb = strtol(line + strlen(field), NULL, 10);
    if (f)
        fclose(f);
    return kb;
}

static uint64_t wall0, cpu0;

static void mark(void)
{
    wall0 = clock_mono_us();
    cpu0 = cpu_us();
}

static void report(const char *what, unsigned n)
{
    double wall = (double)(clock_mono_us() - wall0), cpu = (double)(cpu_us() - cpu0);

    printf("%-44s %8.1f us each, %8.0f a second, %6.1f us CPU each\n", what, wall / n, n * 1e6 / wall, cpu / n);
}

static unsigned next;
static struct latch ended;

static void reader(void *arg)
{
    unsigned *limit = arg;
    struct user_creds c;

    while (next < *limit) {
        struct arena *a = arena_new();
        struct str user = arena_printf(a, "user%u", next++ * 7919 % ACCOUNTS);
        CHECK_INT(users_get(a, HOST, user, &c), STORE_OK);
        arena_release(&a);
    }
    latch_up(&ended);
}

static void writer(void *arg)
{
    unsigned *limit = arg;
    struct user_creds c = plain_creds(S("secret"));

    while (next < *limit) {
        struct arena *a = arena_new();
        CHECK_INT(users_add(HOST, arena_printf(a, "user%u", next++), &c), STORE_OK);
        arena_release(&a);
    }
    latch_up(&ended);
}

static void together(fiber_fn fn, unsigned fibers, unsigned from, unsigned to)
{
    next = from;
    ended = (struct latch){0};
    for (unsigned i = 0; i < fibers; i++)
        fiber_run(fn, &to);
    latch_wait(&ended, fibers);
}

static void bench(void *arg)
{
    struct store_stats before;

    mark();
    together(writer, 1, 0, WRITES / 4);
    report("users_add, one fiber", WRITES / 4);
    before = store_stats();
    mark();
    together(writer, FIBERS, WRITES / 4, WRITES);
    report("users_add, 32 fibers", WRITES - WRITES / 4);
    printf("    commits: %llu\n", (unsigned long long)(store_stats().commits - before.commits));
    together(writer, 256, WRITES, ACCOUNTS);
    mark();
    together(reader, 1, 0, READS);
    report("users_get, one fiber, 10,000 accounts", READS);
    mark();
    together(reader, FIBERS, 0, READS);
    report("users_get, 32 fibers", READS);
    printf("resident after all of it: %ld kB\n", status_kb("VmRSS:"));
}

static void at_start(void *arg)
{
    struct arena *a = arena_new();
    struct user_creds c = plain_creds(S("secret"));
    long opened = status_kb("VmRSS:"), before = *(long *)arg;

    CHECK_INT(users_add(HOST, S("first"), &c), STORE_OK);
    CHECK_INT(users_get(a, HOST, S("first"), &c), STORE_OK);
    printf("resident: %ld kB before, %ld kB with runtime and store open, %ld kB (%ld anonymous) after a write and a read\n", before,
           opened, status_kb("VmRSS:"), status_kb("RssAnon:"));
    arena_release(&a);
}

int main(int argc, char **argv)
{
    struct store_config cfg;
    struct error err = ERROR_INIT;
    long before = status_kb("VmRSS:");

    snprintf(test_dir, sizeof(test_dir), "%s/cj-store-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    if (!mkdtemp(test_dir))
        return 1;
    cfg = config_of(in_dir("db.sqlite"), true);
    cfg.durable = true;
    CHECK_INT(store_start(&cfg, &err), 0);
    run_on_fiber(1, at_start, &before);
    run_on_fiber(1, bench, NULL);
    store_stop();
    return dir_teardown(NULL);
}
