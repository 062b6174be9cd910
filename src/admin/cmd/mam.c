/* Commands of the tag mam: message archives (XEP-0313). Entries only. */
#include "admin/command.h"

#define USER T_BINARY("user", "Name of the account")
#define HOST T_BINARY("host", "Its virtual host")
#define TYPE T_BINARY("type", "chat, groupchat or all")
#define DAYS T_INTEGER("days", "Younger messages stay")
#define OF_ACCOUNT .where = RUNS_AT_HOME, .home_user = "user", .home_host = "host"
#define TYPES_MEAN "Of the types, chat means the archives of accounts, groupchat those of rooms, and all both."

/* --- deleting what is old --- */

ADMIN_CMD(delete_old_mam_messages) = {
    .tags = "mam purge", .module = "mod_mam", .where = RUNS_HERE,
    .brief = "Delete the archived messages that are older than a number of days",
    .text = TYPES_MEAN,
    SHAPES({ARGS(TYPE, DAYS), RESULT(T_RESCODE("res")), EXAMPLE("all", "31")}),
};

ADMIN_CMD(delete_old_mam_messages_batch) = {
    .tags = "mam purge", .module = "mod_mam", .where = RUNS_HERE,
    .brief = "Delete the archived messages that are older than a number of days, in the background and at a measured pace",
    .text = "The answer comes at once; delete_old_mam_messages_status tells how far the work is and "
            "abort_delete_old_mam_messages ends it. " TYPES_MEAN,
    SHAPES({.note = "added in 22.05",
            ARGS(T_BINARY("host", "Virtual host of the archives"), TYPE, DAYS,
                 T_INTEGER("batch_size", "Messages to delete in one go"), T_INTEGER("rate", "Messages to delete in a minute")),
            RESULT(T_RESTUPLE("res")), EXAMPLE("localhost", "all", "31", "1000", "10000"),
            SHOWS("Removal of 5000 messages in progress")}),
};

ADMIN_CMD(delete_old_mam_messages_status) = {
    .tags = "mam purge", .module = "mod_mam", .where = RUNS_HERE, .flags = CMD_READS,
    .brief = "Tell how far the deletion of old archived messages is",
    SHAPES({.note = "added in 22.05", ARGS(T_BINARY("host", "Virtual host of the archives")),
            RESULT(T_STRING("status", "The state in words")), EXAMPLE("localhost"),
            SHOWS("Operation in progress, delete 5000 messages")}),
};

ADMIN_CMD(abort_delete_old_mam_messages) = {
    .tags = "mam purge", .module = "mod_mam", .where = RUNS_HERE,
    .brief = "End the deletion of old archived messages that is under way",
    .text = "What has been deleted until then stays deleted.",
    SHAPES({.note = "added in 22.05", ARGS(T_BINARY("host", "Virtual host of the archives")),
            RESULT(T_STRING("status", "What was done, in words")), EXAMPLE("localhost"), SHOWS("Operation aborted")}),
};

/* --- one archive --- */

ADMIN_CMD(get_mam_count) = {
    .tags = "mam", .module = "mod_mam", .policy = POLICY_USER, OF_ACCOUNT, .flags = CMD_READS,
    .brief = "Count the messages in the archive of an account",
    SHAPES({.note = "added in 24.10", ARGS(USER, HOST), RESULT(T_INTEGER("value", "Number of messages")), SHOWS("5")}),
};

ADMIN_CMD(remove_mam_for_user) = {
    .tags = "mam", .module = "mod_mam", OF_ACCOUNT,
    .brief = "Delete the archive of an account",
    RENAMES({"server", "host"}),
    SHAPES({ARGS(USER, HOST), RESULT(T_RESTUPLE("res")), EXAMPLE("bob", "example.com"), SHOWS("MAM archive removed")}),
};

ADMIN_CMD(remove_mam_for_user_with_peer) = {
    .tags = "mam", .module = "mod_mam", OF_ACCOUNT,
    .brief = "Delete one conversation from the archive of an account",
    RENAMES({"server", "host"}),
    SHAPES({ARGS(USER, HOST, T_BINARY("with", "Address of the other side; a resource does not count")),
            RESULT(T_RESTUPLE("res")), EXAMPLE("bob", "example.com", "anne@example.com"), SHOWS("MAM archive removed")}),
};
