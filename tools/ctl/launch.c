/*
 * Starting the server. Its own notification (READY=1, sd_notify(3)) tells when it serves; its end before that, or the time
 * limit, is a failure, and what it wrote to standard error is the reason.
 */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SERVER_BINARY
#define SERVER_BINARY "/usr/sbin/cjabberd"
#endif
#define ERROR_FILE "cjabberd.err"
#define ERROR_LINES 20
#define LOOK_MS 50

struct launch {
    const struct options *o;
    char binary[PATH_MAX], config[PATH_MAX], spool[PATH_MAX], logs[PATH_MAX];
    char error_file[PATH_MAX + 32], ready_name[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
    int ready; /* socket that the server tells, -1: none */
    pid_t pid;
};

/* --- paths --- */

/* The server runs in "/": what is relative here would be another file there. */
static void absolute(const char *path, char *out, size_t size)
{
    char here[PATH_MAX / 2];
    if (path[0] == '/' || !getcwd(here, sizeof(here)))
        snprintf(out, size, "%s", path);
    else
        snprintf(out, size, "%s/%s", here, path);
}

static bool beside(const char *folder, const char *relative, char *out, size_t size)
{
    return snprintf(out, size, "%s/%s", folder, relative) < (int)size && access(out, X_OK) == 0;
}

/* Named, beside the tool (a build folder), in ../sbin, or where it is installed. */
static void find_binary(const struct options *o, char *out, size_t size)
{
    char self[PATH_MAX / 2];
    if (o->server) {
        absolute(o->server, out, size);
        return;
    }
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash) {
        *slash = '\0';
        if (beside(self, "cjabberd", out, size) || beside(self, "../sbin/cjabberd", out, size))
            return;
    }
    snprintf(out, size, "%s", SERVER_BINARY);
}

static void prepare(struct launch *l, const struct options *o)
{
    l->o = o;
    l->ready = -1;
    find_binary(o, l->binary, sizeof(l->binary));
    absolute(o->config, l->config, sizeof(l->config));
    absolute(o->spool, l->spool, sizeof(l->spool));
    absolute(o->logs, l->logs, sizeof(l->logs));
    snprintf(l->error_file, sizeof(l->error_file), "%s/%s", l->logs, ERROR_FILE);
    if (o->node)
        setenv("ERLANG_NODE", o->node, 1);
}

/* --- becoming the server --- */

/* root starts the server as whom the spool folder belongs to: files that root made there would shut the server out later. */
static bool become_owner(const struct launch *l)
{
    struct stat st;
    if (geteuid() != 0 || stat(l->spool, &st) != 0 || st.st_uid == 0)
        return true;
    return setgroups(0, NULL) == 0 && setgid(st.st_gid) == 0 && setuid(st.st_uid) == 0;
}

static void run_server(const struct launch *l, bool logs)
{
    const char *argv[] = {l->binary, "--config", l->config, "--spool", l->spool, logs ? "--logs" : NULL, l->logs, NULL};
    execv(l->binary, (char **)argv);
    dprintf(STDERR_FILENO, "cannot run %s: %s\n", l->binary, strerror(errno));
}

static bool can_log(const struct launch *l)
{
    if (mkdir(l->logs, 0750) == 0 || errno == EEXIST)
        return true;
    dprintf(STDERR_FILENO, "cannot make the folder of log files %s: %s\n", l->logs, strerror(errno));
    return false;
}

int launch_foreground(const struct options *o, bool quiet)
{
    static struct launch l;
    bool logs = quiet || o->logs_given;
    prepare(&l, o);
    if (!become_owner(&l))
        return complain(o, EXIT_ERROR, "cannot become the owner of %s: %s", l.spool, strerror(errno));
    if (!logs || can_log(&l)) {
        umask(027);
        run_server(&l, logs);
    }
    return EXIT_ERROR;
}

/* --- starting it as a child --- */

/* An abstract address of the kernel's choice: no path to be too long, nothing to be cleaned up. */
static bool open_ready(struct launch *l)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(sa);
    l->ready = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (l->ready < 0 || bind(l->ready, (struct sockaddr *)&sa, sizeof(sa.sun_family)) != 0 ||
        getsockname(l->ready, (struct sockaddr *)&sa, &len) != 0)
        return false;
    size_t n = len - offsetof(struct sockaddr_un, sun_path);
    memcpy(l->ready_name, sa.sun_path, n);
    l->ready_name[0] = '@';
    l->ready_name[n] = '\0';
    return true;
}

static void redirect(const char *path, int flags, int to)
{
    int fd = open(path, flags | O_CLOEXEC, 0640);
    if (fd < 0) {
        dprintf(STDERR_FILENO, "cannot open %s: %s\n", path, strerror(errno));
        _exit(127);
    }
    dup2(fd, to);
}

static void in_child(const struct launch *l, bool attached)
{
    umask(027);
    if (attached) {
        setpgid(0, 0); /* the terminal's interrupt is for the tool, which ends the server in order */
        prctl(PR_SET_PDEATHSIG, SIGTERM);
    } else {
        setsid();
    }
    if (!become_owner(l)) {
        dprintf(STDERR_FILENO, "cannot become the owner of %s: %s\n", l->spool, strerror(errno));
        _exit(127);
    }
    if (!can_log(l))
        _exit(127);
    redirect("/dev/null", O_RDONLY, STDIN_FILENO);
    if (!attached)
        redirect("/dev/null", O_WRONLY, STDOUT_FILENO);
    redirect(l->error_file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, STDERR_FILENO);
#ifdef SYS_close_range
    syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
#endif
    setenv("NOTIFY_SOCKET", l->ready_name, 1);
    if (chdir("/") != 0)
        _exit(127);
    run_server(l, true);
    _exit(127);
}

static bool ready(const struct launch *l)
{
    char text[256];
    struct pollfd p = {l->ready, POLLIN, 0};
    if (poll(&p, 1, LOOK_MS) <= 0)
        return false;
    ssize_t n = recv(l->ready, text, sizeof(text) - 1, MSG_DONTWAIT);
    text[n > 0 ? n : 0] = '\0';
    return strstr(text, "READY=1") != NULL;
}

static int not_started(const struct launch *l, int status)
{
    if (WIFSIGNALED(status))
        complain(l->o, 0, "the server did not start: it was ended by signal %d", WTERMSIG(status));
    else
        complain(l->o, 0, "the server did not start (exit code %d)", WEXITSTATUS(status));
    if (!print_tail(STDERR_FILENO, l->error_file, ERROR_LINES, "  "))
        complain(l->o, 0, "it left no words in %s", l->error_file);
    return EXIT_ERROR;
}

static int wait_ready(const struct launch *l)
{
    int64_t end = now_ms() + (int64_t)l->o->timeout_s * 1000;
    int status;
    while (now_ms() < end) {
        if (ready(l))
            return EXIT_DONE;
        if (waitpid(l->pid, &status, WNOHANG) == l->pid)
            return not_started(l, status);
    }
    return complain(l->o, EXIT_ERROR, "the server (process %ld) does not serve after %u s; its log is in %s", (long)l->pid,
                    l->o->timeout_s, l->logs);
}

static int launch(struct launch *l, const struct options *o, bool attached)
{
    prepare(l, o);
    if (access(l->binary, X_OK) != 0)
        return complain(o, EXIT_ERROR, "cannot run %s: %s (--server FILE names another)", l->binary, strerror(errno));
    if (!open_ready(l))
        return complain(o, EXIT_ERROR, "no socket: %s", strerror(errno));
    l->pid = fork();
    if (l->pid < 0)
        return complain(o, EXIT_ERROR, "no process: %s", strerror(errno));
    if (l->pid == 0)
        in_child(l, attached);
    int code = wait_ready(l);
    close(l->ready);
    return code;
}

int launch_daemon(const struct options *o)
{
    static struct launch l;
    return launch(&l, o, false);
}

pid_t launch_attached(const struct options *o)
{
    static struct launch l;
    return launch(&l, o, true) == EXIT_DONE ? l.pid : -1;
}
