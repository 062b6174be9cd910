/* The command that changes privacy lists (XEP-0016) on behalf of an account. */
#include "admin/command.h"

ADMIN_CMD(privacy_set) = {
    .tags = "stanza", .module = "mod_admin_extra", .where = RUNS_AT_HOME, .home_user = "user", .home_host = "host",
    .brief = "Change the privacy lists of an account, as its client would with an IQ of type set",
    SHAPES({ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host"),
                 T_BINARY("xmlquery", "XML of the query element")),
            RESULT(T_RESCODE("res")), EXAMPLE("user1", "myserver.com", "<query xmlns='jabber:iq:privacy'>...")}),
};
