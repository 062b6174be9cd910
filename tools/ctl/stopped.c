/*
 * Why nobody answers: pid file, its lock, the socket, the end of the log. The lock is what tells a living server from a file
 * that a dead one left (process numbers are used again).
 */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL_BYTES 4096
#define TAIL_LINES 5
#define UNIT_HINT "/run/systemd/system"

/* --- facts --- */

static bool lock_is_held(int fd)
{
    if (flock(fd, LOCK_SH | LOCK_NB) != 0)
        return errno == EWOULDBLOCK;
    flock(fd, LOCK_UN);
    return false;
}

static void parse_pid_file(int fd, struct spool *s)
{
    char text[4200];
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    s->pid = (pid_t)atol(text);
    char *file = strchr(text, '\n');
    if (file)
        snprintf(s->log_file, sizeof(s->log_file), "%.*s", (int)strcspn(file + 1, "\n"), file + 1);
    s->log_known = n > 0;
}

void spool_look(const struct options *o, struct spool *s)
{
    char path[4096];
    memset(s, 0, sizeof(*s));
    snprintf(path, sizeof(path), "%s/%s", o->spool, CTL_PID_FILE);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        s->state = errno == ENOENT ? SPOOL_FREE : SPOOL_HIDDEN;
        return;
    }
    parse_pid_file(fd, s);
    s->state = lock_is_held(fd) ? SPOOL_HELD : SPOOL_STALE;
    close(fd);
}

bool spool_held(const struct options *o)
{
    struct spool s;
    spool_look(o, &s);
    return s.state == SPOOL_HELD;
}

/* --- words --- */

static const char *socket_words(const struct options *o, int why)
{
    char path[4096];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", o->spool, CTL_SOCKET);
    if (why == EKEYREJECTED)
        return "held by a process of another user, who is not to be trusted";
    if (why == EACCES || (stat(path, &st) != 0 && errno == EACCES))
        return "not for this user";
    if (why == ENOENT)
        return "none";
    return why == ECONNREFUSED ? "left behind, nobody listens" : strerror(why);
}

void stopped_short(const struct options *o, int why, char *out, size_t size)
{
    struct spool s;
    spool_look(o, &s);
    if (why == EKEYREJECTED)
        snprintf(out, size, "the control socket in %s belongs to another user's process: nothing was sent", o->spool);
    else if (why == EACCES || s.state == SPOOL_HIDDEN)
        snprintf(out, size, "the server that uses %s may only be asked by its own user and by root", o->spool);
    else if (s.state == SPOOL_HELD)
        snprintf(out, size, "the server (process %ld) runs on %s but does not answer: it is starting or stopping. Try: %s status",
                 (long)s.pid, o->spool, o->program);
    else if (s.state == SPOOL_STALE)
        snprintf(out, size, "no server runs on %s: the last one (process %ld) ended without cleaning up. Try: %s status", o->spool,
                 (long)s.pid, o->program);
    else
        snprintf(out, size, "no server runs on %s. Try: %s status", o->spool, o->program);
}

static void headline(const struct options *o, const struct spool *s, int why, char *out, size_t size)
{
    if (why == EKEYREJECTED)
        snprintf(out, size, "Somebody else's process holds the control socket in %s.", o->spool);
    else if (why == EACCES || s->state == SPOOL_HIDDEN)
        snprintf(out, size, "The server that uses %s may only be asked by its own user and by root.", o->spool);
    else if (s->state == SPOOL_HELD)
        snprintf(out, size, "The server (process %ld) runs on %s but does not answer: it is starting or stopping.", (long)s->pid,
                 o->spool);
    else if (s->state == SPOOL_STALE)
        snprintf(out, size, "The server is not running on %s: it ended without cleaning up (killed, or the machine went down).",
                 o->spool);
    else
        snprintf(out, size, "The server is not running on %s.", o->spool);
}

static void pid_words(const struct spool *s, char *out, size_t size)
{
    if (s->state == SPOOL_FREE)
        snprintf(out, size, "none");
    else if (s->state == SPOOL_HIDDEN)
        snprintf(out, size, "not for this user");
    else if (s->state == SPOOL_STALE)
        snprintf(out, size, "stale, of process %ld; no lock on it", (long)s->pid);
    else
        snprintf(out, size, "locked by process %ld", (long)s->pid);
}

/* --- the end of the log --- */

const char *last_lines(const char *text, size_t n, unsigned lines)
{
    const char *p = text + n;
    if (p > text && p[-1] == '\n')
        p--;
    while (p > text && (p[-1] != '\n' || --lines))
        p--;
    return p;
}

static size_t read_tail(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    ssize_t n = end > 0 ? pread(fd, out, size, end > (off_t)size ? end - (off_t)size : 0) : 0;
    if (fd >= 0)
        close(fd);
    return n > 0 ? (size_t)n : 0;
}

bool print_tail(int fd, const char *path, unsigned lines, const char *indent)
{
    char text[TAIL_BYTES];
    size_t n = read_tail(path, text, sizeof(text));
    for (const char *p = last_lines(text, n, lines), *end = text + n; p < end;) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((nl ? nl : end) - p);
        char line[TAIL_BYTES];
        for (size_t i = 0; i < len; i++) /* a log may be older than the rule that it has no control characters */
            line[i] = (unsigned char)p[i] < 0x20 || p[i] == 0x7f ? '?' : p[i];
        dprintf(fd, "%s%.*s\n", indent, (int)len, line);
        p += len + 1;
    }
    return n > 0;
}

static void find_log(const struct options *o, const struct spool *s, char *out, size_t size)
{
    if (s->log_known)
        snprintf(out, size, "%s", s->log_file);
    else
        snprintf(out, size, "%s/cjabberd.log", o->logs);
}

/* --- status --- */

static void json_text(const char *name, const char *text)
{
    dprintf(STDOUT_FILENO, ",\"%s\":\"", name);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            dprintf(STDOUT_FILENO, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            dprintf(STDOUT_FILENO, "\\u%04x", c);
        else
            write_out(STDOUT_FILENO, text, 1);
    }
    write_out(STDOUT_FILENO, "\"", 1);
}

static void explain_json(const struct options *o, const struct spool *s, int why, const char *head, const char *log)
{
    char pid[128];
    pid_words(s, pid, sizeof(pid));
    dprintf(STDOUT_FILENO, "{\"status\":\"error\",\"code\":%d", CTL_EXIT_UNREACHED);
    json_text("message", head);
    json_text("spool", o->spool);
    json_text("pid_file", pid);
    json_text("socket", socket_words(o, why));
    json_text("log_file", log);
    write_out(STDOUT_FILENO, "}\n", 2);
}

static bool has_unit(void)
{
    return access(UNIT_HINT, F_OK) == 0 &&
           (access("/lib/systemd/system/cjabberd.service", F_OK) == 0 || access("/etc/systemd/system/cjabberd.service", F_OK) == 0);
}

static void explain_text(const struct options *o, const struct spool *s, int why, const char *head, const char *log)
{
    char pid[128];
    pid_words(s, pid, sizeof(pid));
    dprintf(STDOUT_FILENO, "%s\n  pid file  %s/%s: %s\n", head, o->spool, CTL_PID_FILE, pid);
    dprintf(STDOUT_FILENO, "  socket    %s/%s: %s\n", o->spool, CTL_SOCKET, socket_words(o, why));
    if (!*log)
        dprintf(STDOUT_FILENO, "  log       standard error of the server%s\n", has_unit() ? ", see: journalctl -u cjabberd" : "");
    else if (access(log, R_OK) != 0)
        dprintf(STDOUT_FILENO, "  log       %s: %s\n", log, strerror(errno));
    else {
        dprintf(STDOUT_FILENO, "  log       %s, its last lines:\n", log);
        print_tail(STDOUT_FILENO, log, TAIL_LINES, "    ");
    }
    if (s->state == SPOOL_FREE || s->state == SPOOL_STALE)
        dprintf(STDOUT_FILENO, has_unit() ? "Start it with: systemctl start cjabberd   (more: systemctl status cjabberd)\n"
                                          : "Start it with: %s start   (another folder: --spool DIR)\n", o->program);
}

void stopped_explain(const struct options *o, int why)
{
    struct spool s;
    char head[4600], log[4608];
    spool_look(o, &s);
    headline(o, &s, why, head, sizeof(head));
    find_log(o, &s, log, sizeof(log));
    if (o->json)
        explain_json(o, &s, why, head, log);
    else
        explain_text(o, &s, why, head, log);
}
