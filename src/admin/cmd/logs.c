/* Commands of the tag logs. Files are changed by the log's own thread; who asked waits on the blocking pool. */
#include "admin/command.h"

#include "base/log.h"

static int get_loglevel(struct cmd_call *c)
{
    cmd_text(c, str_of(log_level_name(log_get_level())));
    return 0;
}

ADMIN_CMD(get_loglevel) = {
    .tags = "logs", .where = RUNS_HERE, .flags = CMD_READS, .run = get_loglevel, .brief = "Tell the log level",
    SHAPES({NO_ARGS,
            RESULT(T_ATOM("levelatom",
                          "`none`, `emergency`, `alert`, `critical`, `error`, `warning`, `notice`, `info` or `debug`")),
            SHOWS("warning")}),
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
    .text = "Levels: `none`, `emergency`, `alert`, `critical`, `error`, `warning`, `notice`, `info`, `debug`. A reload of the "
            "configuration sets the level of the file again.",
    SHAPES({ARGS(T_STRING("loglevel", "The new level")), RESULT(T_RESCODE("res")), EXAMPLE("debug")}),
};

static int change_failed(struct cmd_call *c, const struct error *err)
{
    return cmd_fail_as(c, ERR_INTERNAL, FAIL_REPORT, QUOTE_TEXT, "error", "%s", err->text);
}

static int reopen_log(struct cmd_call *c)
{
    struct error err = ERROR_INIT;
    return log_reopen_wait(&err) < 0 ? change_failed(c, &err) : 0;
}

ADMIN_CMD(reopen_log) = {
    .tags = "logs", .policy = POLICY_ADMIN, .where = RUNS_ON_POOL, .run = reopen_log,
    .brief = "Open the log file again after it was renamed",
    .text = "For programs that rotate logs themselves. No line is lost: what was logged before the call is in the renamed file.",
    SHAPES({NO_ARGS, RESULT(T_RESCODE("res"))}),
};

static int rotate_log(struct cmd_call *c)
{
    struct error err = ERROR_INIT;
    return log_rotate_wait(&err) < 0 ? change_failed(c, &err) : 0;
}

ADMIN_CMD(rotate_log) = {
    .tags = "logs", .where = RUNS_ON_POOL, .run = rotate_log, .brief = "Set the log file aside and begin a new one",
    .text = "The file gets the suffix `.0`, older ones move up by one; as many are kept as the option `log_rotate_count` says.",
    SHAPES({NO_ARGS, RESULT(T_RESCODE("res"))}),
};
