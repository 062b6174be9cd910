/* Commands of the tag config. Files are read and written on the blocking pool. */
#include "admin/command.h"

#include "core/config.h"
#include "core/server.h"
#include "rt/pool.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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

/* Readable by the owner only: passwords of databases stand in it. */
static void write_dump(void *arg, void *state)
{
    (void)state;
    struct dump_job *job = arg;
    if (!*job->path) {
        job->error = ENOENT;
        return;
    }
    make_folders(job->path);
    int fd = open(job->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        job->error = errno;
        return;
    }
    job->error = write_all(fd, job->text);
    if (close(fd) < 0 && !job->error)
        job->error = errno;
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
    .text = "Folders that are missing are made. The file may be read by the server's user only.",
    SHAPES({ARGS(T_STRING("out", "Full path of the file")), RESULT(T_RESCODE("res")), EXAMPLE("/tmp/ejabberd.yml")}),
};
