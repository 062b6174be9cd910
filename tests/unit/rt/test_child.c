/* Programs run to their end (rt/child.h): output, status, limits, environment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "rt/child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct result {
    struct buf out;
    struct error err;
    int rc;
};

static struct result run(const struct child *c)
{
    struct result r = {.out = BUF_INIT, .err = ERROR_INIT};
    r.rc = child_run(c, &r.out, &r.err);
    buf_add_c(&r.out, '\0');
    return r;
}

static struct result sh(const char *script, unsigned timeout_ms, size_t output_max)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    return run(&(struct child){.argv = argv, .timeout_ms = timeout_ms, .output_max = output_max});
}

static void says(const char *script, const char *words, int rc)
{
    struct result r = sh(script, 30000, 1000);
    assert_int_equal(r.rc, rc);
    assert_string_equal(r.out.p, words);
    buf_deinit(&r.out);
}

static void status_and_output(void **state)
{
    says("echo out; echo err >&2", "out\nerr\n", 0);
    says("exit 7", "", 7);
    says("cat", "", 0);             /* nothing to read */
    says("sleep 1000 & exit 3", "", 3); /* what is left behind holds the pipe and is ended */
}

static void output_is_bounded(void **state)
{
    struct result r = sh("yes | head -c 5000000; echo end", 30000, 1000);
    assert_int_equal(r.rc, 0);
    assert_int_equal(r.out.n, 1001);
    buf_deinit(&r.out);
}

static void takes_too_long(void **state)
{
    struct result r = sh("echo begun; sleep 1000 & sleep 1000", 200, 1000);
    assert_int_equal(r.rc, -1);
    assert_int_equal(r.err.code, ERR_TIMEOUT);
    assert_string_equal(r.out.p, "begun\n");
    buf_deinit(&r.out);
}

static void does_not_run(void **state)
{
    const char *const argv[] = {"no-such-program-anywhere", NULL};
    struct result r = run(&(struct child){.argv = argv, .timeout_ms = 1000});
    assert_int_equal(r.rc, -1);
    assert_int_equal(r.err.code, ERR_NOT_FOUND);
    buf_deinit(&r.out);
    r = sh("kill -SEGV $$", 30000, 100);
    assert_int_equal(r.rc, -1);
    assert_non_null(strstr(r.err.text, "signal 11"));
    buf_deinit(&r.out);
}

static void environment(void **state)
{
    const char *const argv[] = {"sh", "-c", "echo $SECRET_OF_TEST,$LC_ALL,$GIVEN", NULL};
    const char *const set[] = {"GIVEN=yes", NULL};
    setenv("SECRET_OF_TEST", "s", 1);
    struct result r = run(&(struct child){.argv = argv, .set = set, .timeout_ms = 30000, .output_max = 100});
    assert_string_equal(r.out.p, ",C,yes\n");
    buf_deinit(&r.out);
    r = run(&(struct child){.argv = argv, .whole_environment = true, .timeout_ms = 30000, .output_max = 100});
    assert_memory_equal(r.out.p, "s,", 2);
    buf_deinit(&r.out);
}

/* Sockets of clients and the store's files stay here; ignored signals are not inherited. */
static void nothing_is_inherited(void **state)
{
    int fd = open("/dev/null", O_RDONLY);
    assert_true(fd > 2);
    signal(SIGPIPE, SIG_IGN);
    says("ls /proc/self/fd | wc -l; yes | head -1", "4\ny\n", 0); /* 0 1 2 and the folder itself */
    close(fd);
    const char *const argv[] = {"pwd", NULL};
    struct result r = run(&(struct child){.argv = argv, .dir = "/", .timeout_ms = 30000, .output_max = 100});
    assert_string_equal(r.out.p, "/\n");
    buf_deinit(&r.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_and_output), cmocka_unit_test(output_is_bounded), cmocka_unit_test(takes_too_long),
        cmocka_unit_test(does_not_run),      cmocka_unit_test(environment),       cmocka_unit_test(nothing_is_inherited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
