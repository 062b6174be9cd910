/* The running server: start and stop order, reload, and what commands ask about it. */
#ifndef CORE_SERVER_H
#define CORE_SERVER_H

#include "base/arena.h"
#include "base/err.h"

struct server_env {
    const char *config_file, *spool_dir, *log_dir;
    char **argv;                 /* for restart */
};

const struct server_env *server_env(void);
/* "ejabberd@localhost": node name in answers, COMPAT(ejabberd). */
const char *server_node(void);
uint64_t server_uptime_s(void);
/* Version words: "25.03" is what API clients are told (COMPAT), own version beside it. */
const char *server_version(void);
/* This program's own version: "0.1.0". */
const char *server_own_version(void);

/* Loads the file again and swaps it on every shard; on error the old one stays in force. */
int server_reload(struct error *err) YIELDS;

enum server_end { SERVER_STOP, SERVER_RESTART, SERVER_HALT };
/*
 * Asks the server to end: STOP and RESTART close streams with system-shutdown first; HALT ends the process at once after what is
 * acknowledged is on disk. Returns at once; the answer of the command that asked is still sent (HALT: not).
 */
void server_end(enum server_end how);

#endif
