/* Commands of the tag cluster: which nodes serve together. Entries only. */
#include "admin/command.h"

ADMIN_CMD(get_master) = {
    .tags = "cluster", .where = RUNS_HERE, .flags = CMD_READS,
    .brief = "Name the node that this node follows as its master",
    .text = "Where no master is set the answer is none.",
    SHAPES({.note = "added in 24.06", NO_ARGS, RESULT(T_ATOM("nodename", "Name of the node, or none")),
            SHOWS("none")}),
};

ADMIN_CMD(set_master) = {
    .tags = "cluster", .where = RUNS_HERE,
    .brief = "Choose the node that this node follows as its master",
    .text = "The word self makes this node its own master.",
    SHAPES({ARGS(T_STRING("nodename", "Name of the node, or self")), RESULT(T_RESTUPLE("res")),
            EXAMPLE("ejabberd@machine7")}),
};

ADMIN_CMD(join_cluster) = {
    .tags = "cluster", .where = RUNS_HERE,
    .brief = "Make this node a member of another node's cluster",
    .text = "The answer comes before the node is a full member. In a script, let started follow: it waits until the node serves "
            "again, and list_cluster shows the members from then on.",
    SHAPES({.note = "improved in 24.06", ARGS(T_BINARY("node", "Name of a member of that cluster")),
            RESULT(T_RESTUPLE("res")), EXAMPLE("ejabberd1@machine7")}),
};

ADMIN_CMD(join_cluster_here) = {
    .tags = "cluster", .where = RUNS_HERE,
    .brief = "Make another node a member of this node's cluster",
    SHAPES({.note = "added in 24.06", ARGS(T_BINARY("node", "Name of the node that is to join")),
            RESULT(T_RESTUPLE("res")), EXAMPLE("ejabberd1@machine7")}),
};

ADMIN_CMD(leave_cluster) = {
    .tags = "cluster", .where = RUNS_HERE,
    .brief = "Send a node out of the cluster and stop it",
    .text = "Any member can be told to send any member away. To send away the node that is being told, use the command line "
            "tool: the other front ends end with the node.",
    SHAPES({ARGS(T_BINARY("node", "Name of the node that is to leave")), RESULT(T_RESCODE("res")),
            EXAMPLE("ejabberd1@machine8")}),
};

ADMIN_CMD(list_cluster) = {
    .tags = "cluster", .where = RUNS_HERE, .flags = CMD_READS,
    .brief = "List the nodes of this cluster that are running",
    SHAPES({NO_ARGS, RESULT(T_LIST("nodes", "Names of the nodes", T_ATOM("node", NULL))),
            SHOWS("ejabberd1@machine7", "ejabberd1@machine8")}),
};

ADMIN_CMD(list_cluster_detailed) = {
    .tags = "cluster", .where = RUNS_HERE, .flags = CMD_READS,
    .brief = "Describe the known nodes of this cluster, running or not",
    SHAPES({.note = "added in 24.06", NO_ARGS,
            RESULT(T_LIST("nodes", "State and figures of each node",
                          T_TUPLE("node", T_ATOM("name", NULL), T_STRING("running", NULL), T_STRING("status", NULL),
                                  T_INTEGER("online_users", NULL), T_INTEGER("processes", NULL),
                                  T_INTEGER("uptime_seconds", NULL), T_ATOM("master_node", NULL)))),
            SHOWS("ejabberd@localhost", "true", "The node ejabberd is started. Status...", "7", "348", "60", "none")}),
};
