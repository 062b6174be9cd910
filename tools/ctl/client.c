/* The connection to the server: whom the tool talks to, requests, answers. */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int complain(const struct options *o, int code, const char *fmt, ...)
{
    char text[8192];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    dprintf(STDERR_FILENO, "%s: %s\n", o->program, text);
    return code;
}

int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void rest_ms(unsigned ms)
{
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

/* --- whom --- */

/*
 * A request may hold a password, so the other end must be who can read the accounts anyway: this user, or for root the owner
 * of the spool folder. SO_PEERCRED names who called listen(), whatever became of the folder since.
 */
static bool trusted(int fd, const struct options *o)
{
    struct ucred peer;
    struct stat st;
    socklen_t len = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        return false;
    if (peer.uid == geteuid() || peer.uid == 0)
        return true;
    return geteuid() == 0 && stat(o->spool, &st) == 0 && st.st_uid == peer.uid;
}

/* A path that is too long for an address is reached through a descriptor of its folder. */
static int fill_address(const struct options *o, struct sockaddr_un *sa)
{
    int folder = -1;
    if (snprintf(sa->sun_path, sizeof(sa->sun_path), "%s/%s", o->spool, CTL_SOCKET) >= (int)sizeof(sa->sun_path)) {
        folder = open(o->spool, O_PATH | O_DIRECTORY | O_CLOEXEC);
        snprintf(sa->sun_path, sizeof(sa->sun_path), "/proc/self/fd/%d/%s", folder, CTL_SOCKET);
    }
    return folder;
}

int client_reach(const struct options *o)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int folder = fill_address(o, &sa), why = 0, r;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    do
        r = connect(fd, (struct sockaddr *)&sa, sizeof(sa));
    while (r != 0 && errno == EINTR);
    if (r != 0)
        why = errno;
    else if (!trusted(fd, o))
        why = EKEYREJECTED;
    if (folder >= 0)
        close(folder);
    if (!why)
        return fd;
    if (fd >= 0)
        close(fd);
    errno = why;
    return -1;
}

/* --- requests --- */

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

static bool send_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t w = send(fd, p, n, MSG_NOSIGNAL);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return false;
        p += w;
        n -= (size_t)w;
    }
    return true;
}

static size_t words_size(char **words, int count)
{
    size_t n = 0;
    for (int i = 0; i < count; i++)
        n += strlen(words[i]) + 1;
    return n;
}

static char *put_words(char *p, char **words, int count)
{
    for (int i = 0; i < count; i++)
        p = stpcpy(p, words[i]) + 1;
    return p;
}

static char *room(size_t n)
{
    char *p = malloc(n);
    if (!p)
        abort();
    return p;
}

/* There may be a password in it. */
static void forget(char *req, size_t n, const char *not_on_heap)
{
    if (!req)
        return;
    explicit_bzero(req, n);
    if (req != not_on_heap)
        free(req);
}

bool client_send(const struct options *o, int fd, char **first, int first_count, char **words, int count, int *code_out)
{
    char small[1024];
    size_t len = strlen(o->program) + 1 + words_size(first, first_count) + words_size(words, count);
    *code_out = 0;
    if (len > CTL_MAX_REQUEST || first_count + count >= CTL_MAX_WORDS) {
        *code_out = complain(o, EXIT_ERROR, "the arguments are too long (limits: %u bytes, %u words)", CTL_MAX_REQUEST,
                             CTL_MAX_WORDS);
        return false;
    }
    char *req = CTL_HEADER + len <= sizeof(small) ? small : room(CTL_HEADER + len);
    memcpy(req, CTL_MAGIC, 4);
    put32(req + 4, (uint32_t)len);
    char *p = stpcpy(req + CTL_HEADER, o->program) + 1;
    put_words(put_words(p, first, first_count), words, count);
    bool sent = send_all(fd, req, CTL_HEADER + len);
    forget(req, CTL_HEADER + len, small);
    return sent;
}

/* --- answers --- */

void write_out(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w >= 0) {
            p += w;
            n -= (size_t)w;
        } else if (errno == EAGAIN) {
            poll(&(struct pollfd){fd, POLLOUT, 0}, 1, -1);
        } else if (errno != EINTR) {
            if (fd != STDOUT_FILENO)
                return; /* what cannot be told changes no exit code */
            if (errno != EPIPE)
                dprintf(STDERR_FILENO, "cannot write the output: %s\n", strerror(errno));
            _exit(EXIT_ERROR);
        }
    }
}

static bool fill(struct channel *ch)
{
    ssize_t n;
    ch->begin = ch->end = 0;
    do
        n = read(ch->fd, ch->buf, sizeof(ch->buf));
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return false;
    ch->end = (size_t)n;
    return true;
}

static bool take(struct channel *ch, char *out, size_t n)
{
    while (n) {
        if (ch->begin == ch->end && !fill(ch))
            return false;
        size_t part = ch->end - ch->begin < n ? ch->end - ch->begin : n;
        memcpy(out, ch->buf + ch->begin, part);
        ch->begin += part;
        out += part;
        n -= part;
    }
    return true;
}

/* fd -1: thrown away. */
static bool copy_frame(struct channel *ch, uint32_t n, int fd)
{
    while (n) {
        if (ch->begin == ch->end && !fill(ch))
            return false;
        size_t part = ch->end - ch->begin < n ? ch->end - ch->begin : n;
        if (fd >= 0)
            write_out(fd, ch->buf + ch->begin, part);
        ch->begin += part;
        n -= (uint32_t)part;
    }
    return true;
}

enum answer client_receive(struct channel *ch, bool quiet, int *code_out)
{
    char head[CTL_FRAME_HEADER], code;
    bool any = false;
    while (take(ch, head, sizeof(head))) {
        uint32_t n = get32(head + 1);
        any = true;
        if (head[0] == CTL_FRAME_EXIT && n == 1 && take(ch, &code, 1)) {
            *code_out = (unsigned char)code;
            return ANSWER_DONE;
        }
        int fd = quiet ? -1 : head[0] == CTL_FRAME_OUTPUT ? STDOUT_FILENO : head[0] == CTL_FRAME_ERROR ? STDERR_FILENO : -1;
        if (!copy_frame(ch, n, fd))
            break;
    }
    *code_out = CTL_EXIT_UNREACHED;
    return any ? ANSWER_CUT : ANSWER_NONE;
}

int client_ask(const struct options *o, char **words, int count)
{
    static struct channel ch;
    int code;
    ch.fd = client_reach(o);
    ch.begin = ch.end = 0;
    if (ch.fd < 0)
        return -1;
    bool answered = client_send(o, ch.fd, NULL, 0, words, count, &code) && client_receive(&ch, true, &code) == ANSWER_DONE;
    close(ch.fd);
    return answered ? code : -1;
}
