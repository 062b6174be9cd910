/*
 * cjabberdctl: what its files share. Single-threaded, C library only; of the server only admin/ctl_proto.h is known here.
 * Exit codes: those of the command (0 done, 1 error, 2 wrong number of arguments), CTL_EXIT_UNREACHED (3) when no server can
 * be reached or it went away before the answer was complete.
 */
#ifndef TOOLS_CTL_H
#define TOOLS_CTL_H

#include "admin/ctl_proto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define EXIT_DONE 0
#define EXIT_ERROR 1
#define EXIT_USAGE 2

struct options {
    const char *program; /* as it was called: cjabberdctl, ejabberdctl */
    const char *spool, *logs, *config, *server; /* server: the binary, NULL: to be looked for */
    const char *node;    /* ERLANG_NODE for a server that is started, may be NULL */
    bool logs_given;     /* on the command line: a foreground server writes there */
    unsigned timeout_s;  /* of start, started, stopped */
    const char *batch;   /* --batch: the file, "-" for standard input */
    bool keep_going, json;
    char **words;        /* for the server: options, then from the command on */
    int count, command;  /* command: index of its name, count when there is none */
};

/* --- settings.c --- */
/* Command line, then environment, then ejabberdctl.cfg, then defaults. false: *code_out says how to end. */
bool settings_read(int argc, char **argv, struct options *out, int *code_out);
const char *settings_command(const struct options *o); /* "" when there is none */
/* Option words at the front of a line that are the server's business: how many, with their own words. */
int settings_server_options(char **words, int count);

/* --- client.c --- */
struct channel {
    int fd;
    size_t begin, end;
    char buf[65536];
};
enum answer { ANSWER_DONE, ANSWER_CUT, ANSWER_NONE }; /* CUT: the connection ended inside it; NONE: before any of it */

/*
 * A connection to the server of the spool folder: descriptor, or -1 with errno. EKEYREJECTED: the socket belongs to a user
 * who is not to be trusted.
 */
int client_reach(const struct options *o);
/* The line's words; false: cannot be sent (said why when it is the line's fault, *code_out is then not 0). */
bool client_send(const struct options *o, int fd, char **first, int first_count, char **words, int count, int *code_out);
/* Frames up to the exit code; output is copied unless quiet. Ends the program when standard output is closed. */
enum answer client_receive(struct channel *ch, bool quiet, int *code_out);
/* One whole command on a connection of its own, nothing printed: its exit code, or -1. */
int client_ask(const struct options *o, char **words, int count);
/* To standard output or error. A closed pipe ends the program without a word. */
void write_out(int fd, const char *p, size_t n);
/* Milliseconds of the monotonic clock, and a rest. */
int64_t now_ms(void);
void rest_ms(unsigned ms);
/* "PROGRAM: words" on standard error; returns code. */
int complain(const struct options *o, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* --- words.c --- */
/*
 * Splits a line like a shell does, in place: blanks separate, 'literal', "with \" \\ \$ \`", $'with \n \t \r \\ \' \"',
 * backslash, # begins a comment where a word could begin. Nothing is expanded. Words (NUL-terminated, pointing into line), or
 * -1 with *why_out a literal. line has room for a NUL at line[n].
 */
int words_split(char *line, size_t n, char **out, int max, const char **why_out);

/* --- batch.c --- */
int batch_run(const struct options *o);

/* --- stopped.c --- */
enum spool_state { SPOOL_FREE, SPOOL_STALE, SPOOL_HELD, SPOOL_HIDDEN }; /* pid file: none, of a dead server, locked, unreadable */
struct spool {
    enum spool_state state;
    pid_t pid;
    char log_file[4096]; /* empty: unknown, or standard error */
    bool log_known;      /* the pid file was there */
};
void spool_look(const struct options *o, struct spool *out);
bool spool_held(const struct options *o);
/* One line why nobody answers; why is errno of client_reach. */
void stopped_short(const struct options *o, int why, char *out, size_t size);
/* Everything that can be found out, for `status`. */
void stopped_explain(const struct options *o, int why);
/* The end of a file: at most lines of it, control characters made visible; false: unreadable or empty. */
const char *last_lines(const char *text, size_t n, unsigned lines); /* where they begin */
bool print_tail(int fd, const char *path, unsigned lines, const char *indent);

/* --- server.c --- */
struct verb {
    const char *name;
    int (*run)(const struct options *o);
    const char *brief;
};
/* What the tool does by itself; NULL: a command of the server. */
const struct verb *verb_find(const char *name);
const struct verb *verb_at(size_t i); /* NULL after the last */
/* After `stop` and `restart`: until the server lets go of the connection, so that what follows cannot reach the old one. */
void server_wait_gone(struct channel *ch, const char *command);

/* --- follow.c --- */
/* Shows the last lines of the file and what is added to it until `ended`, asked every now and then, says so. */
int follow_file(const char *path, bool (*ended)(void *arg), void *arg);

/* --- launch.c --- */
/* Starts the server detached and waits until it serves; pid of a failed one is gone already. Exit code. */
int launch_daemon(const struct options *o);
/* Becomes the server; returns only when that fails. */
int launch_foreground(const struct options *o, bool quiet);
/* Starts it as a child that dies with the tool and waits until it serves: its pid, or -1 and it was said why. */
pid_t launch_attached(const struct options *o);

/* completion_data.c, generated from the command table */
extern const char completion_bash[], completion_zsh[];

#endif
