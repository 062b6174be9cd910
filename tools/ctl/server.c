/* What the tool does by itself: the server's start, its log, waiting for it, and words for what only Erlang has. */
#include "ctl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS 20
#define GONE_LIMIT_MS 10000 /* the server gives its streams 3 s for their goodbye */
#define ENDING_MS 5000
#define LAST_MS 2000

static int64_t deadline(const struct options *o)
{
    return now_ms() + (int64_t)o->timeout_s * 1000;
}

static bool answers(const struct options *o)
{
    int fd = client_reach(o);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

void server_wait_gone(struct channel *ch, const char *command)
{
    struct pollfd p = {ch->fd, POLLIN | POLLRDHUP, 0};
    if (!strcmp(command, "stop") || !strcmp(command, "restart"))
        poll(&p, 1, GONE_LIMIT_MS);
}

/* --- start --- */

/* A server that is on its way up or down decides itself what comes of it. true: nobody is there, the way is free. */
static bool way_is_free(const struct options *o, int *code_out)
{
    struct spool s;
    for (int64_t end = deadline(o); now_ms() < end; rest_ms(LOOK_MS)) {
        spool_look(o, &s);
        if (answers(o)) {
            *code_out = complain(o, EXIT_ERROR, "a server (process %ld) runs on %s already", (long)s.pid, o->spool);
            return false;
        }
        if (s.state != SPOOL_HELD)
            return true;
    }
    *code_out = complain(o, EXIT_ERROR, "a server (process %ld) holds %s and neither answers nor ends", (long)s.pid, o->spool);
    return false;
}

static int start(const struct options *o)
{
    int code;
    return way_is_free(o, &code) ? launch_daemon(o) : code;
}

static int foreground(const struct options *o)
{
    int code;
    return way_is_free(o, &code) ? launch_foreground(o, false) : code;
}

static int foreground_quiet(const struct options *o)
{
    int code;
    return way_is_free(o, &code) ? launch_foreground(o, true) : code;
}

/* --- live --- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

struct watched {
    const struct options *o;
    int fd;         /* a connection that ends with the server; -1: it has ended */
    int64_t ending; /* since when */
    pid_t child;    /* 0: somebody else's server */
    int status;
    bool told, over;
};

/* A restart ends the connection too: then the new server is watched. */
static bool server_ended(void *arg)
{
    struct watched *w = arg;
    struct pollfd p = {w->fd, POLLIN | POLLRDHUP, 0};
    if (w->fd >= 0 && poll(&p, 1, 0) == 0)
        return false;
    if (w->fd >= 0) {
        close(w->fd);
        w->ending = now_ms();
    }
    w->fd = client_reach(w->o);
    return w->fd < 0 && (now_ms() - w->ending > ENDING_MS || !spool_held(w->o));
}

/* An interrupt asks the server to end; its last words are still shown. */
static bool child_ended(void *arg)
{
    struct watched *w = arg;
    if (interrupted && !w->told) {
        w->told = true;
        kill(w->child, SIGTERM);
    }
    w->over = w->over || waitpid(w->child, &w->status, WNOHANG) == w->child;
    return w->over;
}

static int live_attached(const struct options *o, struct watched *w)
{
    struct spool s;
    spool_look(o, &s);
    if (!s.log_file[0]) {
        close(w->fd);
        return complain(o, EXIT_ERROR, "the server (process %ld) logs to its standard error; try: journalctl -f -u cjabberd",
                        (long)s.pid);
    }
    complain(o, 0, "the log of the running server, %s; end with Ctrl-C, the server goes on", s.log_file);
    follow_file(s.log_file, server_ended, w);
    return complain(o, EXIT_DONE, "the server has ended");
}

static void catch_interrupts(void)
{
    struct sigaction sa = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGHUP, &sa, NULL);
}

static int live_started(const struct options *o, struct watched *w)
{
    struct spool s;
    char *debug[] = {"set_loglevel", "debug"};
    catch_interrupts();
    w->child = launch_attached(o);
    if (w->child < 0)
        return EXIT_ERROR;
    if (client_ask(o, debug, 2) != 0)
        complain(o, 0, "the log level could not be set to debug");
    spool_look(o, &s);
    complain(o, 0, "the server runs as process %ld as long as this does; end with Ctrl-C", (long)w->child);
    follow_file(s.log_file, child_ended, w);
    return WIFEXITED(w->status) ? WEXITSTATUS(w->status) : EXIT_ERROR;
}

static int live(const struct options *o)
{
    struct watched w = {.o = o};
    int code;
    w.fd = client_reach(o);
    if (w.fd >= 0)
        return live_attached(o, &w);
    return way_is_free(o, &code) ? live_started(o, &w) : code;
}

/* --- waiting --- */

static int unreached(const struct options *o)
{
    char text[4700];
    int why = errno;
    stopped_short(o, why, text, sizeof(text));
    return complain(o, CTL_EXIT_UNREACHED, "%s", text);
}

static int started(const struct options *o)
{
    for (int64_t end = deadline(o); !answers(o); rest_ms(LOOK_MS))
        if (now_ms() >= end)
            return unreached(o);
    return EXIT_DONE;
}

/* The lock is let go of a moment before the process is gone. Its number may mean another one here (a container): not for long. */
static int stopped(const struct options *o)
{
    struct spool s;
    int64_t end = deadline(o);
    spool_look(o, &s);
    int process = s.state == SPOOL_HELD ? (int)syscall(SYS_pidfd_open, s.pid, 0) : -1;
    do {
        for (; spool_held(o); rest_ms(LOOK_MS))
            if (now_ms() >= end)
                return complain(o, EXIT_ERROR, "the server on %s still runs after %u s", o->spool, o->timeout_s);
        if (process >= 0)
            poll(&(struct pollfd){process, POLLIN, 0}, 1, LAST_MS);
    } while (spool_held(o));
    if (process >= 0)
        close(process);
    return EXIT_DONE;
}

static int ping(const struct options *o)
{
    char *status[] = {"status"};
    bool there = client_ask(o, status, 1) == 0;
    dprintf(STDOUT_FILENO, there ? "pong\n" : "pang\n");
    return there ? EXIT_DONE : EXIT_ERROR;
}

/* --- Erlang's --- */

static int no_shell(const struct options *o)
{
    return complain(o, EXIT_ERROR,
                    "there is no Erlang shell inside this server. To look into a running one:\n"
                    "  %s set_loglevel debug    more in the log\n"
                    "  %s live                  the log as it grows\n"
                    "  %s stats processes, %s connected_users_info, %s dump_config FILE",
                    o->program, o->program, o->program, o->program, o->program);
}

static int no_etop(const struct options *o)
{
    return complain(o, EXIT_ERROR,
                    "there are no Erlang processes to list. The server's threads: top -H -p $(head -1 %s/%s)\n"
                    "Its own counts: %s stats processes, %s stats onlineusers",
                    o->spool, CTL_PID_FILE, o->program, o->program);
}

/* --- completion --- */

static int completion(const struct options *o)
{
    const char *shell = o->command + 1 < o->count ? o->words[o->command + 1] : "";
    const char *text = !strcmp(shell, "bash") ? completion_bash : !strcmp(shell, "zsh") ? completion_zsh : NULL;
    if (!text)
        return complain(o, EXIT_USAGE, "completion takes the name of a shell: bash or zsh");
    write_out(STDOUT_FILENO, text, strlen(text));
    return EXIT_DONE;
}

static const struct verb verbs[] = {
    {"start", start, "start the server in the background; returns when it serves"},
    {"foreground", foreground, "run the server here, its log on standard error"},
    {"foreground-quiet", foreground_quiet, "run the server here, its log in files only"},
    {"live", live, "show the log of the running server; of a stopped one: run it as long as this runs, at log level debug"},
    {"iexlive", live, NULL},
    {"started", started, "wait until the server serves"},
    {"stopped", stopped, "wait until no server runs"},
    {"ping", ping, "pong when the server answers, else pang"},
    {"debug", no_shell, NULL},
    {"iexdebug", no_shell, NULL},
    {"etop", no_etop, NULL},
    {"completion", completion, "print the completion script for bash or zsh"},
};

const struct verb *verb_find(const char *name)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
        if (!strcmp(verbs[i].name, name))
            return &verbs[i];
    return NULL;
}

const struct verb *verb_at(size_t i)
{
    return i < sizeof(verbs) / sizeof(*verbs) ? &verbs[i] : NULL;
}
