/* Commands of the tag s2s: connections with other servers. Entries only. */
#include "admin/command.h"

ADMIN_CMD(stop_s2s_connections) = {
    .tags = "s2s", .policy = POLICY_ADMIN, .where = RUNS_HERE,
    .brief = "Close all connections with other servers, in both directions",
    SHAPES({NO_ARGS, RESULT(T_RESCODE("res"))}),
};
