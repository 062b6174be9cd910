/* Commands of the tag session that end sessions. */
#include "admin/cmd/would.h"

#include "core/account/account.h"

/* Names that are no names have no sessions. */
static int kick(struct cmd_call *c, struct str resource, enum kick_kind kind, struct str reason, unsigned *n_out) YIELDS;
static int kick(struct cmd_call *c, struct str resource, enum kick_kind kind, struct str reason, unsigned *n_out)
{
    struct str user, host;
    struct error err = ERROR_INIT;
    *n_out = 0;
    if (!arg_user(c, "user", &user) || !arg_host(c, "host", &host))
        return 0;
    if (c->dry_run)
        return would_kick(c, user, host, resource);
    if (account_kick(user, host, resource, kind, reason, n_out, &err) < 0)
        return cmd_fail_error(c, &err);
    if (!*n_out)
        cmd_reason(c, "there is no such session");
    return 0;
}

static int kick_user(struct cmd_call *c) YIELDS;
static int kick_user(struct cmd_call *c)
{
    unsigned n;
    if (kick(c, STR_NULL, KICK_ADMIN, STR_NULL, &n) < 0)
        return -1;
    cmd_textf(c, "Kicked sessions: %u", n);
    c->result.i = n;
    return 0;
}

static struct value kicked_number(struct cmd_call *c, const struct value *v)
{
    (void)c;
    return value_int(v->i);
}

ADMIN_CMD(kick_user) = {
    .tags = "session", .where = RUNS_HERE, .flags = CMD_DRY_RUN, .run = kick_user, .brief = "Close all sessions of an account",
    .text = "Nothing keeps the user from logging in again; _`ban_account`_ does.",
    SHAPES({.api = 2, .note = "modified in 24.06",
            ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host")), RESULT(T_RESTUPLE("res")),
            EXAMPLE("user1", "example.com"), SHOWS("Kicked sessions: 2")},
           {ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host")),
            RESULT(T_INTEGER("num_resources", "Number of sessions that were closed")), .from_newest = kicked_number,
            EXAMPLE("user1", "example.com"), SHOWS("3")}),
};

static int kick_session(struct cmd_call *c) YIELDS;
static int kick_session(struct cmd_call *c)
{
    struct str resource = arg_str(c, "resource");
    unsigned n;
    if (!jid_resourceprep(c->arena, resource, &resource))
        return 0;
    return kick(c, str_empty(resource) ? STR_NULL : resource, KICK_SESSION, arg_str(c, "reason"), &n);
}

ADMIN_CMD(kick_session) = {
    .tags = "session", .module = "mod_admin_extra", .where = RUNS_HERE, .flags = CMD_DRY_RUN, .run = kick_session,
    .brief = "Close one session of an account",
    .text = "With an empty resource all sessions of the account are closed.",
    SHAPES({ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host"),
                 T_BINARY("resource", "Resource of the session"), T_BINARY("reason", "Text that the client is told")),
            RESULT(T_RESCODE("res")), EXAMPLE("peter", "myserver.com", "Psi", "Stuck connection"), SHOWS("ok")}),
};
