/*
 * Commands of the tag accounts that shut somebody out: bans of accounts and of addresses. What a ban is (a password replaced, the
 * old one kept with the reason in private storage) is decided at the account's home.
 */
#include "admin/command.h"

#define USER T_BINARY("user", "Name of the account")
#define HOST T_BINARY("host", "Its virtual host")
#define BAN_ARGS ARGS(USER, HOST, T_BINARY("reason", "Why; the user is told at every attempt to log in"))
#define BAN_EXAMPLE EXAMPLE("attacker", "myserver.com", "Spaming other users")

ADMIN_CMD(ban_account) = {
    .tags = "accounts", .module = "mod_admin_extra", .where = RUNS_AT_HOME, .home_user = "user", .home_host = "host",
    .brief = "Keep the user of an account out",
    .text = "The sessions of the account are closed, a random password takes the place of its own, and the reason, the time and "
            "the old password go to the account's private storage, so _`mod_private`_ has to be enabled. _`get_ban_details`_ "
            "shows the ban, _`unban_account`_ ends it. Before version 2 of the API nothing is kept and there is no way back.",
    SHAPES({.api = 2, .note = "improved in 24.06", BAN_ARGS, RESULT(T_RESCODE("res")), BAN_EXAMPLE, SHOWS("ok")},
           {BAN_ARGS, RESULT(T_RESCODE("res")), BAN_EXAMPLE, SHOWS("ok")}),
};

ADMIN_CMD(get_ban_details) = {
    .tags = "accounts", .module = "mod_admin_extra", .where = RUNS_AT_HOME, .home_user = "user", .home_host = "host",
    .flags = CMD_READS, .brief = "Tell why and when an account was banned",
    .text = "Names are `reason`, `bandate`, and `lastdate` with `lastreason`: the last activity before the ban. There are none for "
            "an account that _`ban_account`_ did not touch.",
    SHAPES({.api = 2, .note = "added in 24.06", ARGS(USER, HOST),
            RESULT(T_LIST("ban_details", NULL, T_TUPLE("detail", T_STRING("name", NULL), T_STRING("value", NULL)))),
            EXAMPLE("attacker", "myserver.com"),
            SHOWS("reason", "Spamming other users", "bandate", "2024-04-22T09:16:47.975312Z", "lastdate", "2024-04-22T08:39:12Z",
                  "lastreason", "Connection reset by peer")}),
};

ADMIN_CMD(unban_account) = {
    .tags = "accounts", .module = "mod_admin_extra", .where = RUNS_AT_HOME, .home_user = "user", .home_host = "host",
    .brief = "End the ban of an account: its old password is valid again",
    .text = "It undoes _`ban_account`_, also when the password was changed in the meantime.",
    SHAPES({.api = 2, .note = "added in 24.06", ARGS(USER, HOST), RESULT(T_RESCODE("res")), EXAMPLE("gooduser", "myserver.com"),
            SHOWS("ok")}),
};

ADMIN_CMD(unban_ip) = {
    .tags = "accounts", .module = "mod_fail2ban", .where = RUNS_HERE,
    .brief = "Let addresses in again that failed to log in too often",
    .text = "A mask stands for all addresses of a network. Addresses that are only being watched are forgotten and counted too.",
    SHAPES({ARGS(T_BINARY("address", "IP address, or network as ADDRESS/BITS")),
            RESULT(T_INTEGER("unbanned", "Number of addresses that were forgotten, negative when the argument is no address")),
            EXAMPLE("::FFFF:127.0.0.1/128"), SHOWS("3")}),
};
