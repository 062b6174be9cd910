#include "test.h"

#include "base/buf.h"
#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64], path[96];

static int setup(void **state)
{
    snprintf(dir, sizeof(dir), "/tmp/test_log.XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/server.log", dir);
    log_set_level(LOG_INFO);
    return 0;
}

static int teardown(void **state)
{
    char name[128];
    unlink(path);
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof(name), "%s.%d", path, i);
        unlink(name);
    }
    return rmdir(dir);
}

static void start(bool json, uint64_t size, unsigned count)
{
    struct error err = ERROR_INIT;
    struct log_config cfg = {.file = path, .json = json, .rotate_size = size, .rotate_count = count};
    assert_int_equal(log_start(&cfg, &err), 0);
}

/* Content of path + suffix; NULL when there is no such file. */
static char *content(const char *suffix)
{
    static char text[4 * 1024 * 1024];
    char name[128];
    snprintf(name, sizeof(name), "%s%s", path, suffix);
    int fd = open(name, O_RDONLY);
    if (fd < 0)
        return NULL;
    size_t n = 0;
    for (ssize_t got; n + 1 < sizeof(text) && (got = read(fd, text + n, sizeof(text) - 1 - n)) > 0;)
        n += (size_t)got;
    text[n] = '\0';
    close(fd);
    return text;
}

static unsigned lines(const char *text)
{
    unsigned n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void text_format(void **state)
{
    struct log_ctx ctx = {.jid = S("a@b/with space"), .ip = S("::1"), .stream_id = S("")};
    start(false, 0, 0);
    LOG(INFO, "c2s", &ctx, "hello %s", "world");
    LOG(DEBUG, "c2s", NULL, "not to be seen");
    log_stop();
    char *text = content("");
    assert_int_equal(lines(text), 1);
    /* 2026-11-23 15:00:00.123456+00:00 [info] ... */
    assert_int_equal(text[10], ' ');
    assert_int_equal(text[19], '.');
    assert_int_equal(text[29], ':');
    assert_string_equal(text + 33, "[info] c2s: hello world jid=\"a@b/with space\" ip=::1 stream=\"\"\n");
}

static void forged_lines_are_escaped(void **state)
{
    struct log_ctx ctx = {.jid = S("a\nb\"c\\")};
    start(false, 0, 0);
    LOG(INFO, "x", &ctx, "%s", "one\ntwo\r\x1b[31m \xc2\x9b \xff \xe2\x80\xa8 \xc3\xa4");
    log_stop();
    assert_string_equal(content("") + 33, "[info] x: one\\ntwo\\x0d\\x1b[31m \\x9b \\xff \\u2028 \xc3\xa4"
                                          " jid=\"a\\nb\\\"c\\\\\"\n");
}

static void json_format(void **state)
{
    struct log_ctx ctx = {.jid = S("a@b"), .request_id = S("r\"1")};
    start(true, 0, 0);
    LOG(ERROR, "http", &ctx, "say \"%s\"\n\x01\xff", "hi");
    log_stop();
    char *text = content("");
    assert_true(str_starts(str_of(text), S("{\"time\":\"20")));
    assert_int_equal(text[19], 'T');
    assert_string_equal(strstr(text, "\",\"level\""),
                        "\",\"level\":\"error\",\"area\":\"http\",\"text\":\"say \\\"hi\\\"\\n\\u0001\\ufffd\","
                        "\"jid\":\"a@b\",\"request\":\"r\\\"1\"}\n");
}

static void rotation_on_request(void **state)
{
    start(false, 0, 2);
    for (int i = 0; i < 4; i++) {
        LOG(INFO, "x", NULL, "generation %d", i);
        log_rotate();
        /* Waits for the writer, so that the four requests do not become one. */
        LOG(CRITICAL, "x", NULL, "mark %d", i);
    }
    log_stop();
    assert_non_null(strstr(content(""), "mark 3"));
    assert_null(strstr(content(""), "generation"));
    assert_non_null(strstr(content(".0"), "generation 3"));
    assert_non_null(strstr(content(".0"), "mark 2"));
    assert_non_null(strstr(content(".1"), "generation 2"));
    assert_null(content(".2"));
}

static void rotation_by_size(void **state)
{
    start(false, 1000, 3);
    for (int i = 0; i < 60; i++)
        LOG(INFO, "x", NULL, "line number %d", i);
    log_stop();
    unsigned total = 0;
    static const char *const names[] = {"", ".0", ".1", ".2"};
    for (int i = 0; i < 4; i++) {
        char *text = content(names[i]);
        assert_non_null(text);
        assert_true(strlen(text) < 1100);
        assert_true(*text == '\0' || text[strlen(text) - 1] == '\n');
        total += lines(text);
    }
    assert_int_equal(total, 60);
    assert_null(content(".3"));
}

static void truncated_when_none_is_kept(void **state)
{
    start(false, 0, 0);
    LOG(CRITICAL, "x", NULL, "old");
    log_rotate();
    LOG(CRITICAL, "x", NULL, "new");
    log_stop();
    assert_null(strstr(content(""), "old"));
    assert_non_null(strstr(content(""), "new"));
    assert_null(content(".0"));
}

static void files_change_before_the_first_line(void **state)
{
    struct error err = ERROR_INIT;
    start(false, 0, 1);
    assert_int_equal(log_reopen_wait(&err), 0);
    assert_int_equal(log_rotate_wait(&err), 0);
    assert_non_null(content(".0"));
    LOG(INFO, "test", NULL, "first");
    log_stop();
    assert_int_equal(lines(content("")), 1);
}

static void reopened_after_a_move(void **state)
{
    char moved[128];
    snprintf(moved, sizeof(moved), "%s.0", path);
    start(false, 0, 0);
    LOG(CRITICAL, "x", NULL, "before");
    assert_int_equal(rename(path, moved), 0);
    log_reopen();
    LOG(CRITICAL, "x", NULL, "after");
    log_stop();
    assert_non_null(strstr(content(".0"), "before"));
    assert_non_null(strstr(content(""), "after"));
}

/* When the call returns the change is made: what was logged before is in the old file, what comes after in the new one. */
static void waiting_for_the_change(void **state)
{
    struct error err = ERROR_INIT;
    start(false, 0, 2);
    LOG(INFO, "x", NULL, "first");
    assert_int_equal(log_rotate_wait(&err), 0);
    assert_non_null(strstr(content(".0"), "first"));
    assert_string_equal(content(""), "");
    char moved[128];
    snprintf(moved, sizeof(moved), "%s.1", path);
    LOG(INFO, "x", NULL, "second");
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(log_reopen_wait(&err), 0);
    assert_non_null(strstr(content(".1"), "second"));
    assert_string_equal(content(""), "");
    /* a folder in the way */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(log_reopen_wait(&err), -1);
    assert_int_equal(err.code, ERR_IO);
    assert_non_null(strstr(err.text, "directory"));
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(log_reopen_wait(&err), 0);
    log_stop();
    assert_int_equal(log_rotate_wait(&err), 0); /* nothing to wait for */
}

static void levels(void **state)
{
    enum log_level l;
    assert_true(log_level_parse(S("warning"), &l) && l == LOG_WARNING);
    assert_false(log_level_parse(S("loud"), &l));
    assert_string_equal(log_level_name(LOG_DEBUG), "debug");
    log_set_level(LOG_NONE);
    start(false, 0, 0);
    LOG(EMERGENCY, "x", NULL, "unseen");
    log_set_level(LOG_DEBUG);
    LOG(DEBUG, "x", NULL, "seen");
    log_stop();
    assert_null(strstr(content(""), "unseen"));
    assert_non_null(strstr(content(""), "[debug] x: seen"));
}

static void limited(void **state)
{
    start(false, 0, 0);
    for (int i = 0; i < 500; i++)
        LOG_LIMITED(INFO, "x", NULL, "flood %d", i);
    log_stop();
    assert_int_equal(lines(content("")), 60);
    struct log_limit l = {0};
    unsigned dropped = 0;
    assert_true(log_limit_pass(&l, 2, &dropped));
    assert_true(log_limit_pass(&l, 2, &dropped));
    assert_false(log_limit_pass(&l, 2, &dropped));
    assert_false(log_limit_pass(&l, 2, &dropped));
    l.window_start_ms -= 60000;
    assert_true(log_limit_pass(&l, 2, &dropped));
    assert_int_equal(dropped, 2);
}

static void long_line(void **state)
{
    size_t n = 200000;
    char *text = malloc(n + 1);
    memset(text, 'z', n);
    text[n] = '\0';
    start(false, 0, 0);
    LOG(INFO, "x", NULL, "%s", text);
    log_stop();
    free(text);
    assert_in_range(strlen(content("")), 60000, 70000);
}

#define WRITERS 4
#define EACH 500

static void *write_many(void *arg)
{
    for (int i = 0; i < EACH; i++)
        LOG(INFO, "thread", NULL, "%d %d", (int)(intptr_t)arg, i);
    return NULL;
}

static void many_threads(void **state)
{
    pthread_t t[WRITERS];
    start(false, 0, 0);
    for (intptr_t i = 0; i < WRITERS; i++)
        pthread_create(&t[i], NULL, write_many, (void *)i);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(t[i], NULL);
    log_stop();
    int next[WRITERS] = {0};
    char *save = NULL;
    for (char *line = strtok_r(content(""), "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        int who, n;
        assert_int_equal(sscanf(line + 33, "[info] thread: %d %d", &who, &n), 2);
        assert_int_equal(next[who]++, n);
    }
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(next[i], EACH);
}

static void no_such_folder(void **state)
{
    struct error err = ERROR_INIT;
    struct log_config cfg = {.file = "/nonexistent/folder/server.log"};
    assert_int_equal(log_start(&cfg, &err), -1);
    assert_int_equal(err.code, ERR_IO);
    log_stop();
}

#define LOG_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(text_format),       LOG_TEST(forged_lines_are_escaped),    LOG_TEST(json_format),
        LOG_TEST(rotation_on_request), LOG_TEST(rotation_by_size),          LOG_TEST(truncated_when_none_is_kept),
        LOG_TEST(reopened_after_a_move), LOG_TEST(waiting_for_the_change),  LOG_TEST(levels),                  LOG_TEST(limited),
        LOG_TEST(long_line),         LOG_TEST(many_threads),                cmocka_unit_test(no_such_folder),
        LOG_TEST(files_change_before_the_first_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
