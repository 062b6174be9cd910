/* What the main program drives: see core/server.h for what commands see. */
#ifndef CORE_SERVER_START_H
#define CORE_SERVER_START_H

#include "core/config/config.h"
#include "core/server.h"

struct server_hooks {
    int (*started)(struct error *err) YIELDS; /* everything listens (fiber of shard 0) */
    void (*stopping)(void);                   /* the end has begun */
    void (*closing)(void);                    /* the listeners are being closed */
    void (*halting)(void);              /* right before the process ends without ceremony: what is acknowledged goes to disk */
    void (*reloading)(void);            /* the configuration is about to be read again */
    void (*reloaded)(void);             /* it was, with or without success */
};

/* Before rt_start. The configuration stays the caller's. */
void server_start(const struct server_env *env, struct config *c, const struct server_hooks *h);
/* rt_start's callback. */
void server_shard_start(unsigned shard);
/* rt_config.on_stop. */
void server_shard_stop(unsigned shard);
/* Listens and serves until the end; -1 when a listener could not be started. */
int server_run(struct error *err);
enum server_end server_ending(void);
void server_print_warnings(const struct config *c);
/* Loads and refuses what this version cannot do (core/config/supported.h). Blocks. */
struct config *server_load_config(const struct server_env *env, struct error *err);

#endif
