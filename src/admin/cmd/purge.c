/* Commands of the tag purge that belong to no other family: old items and sessions of pubsub and push. Entries only. */
#include "admin/command.h"

ADMIN_CMD(delete_expired_pubsub_items) = {
    .tags = "purge", .module = "mod_pubsub", .where = RUNS_HERE,
    .brief = "Delete the pubsub items whose time is over",
    .text = "How long an item lives is an option of its node (pubsub#item_expire).",
    SHAPES({.note = "added in 21.12", NO_ARGS, RESULT(T_RESCODE("res")), SHOWS("ok")}),
};

ADMIN_CMD(delete_old_pubsub_items) = {
    .tags = "purge", .module = "mod_pubsub", .where = RUNS_HERE,
    .brief = "Keep only the newest items of each pubsub node",
    SHAPES({.note = "added in 21.12", ARGS(T_INTEGER("number", "How many items a node keeps")), RESULT(T_RESCODE("res")),
            EXAMPLE("1000"), SHOWS("ok")}),
};

ADMIN_CMD(delete_old_push_sessions) = {
    .tags = "purge", .module = "mod_push", .where = RUNS_HERE,
    .brief = "Forget the push registrations that are older than a number of days",
    SHAPES({ARGS(T_INTEGER("days", "Age in days from which a registration goes")), RESULT(T_RESCODE("res"))}),
};
