/* Commands of the tag logs. */
#include "admin/command.h"

#include "base/log.h"

static int get_loglevel(struct cmd_call *c)
{
    cmd_text(c, str_of(log_level_name(log_get_level())));
    return 0;
}

ADMIN_CMD(get_loglevel) = {
    .tags = "logs", .where = RUNS_HERE, .flags = CMD_READS, .run = get_loglevel, .brief = "Tell the log level",
    SHAPES({NO_ARGS, RESULT(T_ATOM("levelatom", NULL)), SHOWS("warning")}),
};

static int set_loglevel(struct cmd_call *c)
{
    enum log_level level;
    if (!log_level_parse(arg_str(c, "loglevel"), &level))
        return cmd_fail(c, ERR_BAD_ARGUMENT, "Invalid log level");
    log_set_level(level);
    return 0;
}

ADMIN_CMD(set_loglevel) = {
    .tags = "logs", .where = RUNS_HERE, .run = set_loglevel, .brief = "Change the log level until the next start",
    .text = "Levels: `none`, `emergency`, `alert`, `critical`, `error`, `warning`, `notice`, `info`, `debug`.",
    SHAPES({ARGS(T_STRING("loglevel", "The new level")), RESULT(T_RESCODE("res")), EXAMPLE("debug")}),
};
