/*
 * explain_permission, a command of this server's own: what api_permissions says about a call, line by line, with the rules in
 * force or those of a file that nothing else looks at. A file is read on the blocking pool.
 */
#include "admin/command.h"

#include "core/config/permission_explain.h"
#include "core/config/supported.h"
#include "core/server.h"
#include "rt/pool.h"

#include <stdio.h>

/* --- who asks for what --- */

/* "mod_http_api tag:open", in any order, with blanks or commas; front end mod_http_api when none is named. */
static void read_from(struct str text, struct api_caller *caller)
{
    struct str rest = text, part, word;
    caller->frontend = S("mod_http_api");
    while (str_split(&rest, ' ', &part))
        while (str_split(&part, ',', &word)) {
            word = str_trim(word);
            if (str_starts(word, S("tag:")))
                caller->tag = str_n(word.p + 4, word.n - 4);
            else if (word.n)
                caller->frontend = word;
        }
}

static struct str with_blanks(struct arena *a, struct str text)
{
    char *p = arena_cstr(a, text);
    for (size_t i = 0; i < text.n; i++)
        if (p[i] == ',' || p[i] == ';')
            p[i] = ' ';
    return str_n(p, text.n);
}

static int read_caller(struct cmd_call *c, struct api_caller *caller)
{
    struct str who = arg_str(c, "caller"), ip = arg_str(c, "ip"), scopes = arg_str(c, "scopes");
    *caller = (struct api_caller){0};
    read_from(arg_str(c, "from"), caller);
    if (who.n && !jid_parse(c->arena, who, &caller->who.jid))
        return cmd_fail(c, ERR_BAD_ARGUMENT, "argument caller: expected an address like user@host or nothing, got '%.*s'",
                        STR_ARG(who));
    if (ip.n && !ip_parse(ip, &caller->who.ip))
        return cmd_fail(c, ERR_BAD_ARGUMENT, "argument ip: expected an IP address or nothing, got '%.*s'", STR_ARG(ip));
    if (scopes.n)
        caller->oauth_scopes = with_blanks(c->arena, scopes);
    return 0;
}

/* --- the rules to ask --- */

struct load_job {
    struct arena *a;
    const char *file;
    const struct config *base;
    struct config *whole; /* the file is a whole configuration */
    const struct config *config;
    struct error err;
};

/* The folder of the configuration in force stands for CONFIG_PATH. */
static struct config *load_whole(struct load_job *j)
{
    const struct server_env *e = server_env();
    const char *slash = strrchr(e->config_file, '/');
    struct str dir = slash ? str_n(e->config_file, (size_t)(slash - e->config_file)) : S(".");
    struct config_env env = {.spool_dir = e->spool_dir, .log_dir = e->log_dir ? e->log_dir : ".",
                             .config_dir = arena_cstr(j->a, dir)};
    struct config *c = config_load(j->file, &env, &j->err);
    if (c && supported_check(c, &j->err) < 0) {
        err_wrap(&j->err, "%s", j->file);
        config_release(&c);
    }
    return c;
}

static void load_on_thread(void *arg, void *state)
{
    (void)state;
    struct load_job *j = arg;
    struct yaml *top = yaml_read(j->a, j->file, &j->err);
    if (!top)
        return;
    if (yaml_get(top, S("hosts")))
        j->config = j->whole = load_whole(j);
    else
        j->config = api_rules_load(j->a, j->base, j->file, &j->err);
}

/* --- the answer --- */

static struct str place(struct arena *a, const struct yaml *y)
{
    if (!y || !y->file)
        return S("");
    return y->line ? arena_printf(a, "%s:%u:%u", y->file, y->line, y->column) : arena_str(a, str_of(y->file));
}

static const char *verdict(const struct explain_row *r)
{
    if (!strcmp(r->part, "verdict") || !strcmp(r->part, "section"))
        return r->yes ? "allowed" : "refused";
    return r->yes ? "matched" : "missed";
}

static void answer(struct cmd_call *c, const struct config *rules, const struct command *cmd, const struct api_caller *caller)
{
    struct api_target t = {.command = cmd->name, .tags = cmd->d->tags, .api = cmd->d->shapes[0].api};
    struct explanation e = api_explain(c->arena, rules, caller, &t);
    for (size_t i = 0; i < e.n; i++) {
        const struct explain_row *r = &e.rows[i];
        struct value *f = cmd_add_row(c)->items;
        f[0] = value_int((int64_t)i);
        f[1] = value_str(arena_str(c->arena, r->section));
        f[2] = value_cstr(r->part);
        f[3] = value_cstr(verdict(r));
        f[4] = value_str(r->text);
        f[5] = value_str(place(c->arena, r->where));
    }
}

static int explain_permission(struct cmd_call *c) YIELDS;
static int explain_permission(struct cmd_call *c)
{
    const struct command *cmd = command_typed(arg_str(c, "command"));
    struct api_caller caller;
    struct load_job j = {.a = arena_new(), .file = arena_cstr(c->arena, arg_str(c, "file"))};
    struct config *base = config_hold(config_current());
    int rc = 0;
    j.base = j.config = base;
    if (!cmd)
        rc = cmd_fail(c, ERR_BAD_ARGUMENT, "argument command: there is no command '%.*s'; the nearest is '%.*s'",
                      STR_ARG(arg_str(c, "command")), STR_ARG(command_nearest(arg_str(c, "command"))));
    else
        rc = read_caller(c, &caller);
    if (rc == 0 && j.file[0]) {
        j.config = NULL;
        pool_run(pool_general(), load_on_thread, &j);
    }
    if (rc == 0 && j.config)
        answer(c, j.config, cmd, &caller);
    else if (rc == 0)
        rc = cmd_fail_as(c, ERR_CONFIG, FAIL_REASON, QUOTE_TEXT, "error", "%s", j.err.text);
    config_release(&j.whole);
    arena_release(&j.a);
    config_release(&base);
    return rc;
}

ADMIN_CMD(explain_permission) = {
    .tags = "config", .where = RUNS_HERE, .flags = CMD_READS, .address = "ip", .run = explain_permission,
    .optional = 5,
    .brief = "Say why a caller may run a command or not",
    .text = "The first line is the verdict. Then every section of `api_permissions` says whether it allows the call, and which of "
            "its parts `from`, `who` and `what` matched or missed, with the place in the configuration. With a file its rules are "
            "asked instead of those in force, without applying them: a whole configuration, or `acl`, `access_rules` and "
            "`api_permissions` alone. What is wrong with the file is answered with line and column. All "
            "arguments but the first may be left out.",
    SHAPES({ARGS(T_BINARY("command", "Name of the command"), T_BINARY("caller", "Address of the caller, empty for nobody"),
                 T_BINARY("ip", "IP address of the caller, empty for none"),
                 T_BINARY("from", "Front end and listener tag, `mod_http_api tag:NAME`; empty for `mod_http_api`"),
                 T_BINARY("scopes", "Scopes of the caller's token, empty for a call without one"),
                 T_BINARY("file", "File on this machine, empty for the rules in force")),
            RESULT(T_LIST("lines", NULL, T_TUPLE("line", T_INTEGER("number", NULL), T_STRING("section", NULL),
                                                 T_STRING("part", NULL), T_STRING("verdict", NULL), T_STRING("reason", NULL),
                                                 T_STRING("place", NULL)))),
            EXAMPLE("register", "admin@example.com", "192.0.2.1", "mod_http_api", "", "")}),
};
