/* Commands that exist for the command line tool alone. */
#include "admin/command.h"

/* The tool's front end answers before it comes to this (admin/help.h). */
static int help(struct cmd_call *c)
{
    return cmd_fail(c, ERR_INTERNAL, "help is printed by the command line tool");
}

ADMIN_CMD(help) = {
    .tags = "ejabberdctl", .module = "ejabberd_ctl", .where = RUNS_HERE, .flags = CMD_READS | CMD_TOOL_ONLY, .run = help,
    .brief = "List commands, or explain one (command line tool only)",
    .text = "This command belongs to the command line tool; no other front end has it.",
    SHAPES({NO_ARGS, RESULT(T_RESCODE("res"))}),
};
