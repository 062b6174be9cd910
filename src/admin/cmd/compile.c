/*
 * Code of modules while the server runs: compile, update, update_list, restart_module. What Erlang calls reloading a module is
 * here reading its shared object again (core/module/contrib.h); modules of the server itself have no other code than the program.
 */
#include "admin/command.h"

#include "core/module/contrib.h"
#include "core/module/module_set.h"

static int compile(struct cmd_call *c) YIELDS;
static int compile(struct cmd_call *c)
{
    struct contrib_call *k = contrib_call_new(c->arena, CONTRIB_COMPILE, arg_str(c, "file"));
    struct error err = ERROR_INIT;
    cmd_code(c, true);
    if (contrib_run(k, &err) == 0) {
        if (!k->installed)
            cmd_reason(c, "it compiles; the module is not installed, so nothing was reloaded");
        return 0;
    }
    if (err.code == ERR_NOT_ALLOWED || err.code == ERR_TIMEOUT)
        return cmd_fail_error(c, &err);
    cmd_code_word(c, "error");
    /* COMPAT(ejabberd): the tool shows the compiler's words before its own line. */
    c->failure.note = arena_printf(c->arena, "%s\n%.*s%s", err.text, STR_ARG(k->words), k->words.n ? "\n" : "");
    cmd_reason(c, "%s", err.text);
    return 0;
}

ADMIN_CMD(compile) = {
    .tags = "erlang", .module = "mod_admin_extra", .brief = "Compile a source file of a contributed module and reload the module",
    .text = "The module is the folder with module.yml that the file lies in. All its sources are compiled; an installed one is "
            "replaced, of another one it is only said whether it compiles.",
    .where = RUNS_HERE, .run = compile,
    SHAPES({ARGS(T_STRING("file", "Path of the source file")), RESULT(T_RESCODE("res")),
            EXAMPLE("/home/me/srcs/ejabberd/mod_example.erl"), SHOWS("ok")}),
};

static int update_list(struct cmd_call *c) YIELDS;
static int update_list(struct cmd_call *c)
{
    struct str *v = NULL;
    size_t n = contrib_changed(c->arena, &v);
    for (size_t i = 0; i < n; i++)
        *cmd_add_row(c) = value_str(v[i]);
    return 0;
}

ADMIN_CMD(update_list) = {
    .tags = "server", .brief = "Modules whose file on disk is not the one that runs", .where = RUNS_HERE, .flags = CMD_READS,
    .run = update_list,
    SHAPES({NO_ARGS, RESULT(T_LIST("modules", NULL, T_STRING("module", NULL))), SHOWS("mod_configure", "mod_vcard")}),
};

static struct str joined(struct arena *a, const struct str *v, size_t n)
{
    struct str all = S("");
    for (size_t i = 0; i < n; i++)
        all = arena_printf(a, "%.*s%s%.*s", STR_ARG(all), i ? ", " : "", STR_ARG(v[i]));
    return all;
}

static int update(struct cmd_call *c) YIELDS;
static int update(struct cmd_call *c)
{
    struct str name = arg_str(c, "module");
    bool all = str_eq(name, S("all"));
    struct contrib_call *k = contrib_call_new(c->arena, CONTRIB_UPDATE, all ? STR_NULL : name);
    struct error err = ERROR_INIT;
    int rc = all || name.n ? contrib_run(k, &err) : 0;
    if (rc != 0 && (err.code == ERR_NOT_ALLOWED || err.code == ERR_TIMEOUT))
        return cmd_fail_error(c, &err);
    if (k->count)
        cmd_textf(c, "Updated modules: %.*s", STR_ARG(joined(c->arena, k->names, k->count)));
    else if (all)
        cmd_text(c, S("No modules updated"));
    else
        cmd_textf(c, "Not updated: %.*s", STR_ARG(name));
    if (rc != 0)
        cmd_reason(c, "%s", err.text);
    return 0;
}

ADMIN_CMD(update) = {
    .tags = "server", .brief = "Load a module again whose file on disk is not the one that runs",
    .text = "The word all means every such module.",
    .where = RUNS_HERE, .run = update,
    SHAPES({.note = "improved in 24.10", ARGS(T_STRING("module", NULL)), RESULT(T_RESTUPLE("res")), EXAMPLE("all"),
            SHOWS("Updated modules: mod_configure, mod_vcard")}),
};

/* --- restart_module --- */

enum restarted { RELOADED = 0, NOT_LOADED = 1, NOT_RELOADED = 2 };

static int not_loaded(struct cmd_call *c, const char *why)
{
    cmd_int(c, NOT_LOADED);
    cmd_reason(c, "%s", why);
    return 0;
}

/* A newer file takes its place as update does; that stops and starts the module already. */
static enum restarted reload(struct cmd_call *c, struct str name) YIELDS;
static enum restarted reload(struct cmd_call *c, struct str name)
{
    struct contrib_call *k = contrib_call_new(c->arena, CONTRIB_UPDATE, name);
    struct error err = ERROR_INIT;
    if (contrib_run(k, &err) == 0)
        return RELOADED;
    cmd_reason(c, "%s", err.text);
    return NOT_RELOADED;
}

static int restart_module(struct cmd_call *c) YIELDS;
static int restart_module(struct cmd_call *c)
{
    struct str host, name = arg_str(c, "module");
    struct error err = ERROR_INIT;
    const struct vhost *h = arg_host(c, "host", &host) ? config_host(config_current(), host) : NULL;
    const struct module *m = module_find(name);
    if (!h)
        return not_loaded(c, "the server has no such host");
    if (m ? !module_loaded(h->index, m) : !config_module(h, name))
        return not_loaded(c, "the module is not loaded on this host");
    unsigned index = h->index;
    enum restarted r = m && m->contrib ? reload(c, name) : RELOADED;
    m = module_find(name);
    if (m && module_restart(m, index, &err) != 0)
        return cmd_fail_error(c, &err);
    cmd_int(c, r);
    return 0;
}

ADMIN_CMD(restart_module) = {
    .tags = "erlang", .module = "mod_admin_extra", .brief = "Stop a module on a host, load its code again and start it",
    .where = RUNS_HERE, .run = restart_module,
    SHAPES({ARGS(T_BINARY("host", "Name of the host"), T_BINARY("module", "Module to restart")),
            RESULT(T_INTEGER("res", "Returns integer code:\n - `0`: the code was loaded again and the module started\n"
                                    " - `1`: failure: the module is not loaded\n - `2`: the module started with the code it had")),
            EXAMPLE("myserver.com", "mod_admin_extra"), SHOWS("0")}),
};
