/*
 * Server side of the command line tool: a local socket in the spool folder that only the server's own user and root may use.
 */
#ifndef ADMIN_CTL_H
#define ADMIN_CTL_H

#include "admin/command.h"
#include "net/listener.h"

/*
 * Listens in the spool folder, whose path may be longer than a socket's name can be; a socket file that a dead server left
 * is replaced. On a fiber of shard 0.
 */
int ctl_start(const char *spool_dir, struct error *err) YIELDS;
/* No new connections; those that are open go on. */
void ctl_stop(void);

/*
 * Words of one complete request at the front of data, program name first. Bytes used; 0: more are needed; -1: not this
 * protocol or over the limits. out has room for CTL_MAX_WORDS.
 */
ptrdiff_t ctl_parse(const char *data, size_t n, struct str *out, size_t *count_out);

/* Where the tool's output goes; kind is CTL_FRAME_OUTPUT or CTL_FRAME_ERROR. write may suspend. */
struct ctl_output {
    int (*write)(struct ctl_output *o, char kind, struct str bytes) YIELDS; /* -1: the tool is gone */
};
/*
 * Runs one command line; words[0] is the program. The exit code. Options before the command: --version N, --auth USER HOST
 * PASSWORD, --json, --dry-run, --dump-api.
 */
int ctl_run(const struct str *words, size_t n, struct ctl_output *o) YIELDS;

#endif
