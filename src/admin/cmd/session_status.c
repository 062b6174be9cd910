/* Commands that look for sessions by their presence: status_num, status_list and their forms for one host. */
#include "admin/command.h"

#include "core/account/account.h"

/* "all": any, an absent text. false: no name of a host. */
static bool named_host(struct cmd_call *c, struct str host, struct str *out)
{
    *out = STR_NULL;
    return str_eq(host, S("all")) || (jid_nameprep(c->arena, host, out) && !str_empty(*out));
}

static int count(struct cmd_call *c, struct str host) YIELDS;
static int count(struct cmd_call *c, struct str host)
{
    struct error err = ERROR_INIT;
    struct str wanted = arg_str(c, "status"), prepared = STR_NULL;
    uint64_t n = 0;
    int rc = 0;
    if (!named_host(c, host, &prepared))
        rc = 0;
    else if (str_eq(wanted, S("all")))
        rc = account_count_sessions(prepared, &n, &err);
    else
        rc = account_count_showing(prepared, wanted, &n, &err);
    if (rc < 0)
        return cmd_fail_error(c, &err);
    cmd_int(c, (int64_t)n);
    return 0;
}

struct listing {
    struct cmd_call *c;
    int rc;
};

static bool send_session(const struct session_info *s, void *arg) YIELDS;
static bool send_session(const struct session_info *s, void *arg)
{
    struct listing *l = arg;
    struct value f[] = {value_str(jid_full(s->jid)), value_int(s->priority), value_str(s->status_text)};
    if (cmd_stream_row(l->c, &(struct value){.items = f, .n = ARRAY_LEN(f)}) < 0)
        l->rc = cmd_fail(l->c, ERR_INTERNAL, "nobody takes the rest of the list");
    return l->rc == 0;
}

static int list(struct cmd_call *c, struct str host) YIELDS;
static int list(struct cmd_call *c, struct str host)
{
    struct listing l = {.c = c};
    struct error err = ERROR_INIT;
    struct str prepared, show = arg_str(c, "status");
    if (!named_host(c, host, &prepared) || str_empty(show))
        return 0;
    if (str_eq(show, S("all")))
        show = STR_NULL;
    /* Before version 3 a row has the address in its parts, and rows their order from that. */
    int rc = c->shape->from_newest ? account_sessions_each_by_parts(prepared, show, send_session, &l, &err)
                                   : account_sessions_each(prepared, show, c->page.after, send_session, &l, &err);
    return rc < 0 ? cmd_fail_error(c, &err) : l.rc;
}

static struct value in_parts(struct cmd_call *c, const struct value *v)
{
    struct str jid = v->items[0].s;
    ptrdiff_t slash = str_find(jid, '/');
    struct str bare = slash < 0 ? jid : str_n(jid.p, (size_t)slash);
    ptrdiff_t at = str_find(bare, '@');
    struct value *f = ARENA_ARRAY(c->arena, struct value, 5);
    f[0] = value_str(at < 0 ? S("") : str_n(bare.p, (size_t)at));
    f[1] = value_str(str_n(bare.p + at + 1, bare.n - (size_t)(at + 1)));
    f[2] = value_str(slash < 0 ? S("") : str_n(jid.p + slash + 1, jid.n - (size_t)slash - 1));
    f[3] = v->items[1];
    f[4] = v->items[2];
    return (struct value){.items = f, .n = 5};
}

#define STATUS_ARG T_BINARY("status", "`available`, `away`, `chat`, `dnd`, `xa`, `unavailable`, or `all`")
#define HOST_ARG T_BINARY("host", "Virtual host, or `all`")
#define NEW_ROW T_TUPLE("userstatus", T_STRING("jid", NULL), T_INTEGER("priority", NULL), T_STRING("status", NULL))
#define OLD_ROW                                                                                                    \
    T_TUPLE("userstatus", T_STRING("user", NULL), T_STRING("host", NULL), T_STRING("resource", NULL),              \
            T_INTEGER("priority", NULL), T_STRING("status", NULL))
#define NEW_SHOWN SHOWS("peter@myserver.com/tka", "6", "Busy")
#define OLD_SHOWN SHOWS("peter", "myserver.com", "tka", "6", "Busy")

static int status_num(struct cmd_call *c) YIELDS;
static int status_num(struct cmd_call *c)
{
    return count(c, S("all"));
}

ADMIN_CMD(status_num) = {
    .tags = "session statistics", .module = "mod_admin_extra", .policy = POLICY_ADMIN, .where = RUNS_HERE, .flags = CMD_READS,
    .run = status_num, .brief = "Count the sessions with a certain presence",
    SHAPES({ARGS(STATUS_ARG), RESULT(T_INTEGER("users", "Number of sessions")), EXAMPLE("dnd"), SHOWS("23")}),
};

static int status_num_host(struct cmd_call *c) YIELDS;
static int status_num_host(struct cmd_call *c)
{
    return count(c, arg_str(c, "host"));
}

ADMIN_CMD(status_num_host) = {
    .tags = "session statistics", .module = "mod_admin_extra", .policy = POLICY_ADMIN, .where = RUNS_HERE, .flags = CMD_READS,
    .run = status_num_host, .brief = "Count the sessions of a virtual host with a certain presence",
    SHAPES({ARGS(HOST_ARG, STATUS_ARG), RESULT(T_INTEGER("users", "Number of sessions")), EXAMPLE("myserver.com", "dnd"),
            SHOWS("23")}),
};

static int status_list(struct cmd_call *c) YIELDS;
static int status_list(struct cmd_call *c)
{
    return list(c, S("all"));
}

ADMIN_CMD(status_list) = {
    .tags = "session", .module = "mod_admin_extra", .where = RUNS_HERE, .flags = CMD_READS | CMD_PAGES, .run = status_list,
    .brief = "List the sessions with a certain presence",
    SHAPES({.api = 3, .note = "updated in 24.12", ARGS(STATUS_ARG), RESULT(T_LIST("users", NULL, NEW_ROW)), EXAMPLE("dnd"),
            NEW_SHOWN},
           {ARGS(STATUS_ARG), RESULT(T_LIST("users", NULL, OLD_ROW)), .from_newest = in_parts, EXAMPLE("dnd"), OLD_SHOWN}),
};

static int status_list_host(struct cmd_call *c) YIELDS;
static int status_list_host(struct cmd_call *c)
{
    return list(c, arg_str(c, "host"));
}

ADMIN_CMD(status_list_host) = {
    .tags = "session", .module = "mod_admin_extra", .where = RUNS_HERE, .flags = CMD_READS | CMD_PAGES, .run = status_list_host,
    .brief = "List the sessions of a virtual host with a certain presence",
    SHAPES({.api = 3, .note = "updated in 24.12", ARGS(HOST_ARG, STATUS_ARG), RESULT(T_LIST("users", NULL, NEW_ROW)),
            EXAMPLE("myserver.com", "dnd"), NEW_SHOWN},
           {ARGS(HOST_ARG, STATUS_ARG), RESULT(T_LIST("users", NULL, OLD_ROW)), .from_newest = in_parts,
            EXAMPLE("myserver.com", "dnd"), OLD_SHOWN}),
};
