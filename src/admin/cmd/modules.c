/*
 * Commands of the tag modules: contributed modules (docs/modules.md). The work is core/module/contrib.h; here are arguments
 * and words. Each waits for the compiler or git on its own fiber.
 */
#include "admin/command.h"

#include "core/module/contrib.h"

/* The rest of the words goes beside the answer: one line, because a header carries it. */
static void tell(struct cmd_call *c, const char *what, struct str words)
{
    char *p = arena_cstr(c->arena, words);
    for (char *s = p; *s; s++)
        if (*s == '\n' || *s == '\r' || *s == '\t')
            *s = ' ';
    cmd_reason(c, "%s%s%s", what, *p ? ": " : "", p);
}

static int failed(struct cmd_call *c, const struct contrib_call *k, const struct error *err)
{
    if (err->code == ERR_TIMEOUT)
        return cmd_fail_error(c, err);
    bool more = k->words.n > 0;
    bool module_bad = err->code == ERR_CONFIG || err->code == ERR_CONFLICT || err->code == ERR_FORBIDDEN;
    enum err_code code = module_bad ? ERR_BAD_REQUEST : err->code;
    return cmd_fail_as(c, code, FAIL_REASON, QUOTE_NONE, "error", "%s%s%.*s", err->text,
                       more ? ":\n" : "", STR_ARG(k->words));
}

static int change(struct cmd_call *c, enum contrib_op op) YIELDS;
static int change(struct cmd_call *c, enum contrib_op op)
{
    struct contrib_call *k = contrib_call_new(c->arena, op, arg_str(c, "module"));
    struct error err = ERROR_INIT;
    if (contrib_run(k, &err) != 0)
        return failed(c, k, &err);
    cmd_code(c, true);
    if (k->words.n)
        tell(c, "warnings", k->words);
    else if (k->still_named)
        tell(c, "the configuration still names the module", STR_NULL);
    return 0;
}

static int module_install(struct cmd_call *c) YIELDS;
static int module_install(struct cmd_call *c)
{
    return change(c, CONTRIB_INSTALL);
}

static int module_uninstall(struct cmd_call *c) YIELDS;
static int module_uninstall(struct cmd_call *c)
{
    return change(c, CONTRIB_UNINSTALL);
}

static int module_upgrade(struct cmd_call *c) YIELDS;
static int module_upgrade(struct cmd_call *c)
{
    return change(c, CONTRIB_UPGRADE);
}

static int module_check(struct cmd_call *c) YIELDS;
static int module_check(struct cmd_call *c)
{
    return change(c, CONTRIB_CHECK);
}

static int modules_update_specs(struct cmd_call *c) YIELDS;
static int modules_update_specs(struct cmd_call *c)
{
    struct contrib_call *k = contrib_call_new(c->arena, CONTRIB_FETCH, STR_NULL);
    struct error err = ERROR_INIT;
    int rc = contrib_run(k, &err);
    if (rc != 0 && err.code != ERR_CONFIG && err.code != ERR_IO)
        return failed(c, k, &err);
    cmd_code(c, rc == 0);
    if (rc != 0)
        tell(c, err.text, k->words);
    return 0;
}

static int list(struct cmd_call *c, bool installed)
{
    struct contrib_item *v = NULL;
    size_t n = contrib_list(c->arena, installed, &v);
    for (size_t i = 0; i < n; i++) {
        struct value *row = cmd_add_row(c);
        row->items[0] = value_str(v[i].name);
        row->items[1] = value_str(v[i].summary);
    }
    return 0;
}

static int modules_available(struct cmd_call *c)
{
    return list(c, false);
}

static int modules_installed(struct cmd_call *c)
{
    return list(c, true);
}

#define MODULE_CMD(id, brief_, text_)                                                                        \
    ADMIN_CMD(id) = {                                                                                        \
        .tags = "modules", .brief = brief_, .text = text_, .where = RUNS_HERE, .run = id,                    \
        SHAPES({ARGS(T_BINARY("module", "Name of the module")), RESULT(T_RESCODE("res")), EXAMPLE("mod_rest")}), \
    }
#define MODULES                                                                                              \
    RESULT(T_LIST("modules", "Modules, each with what it is for",                                            \
                  T_TUPLE("module", T_ATOM("name", "Name of the module"), T_STRING("summary", "What it is for"))))

MODULE_CMD(module_install, "Compile a contributed module, keep it and start it",
           "It starts at once, without a restart of the server, and again at every start. The sources must be there: see "
           "modules_update_specs.");
MODULE_CMD(module_uninstall, "Stop a contributed module and remove it", NULL);
MODULE_CMD(module_upgrade, "Replace an installed contributed module by its sources as they are now",
           "The running one goes on until the new one is compiled and loaded; when that fails nothing changes.");
MODULE_CMD(module_check, "Compile a contributed module without installing it",
           "Answers what the compiler has to say about it, and whether this server could load it.");

ADMIN_CMD(modules_update_specs) = {
    .tags = "modules", .brief = "Get the sources of contributed modules again", .where = RUNS_HERE, .run = modules_update_specs,
    .text = "Clones the git repositories and copies the folders that option contrib_modules_sources names; without that option the "
            "example modules that come with the server.",
    SHAPES({NO_ARGS, RESULT(T_RESCODE("res")), SHOWS("ok")}),
};

ADMIN_CMD(modules_available) = {
    .tags = "modules", .brief = "Contributed modules whose sources are here", .where = RUNS_ON_POOL, .flags = CMD_READS,
    .run = modules_available,
    SHAPES({NO_ARGS, MODULES, SHOWS("mod_cron", "Execute scheduled commands", "mod_rest", "ReST frontend")}),
};

ADMIN_CMD(modules_installed) = {
    .tags = "modules", .brief = "Contributed modules that are installed", .where = RUNS_ON_POOL, .flags = CMD_READS,
    .run = modules_installed,
    SHAPES({NO_ARGS, MODULES, SHOWS("mod_cron", "Execute scheduled commands", "mod_rest", "ReST frontend")}),
};
