/* Commands of the tag offline: messages that wait for their receiver to come back. */
#include "admin/command.h"

#define OF_HOST T_BINARY("host", "Virtual host of this server")
#define PURGE .tags = "offline purge", .where = RUNS_HERE

ADMIN_CMD(get_offline_count) = {
    .tags = "offline", .module = "mod_admin_extra", .policy = POLICY_USER, .where = RUNS_AT_HOME, .home_user = "user",
    .home_host = "host", .flags = CMD_READS, .brief = "Count the messages that wait for an account", RENAMES({"server", "host"}),
    SHAPES({ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host")),
            RESULT(T_INTEGER("value", "Number of messages")), SHOWS("5")}),
};

ADMIN_CMD(delete_expired_messages) = {
    PURGE, .brief = "Delete waiting messages whose sender set an end that has passed",
    SHAPES({NO_ARGS, RESULT(T_RESCODE("res"))}),
};

ADMIN_CMD(delete_old_messages) = {
    PURGE, .brief = "Delete the messages that have waited for a number of days, on all hosts",
    .text = "For many messages there is _`delete_old_messages_batch`_, which leaves the database time for others.",
    SHAPES({ARGS(T_INTEGER("days", "Messages older than this are deleted")), RESULT(T_RESCODE("res")), EXAMPLE("31")}),
};

/* --- little by little --- */

ADMIN_CMD(delete_old_messages_batch) = {
    PURGE, .brief = "Delete the messages of a virtual host that have waited for a number of days, little by little",
    .text = "The work goes on after the answer. _`delete_old_messages_status`_ tells how far it is, _`abort_delete_old_messages`_ "
            "ends it.",
    SHAPES({.note = "added in 22.05",
            ARGS(OF_HOST, T_INTEGER("days", "Messages older than this are deleted"),
                 T_INTEGER("batch_size", "Messages that are deleted at a time"),
                 T_INTEGER("rate", "Messages that are deleted in a minute")),
            RESULT(T_RESTUPLE("res")), EXAMPLE("localhost", "31", "1000", "10000"), SHOWS("Removal of 5000 messages in progress")}),
};

ADMIN_CMD(delete_old_messages_status) = {
    PURGE, .flags = CMD_READS, .brief = "Tell how far the deletion of waiting messages of a virtual host is",
    .text = "It speaks of the work that _`delete_old_messages_batch`_ began.",
    SHAPES({.note = "added in 22.05", ARGS(OF_HOST), RESULT(T_STRING("status", "The state in words")), EXAMPLE("localhost"),
            SHOWS("Operation in progress, delete 5000 messages")}),
};

ADMIN_CMD(abort_delete_old_messages) = {
    PURGE, .brief = "End the deletion of waiting messages of a virtual host before it is through",
    .text = "It ends the work that _`delete_old_messages_batch`_ began; what is deleted stays deleted.",
    SHAPES({.note = "added in 22.05", ARGS(OF_HOST), RESULT(T_STRING("status", "What happened, in words")), EXAMPLE("localhost"),
            SHOWS("Operation aborted")}),
};
