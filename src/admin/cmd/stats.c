/* Commands of the tag statistics. */
#include "admin/command.h"

#include "core/account/account.h"
#include "core/auth/auth.h"
#include "core/config/config.h"
#include "core/server.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/shard.h"

#define GATHER_DEADLINE_MS 10000

static int count_fibers(void *arg, void *slot, struct error *err)
{
    (void)arg;
    (void)err;
    *(int64_t *)slot = fiber_count();
    return 0;
}

/* What does work here: the threads of the shards and the fibers on them. */
static int processes(struct cmd_call *c, uint64_t *out, struct error *err) YIELDS;
static int processes(struct cmd_call *c, uint64_t *out, struct error *err)
{
    void **slots = ARENA_ARRAY(c->arena, void *, shard_count());
    for (unsigned i = 0; i < shard_count(); i++)
        slots[i] = ARENA_NEW(c->arena, int64_t);
    if (mail_gather(count_fibers, NULL, slots, c->arena, GATHER_DEADLINE_MS, err) < 0)
        return -1;
    *out = shard_count();
    for (unsigned i = 0; i < shard_count(); i++)
        *out += (uint64_t) * (int64_t *)slots[i];
    return 0;
}

static int registered(uint64_t *out, struct error *err) YIELDS;
static int registered(uint64_t *out, struct error *err)
{
    struct config *cfg = config_hold(config_current());
    int rc = 0;
    *out = 0;
    for (size_t i = 0; i < cfg->host_count && rc == 0; i++) {
        uint64_t n = 0;
        rc = auth_count(cfg->hosts[i].name, &n, err);
        *out += n;
    }
    config_release(&cfg);
    return rc;
}

static int unknown_name(struct cmd_call *c)
{
    return cmd_fail(c, ERR_INTERNAL, "there is no statistic '%.*s'", STR_ARG(arg_str(c, "name")));
}

static int stats(struct cmd_call *c) YIELDS;
static int stats(struct cmd_call *c)
{
    struct str name = arg_str(c, "name");
    struct error err = ERROR_INIT;
    uint64_t n = 0;
    int rc;
    if (str_eq(name, S("uptimeseconds")))
        n = server_uptime_s(), rc = 0;
    else if (str_eq(name, S("processes")))
        rc = processes(c, &n, &err);
    else if (str_eq(name, S("registeredusers")))
        rc = registered(&n, &err);
    else if (str_eq(name, S("onlineusers")) || str_eq(name, S("onlineusersnode")))
        rc = account_count_sessions(STR_NULL, &n, &err);
    else
        return unknown_name(c);
    cmd_int(c, (int64_t)n);
    return rc < 0 ? cmd_fail_error(c, &err) : 0;
}

ADMIN_CMD(stats) = {
    .tags = "statistics", .module = "mod_admin_extra", .policy = POLICY_ADMIN, .where = RUNS_HERE, .flags = CMD_READS,
    .run = stats, .brief = "Tell a number about the whole server",
    .text = "Names of numbers: `registeredusers`, `onlineusers`, `onlineusersnode`, `uptimeseconds`, `processes` (threads of the "
            "server and tasks at work on them).",
    SHAPES({ARGS(T_BINARY("name", "Name of the number")),
            RESULT(T_INTEGER("stat", "The number")), EXAMPLE("registeredusers"), SHOWS("6")}),
};

static int stats_host(struct cmd_call *c) YIELDS;
static int stats_host(struct cmd_call *c)
{
    struct str name = arg_str(c, "name"), host;
    struct error err = ERROR_INIT;
    uint64_t n = 0;
    bool registered_ones = str_eq(name, S("registeredusers"));
    if (!registered_ones && !str_eq(name, S("onlineusers")))
        return unknown_name(c);
    if (arg_host(c, "host", &host) && config_host(config_current(), host)) {
        int rc = registered_ones ? auth_count(host, &n, &err) : account_count_sessions(host, &n, &err);
        if (rc < 0)
            return cmd_fail_error(c, &err);
    }
    cmd_int(c, (int64_t)n);
    return 0;
}

ADMIN_CMD(stats_host) = {
    .tags = "statistics", .module = "mod_admin_extra", .policy = POLICY_ADMIN, .where = RUNS_HERE, .flags = CMD_READS,
    .run = stats_host, .brief = "Tell a number about a virtual host",
    .text = "Names of numbers: `registeredusers`, `onlineusers`.",
    SHAPES({ARGS(T_BINARY("name", "Name of the number"), T_BINARY("host", "Virtual host")),
            RESULT(T_INTEGER("stat", "The number")), EXAMPLE("registeredusers", "example.com"), SHOWS("6")}),
};

/* There are no server-to-server connections: nothing accepts or opens them yet. */
static int no_connections(struct cmd_call *c)
{
    cmd_int(c, 0);
    return 0;
}

ADMIN_CMD(incoming_s2s_number) = {
    .tags = "statistics s2s", .policy = POLICY_ADMIN, .where = RUNS_HERE, .flags = CMD_READS, .run = no_connections,
    .brief = "Count the connections from other servers",
    SHAPES({NO_ARGS, RESULT(T_INTEGER("s2s_incoming", "Connections that other servers opened")), SHOWS("1")}),
};

ADMIN_CMD(outgoing_s2s_number) = {
    .tags = "statistics s2s", .policy = POLICY_ADMIN, .where = RUNS_HERE, .flags = CMD_READS, .run = no_connections,
    .brief = "Count the connections to other servers",
    SHAPES({NO_ARGS, RESULT(T_INTEGER("s2s_outgoing", "Connections that this server opened")), SHOWS("1")}),
};
