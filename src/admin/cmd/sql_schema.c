/* The command that shows how the SQL tables are made. Entries only. */
#include "admin/command.h"

ADMIN_CMD(print_sql_schema) = {
    .tags = "ejabberdctl sql", .module = "ejabberd_ctl", .where = RUNS_HERE, .flags = CMD_READS | CMD_TOOL_ONLY,
    .brief = "Print the statements that create the SQL tables (command line tool only)",
    .text = "This command belongs to the command line tool; no other front end has it.",
    SHAPES({.note = "added in 24.02",
            ARGS(T_STRING("db_type", "pgsql, mysql or sqlite"), T_STRING("db_version", "Version of that database, like 16.1"),
                 T_STRING("new_schema", "true or 1: the schema for many hosts; false or 0: the one for a single host")),
            RESULT(T_RESCODE("res")), EXAMPLE("pgsql", "16.1", "true")}),
};
