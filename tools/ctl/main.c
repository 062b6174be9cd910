/*
 * cjabberdctl: sends its arguments to the server on the local socket of the spool folder and prints what comes back.
 * Only the C library is linked: a shell loop over it should cost next to nothing.
 *
 * Exit codes: those of the command (0 done, 1 error, 2 wrong number of arguments), 3 when no server can be reached.
 */
#include "admin/ctl_proto.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DEFAULT_SPOOL "/var/lib/cjabberd"
#define DEFAULT_LOGS "/var/log/cjabberd"
#define LOG_TAIL 2048
#define LOG_LINES 5

struct options {
    const char *program, *spool, *logs;
    char **words; /* for the server */
    int count, command; /* command: index of its name */
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Options before the command that take words of their own. */
static int option_words(const char *option)
{
    return !strcmp(option, "--version") ? 1 : !strcmp(option, "--auth") ? 3 : 0;
}

/* Only the place of the server is the tool's own business; all else is the server's, in place of what is taken out. */
static void parse(int argc, char **argv, struct options *o)
{
    const char *spool = getenv("CJABBERD_SPOOL"), *logs = getenv("CJABBERD_LOGS");
    o->program = base_name(argc ? argv[0] : "cjabberdctl");
    o->spool = spool && *spool ? spool : DEFAULT_SPOOL;
    o->logs = logs && *logs ? logs : DEFAULT_LOGS;
    o->words = argv + 1;
    int i = 1;
    while (i < argc && !strncmp(argv[i], "--", 2)) {
        if (i + 1 < argc && !strcmp(argv[i], "--spool")) {
            o->spool = argv[i + 1];
            i += 2;
        } else if (i + 1 < argc && !strcmp(argv[i], "--logs")) {
            o->logs = argv[i + 1];
            i += 2;
        } else {
            for (int own = option_words(argv[i]); own >= 0 && i < argc; own--)
                o->words[o->count++] = argv[i++];
        }
    }
    o->command = o->count;
    while (i < argc)
        o->words[o->count++] = argv[i++];
}

static int is_command(const struct options *o, const char *name)
{
    return o->command < o->count && !strcmp(o->words[o->command], name);
}

static int reach(const struct options *o)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s", o->spool, CTL_SOCKET);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (n >= (int)sizeof(sa.sun_path)) {
        errno = ENAMETOOLONG;
    } else if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0) {
        return fd;
    }
    int why = errno;
    if (fd >= 0)
        close(fd);
    errno = why;
    return -1;
}

/* --- a server that does not run --- */

static const char *read_file(const char *folder, const char *name, off_t from_end, char *out, size_t size)
{
    char path[512];
    snprintf(path, sizeof(path), name ? "%s/%s" : "%s", folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    off_t end = lseek(fd, 0, SEEK_END);
    lseek(fd, from_end && end > from_end ? end - from_end : 0, SEEK_SET);
    ssize_t n = read(fd, out, size - 1);
    close(fd);
    out[n > 0 ? n : 0] = '\0';
    return n > 0 ? out : NULL;
}

static void print_log_end(const char *text)
{
    const char *p = text + strlen(text);
    for (int lines = 0; p > text && lines <= LOG_LINES; lines += *p == '\n')
        p--;
    printf("The last lines of the log:\n%s", p == text || *p != '\n' ? p : p + 1);
}

static void explain(const struct options *o, int why)
{
    char text[LOG_TAIL + 1];
    long pid = 0;
    if (read_file(o->spool, CTL_PID_FILE, 0, text, sizeof(text)))
        pid = atol(text);
    if (why == EACCES)
        printf("The server that uses %s may only be asked by its own user and by root.\n", o->spool);
    else if (pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM))
        printf("The server (process %ld) runs on %s but does not answer yet: it is starting or stopping.\n", pid, o->spool);
    else if (pid > 0)
        printf("The server is not running. It used %s as process %ld and ended without cleaning up.\n", o->spool, pid);
    else
        printf("The server is not running on %s.\n", o->spool);
    char *log_file = pid > 0 ? strchr(text, '\n') : NULL;
    char path[LOG_TAIL + 1] = "";
    if (log_file && log_file[1])
        snprintf(path, sizeof(path), "%.*s", (int)strcspn(log_file + 1, "\n"), log_file + 1);
    if (*path ? read_file(path, NULL, LOG_TAIL, text, sizeof(text))
              : read_file(o->logs, "cjabberd.log", LOG_TAIL, text, sizeof(text)))
        print_log_end(text);
}

static int not_reached(const struct options *o)
{
    int why = errno;
    if (is_command(o, "status"))
        explain(o, why);
    else
        fprintf(stderr, "%s: no server answers on %s: %s. Try: %s status\n", o->program, o->spool, strerror(why), o->program);
    return CTL_EXIT_UNREACHED;
}

/* --- a server that runs --- */

static int write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return -1;
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

static int read_all(int fd, char *p, size_t n)
{
    while (n) {
        ssize_t r = read(fd, p, n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return -1;
        p += r;
        n -= (size_t)r;
    }
    return 0;
}

static void put32(char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (char)(v >> 8 * i);
}

static uint32_t get32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}

static int send_request(int fd, const struct options *o)
{
    size_t len = strlen(o->program) + 1;
    for (int i = 0; i < o->count; i++)
        len += strlen(o->words[i]) + 1;
    if (len > CTL_MAX_REQUEST || o->count >= CTL_MAX_WORDS) {
        fprintf(stderr, "%s: the arguments are too long\n", o->program);
        return 1;
    }
    char *req = malloc(8 + len);
    if (!req)
        abort();
    memcpy(req, CTL_MAGIC, 4);
    put32(req + 4, (uint32_t)len);
    char *p = stpcpy(req + 8, o->program) + 1;
    for (int i = 0; i < o->count; i++)
        p = stpcpy(p, o->words[i]) + 1;
    int rc = write_all(fd, req, 8 + len);
    explicit_bzero(req, 8 + len); /* there may be a password in it */
    free(req);
    return rc;
}

static int copy_out(int fd, uint32_t n)
{
    char buf[16384];
    while (n) {
        uint32_t part = n < sizeof(buf) ? n : (uint32_t)sizeof(buf);
        if (read_all(fd, buf, part) < 0 || write_all(STDOUT_FILENO, buf, part) < 0)
            return -1;
        n -= part;
    }
    return 0;
}

static int receive(int fd, const struct options *o)
{
    char head[5], code;
    while (read_all(fd, head, sizeof(head)) == 0) {
        uint32_t n = get32(head + 1);
        if (head[0] == CTL_FRAME_EXIT && n == 1 && read_all(fd, &code, 1) == 0)
            return (unsigned char)code;
        if (head[0] != CTL_FRAME_OUTPUT || copy_out(fd, n) < 0)
            break;
    }
    /* a server that is halted goes without a word */
    if (is_command(o, "halt"))
        return 0;
    fprintf(stderr, "%s: the server ended the connection before the command was done\n", o->program);
    return CTL_EXIT_UNREACHED;
}

int main(int argc, char **argv)
{
    struct options o = {.count = 0};
    signal(SIGPIPE, SIG_IGN);
    parse(argc, argv, &o);
    int fd = reach(&o);
    if (fd < 0)
        return not_reached(&o);
    int rc = send_request(fd, &o);
    if (rc != 0)
        return rc > 0 ? rc : CTL_EXIT_UNREACHED;
    return receive(fd, &o);
}
