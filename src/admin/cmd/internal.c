/*
 * Commands that ejabberd keeps for its web console. They take part in everything that concerns names and arguments, and every
 * front end refuses to run them (cmd_admit); COMPAT(ejabberd).
 */
#include "admin/command.h"

#define INTERNAL .flags = CMD_INTERNAL, .where = RUNS_HERE
#define OWNER T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host")
#define HOST T_BINARY("host", "Virtual host")
#define NODE T_ATOM("node", "Name of the node")
#define TABLE T_BINARY("table", "Name of the table")
#define QUERY T_ANY("query", "Query of the page's address")
#define LANG T_BINARY("lang", "Language of the page")
#define PAGE RESULT(T_ANY("res", NULL))
#define MESSAGES                                                                                                            \
    T_TUPLE("messages", T_STRING("time", NULL), T_STRING("from", NULL), T_STRING("to", NULL), T_STRING("packet", NULL))

/* --- echoes --- */

ADMIN_CMD(echo) = {
    .tags = "internal", INTERNAL, .brief = "Give a text back",
    SHAPES({ARGS(T_BINARY("sentence", "The text")), RESULT(T_STRING("sentence", NULL)), EXAMPLE("Test Sentence"),
            SHOWS("Test Sentence")}),
};

ADMIN_CMD(echo3) = {
    .tags = "internal", INTERNAL, .brief = "Give the third of three texts back",
    SHAPES({ARGS(T_BINARY("first", "A text"), T_BINARY("second", "Another text"), T_BINARY("sentence", "The text")),
            RESULT(T_STRING("sentence", NULL)), EXAMPLE("example.com", "Group1", "Test Sentence"), SHOWS("Test Sentence")}),
};

/* --- what is stored --- */

ADMIN_CMD(get_mam_messages) = {
    .tags = "internal mam", .module = "mod_mam", .policy = POLICY_USER, INTERNAL,
    .brief = "List the archived messages of an account",
    SHAPES({ARGS(OWNER), RESULT(T_LIST("archive", NULL, MESSAGES))}),
};

ADMIN_CMD(get_offline_messages) = {
    .tags = "internal offline", .module = "mod_admin_extra", .policy = POLICY_USER, INTERNAL,
    .brief = "List the messages that wait for an account",
    SHAPES({ARGS(OWNER), RESULT(T_LIST("queue", NULL, MESSAGES))}),
};

ADMIN_CMD(mnesia_table_details) = {
    .tags = "internal mnesia", INTERNAL, .brief = "Describe a table of the embedded store",
    SHAPES({ARGS(TABLE), RESULT(T_LIST("details", NULL, T_TUPLE("detail", T_ATOM("name", NULL), T_BINARY("value", NULL))))}),
};

ADMIN_CMD(mnesia_table_clear) = {
    .tags = "internal mnesia", INTERNAL, .brief = "Empty a table of the embedded store",
    SHAPES({ARGS(TABLE), RESULT(T_RESTUPLE("res"))}),
};

ADMIN_CMD(mnesia_table_destroy) = {
    .tags = "internal mnesia", INTERNAL, .brief = "Remove a table of the embedded store",
    SHAPES({ARGS(TABLE), RESULT(T_RESTUPLE("res"))}),
};

/* --- pages --- */

ADMIN_CMD(webadmin_host_last_activity) = {
    .tags = "internal", INTERNAL, .brief = "Page of a virtual host: when accounts were last active",
    SHAPES({ARGS(HOST, QUERY, LANG), PAGE}),
};

ADMIN_CMD(webadmin_host_srg) = {
    .tags = "internal", INTERNAL, .brief = "Page of a virtual host: its shared roster groups",
    SHAPES({ARGS(HOST, QUERY, LANG), PAGE}),
};

ADMIN_CMD(webadmin_host_srg_group) = {
    .tags = "internal", INTERNAL, .brief = "Page of a virtual host: one of its shared roster groups",
    SHAPES({ARGS(HOST, T_BINARY("group", "Identifier of the group"), QUERY, LANG), PAGE}),
};

ADMIN_CMD(webadmin_host_user_queue) = {
    .tags = "offline internal", INTERNAL, .brief = "Page of an account: the messages that wait for it",
    SHAPES({ARGS(OWNER, QUERY, LANG), PAGE}),
};

ADMIN_CMD(webadmin_muc) = {
    .tags = "internal", .module = "mod_muc_admin", INTERNAL, .brief = "Page of the rooms",
    SHAPES({ARGS(T_ANY("request", "The request for the page"), LANG), PAGE}),
};

ADMIN_CMD(webadmin_node_contrib) = {
    .tags = "internal", INTERNAL, .brief = "Page of a node: contributed modules",
    SHAPES({ARGS(NODE, QUERY, LANG), PAGE}),
};

ADMIN_CMD(webadmin_node_db) = {
    .tags = "internal", INTERNAL, .brief = "Page of a node: the embedded store",
    SHAPES({ARGS(NODE, QUERY, LANG), PAGE}),
};

ADMIN_CMD(webadmin_node_db_table) = {
    .tags = "internal", INTERNAL, .brief = "Page of a node: a table of the embedded store",
    SHAPES({ARGS(NODE, TABLE, LANG), PAGE}),
};

ADMIN_CMD(webadmin_node_db_table_page) = {
    .tags = "internal", INTERNAL, .brief = "Page of a node: a part of a table of the embedded store",
    SHAPES({ARGS(NODE, TABLE, T_INTEGER("page", "Number of the part")), PAGE}),
};
