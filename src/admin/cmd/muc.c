/* Commands of the tag muc: services and their rooms as a whole (XEP-0045), reserved nicknames. Entries only. */
#include "admin/older.h"

#define MUC .tags = "muc", .module = "mod_muc_admin", .where = RUNS_HERE
#define SERVICE_ARG T_BINARY("service", "MUC service")
#define SERVICE_OR_ALL T_BINARY("service", "MUC service, or global for all of them")
#define ROOMS(help_) T_LIST("rooms", help_, T_STRING("room", NULL))
#define ROOMS_SHOWN SHOWS("room1@conference.example.com", "room2@conference.example.com")

/* --- rooms that exist --- */

ADMIN_CMD(muc_online_rooms) = {
    MUC, .policy = POLICY_ADMIN, .flags = CMD_READS,
    .brief = "List the rooms of a service",
    RENAMES({"host", "service"}),
    SHAPES({ARGS(SERVICE_OR_ALL), RESULT(ROOMS("Addresses of the rooms")), EXAMPLE("conference.example.com"), ROOMS_SHOWN}),
};

ADMIN_CMD(muc_online_rooms_by_regex) = {
    MUC, .policy = POLICY_ADMIN, .flags = CMD_READS,
    .brief = "List the rooms of a service whose names match a regular expression",
    RENAMES({"host", "service"}),
    SHAPES({ARGS(SERVICE_OR_ALL, T_BINARY("regex", "Regular expression for the name of the room")),
            RESULT(T_LIST("rooms", "Address, whether anybody may find the room, number of occupants",
                          T_TUPLE("room", T_STRING("jid", NULL), T_STRING("public", NULL), T_INTEGER("participants", NULL)))),
            EXAMPLE("conference.example.com", "^prefix"),
            SHOWS("room1@conference.example.com", "true", "10", "room2@conference.example.com", "false", "10")}),
};

ADMIN_CMD(get_user_rooms) = {
    MUC, .flags = CMD_READS,
    .brief = "List the rooms that an account is in",
    SHAPES({ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host")),
            RESULT(ROOMS("Addresses of the rooms")), EXAMPLE("tom", "example.com"), ROOMS_SHOWN}),
};

/* --- rooms from a file --- */

ADMIN_CMD(create_rooms_file) = {
    MUC,
    .brief = "Create the rooms that a file lists",
    .text = "The file has the address of one room in each line. The rooms are stored; each opens when somebody next needs it.",
    SHAPES({.note = "improved in 24.12", ARGS(T_STRING("file", "File to read, with its whole path")), RESULT(T_RESCODE("res")),
            EXAMPLE("/home/ejabberd/rooms.txt")}),
};

ADMIN_CMD(destroy_rooms_file) = {
    MUC,
    .brief = "Destroy the rooms that a file lists",
    .text = "The file has the address of one room in each line.",
    SHAPES({ARGS(T_STRING("file", "File to read, with its whole path")), RESULT(T_RESCODE("res")),
            EXAMPLE("/home/ejabberd/rooms.txt")}),
};

/* --- rooms that nobody needs --- */

#define EMPTY_MEANS "A room is empty when it archives its messages and the archive holds none, whoever is in it."
#define UNUSED_MEANS                                                                                                       \
    "Judged by the history that an open room keeps. It may begin with the start of the service, so wait that many days " \
    "before relying on this."
#define DAYS_ARG T_INTEGER("days", "Days without a message")

ADMIN_CMD(rooms_empty_list) = {
    MUC, .flags = CMD_READS,
    .brief = "List the rooms whose archive holds no message",
    .text = EMPTY_MEANS,
    RENAMES({"host", "service"}),
    SHAPES({ARGS(SERVICE_OR_ALL), RESULT(ROOMS("Addresses of the empty rooms")), EXAMPLE("conference.example.com"),
            ROOMS_SHOWN}),
};

/* The report's items are the rooms it counts; before version 2 they were the answer. */
static struct value rooms_of_report(struct cmd_call *c, const struct value *report)
{
    c->rows = report->items;
    c->row_count = report->n;
    return *report;
}

ADMIN_CMD(rooms_empty_destroy) = {
    MUC,
    .brief = "Destroy the rooms whose archive holds no message",
    .text = EMPTY_MEANS,
    RENAMES({"host", "service"}),
    SHAPES({.api = 2, .note = "modified in 24.06", ARGS(SERVICE_OR_ALL), RESULT(T_RESTUPLE("res")),
            EXAMPLE("conference.example.com"), SHOWS("Destroyed rooms: 2")},
           {ARGS(SERVICE_OR_ALL), RESULT(ROOMS("Addresses of the destroyed rooms")), .from_newest = rooms_of_report,
            EXAMPLE("conference.example.com"), ROOMS_SHOWN}),
};

ADMIN_CMD(rooms_unused_list) = {
    MUC, .flags = CMD_READS,
    .brief = "List the rooms in which nothing was said for a number of days",
    .text = UNUSED_MEANS,
    RENAMES({"host", "service"}),
    SHAPES({ARGS(SERVICE_OR_ALL, DAYS_ARG), RESULT(ROOMS("Addresses of the unused rooms")),
            EXAMPLE("conference.example.com", "31"), ROOMS_SHOWN}),
};

ADMIN_CMD(rooms_unused_destroy) = {
    MUC,
    .brief = "Destroy the rooms in which nothing was said for a number of days",
    .text = UNUSED_MEANS,
    RENAMES({"host", "service"}),
    SHAPES({ARGS(SERVICE_OR_ALL, DAYS_ARG), RESULT(ROOMS("Addresses of the destroyed rooms")),
            EXAMPLE("conference.example.com", "31"), ROOMS_SHOWN}),
};

/* --- reserved nicknames --- */

#define NICK_ARG T_BINARY("nick", "The nickname")
#define USER_AND_HOST T_BINARY("user", "Name of the account"), T_BINARY("host", "Its host")

/* nick, jid, service */
static void register_nick_args(struct cmd_call *c, const struct value *in, struct value *out)
{
    out[0] = in[0];
    older_jid(c, in[1].s, "Invalid 'jid'", out + 1);
    out[3] = in[2];
}

ADMIN_CMD(muc_register_nick) = {
    MUC, .elsewhere = "host",
    .brief = "Reserve a nickname in all rooms of a service for an account",
    RENAMES({"host", "service"}),
    SHAPES({.api = 3, .note = "updated in 24.12", ARGS(NICK_ARG, USER_AND_HOST, SERVICE_ARG), RESULT(T_RESCODE("res")),
            EXAMPLE("Tim", "tim", "example.org", "conference.example.org")},
           {ARGS(NICK_ARG, T_BINARY("jid", "Address of the account"), SERVICE_ARG), .to_newest = register_nick_args,
            RESULT(T_RESCODE("res")), EXAMPLE("Tim", "tim@example.org", "conference.example.org")}),
};

/* jid, service */
static void unregister_nick_args(struct cmd_call *c, const struct value *in, struct value *out)
{
    older_jid(c, in[0].s, "Invalid 'jid'", out);
    out[2] = in[1];
}

ADMIN_CMD(muc_unregister_nick) = {
    MUC, .elsewhere = "host",
    .brief = "Give up the nickname that is reserved for an account in a service",
    RENAMES({"host", "service"}),
    SHAPES({.api = 3, .note = "updated in 24.12", ARGS(USER_AND_HOST, SERVICE_ARG), RESULT(T_RESCODE("res")),
            EXAMPLE("tim", "example.org", "conference.example.org")},
           {ARGS(T_BINARY("jid", "Address of the account"), SERVICE_ARG), .to_newest = unregister_nick_args,
            RESULT(T_RESCODE("res")), EXAMPLE("tim@example.org", "conference.example.org")}),
};
