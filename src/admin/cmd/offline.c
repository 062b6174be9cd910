/* Commands of the tag offline: messages that wait for their receiver to come back. */
#include "admin/command.h"

#include "core/config/config.h"
#include "mod/api/offline.h"
#include "store/spool.h"

#define OF_HOST T_BINARY("host", "Virtual host of this server")
#define PURGE .tags = "offline purge", .where = RUNS_HERE

static int store_failed(struct cmd_call *c, enum store_rc rc)
{
    struct error err = ERROR_INIT;
    store_error(rc, "waiting messages", &err);
    return cmd_fail_error(c, &err);
}

static bool served_host(struct cmd_call *c, struct str *host_out)
{
    return arg_host(c, "host", host_out) && config_host(config_current(), *host_out);
}

/* COMPAT(ejabberd): a name that cannot exist has no messages, a host that is not served is an internal error. */
static int get_offline_count(struct cmd_call *c) YIELDS;
static int get_offline_count(struct cmd_call *c)
{
    struct str user, host;
    uint64_t n = 0;
    if (!served_host(c, &host))
        return cmd_fail(c, ERR_INTERNAL, "unknown virtual host");
    if (arg_user(c, "user", &user) && user.n) {
        enum store_rc rc = spool_count(host, user, &n);
        if (rc != STORE_OK)
            return store_failed(c, rc);
    }
    cmd_int(c, (int64_t)n);
    return 0;
}

ADMIN_CMD(get_offline_count) = {
    .tags = "offline", .module = "mod_admin_extra", .policy = POLICY_USER, .where = RUNS_AT_HOME, .home_user = "user",
    .home_host = "host", .flags = CMD_READS, .run = get_offline_count, .brief = "Count the messages that wait for an account",
    RENAMES({"server", "host"}),
    SHAPES({ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host")),
            RESULT(T_INTEGER("value", "Number of messages")), SHOWS("5")}),
};

/* --- at once --- */

static enum store_rc remove_on(struct str host, bool expired, int64_t days, bool count_only, uint64_t *n_out) YIELDS;
static enum store_rc remove_on(struct str host, bool expired, int64_t days, bool count_only, uint64_t *n_out)
{
    return expired ? offline_remove_expired(host, count_only, n_out) : offline_remove_old(host, days, count_only, n_out);
}

/* On every host; the configuration is held because its names are in use meanwhile. */
static int remove_everywhere(struct cmd_call *c, bool expired, int64_t days) YIELDS;
static int remove_everywhere(struct cmd_call *c, bool expired, int64_t days)
{
    struct config *cfg = config_hold(config_current());
    enum store_rc rc = STORE_OK;
    uint64_t n = 0;
    for (size_t i = 0; i < cfg->host_count && rc == STORE_OK; i++) {
        rc = remove_on(cfg->hosts[i].name, expired, days, c->dry_run, &n);
        if (rc == STORE_OK && c->dry_run && n)
            cmd_would(c, arena_printf(c->arena, "%llu messages of %.*s", (unsigned long long)n, STR_ARG(cfg->hosts[i].name)));
    }
    config_release(&cfg);
    cmd_code(c, rc == STORE_OK);
    return rc == STORE_OK ? 0 : store_failed(c, rc);
}

static int delete_expired_messages(struct cmd_call *c) YIELDS;
static int delete_expired_messages(struct cmd_call *c)
{
    return remove_everywhere(c, true, 0);
}

static int delete_old_messages(struct cmd_call *c) YIELDS;
static int delete_old_messages(struct cmd_call *c)
{
    return remove_everywhere(c, false, arg_int(c, "days"));
}

ADMIN_CMD(delete_expired_messages) = {
    PURGE, .flags = CMD_DRY_RUN, .run = delete_expired_messages,
    .brief = "Delete waiting messages whose sender set an end that has passed",
    SHAPES({NO_ARGS, RESULT(T_RESCODE("res"))}),
};

ADMIN_CMD(delete_old_messages) = {
    PURGE, .flags = CMD_DRY_RUN, .run = delete_old_messages,
    .brief = "Delete the messages that have waited for a number of days, on all hosts",
    .text = "For many messages there is _`delete_old_messages_batch`_, which leaves the database time for others.",
    SHAPES({ARGS(T_INTEGER("days", "Messages older than this are deleted")), RESULT(T_RESCODE("res")), EXAMPLE("31")}),
};

/* --- little by little --- */

static int would_delete(struct cmd_call *c, struct str host) YIELDS;
static int would_delete(struct cmd_call *c, struct str host)
{
    uint64_t n;
    enum store_rc rc = offline_remove_old(host, arg_int(c, "days"), true, &n);
    if (rc != STORE_OK)
        return store_failed(c, rc);
    if (n)
        cmd_would(c, arena_printf(c->arena, "%llu messages of %.*s", (unsigned long long)n, STR_ARG(host)));
    cmd_text(c, S(""));
    return 0;
}

static int delete_old_messages_batch(struct cmd_call *c) YIELDS;
static int delete_old_messages_batch(struct cmd_call *c)
{
    int64_t batch = arg_int(c, "batch_size"), rate = arg_int(c, "rate");
    struct error err = ERROR_INIT;
    struct str host;
    if (!served_host(c, &host))
        return cmd_fail(c, ERR_INTERNAL, "unknown virtual host");
    if (batch < 1 || rate < 1)
        return cmd_fail(c, ERR_BAD_ARGUMENT, "batch_size and rate must be at least 1");
    if (c->dry_run)
        return would_delete(c, host);
    if (offline_batch_start(host, arg_int(c, "days"), batch, rate, &err) < 0)
        return err.code == ERR_CONFLICT ? cmd_fail(c, ERR_BAD_REQUEST, "Operation in progress") : cmd_fail_error(c, &err);
    cmd_text(c, S(""));
    return 0;
}

static int tell_job(struct cmd_call *c, const struct job *j)
{
    unsigned long long n = j->done;
    switch (j->state) {
    case JOB_RUNNING: cmd_textf(c, "Operation in progress, deleted %llu messages", n); break;
    case JOB_DONE: cmd_textf(c, "Operation was completed after deleting %llu messages", n); break;
    case JOB_ABORTED: cmd_textf(c, "Operation was aborted after deleting %llu messages", n); break;
    case JOB_FAILED: cmd_textf(c, "Operation failed after deleting %llu messages: %.*s", n, STR_ARG(j->error)); break;
    }
    return 0;
}

static int delete_old_messages_status(struct cmd_call *c) YIELDS;
static int delete_old_messages_status(struct cmd_call *c)
{
    struct str host;
    struct job j;
    enum store_rc rc = arg_host(c, "host", &host) ? offline_batch_last(c->arena, host, &j) : STORE_NONE;
    if (rc == STORE_OK)
        return tell_job(c, &j);
    if (rc != STORE_NONE)
        return store_failed(c, rc);
    cmd_text(c, S("Operation not started"));
    return 0;
}

static int abort_delete_old_messages(struct cmd_call *c) YIELDS;
static int abort_delete_old_messages(struct cmd_call *c)
{
    struct str host;
    enum store_rc rc = arg_host(c, "host", &host) ? offline_batch_abort(host) : STORE_NONE;
    if (rc != STORE_OK && rc != STORE_NONE)
        return store_failed(c, rc);
    cmd_text(c, rc == STORE_OK ? S("Operation aborted") : S("No task running"));
    return 0;
}

ADMIN_CMD(delete_old_messages_batch) = {
    PURGE, .flags = CMD_DRY_RUN, .run = delete_old_messages_batch,
    .brief = "Delete the messages of a virtual host that have waited for a number of days, little by little",
    .text = "The work goes on after the answer. _`delete_old_messages_status`_ tells how far it is, _`abort_delete_old_messages`_ "
            "ends it.",
    SHAPES({.note = "added in 22.05",
            ARGS(OF_HOST, T_INTEGER("days", "Messages older than this are deleted"),
                 T_INTEGER("batch_size", "Messages that are deleted at a time"),
                 T_INTEGER("rate", "Messages that are deleted in a minute")),
            RESULT(T_RESTUPLE("res")), EXAMPLE("localhost", "31", "1000", "10000"), SHOWS("Removal of 5000 messages in progress")}),
};

ADMIN_CMD(delete_old_messages_status) = {
    PURGE, .flags = CMD_READS, .run = delete_old_messages_status,
    .brief = "Tell how far the deletion of waiting messages of a virtual host is",
    .text = "It speaks of the work that _`delete_old_messages_batch`_ began.",
    SHAPES({.note = "added in 22.05", ARGS(OF_HOST), RESULT(T_STRING("status", "The state in words")), EXAMPLE("localhost"),
            SHOWS("Operation in progress, delete 5000 messages")}),
};

ADMIN_CMD(abort_delete_old_messages) = {
    PURGE, .run = abort_delete_old_messages, .brief = "End the deletion of waiting messages of a virtual host before it is through",
    .text = "It ends the work that _`delete_old_messages_batch`_ began; what is deleted stays deleted.",
    SHAPES({.note = "added in 22.05", ARGS(OF_HOST), RESULT(T_STRING("status", "What happened, in words")), EXAMPLE("localhost"),
            SHOWS("Operation aborted")}),
};
