/* Commands of the tag server: state, memory, and the orderly or sudden end of it. */
#include "admin/command.h"

#include "core/account/roster.h"
#include "core/auth/auth.h"
#include "core/auth/oauth.h"
#include "core/config/config.h"
#include "core/hooks.h"
#include "core/server.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/pool.h"
#include "rt/shard.h"
#include "store/store.h"

#include <malloc.h>

#define GATHER_DEADLINE_MS 10000

static int status(struct cmd_call *c)
{
    cmd_textf(c, "The node %s is started. Status: started\nejabberd %s is running in that node", server_node(), server_version());
    return 0;
}

ADMIN_CMD(status) = {
    .tags = "server", .where = RUNS_HERE, .flags = CMD_READS, .run = status, .brief = "Tell whether the server is running",
    .text = "The answer names the node and the version whose API this is.",
    SHAPES({NO_ARGS, RESULT(T_RESTUPLE("res")),
            SHOWS("The node ejabberd@localhost is started. Status: started\nejabberd 25.03 is running in that node")}),
};

static int registered_vhosts(struct cmd_call *c)
{
    const struct config *cfg = config_current();
    for (size_t i = 0; i < cfg->host_count; i++)
        cmd_add_row(c)->s = arena_str(c->arena, cfg->hosts[i].name);
    return 0;
}

ADMIN_CMD(registered_vhosts) = {
    .tags = "server", .where = RUNS_HERE, .flags = CMD_READS, .run = registered_vhosts,
    .brief = "List the virtual hosts of this server",
    .text = "These are the hosts of the configuration in force; each has accounts and modules of its own.",
    SHAPES({NO_ARGS,
            RESULT(T_LIST("vhosts", "Virtual hosts that are served", T_STRING("vhost", NULL))),
            SHOWS("example.com", "anon.example.com")}),
};

static int forget_on_shard(void *arg, void *slot, struct error *err)
{
    for (size_t i = 0; i < config_current()->host_count; i++) {
        struct caches_event e = {.host = (unsigned)i};
        rosters_stale(e.host);
        hook_run_caches_cleared(e.host, &e);
    }
    return 0;
}

static int clear_cache(struct cmd_call *c) YIELDS;
static int clear_cache(struct cmd_call *c)
{
    struct error err = ERROR_INIT;
    void **slots = ARENA_ARRAY(c->arena, void *, shard_count());
    store_forget_counts();
    if (auth_clear_cache(&err) < 0 || oauth_clear_cache(&err) < 0 ||
        mail_gather(forget_on_shard, NULL, slots, c->arena, GATHER_DEADLINE_MS, &err) < 0)
        return cmd_fail_error(c, &err);
    auth_count_ahead();
    return 0;
}

ADMIN_CMD(clear_cache) = {
    .tags = "server", .where = RUNS_HERE, .run = clear_cache, .brief = "Forget everything that is cached from the database",
    .text = "Needed only after another program has changed the database: what this server writes itself is never stale.",
    SHAPES({NO_ARGS, RESULT(T_RESCODE("res"))}),
};

static int trim_shard(void *arg, void *slot, struct error *err)
{
    (void)arg;
    (void)slot;
    (void)err;
    arena_cache_trim();
    fiber_trim();
    return 0;
}

static void trim_heap(void *arg, void *state)
{
    (void)arg;
    (void)state;
    arena_cache_trim();
    malloc_trim(0);
}

static int gc(struct cmd_call *c) YIELDS;
static int gc(struct cmd_call *c)
{
    struct error err = ERROR_INIT;
    void **slots = ARENA_ARRAY(c->arena, void *, shard_count());
    if (mail_gather(trim_shard, NULL, slots, c->arena, GATHER_DEADLINE_MS, &err) < 0)
        return cmd_fail_error(c, &err);
    pool_run(pool_general(), trim_heap, NULL);
    return 0;
}

ADMIN_CMD(gc) = {
    .tags = "server", .where = RUNS_HERE, .run = gc, .brief = "Give memory that is kept for later back to the system",
    .text = "Memory of past work is kept for the next; after a rare peak this returns it. Nothing that is cached is forgotten, "
            "and no client notices.",
    SHAPES({.note = "added in 20.01", NO_ARGS, RESULT(T_RESCODE("res"))}),
};

static int stop(struct cmd_call *c)
{
    (void)c;
    server_end(SERVER_STOP);
    return 0;
}

ADMIN_CMD(stop) = {
    .tags = "server", .where = RUNS_HERE, .run = stop, .brief = "Stop the server cleanly",
    .text = "Clients are told that the server shuts down, what is queued is written, then the process ends with status 0.",
    SHAPES({NO_ARGS, RESULT(T_RESCODE("res"))}),
};

/* A file that has become faulty meanwhile must not turn a restart into an outage. */
static int restart(struct cmd_call *c) YIELDS;
static int restart(struct cmd_call *c)
{
    struct error err = ERROR_INIT;
    if (server_check_config(&err) < 0)
        return cmd_fail_as(c, ERR_CONFIG, FAIL_REASON, QUOTE_TEXT, "error", "Not restarted: %s", err.text);
    server_end(SERVER_RESTART);
    return 0;
}

ADMIN_CMD(restart) = {
    .tags = "server", .where = RUNS_HERE, .run = restart, .brief = "Stop the server cleanly and start it again",
    .text = "The program is executed anew in the same process with the arguments it was started with, so a newer version that "
            "was installed meanwhile takes over. When the configuration file has an error nothing happens and the answer says "
            "where it is.",
    SHAPES({NO_ARGS, RESULT(T_RESCODE("res"))}),
};

static int halt(struct cmd_call *c)
{
    (void)c;
    server_end(SERVER_HALT);
    return 0;
}

ADMIN_CMD(halt) = {
    .tags = "server", .where = RUNS_HERE, .flags = CMD_ENDS, .run = halt,
    .brief = "End the server at once, with exit status 1",
    .text = "Nobody is told and no answer is sent; what was acknowledged is on disk.",
    SHAPES({.note = "added in 23.10", NO_ARGS, RESULT(T_RESCODE("res"))}),
};
