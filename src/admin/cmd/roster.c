/*
 * Commands of the tag roster. They change the side of a local account only and tell its connected clients; the other side is not
 * asked and has no say.
 */
#include "admin/command.h"

#define LOCAL T_BINARY("localuser", "Name of the account that the roster belongs to"), T_BINARY("localhost", "Its virtual host")
#define CONTACT T_BINARY("user", "Name of the contact"), T_BINARY("host", "Host of the contact")
#define OWNER T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host")
#define NICK T_BINARY("nick", "What the contact is called in this roster")
#define SUBS T_BINARY("subs", "Subscription: `none`, `from`, `to` or `both`; `remove` takes the contact out")
#define OLD_HOSTS RENAMES({"localserver", "localhost"}, {"server", "host"})
#define FILE_HELP "Full path of the file with contacts"

/* --- one item --- */

/* Up to version 0 there was one group; the empty text is a group too, COMPAT(ejabberd). */
static void group_to_groups(struct cmd_call *c, const struct value *in, struct value *out)
{
    memcpy(out, in, 7 * sizeof(*out));
    out[5] = (struct value){.items = ARENA_NEW(c->arena, struct value), .n = 1};
    out[5].items[0] = in[5];
}

ADMIN_CMD(add_rosteritem) = {
    .tags = "roster", .module = "mod_admin_extra", .where = RUNS_AT_HOME, .home_user = "localuser", .home_host = "localhost",
    .elsewhere = "host",
    .brief = "Put a contact into the roster of an account, or replace what is there",
    .text = "Connected clients of the account get a roster push. The contact's own roster stays as it is.", OLD_HOSTS,
    SHAPES({.api = 1, .note = "updated in 24.02", ARGS(LOCAL, CONTACT, NICK,
                 T_LIST("groups", "Groups of the roster that show the contact", T_BINARY("group", NULL)), SUBS),
            RESULT(T_RESCODE("res")),
            EXAMPLE("user1", "myserver.com", "user2", "myserver.com", "User 2", "Friends,Team 1", "both")},
           {ARGS(LOCAL, CONTACT, NICK, T_BINARY("group", "Group of the roster that shows the contact"), SUBS),
            RESULT(T_RESCODE("res")), .to_newest = group_to_groups,
            EXAMPLE("user1", "myserver.com", "user2", "myserver.com", "User 2", "Friends", "both")}),
};

ADMIN_CMD(delete_rosteritem) = {
    .tags = "roster", .module = "mod_admin_extra", .where = RUNS_AT_HOME, .home_user = "localuser", .home_host = "localhost",
    .elsewhere = "host",
    .brief = "Take a contact out of the roster of an account",
    .text = "Connected clients of the account get a roster push. The contact's own roster stays as it is.", OLD_HOSTS,
    SHAPES({ARGS(LOCAL, CONTACT), RESULT(T_RESCODE("res")), EXAMPLE("user1", "myserver.com", "user2", "myserver.com")}),
};

/* --- a roster --- */

ADMIN_CMD(get_roster) = {
    .tags = "roster", .module = "mod_admin_extra", .policy = POLICY_USER, .where = RUNS_AT_HOME, .home_user = "user",
    .home_host = "host", .flags = CMD_READS, .brief = "List the contacts of an account",
    .text = "`subscription` is one of `none`, `from`, `to` and `both`.\n\n"
            "`pending` is `subscribe` while the contact has not answered a request, and `undefined` otherwise.",
    RENAMES({"server", "host"}),
    SHAPES({.note = "improved in 23.10", ARGS(OWNER),
            RESULT(T_LIST("contacts", NULL,
                          T_TUPLE("contact", T_STRING("jid", NULL), T_STRING("nick", NULL), T_STRING("subscription", NULL),
                                  T_STRING("pending", NULL), T_LIST("groups", NULL, T_STRING("group", NULL))))),
            SHOWS("user2@localhost", "User 2", "none", "subscribe", "Group1")}),
};

ADMIN_CMD(get_roster_count) = {
    .tags = "roster", .module = "mod_admin_extra", .policy = POLICY_USER, .where = RUNS_AT_HOME, .home_user = "user",
    .home_host = "host", .flags = CMD_READS, .brief = "Count the contacts of an account", RENAMES({"server", "host"}),
    SHAPES({.note = "added in 24.06", ARGS(OWNER), RESULT(T_INTEGER("value", "Number of contacts")), SHOWS("5")}),
};

/* --- many rosters --- */

ADMIN_CMD(process_rosteritems) = {
    .tags = "roster", .module = "mod_admin_extra", .where = RUNS_HERE,
    .brief = "List or delete the contacts of all rosters that match a pattern",
    .text = "A contact has to match all of `subs`, `asks`, `users` and `contacts`; `any` matches everything.\n\n"
            "* `action`: `list` or `delete`\n"
            "* `subs`: `none`, `from`, `to`, `both`\n"
            "* `asks`: a request without an answer: `none`, `out`, `in`\n"
            "* `users`: bare JID of the roster's owner\n"
            "* `contacts`: bare JID of the contact\n\n"
            "Several words are separated by a colon. In JIDs `*` stands for any text, `?` for one character, `[ab]` for one of "
            "those named and `[!ab]` for any other; with an SQL database `%` and `_` mean the same as `*` and `?`.\n\n"
            "All contacts at gateways whose name has icq in it, unless they are subscribed both ways, in the rosters of "
            "example.org:\n"
            "  `list none:from:to any *@example.org *@*icq*`",
    SHAPES({ARGS(T_STRING("action", "`list` or `delete`"), T_STRING("subs", "Subscriptions, or `any`"),
                 T_STRING("asks", "Pending requests, or `any`"), T_STRING("users", "Patterns of owners, or `any`"),
                 T_STRING("contacts", "Patterns of contacts, or `any`")),
            RESULT(T_LIST("response", NULL, T_TUPLE("pairs", T_STRING("user", NULL), T_STRING("contact", NULL))))}),
};

ADMIN_CMD(push_alltoall) = {
    .tags = "roster", .module = "mod_admin_extra", .where = RUNS_HERE,
    .brief = "Make all accounts of a virtual host contacts of one another",
    SHAPES({ARGS(T_BINARY("host", "Virtual host of this server"), T_BINARY("group", "Group of the rosters that shows them")),
            RESULT(T_RESCODE("res")), EXAMPLE("myserver.com", "Everybody")}),
};

/* --- contacts from a file --- */

#define FILE_TEXT                                                                                                         \
    "The file holds one list in the notation of Erlang, ended by a full stop. Each of its tuples has the name and host of a " \
    "contact, a group (several are separated by a semicolon) and a nickname:\n\n"                                        \
    "`[{\"user1\", \"localhost\", \"Workers\", \"User 1\"},\n {\"user2\", \"localhost\", \"Workers\", \"User 2\"}].`\n\n"

ADMIN_CMD(push_roster) = {
    .tags = "roster", .module = "mod_admin_extra", .where = RUNS_HERE,
    .brief = "Put the contacts of a file into the roster of an account",
    .text = FILE_TEXT "Texts are UTF-8; `<<\"User 2\"/utf8>>` is understood as well. The account itself is left out.",
    SHAPES({ARGS(T_BINARY("file", FILE_HELP), OWNER), RESULT(T_RESCODE("res")),
            EXAMPLE("/home/ejabberd/roster.txt", "user1", "localhost")}),
};

ADMIN_CMD(push_roster_all) = {
    .tags = "roster", .module = "mod_admin_extra", .where = RUNS_HERE,
    .brief = "Put the contacts of a file into the rosters of all accounts that it names",
    .text = FILE_TEXT "Nobody becomes a contact of oneself.",
    SHAPES({ARGS(T_BINARY("file", FILE_HELP)), RESULT(T_RESCODE("res")), EXAMPLE("/home/ejabberd/roster.txt")}),
};
