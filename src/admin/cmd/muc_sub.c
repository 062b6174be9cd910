/* Commands of the tag muc_sub: subscriptions to rooms (MucSub, urn:xmpp:mucsub:0). Entries only. */
#include "admin/older.h"

#define AT_ROOM .module = "mod_muc_admin", .where = RUNS_AT_HOME, .home_user = "room", .home_host = "service"
#define SUB .tags = "muc_room muc_sub", AT_ROOM
#define ROOM_ARG T_BINARY("room", "Name of the room")
#define SERVICE_ARG T_BINARY("service", "MUC service that it is in")
#define USER_ARG T_BINARY("user", "Name of the user")
#define HOST_ARG T_BINARY("host", "Host of the user")
#define NICK_ARG T_BINARY("nick", "Nickname of the user in the room")
#define NODES_ARG T_LIST("nodes", "Nodes: what the user wants to hear of", T_BINARY("node", NULL))
#define USER_JID T_BINARY("user", "Address of the user")
#define ROOM_JID T_BINARY("room", "Address of the room")
#define NODES_TEXT T_BINARY("nodes", "Nodes, separated by commas: what the user wants to hear of")
#define TWO_NODES "urn:xmpp:mucsub:nodes:messages,urn:xmpp:mucsub:nodes:affiliations"

/* --- looking --- */

ADMIN_CMD(get_subscribers) = {
    SUB, .flags = CMD_READS,
    .brief = "List the subscribers of a room",
    RENAMES({"name", "room"}),
    SHAPES({ARGS(ROOM_ARG, SERVICE_ARG), RESULT(T_LIST("subscribers", "Addresses of the subscribers", T_STRING("jid", NULL))),
            EXAMPLE("room1", "conference.example.com"), SHOWS("user2@example.com", "user3@example.com")}),
};

ADMIN_CMD(get_user_subscriptions) = {
    .tags = "muc muc_sub", .module = "mod_muc_admin", .where = RUNS_HERE, .flags = CMD_READS,
    .brief = "List the rooms that an account is subscribed to",
    SHAPES({.note = "added in 21.04", ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host")),
            RESULT(T_LIST("rooms", "Address of the room, nickname in it, nodes",
                          T_TUPLE("room", T_STRING("roomjid", NULL), T_STRING("usernick", NULL),
                                  T_LIST("nodes", NULL, T_STRING("node", NULL))))),
            EXAMPLE("tom", "example.com"), SHOWS("room1@conference.example.com", "Tommy", "mucsub:config")}),
};

/* --- one user --- */

static bool user_of(struct cmd_call *c, struct str jid, struct value *parts_out)
{
    return older_jid(c, jid, "Malformed user JID", parts_out);
}

static bool room_of(struct cmd_call *c, struct str jid, struct value *parts_out)
{
    return older_jid(c, jid, "Malformed room JID", parts_out);
}

/* user, nick, room, nodes: a text in version 0, a list since */
static void subscribe_args(struct cmd_call *c, const struct value *in, struct value *out)
{
    if (!user_of(c, in[0].s, out) || !room_of(c, in[2].s, out + 3))
        return;
    out[2] = in[1];
    out[5] = c->shape->api == 0 ? older_list(c->arena, in[3].s, ',') : in[3];
}

#define SUBSCRIBED RESULT(T_LIST("nodes", "Nodes that the user is subscribed to now", T_STRING("node", NULL)))
#define SUBSCRIBED_SHOWN SHOWS("urn:xmpp:mucsub:nodes:messages", "urn:xmpp:mucsub:nodes:affiliations")
#define SUBSCRIBE_OLD_EXAMPLE EXAMPLE("tom@localhost", "Tom", "room1@conference.localhost", TWO_NODES)

ADMIN_CMD(subscribe_room) = {
    SUB,
    .brief = "Subscribe a user to a room",
    .text = "The room has to allow subscriptions. A user who is subscribed already has the given nodes from then on.",
    SHAPES({.api = 3, .note = "updated in 24.12", ARGS(USER_ARG, HOST_ARG, NICK_ARG, ROOM_ARG, SERVICE_ARG, NODES_ARG), SUBSCRIBED,
            EXAMPLE("tom", "localhost", "Tom", "room1", "conference.localhost", TWO_NODES), SUBSCRIBED_SHOWN},
           {.api = 1, .note = "updated in 24.02", ARGS(USER_JID, NICK_ARG, ROOM_JID, NODES_ARG), .to_newest = subscribe_args,
            SUBSCRIBED, SUBSCRIBE_OLD_EXAMPLE, SUBSCRIBED_SHOWN},
           {ARGS(USER_JID, NICK_ARG, ROOM_JID, NODES_TEXT), .to_newest = subscribe_args, SUBSCRIBED, SUBSCRIBE_OLD_EXAMPLE,
            SUBSCRIBED_SHOWN}),
};

/* user, room */
static void unsubscribe_args(struct cmd_call *c, const struct value *in, struct value *out)
{
    if (user_of(c, in[0].s, out))
        room_of(c, in[1].s, out + 2);
}

ADMIN_CMD(unsubscribe_room) = {
    SUB, .elsewhere = "host",
    .brief = "End the subscription of a user to a room",
    SHAPES({.api = 3, .note = "updated in 24.12", ARGS(USER_ARG, HOST_ARG, ROOM_ARG, SERVICE_ARG), RESULT(T_RESCODE("res")),
            EXAMPLE("tom", "localhost", "room1", "conference.localhost")},
           {ARGS(USER_JID, ROOM_JID), .to_newest = unsubscribe_args, RESULT(T_RESCODE("res")),
            EXAMPLE("tom@localhost", "room1@conference.localhost")}),
};

/* --- many users --- */

/* users of jid and nick, room, nodes: a text in version 0, a list since */
static void subscribe_many_args(struct cmd_call *c, const struct value *in, struct value *out)
{
    out[0] = (struct value){.items = ARENA_ARRAY(c->arena, struct value, in[0].n + 1), .n = in[0].n};
    for (size_t i = 0; i < in[0].n; i++) {
        const struct value *old = in[0].items[i].items;
        struct value *f = ARENA_ARRAY(c->arena, struct value, 3);
        if (!user_of(c, old[0].s, f))
            return;
        f[2] = old[1];
        out[0].items[i] = (struct value){.items = f, .n = 3};
    }
    room_of(c, in[1].s, out + 1);
    out[3] = c->shape->api == 0 ? older_list(c->arena, in[2].s, ',') : in[2];
}

#define USERS_ARG T_LIST("users", "Users with their nicknames", \
        T_TUPLE("user", T_BINARY("user", NULL), T_BINARY("host", NULL), T_BINARY("nick", NULL)))
#define USERS_OLD T_LIST("users", "Addresses of users with their nicknames", \
        T_TUPLE("user", T_BINARY("jid", NULL), T_BINARY("nick", NULL)))
#define MANY_OLD_EXAMPLE EXAMPLE("tom@localhost:Tom,jerry@localhost:Jerry", "room1@conference.localhost", TWO_NODES)

ADMIN_CMD(subscribe_room_many) = {
    SUB,
    .brief = "Subscribe several users to a room",
    .text = "At most as many as the option subscribe_room_many_max_users of mod_muc_admin says: 50 unless it is set. The first "
            "user who cannot be subscribed ends the call; those before are subscribed.",
    SHAPES({.api = 3, .note = "updated in 24.12", ARGS(USERS_ARG, ROOM_ARG, SERVICE_ARG, NODES_ARG), RESULT(T_RESCODE("res")),
            EXAMPLE("tom:localhost:Tom,jerry:localhost:Jerry", "room1", "conference.localhost", TWO_NODES)},
           {.api = 1, .note = "updated in 24.02", ARGS(USERS_OLD, ROOM_JID, NODES_ARG), .to_newest = subscribe_many_args,
            RESULT(T_RESCODE("res")), MANY_OLD_EXAMPLE},
           {.note = "added in 22.05", ARGS(USERS_OLD, ROOM_JID, NODES_TEXT), .to_newest = subscribe_many_args,
            RESULT(T_RESCODE("res")), MANY_OLD_EXAMPLE}),
};
