/*
 * Commands of the tag accounts that shut somebody out: bans of accounts and of addresses. What a ban is (a password replaced, the
 * old one kept with the reason in private storage) is decided at the account's home.
 */
#include "admin/command.h"

#include "core/auth/ban.h"
#include "core/config/config.h"
#include "mod/api/fail2ban.h"
#include "xmpp/dataform.h"

#include <arpa/inet.h>

#define USER T_BINARY("user", "Name of the account")
#define HOST T_BINARY("host", "Its virtual host")
#define BAN_ARGS ARGS(USER, HOST, T_BINARY("reason", "Why; the user is told at every attempt to log in"))
#define BAN_EXAMPLE EXAMPLE("attacker", "myserver.com", "Spaming other users")

/* false: no such name, or the host is not served; answered like an account that is not there, COMPAT(ejabberd). */
static bool names(struct cmd_call *c, struct str *host_out, struct str *user_out)
{
    return arg_host(c, "host", host_out) && config_host(config_current(), *host_out) && arg_user(c, "user", user_out);
}

static int nobody(struct cmd_call *c)
{
    cmd_code(c, false);
    cmd_reason(c, "no served host, or no name of an account");
    return 0;
}

static int ban_account(struct cmd_call *c) YIELDS;
static int ban_account(struct cmd_call *c)
{
    struct str host, user, reason = arg_str(c, "reason");
    struct error err = ERROR_INIT;
    if (!names(c, &host, &user))
        return nobody(c);
    reason = dataform_clean(c->arena, reason);
    int rc = c->version >= 2 ? ban_set(host, user, reason, &err) : ban_lock(host, user, reason, &err);
    if (rc == 0) {
        cmd_code(c, true);
        return 0;
    }
    if (err.code != ERR_CONFLICT)
        return cmd_fail_error(c, &err);
    cmd_code(c, false);
    cmd_reason(c, "%s", err.text);
    return 0;
}

ADMIN_CMD(ban_account) = {
    .tags = "accounts", .module = "mod_admin_extra", .where = RUNS_AT_HOME, .home_user = "user", .home_host = "host",
    .run = ban_account,
    .brief = "Keep the user of an account out",
    .text = "The sessions of the account are closed, a random password takes the place of its own, and the reason, the time and "
            "the old password go to the account's private storage, out of its client's reach. _`get_ban_details`_ "
            "shows the ban, _`unban_account`_ ends it. Before version 2 of the API nothing is kept and there is no way back.",
    SHAPES({.api = 2, .note = "improved in 24.06", BAN_ARGS, RESULT(T_RESCODE("res")), BAN_EXAMPLE, SHOWS("ok")},
           {BAN_ARGS, RESULT(T_RESCODE("res")), BAN_EXAMPLE, SHOWS("ok")}),
};

static void add_detail(struct cmd_call *c, const char *name, struct str text)
{
    struct value *row = cmd_add_row(c);
    row->items[0] = value_cstr(name);
    row->items[1] = value_str(text);
}

static int get_ban_details(struct cmd_call *c) YIELDS;
static int get_ban_details(struct cmd_call *c)
{
    struct str host, user;
    struct ban b;
    struct error err = ERROR_INIT;
    bool banned = false;
    if (names(c, &host, &user) && ban_get(c->arena, host, user, &b, &banned, &err) != 0)
        return cmd_fail_error(c, &err);
    if (!banned)
        return 0;
    add_detail(c, "reason", b.reason);
    add_detail(c, "bandate", b.bandate);
    add_detail(c, "lastdate", b.lastdate);
    add_detail(c, "lastreason", b.lastreason);
    return 0;
}

ADMIN_CMD(get_ban_details) = {
    .tags = "accounts", .module = "mod_admin_extra", .where = RUNS_AT_HOME, .home_user = "user", .home_host = "host",
    .flags = CMD_READS, .run = get_ban_details, .brief = "Tell why and when an account was banned",
    .text = "Names are `reason`, `bandate`, and `lastdate` with `lastreason`: the last activity before the ban. There are none for "
            "an account that _`ban_account`_ did not touch.",
    SHAPES({.api = 2, .note = "added in 24.06", ARGS(USER, HOST),
            RESULT(T_LIST("ban_details", NULL, T_TUPLE("detail", T_STRING("name", NULL), T_STRING("value", NULL)))),
            EXAMPLE("attacker", "myserver.com"),
            SHOWS("reason", "Spamming other users", "bandate", "2024-04-22T09:16:47.975312Z", "lastdate", "2024-04-22T08:39:12Z",
                  "lastreason", "Connection reset by peer")}),
};

static int unban_account(struct cmd_call *c) YIELDS;
static int unban_account(struct cmd_call *c)
{
    struct str host, user;
    struct error err = ERROR_INIT;
    if (!names(c, &host, &user))
        return nobody(c);
    if (ban_lift(host, user, &err) == 0) {
        cmd_code(c, true);
        return 0;
    }
    if (err.code != ERR_NOT_FOUND)
        return cmd_fail_error(c, &err);
    cmd_code(c, false);
    cmd_reason(c, "%s", err.text);
    return 0;
}

ADMIN_CMD(unban_account) = {
    .tags = "accounts", .module = "mod_admin_extra", .where = RUNS_AT_HOME, .home_user = "user", .home_host = "host",
    .run = unban_account,
    .brief = "End the ban of an account: its old password is valid again",
    .text = "It undoes _`ban_account`_, also when the password was changed in the meantime.",
    SHAPES({.api = 2, .note = "added in 24.06", ARGS(USER, HOST), RESULT(T_RESCODE("res")), EXAMPLE("gooduser", "myserver.com"),
            SHOWS("ok")}),
};

/* COMPAT(ejabberd): "1.2.3" is an address (inet_aton), that nobody has; text that is none gives -1. */
static int unban_ip(struct cmd_call *c) YIELDS;
static int unban_ip(struct cmd_call *c)
{
    struct str text = arg_str(c, "address");
    struct ip_net net;
    struct in_addr old;
    unsigned n = 0;
    struct error err = ERROR_INIT;
    if (ip_net_parse(text, &net)) {
        if (fail2ban_forget(&net, &n, &err) != 0)
            return cmd_fail_error(c, &err);
        cmd_int(c, n);
    } else {
        bool some = text.n && !memchr(text.p, ' ', text.n) && !memchr(text.p, 0, text.n) &&
                    inet_aton(arena_cstr(c->arena, text), &old);
        cmd_int(c, some ? 0 : -1);
    }
    return 0;
}

ADMIN_CMD(unban_ip) = {
    .tags = "accounts", .module = "mod_fail2ban", .where = RUNS_HERE, .address = "address", .run = unban_ip,
    .brief = "Let addresses in again that failed to log in too often",
    .text = "A mask stands for all addresses of a network. Addresses that are only being watched are forgotten and counted too.",
    SHAPES({ARGS(T_BINARY("address", "IP address, or network as ADDRESS/BITS")),
            RESULT(T_INTEGER("unbanned", "Number of addresses that were forgotten, negative when the argument is no address")),
            EXAMPLE("::FFFF:127.0.0.1/128"), SHOWS("3")}),
};
