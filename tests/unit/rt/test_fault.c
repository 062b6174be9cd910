/* Compiled with the faults in, whatever the build option says: fault.c is built for this test alone. */
#include "rt_test.h"

#include "rt/fault.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void switched_by_name(void **state)
{
    setenv("CJABBERD_FAULTS", "store_busy, write_short=3,", 1);
    fault_init();
    for (int i = 1; i < 10; i++) {
        assert_true(fault_hit(FAULT_store_busy));
        assert_int_equal(fault_hit(FAULT_write_short), i == 3);
        assert_false(fault_hit(FAULT_accept_emfile));
    }
}

static void off_by_default(void **state)
{
    unsetenv("CJABBERD_FAULTS");
    fault_init();
    for (unsigned i = 0; i < FAULT__COUNT; i++)
        assert_false(fault_hit((enum fault)i));
}

/* The points are numbers in a file, written by somebody else at any time. */
static void armed_while_it_runs(void **state)
{
    char name[] = "/tmp/test_fault.XXXXXX";
    int64_t n[FAULT__COUNT] = {0};
    int fd = mkstemp(name);
    assert_int_equal(write(fd, n, sizeof n), sizeof n);
    setenv("CJABBERD_FAULTS_FILE", name, 1);
    fault_init();
    unsetenv("CJABBERD_FAULTS_FILE");
    assert_false(fault_hit(FAULT_write_short));
    n[FAULT_write_short] = 2;
    n[FAULT_store_busy] = -1;
    assert_int_equal(pwrite(fd, n, sizeof n, 0), sizeof n);
    for (int i = 1; i < 5; i++) {
        assert_int_equal(fault_hit(FAULT_write_short), i == 2);
        assert_true(fault_hit(FAULT_store_busy));
        assert_false(fault_hit(FAULT_accept_emfile));
    }
    assert_int_equal(pread(fd, n, sizeof n, 0), sizeof n);
    assert_int_equal(n[FAULT_write_short], 0);
    n[FAULT_store_busy] = 0;
    assert_int_equal(pwrite(fd, n, sizeof n, 0), sizeof n);
    close(fd);
    unlink(name);
}

static void exits_with(const char *variable, const char *value)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        setenv(variable, value, 1);
        freopen("/dev/null", "w", stderr);
        fault_init();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 2);
}

static void a_file_of_another_version_ends_the_program(void **state)
{
    exits_with("CJABBERD_FAULTS_FILE", "/dev/null");
    exits_with("CJABBERD_FAULTS_FILE", "/nowhere/faults");
}

static void dies_at_once(void **state)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        setenv("CJABBERD_FAULTS", "die_cell=2", 1);
        fault_init();
        fault_die(FAULT_die_cell);
        fault_die(FAULT_die_copied);
        fault_die(FAULT_die_cell);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void misspelt_names_end_the_program(void **state)
{
    static const char *const bad[] = {"store_buzy", "store_busy=0", "store_busy=x", "=3"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        exits_with("CJABBERD_FAULTS", bad[i]);
}

static int answer(void *arg, struct error *err)
{
    return 1;
}

/* The first call is lost, the second is answered. */
static void lost_call(void *arg)
{
    struct arena *a = arena_new();
    struct error err = ERROR_INIT;
    CHECK(mail_call(1, answer, NULL, a, 20, &err) == -1);
    CHECK(err.code == ERR_TIMEOUT);
    CHECK(mail_call(1, answer, NULL, a, 5000, &err) == 1);
    arena_release(&a);
    rt_stop();
}

static void a_lost_call_times_out(void **state)
{
    setenv("CJABBERD_FAULTS", "call_lost=1", 1);
    fault_init();
    rt_test_run(2, lost_call, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(switched_by_name), cmocka_unit_test(off_by_default),
                                       cmocka_unit_test(misspelt_names_end_the_program),
                                       cmocka_unit_test(armed_while_it_runs),
                                       cmocka_unit_test(a_file_of_another_version_ends_the_program),
                                       cmocka_unit_test(dies_at_once),
                                       cmocka_unit_test(a_lost_call_times_out)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
