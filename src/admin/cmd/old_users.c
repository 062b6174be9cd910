/* Commands that delete accounts nobody uses. */
#include "admin/command.h"

#define DAYS T_INTEGER("days", "How long an account must have been unused")
#define SHOWN SHOWS("Deleted 2 users: [\"oldman@myserver.com\", \"test@myserver.com\"]")
#define UNUSED_TEXT                                                                                                     \
    "An account is unused since its last session ended, or since it was made when there never was one. Whoever is connected "   \
    "stays. "

ADMIN_CMD(delete_old_users) = {
    .tags = "accounts purge", .module = "mod_admin_extra", .where = RUNS_HERE, .brief = "Delete the unused accounts of all hosts",
    .text = UNUSED_TEXT "Accounts that the access rule `protect_old_users` allows are kept. To keep administrators:\n\n"
            "``` yaml\naccess_rules:\n  protect_old_users:\n    - allow: admin\n    - deny: all\n```",
    SHAPES({ARGS(DAYS), RESULT(T_RESTUPLE("res")), EXAMPLE("30"), SHOWN}),
};

ADMIN_CMD(delete_old_users_vhost) = {
    .tags = "accounts purge", .module = "mod_admin_extra", .where = RUNS_HERE,
    .brief = "Delete the unused accounts of one virtual host",
    .text = UNUSED_TEXT "Only accounts that the access rule `delete_old_users` allows are deleted. To keep administrators:\n\n"
            "``` yaml\naccess_rules:\n  delete_old_users:\n    - deny: admin\n    - allow: all\n```",
    SHAPES({ARGS(T_BINARY("host", "Virtual host of this server"), DAYS), RESULT(T_RESTUPLE("res")), EXAMPLE("myserver.com", "30"),
            SHOWN}),
};
