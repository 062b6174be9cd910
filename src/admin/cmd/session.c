/* Commands of the tag session: who is connected, and ending sessions. Data comes from the home shards (core/account/account.h). */
#include "admin/command.h"

#include "core/account/account.h"
#include "core/server.h"

#include <stdlib.h>

/* Sessions of the account that the arguments user and host name; none for names that are no names. */
static int user_sessions(struct cmd_call *c, struct session_info **out, size_t *n_out) YIELDS;
static int user_sessions(struct cmd_call *c, struct session_info **out, size_t *n_out)
{
    struct str user, host;
    struct error err = ERROR_INIT;
    *out = NULL;
    *n_out = 0;
    if (!arg_user(c, "user", &user) || !arg_host(c, "host", &host))
        return 0;
    if (account_user_sessions(c->arena, user, host, out, n_out, &err) < 0)
        return cmd_fail_error(c, &err);
    return 0;
}

/* Sessions of a host (absent: of all) that go out one by one, in order; `fill` makes a row, whose texts live in the arena. */
struct listing {
    struct cmd_call *c;
    void (*fill)(struct arena *a, const struct session_info *s, struct value *row_out);
    int rc;
};

static bool send_session(const struct session_info *s, void *arg) YIELDS;
static bool send_session(const struct session_info *s, void *arg)
{
    struct listing *l = arg;
    struct arena *a = arena_new();
    struct value row;
    l->fill(a, s, &row);
    if (cmd_stream_row(l->c, &row) < 0)
        l->rc = cmd_fail(l->c, ERR_INTERNAL, "nobody takes the rest of the list");
    arena_release(&a);
    return l->rc == 0;
}

static int list_sessions(struct cmd_call *c, struct str host,
                         void (*fill)(struct arena *a, const struct session_info *s, struct value *row_out)) YIELDS;
static int list_sessions(struct cmd_call *c, struct str host,
                         void (*fill)(struct arena *a, const struct session_info *s, struct value *row_out))
{
    struct listing l = {.c = c, .fill = fill};
    struct error err = ERROR_INIT;
    if (account_sessions_each(host, STR_NULL, c->page.after, send_session, &l, &err) < 0)
        return cmd_fail_error(c, &err);
    return l.rc;
}

static void fill_address(struct arena *a, const struct session_info *s, struct value *row_out)
{
    *row_out = value_str(jid_full(s->jid));
}

/* --- lists of addresses --- */

static int connected_users(struct cmd_call *c) YIELDS;
static int connected_users(struct cmd_call *c)
{
    return list_sessions(c, STR_NULL, fill_address);
}

ADMIN_CMD(connected_users) = {
    .tags = "session", .policy = POLICY_ADMIN, .where = RUNS_HERE, .flags = CMD_READS | CMD_PAGES, .run = connected_users,
    .brief = "List all sessions",
    SHAPES({NO_ARGS, RESULT(T_LIST("connected_users", "Full JIDs", T_STRING("sessions", NULL))),
            SHOWS("user1@example.com/Home", "user2@example.com/54134")}),
};

static int connected_users_number(struct cmd_call *c) YIELDS;
static int connected_users_number(struct cmd_call *c)
{
    struct error err = ERROR_INIT;
    uint64_t n = 0;
    if (account_count_sessions(STR_NULL, &n, &err) < 0)
        return cmd_fail_error(c, &err);
    cmd_int(c, (int64_t)n);
    return 0;
}

ADMIN_CMD(connected_users_number) = {
    .tags = "session statistics", .policy = POLICY_ADMIN, .where = RUNS_HERE, .flags = CMD_READS, .run = connected_users_number,
    .brief = "Count all sessions",
    SHAPES({NO_ARGS, RESULT(T_INTEGER("num_sessions", NULL)), SHOWS("2")}),
};

static int connected_users_vhost(struct cmd_call *c) YIELDS;
static int connected_users_vhost(struct cmd_call *c)
{
    struct str host;
    return arg_host(c, "host", &host) && !str_empty(host) ? list_sessions(c, host, fill_address) : 0;
}

ADMIN_CMD(connected_users_vhost) = {
    .tags = "session", .module = "mod_admin_extra", .where = RUNS_HERE, .flags = CMD_READS | CMD_PAGES,
    .run = connected_users_vhost, .brief = "List the sessions of a virtual host",
    SHAPES({ARGS(T_BINARY("host", "Virtual host")),
            RESULT(T_LIST("connected_users_vhost", "Full JIDs", T_STRING("sessions", NULL))), EXAMPLE("myexample.com"),
            SHOWS("user1@myserver.com/tka", "user2@localhost/tka")}),
};

/* --- one account --- */

/* Newest first; a later name first when two came in the same second. COMPAT(ejabberd): resource_num counts this way. */
static int newest_first(const void *a, const void *b)
{
    const struct session_info *x = a, *y = b;
    if (x->uptime_s != y->uptime_s)
        return x->uptime_s < y->uptime_s ? -1 : 1;
    return -str_cmp(jid_res(x->jid), jid_res(y->jid));
}

static int user_resources(struct cmd_call *c) YIELDS;
static int user_resources(struct cmd_call *c)
{
    struct session_info *s;
    size_t n;
    if (user_sessions(c, &s, &n) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        cmd_add_row(c)->s = jid_res(s[i].jid);
    return 0;
}

ADMIN_CMD(user_resources) = {
    .tags = "session", .policy = POLICY_ADMIN, .where = RUNS_HERE, .flags = CMD_READS, .run = user_resources,
    .brief = "List the connected resources of an account",
    SHAPES({ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host")),
            RESULT(T_LIST("resources", NULL, T_STRING("resource", NULL))), EXAMPLE("user1", "example.com"),
            SHOWS("tka1", "Gajim", "mobile-app")}),
};

static int num_resources(struct cmd_call *c) YIELDS;
static int num_resources(struct cmd_call *c)
{
    struct error err = ERROR_INIT;
    struct str user, host;
    uint64_t n = 0;
    if (arg_user(c, "user", &user) && arg_host(c, "host", &host) && account_count_user_sessions(user, host, &n, &err) < 0)
        return cmd_fail_error(c, &err);
    cmd_int(c, (int64_t)n);
    return 0;
}

ADMIN_CMD(num_resources) = {
    .tags = "session", .module = "mod_admin_extra", .where = RUNS_HERE, .flags = CMD_READS, .run = num_resources,
    .brief = "Count the sessions of an account",
    SHAPES({ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host")),
            RESULT(T_INTEGER("resources", "Number of sessions")), EXAMPLE("peter", "myserver.com"), SHOWS("5")}),
};

static int resource_num(struct cmd_call *c) YIELDS;
static int resource_num(struct cmd_call *c)
{
    struct session_info *s;
    size_t n;
    int64_t num = arg_int(c, "num");
    if (user_sessions(c, &s, &n) < 0)
        return -1;
    if (num < 1 || (uint64_t)num > n)
        return cmd_fail(c, ERR_INTERNAL, "the account has no session number %lld", (long long)num);
    qsort(s, n, sizeof(*s), newest_first);
    cmd_text(c, jid_res(s[num - 1].jid));
    return 0;
}

ADMIN_CMD(resource_num) = {
    .tags = "session", .module = "mod_admin_extra", .where = RUNS_HERE, .flags = CMD_READS, .run = resource_num,
    .brief = "Name the resource of one session of an account, by number",
    SHAPES({ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host"),
                 T_INTEGER("num", "Number of the session, from 1; the newest comes first")),
            RESULT(T_STRING("resource", "The resource")), EXAMPLE("peter", "myserver.com", "2"), SHOWS("Psi")}),
};

/* --- details --- */

static void fill_details(struct arena *a, const struct session_info *s, struct value *f)
{
    char ip[IP_TEXT_MAX];
    f[0] = value_cstr(s->connection);
    f[1] = value_str(arena_str(a, str_of(ip_print(&s->ip, ip))));
    f[2] = value_int(s->port);
    f[3] = value_int(s->priority);
    f[4] = value_cstr(server_node());
    f[5] = value_int((int64_t)s->uptime_s);
    f[6] = value_cstr(s->show);
    f[7] = value_str(jid_res(s->jid));
    f[8] = value_str(s->status_text);
}

static int user_sessions_info(struct cmd_call *c) YIELDS;
static int user_sessions_info(struct cmd_call *c)
{
    struct session_info *s;
    size_t n;
    if (user_sessions(c, &s, &n) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        fill_details(c->arena, &s[i], cmd_add_row(c)->items);
    return 0;
}

#define DETAILS_COUNT 9
#define DETAILS                                                                                                             \
    T_STRING("connection", NULL), T_STRING("ip", NULL), T_INTEGER("port", NULL), T_INTEGER("priority", NULL),               \
        T_STRING("node", NULL), T_INTEGER("uptime", NULL), T_STRING("status", NULL), T_STRING("resource", NULL),            \
        T_STRING("statustext", NULL)
#define DETAILS_TEXT                                                                                                        \
    "`uptime` is in seconds, `status` a word as _`get_presence`_ has it, `statustext` what the user's client said with it. "    \
    "`priority` is -1 until the client sends its first presence."
#define DETAILS_SHOWN "c2s", "127.0.0.1", "42656", "8", "ejabberd@localhost", "231", "dnd", "tka", ""

ADMIN_CMD(user_sessions_info) = {
    .tags = "session", .module = "mod_admin_extra", .where = RUNS_HERE, .flags = CMD_READS, .run = user_sessions_info,
    .brief = "Describe all sessions of an account", .text = DETAILS_TEXT,
    SHAPES({ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host")),
            RESULT(T_LIST("sessions_info", NULL, T_TUPLE("session", DETAILS))), EXAMPLE("peter", "myserver.com"),
            SHOWS(DETAILS_SHOWN)}),
};

static void fill_info(struct arena *a, const struct session_info *s, struct value *row_out)
{
    *row_out = (struct value){.items = ARENA_ARRAY(a, struct value, 1 + DETAILS_COUNT), .n = 1 + DETAILS_COUNT};
    row_out->items[0] = value_str(jid_full(s->jid));
    fill_details(a, s, row_out->items + 1);
}

static int connected_users_info(struct cmd_call *c) YIELDS;
static int connected_users_info(struct cmd_call *c)
{
    return list_sessions(c, STR_NULL, fill_info);
}

ADMIN_CMD(connected_users_info) = {
    .tags = "session", .module = "mod_admin_extra", .where = RUNS_HERE, .flags = CMD_READS | CMD_PAGES, .run = connected_users_info,
    .brief = "Describe all sessions", .text = DETAILS_TEXT,
    SHAPES({NO_ARGS, RESULT(T_LIST("connected_users_info", NULL, T_TUPLE("session", T_STRING("jid", NULL), DETAILS))),
            SHOWS("user1@myserver.com/tka", DETAILS_SHOWN)}),
};

/* --- presence --- */

/*
 * The session that speaks for the account. COMPAT(ejabberd): one that is connected without being available counts as the
 * highest priority.
 */
static const struct session_info *best_session(const struct session_info *s, size_t n)
{
    const struct session_info *best = NULL;
    for (size_t i = 0; i < n; i++) {
        bool silent = !strcmp(s[i].show, "unavailable");
        bool best_silent = best && !strcmp(best->show, "unavailable");
        if (!best || (silent && !best_silent) || (silent == best_silent && s[i].priority > best->priority))
            best = &s[i];
    }
    return best;
}

static int get_presence(struct cmd_call *c) YIELDS;
static int get_presence(struct cmd_call *c)
{
    struct session_info *s;
    size_t n;
    if (user_sessions(c, &s, &n) < 0)
        return -1;
    const struct session_info *best = best_session(s, n);
    struct str user = arg_str(c, "user"), host = arg_str(c, "host"), res = best ? jid_res(best->jid) : STR_NULL;
    struct value *f = cmd_fields(c);
    f[0] = value_str(arena_printf(c->arena, "%.*s@%.*s%s%.*s", STR_ARG(user), STR_ARG(host), best ? "/" : "", STR_ARG(res)));
    f[1] = value_cstr(best ? best->show : "unavailable");
    f[2] = value_str(best ? best->status_text : S(""));
    return 0;
}

ADMIN_CMD(get_presence) = {
    .tags = "session", .module = "mod_admin_extra", .where = RUNS_HERE, .flags = CMD_READS, .run = get_presence,
    .brief = "Show the presence of an account: that of the resource with the highest priority",
    .text = "`jid` is the full JID of that session, or the bare one when there is none. `show` is one of:\n\n"
            "- `available`\n- `chat`: would like to talk\n- `away`\n- `dnd`: does not want to be disturbed\n"
            "- `xa`: away for long\n- `unavailable`: not connected\n\n"
            "`status` is the text that the user's client set.",
    RENAMES({"server", "host"}),
    SHAPES({ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host")),
            RESULT(T_TUPLE("presence", T_STRING("jid", NULL), T_STRING("show", NULL), T_STRING("status", NULL))),
            EXAMPLE("peter", "myexample.com"), SHOWS("user1@myserver.com/tka", "dnd", "Busy")}),
};
