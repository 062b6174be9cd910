/* Commands of the tag last: last activity. Both run at the account's home. */
#include "admin/command.h"

#include "base/clock.h"
#include "core/account/account.h"
#include "core/config/config.h"
#include "store/last.h"

#include <time.h>

static bool served(struct cmd_call *c, struct str *host_out)
{
    return arg_host(c, "host", host_out) && config_host(config_current(), *host_out);
}

static int not_served(struct cmd_call *c)
{
    return cmd_fail(c, ERR_INTERNAL, "host %.*s is not served", STR_ARG(arg_str(c, "host")));
}

static void answer_now(struct cmd_call *c, const char *word)
{
    struct value *f = cmd_fields(c);
    f[0] = value_str(clock_format(c->arena, clock_wall_us(), true));
    f[1] = value_cstr(word);
}

/* Also before 1970. false: there is no such year. */
static bool print_time(int64_t seconds, char stamp[64])
{
    struct tm tm;
    time_t t = (time_t)seconds;
    return gmtime_r(&t, &tm) && strftime(stamp, 64, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static int answer_stored(struct cmd_call *c, int64_t seconds, struct str text)
{
    char stamp[64];
    if (!print_time(seconds, stamp))
        return cmd_fail(c, ERR_INTERNAL, "the stored time is out of range");
    struct value *f = cmd_fields(c);
    f[0] = value_str(arena_str(c->arena, str_of(stamp)));
    f[1] = value_str(text);
    return 0;
}

static int online(struct cmd_call *c, struct str host, bool *out) YIELDS;
static int online(struct cmd_call *c, struct str host, bool *out)
{
    struct session_info *s;
    size_t n = 0;
    struct str user;
    struct error err = ERROR_INIT;
    if (arg_user(c, "user", &user) && account_user_sessions(c->arena, user, host, &s, &n, &err) < 0)
        return cmd_fail_error(c, &err);
    *out = n > 0;
    return 0;
}

static int get_last(struct cmd_call *c) YIELDS;
static int get_last(struct cmd_call *c)
{
    struct str host, text;
    struct error err = ERROR_INIT;
    int64_t seconds;
    bool is_online = false;
    if (!served(c, &host))
        return not_served(c);
    if (online(c, host, &is_online) < 0)
        return -1;
    if (is_online) {
        answer_now(c, "ONLINE");
        return 0;
    }
    /* COMPAT(ejabberd): the name is looked up as it was given, while set_last stores the prepared one */
    enum store_rc rc = last_get(c->arena, host, arg_str(c, "user"), &seconds, &text);
    if (rc == STORE_OK)
        return answer_stored(c, seconds, text);
    if (rc != STORE_NONE) {
        store_error(rc, "last activity", &err);
        return cmd_fail_error(c, &err);
    }
    answer_now(c, "NOT FOUND");
    return 0;
}

ADMIN_CMD(get_last) = {
    .tags = "last", .module = "mod_admin_extra", .where = RUNS_AT_HOME, .home_user = "user", .home_host = "host",
    .flags = CMD_READS, .run = get_last, .brief = "Tell when an account was last active",
    .text = "The time is UTC as [XEP-0082](https://xmpp.org/extensions/xep-0082.html) writes it. The status is the text of the "
            "last presence. Who is connected has `ONLINE` and the present time, who is unknown `NOT FOUND`.",
    SHAPES({ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host")),
            RESULT({.name = "last_activity", .kind = V_TUPLE, .help = "Time and text of the last activity",
                    .of = T_FIELDS(T_STRING("timestamp", NULL), T_STRING("status", NULL))}),
            EXAMPLE("user1", "myserver.com"), SHOWS("2017-06-30T14:32:16.060684Z", "ONLINE")}),
};

static int set_last(struct cmd_call *c) YIELDS;
static int set_last(struct cmd_call *c)
{
    struct str host, user;
    struct error err = ERROR_INIT;
    char stamp[64];
    if (!served(c, &host))
        return not_served(c);
    if (!print_time(arg_int(c, "timestamp"), stamp))
        return cmd_fail(c, ERR_BAD_ARGUMENT, "timestamp: out of range");
    if (!arg_user(c, "user", &user))
        user = arg_str(c, "user"); /* get_last finds it under this name */
    enum store_rc rc = last_set(host, user, arg_int(c, "timestamp"), arg_str(c, "status"));
    if (rc == STORE_OK)
        return 0;
    store_error(rc, "last activity", &err);
    return cmd_fail_error(c, &err);
}

ADMIN_CMD(set_last) = {
    .tags = "last", .module = "mod_admin_extra", .where = RUNS_AT_HOME, .home_user = "user", .home_host = "host", .run = set_last,
    .brief = "Set when an account was last active",
    .text = "The time is in seconds since 1970-01-01 00:00:00 UTC, as `date +%s` prints it.",
    SHAPES({ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host"),
                 T_INTEGER("timestamp", "Seconds since 1970"), T_BINARY("status", "Text that goes with it")),
            RESULT(T_RESCODE("res")), EXAMPLE("user1", "myserver.com", "1500045311", "GoSleeping")}),
};
