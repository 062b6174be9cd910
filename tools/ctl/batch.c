/*
 * Command files: a line is a command, all go over one connection, one after the other. Memory is one line, whatever the length
 * of the file. Options of the command line stand in front of every line's own.
 */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK 65536
#define RECONNECT_REST_MS 20
#define RECONNECT_MS 10000 /* between the end of a server and its successor, or systemd's */

struct source {
    int fd;
    char *buf; /* bytes begin..end are unread */
    size_t begin, end, cap;
    bool over;
};

struct batch {
    const struct options *o;
    struct channel ch;
    struct source in;
    unsigned long line, failed, first_failed;
    int code; /* of the first failure */
    char *words[CTL_MAX_WORDS];
};

/* --- lines --- */

/* 1: there is more in the buffer; 0: the end; -1: said why. */
static int read_more(struct batch *b)
{
    struct source *s = &b->in;
    if (s->begin) {
        memmove(s->buf, s->buf + s->begin, s->end - s->begin);
        s->end -= s->begin;
        s->begin = 0;
    }
    if (s->end > CTL_MAX_REQUEST)
        return complain(b->o, -1, "line %lu is longer than %u bytes", b->line, CTL_MAX_REQUEST);
    if (s->cap - s->end < CHUNK + 1) {
        s->cap = s->end + 2 * CHUNK;
        if (!(s->buf = realloc(s->buf, s->cap)))
            abort();
    }
    ssize_t n;
    do
        n = read(s->fd, s->buf + s->end, s->cap - s->end - 1); /* one byte for a NUL */
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return complain(b->o, -1, "cannot read the command file: %s", strerror(errno));
    s->end += (size_t)n;
    return n > 0;
}

/* The next line without its end, which is overwritten by whoever splits it; 1, 0 at the end of the file, -1. */
static int next_line(struct batch *b, char **line_out, size_t *n_out)
{
    struct source *s = &b->in;
    size_t looked = 0;
    b->line++;
    for (;;) {
        char *nl = s->end > s->begin + looked ? memchr(s->buf + s->begin + looked, '\n', s->end - s->begin - looked) : NULL;
        if (nl || s->over) {
            *line_out = s->buf + s->begin;
            *n_out = nl ? (size_t)(nl - *line_out) : s->end - s->begin;
            s->begin += *n_out + (nl ? 1 : 0);
            return nl || *n_out > 0;
        }
        looked = s->end - s->begin;
        int more = read_more(b);
        if (more < 0)
            return -1;
        s->over = more == 0;
    }
}

/* --- the connection --- */

/* Between two commands nothing comes from the server but its end. */
static bool still_there(const struct batch *b)
{
    struct pollfd p = {b->ch.fd, POLLIN | POLLRDHUP, 0};
    return b->ch.fd >= 0 && poll(&p, 1, 0) == 0;
}

static void drop(struct batch *b)
{
    if (b->ch.fd >= 0)
        close(b->ch.fd);
    b->ch.fd = -1;
    b->ch.begin = b->ch.end = 0;
}

/* A server that restarts (a line may ask for that) is waited for; one that does not run from the start is not. */
static bool ensure_connected(struct batch *b)
{
    if (still_there(b))
        return true;
    bool again = b->ch.fd >= 0;
    int64_t limit = (int64_t)b->o->timeout_s * 1000, begin = now_ms();
    int64_t end = begin + (!again ? 0 : limit < RECONNECT_MS ? limit : RECONNECT_MS);
    drop(b);
    while ((b->ch.fd = client_reach(b->o)) < 0) {
        int why = errno;
        bool comes = again && now_ms() < begin + limit && spool_held(b->o);
        if ((now_ms() >= end && !comes) || (why != ECONNREFUSED && why != ENOENT)) {
            char text[1024];
            stopped_short(b->o, why, text, sizeof(text));
            complain(b->o, 0, "%s", text);
            return false;
        }
        rest_ms(RECONNECT_REST_MS);
    }
    return true;
}

/* --- commands --- */

static void count_failure(struct batch *b, int code)
{
    if (b->failed++ == 0) {
        b->first_failed = b->line;
        b->code = code;
    }
}

/* true: on with the next line. */
static bool failed(struct batch *b, const char *command, int code)
{
    count_failure(b, code);
    complain(b->o, 0, "line %lu: %s: exit code %d", b->line, command, code);
    return b->o->keep_going;
}

static bool refused(struct batch *b, const char *why)
{
    count_failure(b, EXIT_ERROR);
    complain(b->o, 0, "line %lu: %s", b->line, why);
    return b->o->keep_going;
}

/* The connection ended inside a command: nobody knows what became of it, so nothing follows it unless that is wanted. */
static bool cut_off(struct batch *b, const char *command)
{
    if (!strcmp(command, "halt"))
        return true;
    count_failure(b, CTL_EXIT_UNREACHED);
    complain(b->o, 0, "line %lu: %s: the server ended the connection before the command was done", b->line, command);
    return b->o->keep_going;
}

static bool run_words(struct batch *b, int count)
{
    int code, at = settings_server_options(b->words, count);
    const char *command = at < count ? b->words[at] : "";
    if (verb_find(command)) {
        char why[256];
        snprintf(why, sizeof(why), "'%.64s' is done by the tool itself and cannot stand in a command file", command);
        return refused(b, why);
    }
    if (!ensure_connected(b)) {
        count_failure(b, CTL_EXIT_UNREACHED);
        return false;
    }
    if (!client_send(b->o, b->ch.fd, b->o->words, b->o->count, b->words, count, &code)) {
        if (code)
            return failed(b, command, code);
        return cut_off(b, command);
    }
    if (client_receive(&b->ch, false, &code) != ANSWER_DONE)
        return cut_off(b, command);
    if (code == 0)
        server_wait_gone(&b->ch, command);
    return code == 0 || failed(b, command, code);
}

static bool run_line(struct batch *b, char *line, size_t n)
{
    const char *why;
    if (b->line == 1 && n >= 3 && !memcmp(line, "\xef\xbb\xbf", 3)) {
        line += 3;
        n -= 3;
    }
    int count = words_split(line, n, b->words, CTL_MAX_WORDS - 1, &why);
    bool go_on = count < 0 ? refused(b, why) : count == 0 || run_words(b, count);
    explicit_bzero(line, n); /* there may be a password in it */
    return go_on;
}

static bool open_source(struct batch *b)
{
    b->in.fd = strcmp(b->o->batch, "-") ? open(b->o->batch, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (b->in.fd < 0)
        complain(b->o, 0, "cannot open %s: %s", b->o->batch, strerror(errno));
    return b->in.fd >= 0;
}

int batch_run(const struct options *o)
{
    static struct batch b;
    char *line;
    size_t n;
    int more = 0;
    b.o = o;
    b.ch.fd = -1;
    if (o->command < o->count)
        return complain(o, EXIT_USAGE, "a command file takes the place of a command: '%s' is one too many", settings_command(o));
    if (!open_source(&b))
        return EXIT_ERROR;
    while ((more = next_line(&b, &line, &n)) > 0 && run_line(&b, line, n))
        ;
    drop(&b);
    if (more < 0)
        count_failure(&b, EXIT_ERROR);
    if (o->keep_going && b.failed)
        complain(o, 0, "%lu of the lines failed, the first was line %lu", b.failed, b.first_failed);
    return b.code;
}
