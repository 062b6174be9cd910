/* What was acknowledged survives kill -9: a child registers with many fibers, says each acknowledged name, and is killed. */
#include "harness.h"

#include <signal.h>
#include <sys/wait.h>

#define HOST S("a.example")
#define FIBERS 8
#define ROUNDS 3
#define NAMES 200

static int ack_fd;
static unsigned lanes;

/* "lane/number" and a newline, in one write: pipes keep short ones whole. */
static void acknowledge(struct str name)
{
    char line[32];
    int n = snprintf(line, sizeof(line), "%.*s\n", STR_ARG(name));

    if (write(ack_fd, line, (size_t)n) != n)
        _exit(1);
}

static void register_for_ever(void *arg)
{
    unsigned lane = lanes++;
    struct user_creds c = plain_creds(S("secret"));
    char name[24];

    for (unsigned i = 0;; i++) {
        snprintf(name, sizeof(name), "%d/%u/%u", getpid(), lane, i);
        if (users_add(HOST, str_of(name), &c) != STORE_OK)
            _exit(2);
        acknowledge(str_of(name));
    }
}

static void child(void *arg)
{
    for (int i = 1; i < FIBERS; i++)
        fiber_run(register_for_ever, NULL);
    register_for_ever(NULL);
}

/* Reads until enough was acknowledged, kills, and reads what was still said. */
static struct str killed_child(struct arena *a)
{
    int fds[2];
    pid_t pid;
    FILE *f;
    char line[64];
    struct str all = S("");
    unsigned n = 0;

    CHECK_INT(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        close(fds[0]);
        ack_fd = fds[1];
        start_store(true);
        run_on_fiber(1, child, NULL);
        _exit(3);
    }
    close(fds[1]);
    f = fdopen(fds[0], "r");
    while (fgets(line, sizeof(line), f)) {
        all = arena_printf(a, "%.*s%s", STR_ARG(all), line);
        if (++n == NAMES)
            kill(pid, SIGKILL);
    }
    fclose(f);
    CHECK_INT(waitpid(pid, (int[1]){0}, 0), pid);
    CHECK(n >= NAMES);
    return all;
}

static void verify(void *arg)
{
    struct str rest = *(struct str *)arg, name, status;
    struct arena *a = arena_new();
    struct user_creds c;
    int64_t seconds;

    while (str_split(&rest, '\n', &name)) {
        if (!name.n)
            continue;
        CHECK_INT(users_get(a, HOST, name, &c), STORE_OK);
        CHECK_INT(last_get(a, HOST, name, &seconds, &status), STORE_OK);
    }
    arena_release(&a);
}

static void test_kill(void **state)
{
    struct arena *a = arena_new();
    struct str acked = S("");

    for (int i = 0; i < ROUNDS; i++) {
        struct str more = killed_child(a);
        acked = arena_printf(a, "%.*s%.*s", STR_ARG(acked), STR_ARG(more));
    }
    start_store(true);
    run_on_fiber(1, verify, &acked);
    store_stop();
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_kill, dir_setup, dir_teardown)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
