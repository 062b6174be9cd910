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

/* Would the file load? What it says now, for a restart that must not end in a server that cannot start. */
int server_check_config(struct error *err) YIELDS;
/*
 * No new connections and no new logins from here on: all listeners but the control socket close, streams that are still
 * negotiating end with system-shutdown. Sessions go on. Only a restart undoes it.
 */
int server_drain(struct error *err) YIELDS;
/* Any thread. Whoever opens a session asks this first. */
bool server_draining(void);

/* A stop, restart or halt is under way. On shard 0. */
bool server_end_asked(void);

enum server_end { SERVER_STOP, SERVER_RESTART, SERVER_HALT };
/*
 * Asks the server to end: STOP and RESTART close streams with system-shutdown first; HALT ends the process at once after what is
 * acknowledged is on disk. Returns at once; the answer of the command that asked is still sent (HALT: not).
 */
void server_end(enum server_end how);

#endif
