/* Commands of the tag muc_room: one room (XEP-0045), at whose home they run. Entries only. */
#include "admin/older.h"

#define AT_ROOM .module = "mod_muc_admin", .where = RUNS_AT_HOME, .home_user = "room", .home_host = "service"
#define ROOM .tags = "muc_room", AT_ROOM
#define ROOM_ARG T_BINARY("room", "Name of the room")
#define SERVICE_ARG T_BINARY("service", "MUC service that it is in")
#define HOST_ARG T_BINARY("host", "Virtual host whose default options the room takes")
#define ONCE_NAME RENAMES({"name", "room"})

/* --- coming and going --- */

ADMIN_CMD(create_room) = {
    ROOM,
    .brief = "Create a room",
    ONCE_NAME,
    SHAPES({ARGS(ROOM_ARG, SERVICE_ARG, HOST_ARG), RESULT(T_RESCODE("res")),
            EXAMPLE("room1", "conference.example.com", "example.com")}),
};

ADMIN_CMD(create_room_with_opts) = {
    .tags = "muc_room muc_sub", AT_ROOM,
    .brief = "Create a room with options, affiliations and subscribers",
    .text = "Two options have a form of their own, with a semicolon between entries and equals signs inside them. affiliations: "
            "owner=juliet@example.com;member=romeo@example.net. subscribers: an address, a nickname and any number of nodes, "
            "nurse@example.com=Nurse=messages=subject. Commas and colons, which separated them up to 24.12, are understood too.",
    ONCE_NAME,
    SHAPES({.note = "modified in 25.03",
            ARGS(ROOM_ARG, SERVICE_ARG, HOST_ARG,
                 T_LIST("options", "Options with their values",
                        T_TUPLE("option", T_BINARY("name", NULL), T_BINARY("value", NULL)))),
            RESULT(T_RESCODE("res")),
            EXAMPLE("room1", "conference.example.com", "localhost",
                    "members_only:true,affiliations:owner=user1@localhost;member=user2@localhost,"
                    "subscribers:user3@localhost=User3=messages=subject;user4@localhost=User4=messages")}),
};

ADMIN_CMD(destroy_room) = {
    ROOM,
    .brief = "Destroy a room",
    ONCE_NAME,
    SHAPES({ARGS(ROOM_ARG, SERVICE_ARG), RESULT(T_RESCODE("res")), EXAMPLE("room1", "conference.example.com")}),
};

/* --- options --- */

ADMIN_CMD(get_room_options) = {
    ROOM, .flags = CMD_READS,
    .brief = "List the options of a room",
    ONCE_NAME,
    SHAPES({ARGS(ROOM_ARG, SERVICE_ARG),
            RESULT(T_LIST("options", "Names and values", T_TUPLE("option", T_STRING("name", NULL), T_STRING("value", NULL)))),
            EXAMPLE("room1", "conference.example.com"), SHOWS("members_only", "true")}),
};

ADMIN_CMD(change_room_option) = {
    ROOM, .secret = "value", /* the option may be the password */
    .brief = "Change an option of a room",
    ONCE_NAME,
    SHAPES({ARGS(ROOM_ARG, SERVICE_ARG, T_BINARY("option", "Name of the option"), T_BINARY("value", "Its new value")),
            RESULT(T_RESCODE("res")), EXAMPLE("room1", "conference.example.com", "members_only", "true")}),
};

/* --- affiliations --- */

ADMIN_CMD(get_room_affiliation) = {
    ROOM, .flags = CMD_READS, .elsewhere = "jid",
    .brief = "Tell the affiliation that an address has in a room",
    ONCE_NAME,
    SHAPES({ARGS(ROOM_ARG, SERVICE_ARG, T_BINARY("jid", "Address of the user")),
            RESULT(T_ATOM("affiliation", "owner, admin, member, outcast or none")),
            EXAMPLE("room1", "conference.example.com", "user1@example.com"), SHOWS("member")}),
};

/* name, service */
static void named_args(struct cmd_call *c, const struct value *in, struct value *out)
{
    (void)c;
    out[0] = in[0];
    out[1] = in[1];
}

static struct value affiliation_in_parts(struct cmd_call *c, const struct value *row)
{
    struct value *f = ARENA_ARRAY(c->arena, struct value, 4);
    older_split(c->arena, row->items[0].s, f);
    f[2] = row->items[1];
    f[3] = row->items[2];
    return (struct value){.items = f, .n = 4};
}

ADMIN_CMD(get_room_affiliations) = {
    ROOM, .flags = CMD_READS,
    .brief = "List the affiliations of a room",
    SHAPES({.api = 3, .note = "updated in 24.12", ARGS(ROOM_ARG, SERVICE_ARG),
            RESULT(T_LIST("affiliations", "Address, affiliation, and why it was given",
                          T_TUPLE("affiliation", T_STRING("jid", NULL), T_ATOM("affiliation", NULL), T_STRING("reason", NULL)))),
            EXAMPLE("room1", "conference.example.com"), SHOWS("user1@example.com", "member", "member")},
           {ARGS(T_BINARY("name", "Name of the room"), SERVICE_ARG), .to_newest = named_args,
            RESULT(T_LIST("affiliations", "Name and host of the user, affiliation, and why it was given",
                          T_TUPLE("affiliation", T_STRING("username", NULL), T_STRING("domain", NULL),
                                  T_ATOM("affiliation", NULL), T_STRING("reason", NULL)))),
            .from_newest = affiliation_in_parts, EXAMPLE("room1", "conference.example.com"),
            SHOWS("user1", "example.com", "member", "member")}),
};

#define AFFILIATION_ARG T_BINARY("affiliation", "owner, admin, member, outcast, or none to take it away")

/* name, service, jid, affiliation */
static void set_affiliation_args(struct cmd_call *c, const struct value *in, struct value *out)
{
    out[0] = in[0];
    out[1] = in[1];
    older_jid(c, in[2].s, NULL, out + 2);
    out[4] = in[3];
}

ADMIN_CMD(set_room_affiliation) = {
    ROOM, .elsewhere = "host",
    .brief = "Change the affiliation that an address has in a room",
    SHAPES({.api = 3, .note = "updated in 24.12",
            ARGS(ROOM_ARG, SERVICE_ARG, T_BINARY("user", "Name of the user"), T_BINARY("host", "Host of the user"),
                 AFFILIATION_ARG),
            RESULT(T_RESCODE("res")), EXAMPLE("room1", "conference.example.com", "sun", "localhost", "member")},
           {ARGS(T_BINARY("name", "Name of the room"), SERVICE_ARG, T_BINARY("jid", "Address of the user"), AFFILIATION_ARG),
            .to_newest = set_affiliation_args, RESULT(T_RESCODE("res")),
            EXAMPLE("room1", "conference.example.com", "user2@example.com", "member")}),
};

/* --- who is in it, what was said --- */

ADMIN_CMD(get_room_occupants) = {
    ROOM, .flags = CMD_READS,
    .brief = "List the occupants of a room",
    ONCE_NAME,
    SHAPES({ARGS(ROOM_ARG, SERVICE_ARG),
            RESULT(T_LIST("occupants", "Address, nickname and role",
                          T_TUPLE("occupant", T_STRING("jid", NULL), T_STRING("nick", NULL), T_STRING("role", NULL)))),
            EXAMPLE("room1", "conference.example.com"), SHOWS("user1@example.com/psi", "User 1", "owner")}),
};

ADMIN_CMD(get_room_occupants_number) = {
    ROOM, .flags = CMD_READS,
    .brief = "Count the occupants of a room",
    ONCE_NAME,
    SHAPES({ARGS(ROOM_ARG, SERVICE_ARG), RESULT(T_INTEGER("occupants", "Number of occupants")),
            EXAMPLE("room1", "conference.example.com"), SHOWS("7")}),
};

ADMIN_CMD(get_room_history) = {
    ROOM, .flags = CMD_READS,
    .brief = "List the messages that a room shows to those who enter",
    ONCE_NAME,
    SHAPES({.note = "added in 23.04", ARGS(ROOM_ARG, SERVICE_ARG),
            RESULT(T_LIST("history", "When, and the message as XML",
                          T_TUPLE("entry", T_STRING("timestamp", NULL), T_STRING("message", NULL)))),
            EXAMPLE("room1", "conference.example.com")}),
};

/* --- invitations --- */

#define INVITATION ROOM_ARG, SERVICE_ARG, T_BINARY("password", "Password of the room, or none"), \
        T_BINARY("reason", "Words of the invitation, or none")

/* room, service, password, reason, users with colons between them */
static void invitation_args(struct cmd_call *c, const struct value *in, struct value *out)
{
    for (unsigned i = 0; i < 4; i++)
        out[i] = in[i];
    out[4] = older_list(c->arena, in[4].s, ':');
}

ADMIN_CMD(send_direct_invitation) = {
    ROOM, .secret = "password", .elsewhere = "jid",
    .brief = "Invite users to a room, in the name of the room (XEP-0249)",
    .text = "The answer does not wait until every invitation is on its way.",
    ONCE_NAME,
    SHAPES({.api = 1, .note = "updated in 24.02",
            ARGS(INVITATION, T_LIST("users", "Addresses to invite", T_BINARY("jid", NULL))), RESULT(T_RESCODE("res")),
            EXAMPLE("room1", "conference.example.com", "", "Check this out!", "user2@localhost,user3@example.com")},
           {ARGS(INVITATION, T_BINARY("users", "Addresses to invite, separated by colons")), .to_newest = invitation_args,
            RESULT(T_RESCODE("res")),
            EXAMPLE("room1", "conference.example.com", "", "Check this out!", "user2@localhost:user3@example.com")}),
};
