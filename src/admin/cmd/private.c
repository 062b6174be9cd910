/* Commands of the tag private: XML that clients keep on the server (XEP-0049), and bookmarks on their way out of it. */
#include "admin/command.h"

#define OWNER T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host")
#define AT_HOME .where = RUNS_AT_HOME, .home_user = "user", .home_host = "host"

ADMIN_CMD(private_get) = {
    .tags = "private", .module = "mod_admin_extra", AT_HOME, .flags = CMD_READS,
    .brief = "Show an element of the private storage of an account",
    .text = "When nothing is stored the answer holds the element that was asked for, empty, as a client would get it.",
    SHAPES({ARGS(OWNER, T_BINARY("element", "Name of the element"), T_BINARY("ns", "Its namespace")), RESULT(T_STRING("res", NULL)),
            EXAMPLE("user1", "myserver.com", "storage", "storage:rosternotes")}),
};

ADMIN_CMD(private_set) = {
    .tags = "private", .module = "mod_admin_extra", AT_HOME, .secret = "element",
    .brief = "Store an element in the private storage of an account",
    .text = "What was stored under the same namespace is replaced.",
    SHAPES({ARGS(OWNER, T_BINARY("element", "XML of the element")), RESULT(T_RESCODE("res")),
            EXAMPLE("user1", "myserver.com", "<storage xmlns='storage:rosternotes'/>")}),
};

ADMIN_CMD(bookmarks_to_pep) = {
    .tags = "private", .module = "mod_private", AT_HOME,
    .brief = "Copy the bookmarks of an account from private storage to PEP, where newer clients look for them",
    RENAMES({"server", "host"}),
    SHAPES({ARGS(OWNER), RESULT(T_RESTUPLE("res")), EXAMPLE("bob", "example.com"), SHOWS("Bookmarks exported")}),
};
