/* Commands of the tag config. Files are read and written on the blocking pool. */
#include "admin/command.h"

#include "base/mem.h"
#include "core/config/config.h"
#include "core/config/erlang_cfg.h"
#include "core/server.h"
#include "rt/pool.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int reload_config(struct cmd_call *c) YIELDS;
static int reload_config(struct cmd_call *c)
{
    struct error err = ERROR_INIT;
    return server_reload(&err) < 0 ? cmd_fail_as(c, err.code, FAIL_REASON, QUOTE_TEXT, "error", "%s", err.text) : 0;
}

ADMIN_CMD(reload_config) = {
    .tags = "config", .where = RUNS_HERE, .run = reload_config, .brief = "Read the configuration file again and apply it",
    .text = "Connections stay. When the file has an error nothing changes and the answer says where it is.",
    SHAPES({NO_ARGS, RESULT(T_RESCODE("res"))}),
};

struct dump_job {
    char *path;
    struct str text;
    int error; /* errno */
};

/* Missing folders of the path are made, as mkdir -p does. */
static void make_folders(char *path)
{
    for (char *p = path + 1; *p; p++)
        if (*p == '/') {
            *p = '\0';
            mkdir(path, 0755);
            *p = '/';
        }
}

static int write_all(int fd, struct str text)
{
    while (text.n) {
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        text = str_n(text.p + n, text.n - (size_t)n);
    }
    return 0;
}

static int write_and_close(int fd, struct str text)
{
    int error = fd < 0 ? errno : write_all(fd, text);
    if (fd >= 0 && close(fd) < 0 && !error)
        error = errno;
    return error;
}

/*
 * Readable by the owner only: passwords of databases stand in it. A new file takes the place of an old one, whoever may read
 * that or has laid a link there (an attack in /tmp), and nobody ever sees half of it.
 */
static int replace_file(const char *path, struct str text)
{
    size_t n = strlen(path);
    char *fresh = mem_alloc(n + sizeof(".XXXXXX"));
    memcpy(fresh, path, n);
    memcpy(fresh + n, ".XXXXXX", sizeof(".XXXXXX"));
    int fd = mkostemp(fresh, O_CLOEXEC), error = write_and_close(fd, text);
    if (fd >= 0 && !error && rename(fresh, path) < 0)
        error = errno;
    if (fd >= 0 && error)
        unlink(fresh);
    free(fresh);
    return error;
}

static void write_dump(void *arg, void *state)
{
    (void)state;
    struct dump_job *job = arg;
    struct stat st;
    if (!*job->path) {
        job->error = ENOENT;
        return;
    }
    make_folders(job->path);
    if (stat(job->path, &st) < 0 || S_ISREG(st.st_mode))
        job->error = replace_file(job->path, job->text);
    else /* O_NONBLOCK: a pipe that nobody reads would keep the thread */
        job->error = write_and_close(open(job->path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), job->text);
}

/* COMPAT(ejabberd): the words for an error of the system start small, and one of them differs. */
static struct str system_words(struct arena *a, int error)
{
    char words[128];
    if (error == EISDIR)
        return S("illegal operation on a directory");
    char *text = arena_cstr(a, str_of(strerror_r(error, words, sizeof(words))));
    *text = (char)tolower((unsigned char)*text);
    return str_of(text);
}

static int dump_config(struct cmd_call *c) YIELDS;
static int dump_config(struct cmd_call *c)
{
    arena_mark_secret(c->arena);
    struct dump_job job = {.path = arena_cstr(c->arena, arg_str(c, "out")),
                           .text = config_dump(c->arena, config_current(), false)};
    pool_run(pool_general(), write_dump, &job);
    if (!job.error)
        return 0;
    return cmd_fail(c, ERR_BAD_ARGUMENT, "Failed to write to '%s': %.*s", job.path, STR_ARG(system_words(c->arena, job.error)));
}

ADMIN_CMD(dump_config) = {
    .tags = "config", .where = RUNS_HERE, .run = dump_config,
    .brief = "Write the configuration in force to a file, as YAML",
    .text = "Included files, macros and keywords are in their places. Folders that are missing are made. The file may be read by "
            "the server's user only, because passwords stand in it.",
    SHAPES({ARGS(T_STRING("out", "Full path of the file")), RESULT(T_RESCODE("res")), EXAMPLE("/tmp/ejabberd.yml")}),
};

/* --- convert_to_yaml --- */

/* 0, or errno; EFBIG: larger than an old configuration may be. */
static int read_file(struct arena *a, const char *path, struct str *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0)
        return errno;
    int error = fstat(fd, &st) < 0            ? errno
                : S_ISDIR(st.st_mode)         ? EISDIR
                : !S_ISREG(st.st_mode)        ? EINVAL
                : st.st_size > ERLANG_MAX_BYTES ? EFBIG
                                              : 0;
    size_t n = 0, size = error ? 0 : (size_t)st.st_size;
    char *p = arena_alloc(a, size + 1);
    while (!error && n < size) {
        ssize_t got = read(fd, p + n, size - n);
        if (got < 0 && errno != EINTR)
            error = errno;
        if (got == 0)
            break;
        n += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    *out = str_n(p, n);
    return error;
}

static struct str read_included(struct arena *a, const char *path, struct error *err)
{
    struct str text;
    int error = read_file(a, path, &text);
    if (!error)
        return text;
    err_set(err, ERR_IO, "%.*s", STR_ARG(system_words(a, error)));
    return STR_NULL;
}

static struct erlang_cfg_env conversion_env(struct arena *a, const char *in)
{
    const struct server_env *e = server_env();
    const char *slash = strrchr(in, '/');
    const char *dir = slash ? arena_cstr(a, str_n(in, (size_t)(slash - in) + (slash == in))) : ".";
    struct config_env ce = {.spool_dir = e->spool_dir, .log_dir = e->log_dir ? e->log_dir : ".", .config_dir = dir};
    return (struct erlang_cfg_env){.config = ce, .dir = dir, .read = read_included};
}

static int not_readable(struct cmd_call *c, const char *in, struct str why)
{
    return cmd_fail(c, ERR_BAD_ARGUMENT, "Failed to read configuration from '%s': %.*s", in, STR_ARG(why));
}

static int convert_to_yaml(struct cmd_call *c)
{
    const char *in = arena_cstr(c->arena, arg_str(c, "in"));
    struct error err = ERROR_INIT;
    struct str text;
    arena_mark_secret(c->arena);
    int error = read_file(c->arena, in, &text);
    if (error)
        return not_readable(c, in, system_words(c->arena, error));
    struct erlang_cfg_env env = conversion_env(c->arena, in);
    struct erlang_cfg made;
    if (erlang_cfg_convert(c->arena, text, &env, &made, &err) < 0)
        return not_readable(c, in, str_of(err.text));
    struct dump_job job = {.path = arena_cstr(c->arena, arg_str(c, "out")), .text = made.yaml};
    write_dump(&job, NULL);
    if (job.error)
        return cmd_fail(c, ERR_BAD_ARGUMENT, "Failed to write to '%s': %.*s", job.path,
                        STR_ARG(system_words(c->arena, job.error)));
    if (!made.accepted)
        cmd_reason(c, "the file was written, but needs work before the server accepts it; its first lines say what");
    else if (made.left_out)
        cmd_reason(c, "%zu settings were not taken over as they were; the first lines of the file say which and why",
                   made.left_out);
    cmd_code(c, made.accepted);
    return 0;
}

ADMIN_CMD(convert_to_yaml) = {
    .tags = "config", .where = RUNS_ON_POOL, .run = convert_to_yaml,
    .brief = "Make an `ejabberd.yml` of an old `ejabberd.cfg`",
    .text = "Reads the Erlang terms that ejabberd was configured with before version 13.10, included files and macros too. The "
            "result is what this server accepts; what could not be taken over stands in comments at its top. The answer is 1 when "
            "something must be mended by hand first.",
    SHAPES({ARGS(T_STRING("in", "Full path of the old file"), T_STRING("out", "Full path of the new file")),
            RESULT(T_RESCODE("res")), EXAMPLE("/etc/ejabberd/ejabberd.cfg", "/etc/ejabberd/ejabberd.yml")}),
};
