/* Programs run to their end; see the header. Keeps nothing; any thread that may block. */
#include "rt/child.h"

#include "base/clock.h"
#include "rt/shard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENV_MAX 32
#define LOOK_MS 100 /* how often a stopping server is noticed */

extern char **environ;

/* What tools need to find their files and the network; everything else (tokens, passwords of the service) stays here. */
static const char *const kept[] = {"PATH=",        "HOME=",       "TMPDIR=",   "TZ=",          "http_proxy=",
                                   "https_proxy=", "HTTPS_PROXY=", "no_proxy=", "SSH_AUTH_SOCK="};

static void clean_environment(const struct child *c, char *out[ENV_MAX])
{
    size_t n = 0;
    bool path = false;
    for (char **e = environ; *e; e++)
        for (size_t i = 0; i < ARRAY_LEN(kept); i++)
            if (strncmp(*e, kept[i], strlen(kept[i])) == 0 && n < ARRAY_LEN(kept)) {
                out[n++] = *e;
                path = path || i == 0;
            }
    if (!path)
        out[n++] = (char *)(uintptr_t)"PATH=/usr/local/bin:/usr/bin:/bin";
    out[n++] = (char *)(uintptr_t)"LC_ALL=C"; /* its words go into logs and answers */
    for (size_t i = 0; c->set && c->set[i] && n < ENV_MAX - 1; i++)
        out[n++] = (char *)(uintptr_t)c->set[i];
    out[n] = NULL;
}

static int prepare_files(posix_spawn_file_actions_t *fa, const struct child *c, int out)
{
    if (posix_spawn_file_actions_addopen(fa, 0, "/dev/null", O_RDONLY, 0) || posix_spawn_file_actions_adddup2(fa, out, 1) ||
        posix_spawn_file_actions_adddup2(fa, out, 2))
        return -1;
#if defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 34)
    if (posix_spawn_file_actions_addclosefrom_np(fa, 3))
        return -1;
#endif
#endif
    return c->dir && posix_spawn_file_actions_addchdir_np(fa, c->dir) ? -1 : 0;
}

static int start(const struct child *c, int out, pid_t *pid_out, struct error *err)
{
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t attr;
    sigset_t none, all;
    char *env[ENV_MAX];
    sigemptyset(&none);
    sigfillset(&all);
    clean_environment(c, env);
    if (posix_spawn_file_actions_init(&fa) != 0)
        return err_set(err, ERR_IO, "no memory to start %s", c->argv[0]);
    int e = prepare_files(&fa, c, out) ? ENOMEM : posix_spawnattr_init(&attr);
    if (e == 0) {
        posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        posix_spawnattr_setpgroup(&attr, 0);
        posix_spawnattr_setsigmask(&attr, &none);
        posix_spawnattr_setsigdefault(&attr, &all);
        e = posix_spawnp(pid_out, c->argv[0], &fa, &attr, (char *const *)(uintptr_t)c->argv, c->whole_environment ? environ : env);
        posix_spawnattr_destroy(&attr);
    }
    posix_spawn_file_actions_destroy(&fa);
    return e ? err_set(err, e == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot run '%s': %s", c->argv[0], strerror(e)) : 0;
}

/* More output, or false at its end. */
static bool take(int fd, const struct child *c, struct buf *out, size_t start_n)
{
    char part[4096];
    ssize_t n = read(fd, part, sizeof(part));
    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    size_t have = out->n - start_n, room = have < c->output_max ? c->output_max - have : 0;
    if (n > 0 && room)
        buf_add(out, part, (size_t)n < room ? (size_t)n : room);
    return n > 0;
}

/* Until the program has ended, whoever else still holds its output. true: in time. */
static bool follow(const struct child *c, int fd, int pidfd, struct buf *out)
{
    uint64_t end = clock_mono_ms() + c->timeout_ms;
    size_t start_n = out->n;
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};
    while (clock_mono_ms() < end && !rt_stopping()) {
        if (poll(p, 2, LOOK_MS) < 0)
            continue;
        if (p[0].revents && !take(fd, c, out, start_n))
            p[0].fd = -1;
        else if (!p[0].revents && p[1].revents)
            return true;
    }
    return false;
}

static int end_of(const struct child *c, pid_t pid, bool in_time, struct error *err)
{
    int status;
    if (!in_time)
        kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (in_time)
        kill(-pid, SIGKILL); /* what it left behind */
    if (!in_time && err->code != ERR_NONE)
        return -1;
    if (!in_time)
        return rt_stopping() ? err_set(err, ERR_UNAVAILABLE, "the server stops")
                             : err_set(err, ERR_TIMEOUT, "%s took longer than %u s and was ended", c->argv[0],
                                       c->timeout_ms / 1000);
    if (WIFSIGNALED(status))
        return err_set(err, ERR_CONFIG, "%s ended with signal %d (%s)", c->argv[0], WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
    return WEXITSTATUS(status);
}

int child_run(const struct child *c, struct buf *out, struct error *err)
{
    int fds[2];
    pid_t pid;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return err_set(err, ERR_IO, "no pipe to run '%s': %s", c->argv[0], strerror(errno));
    int rc = start(c, fds[1], &pid, err);
    close(fds[1]);
    if (rc == 0) {
        int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (pidfd < 0)
            err_set(err, ERR_IO, "cannot watch '%s': %s", c->argv[0], strerror(errno));
        rc = end_of(c, pid, pidfd >= 0 && follow(c, fds[0], pidfd, out), err);
        if (pidfd >= 0)
            close(pidfd);
    }
    close(fds[0]);
    return rc;
}
