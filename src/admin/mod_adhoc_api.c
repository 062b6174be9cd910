/*
 * mod_adhoc_api: every command of the table that the asker may run as an ad-hoc command "api-commands/NAME" (XEP-0050), with
 * a form made from the entry. A command that can say what it would do offers that as a second stage. Permissions are those of
 * api_permissions, with from: mod_adhoc_api.
 */
#include "admin/adhoc_form.h"

static const struct str prefix = {"api-commands/", 13};

static int64_t standard_version(unsigned host)
{
    const struct config *cfg = config_current();
    const struct options *o = host < cfg->host_count ? config_module(&cfg->hosts[host], S("mod_adhoc_api")) : NULL;
    int64_t v = API_NEWEST;
    if (!o || !opt_is_set(o, "default_version"))
        return v;
    struct str text = opt_str(o, "default_version");
    if (text.n && text.p[0] == 'v')
        text = str_n(text.p + 1, text.n - 1);
    return str_to_i64(text, &v) ? v : API_NEWEST;
}

/* A call of it that the caller may make; NULL otherwise. */
static struct cmd_call *call_of(const struct command *cmd, int64_t version, const struct api_caller *caller)
{
    const struct cmd_shape *shape = command_shape(cmd, version);
    struct cmd_call *c = shape ? cmd_call_new(cmd, shape, version) : NULL;
    if (c && cmd_admit(c, caller) < 0)
        cmd_call_end(&c);
    return c;
}

/* --- discovery --- */

static void list(struct disco_ask *ask) YIELDS;
static void list(struct disco_ask *ask)
{
    struct api_caller caller;
    struct str server = jid_host(ask->request->to);
    adhoc_caller(ask->arena, S("mod_adhoc_api"), ask->request->from, &caller);
    int64_t version = standard_version(ask->host);
    for (size_t i = 0; i < command_count(); i++) {
        const struct command *cmd = command_at(i);
        struct cmd_call *c = call_of(cmd, version, &caller);
        if (c)
            disco_add_item(ask, server, arena_printf(ask->arena, "%.*s%.*s", STR_ARG(prefix), STR_ARG(cmd->name)), cmd->name);
        cmd_call_end(&c);
    }
}

static enum disco_found on_items(struct disco_ask *ask) YIELDS;
static enum disco_found on_items(struct disco_ask *ask)
{
    struct str own = str_n(prefix.p, prefix.n - 1);
    if (!ask->node.n)
        disco_add_item(ask, jid_host(ask->request->to), own, S("API Commands"));
    else if (str_starts(ask->node, prefix))
        return DISCO_ANSWERED; /* a command has none */
    else if (str_eq(ask->node, own))
        list(ask);
    else
        return DISCO_NOT_MINE;
    return DISCO_ANSWERED;
}

static enum disco_found on_info(struct disco_ask *ask) YIELDS;
static enum disco_found on_info(struct disco_ask *ask)
{
    struct api_caller caller;
    bool own = str_eq(ask->node, str_n(prefix.p, prefix.n - 1));
    const struct command *cmd =
        str_starts(ask->node, prefix) ? command_find(str_n(ask->node.p + prefix.n, ask->node.n - prefix.n)) : NULL;
    if (own) {
        disco_add_identity(ask, "automation", "command-node", S("API Commands"));
        return DISCO_ANSWERED;
    }
    if (!cmd)
        return DISCO_NOT_MINE;
    adhoc_caller(ask->arena, S("mod_adhoc_api"), ask->request->from, &caller);
    struct cmd_call *c = call_of(cmd, standard_version(ask->host), &caller);
    if (!c)
        return disco_refuse(ask, ERR_FORBIDDEN, "Access denied by service policy");
    cmd_call_end(&c);
    disco_add_identity(ask, "automation", "command-node", cmd->name);
    disco_add_feature(ask, "http://jabber.org/protocol/commands");
    disco_add_feature(ask, "jabber:x:data");
    return DISCO_ANSWERED;
}

/* --- commands --- */

static bool can_preview(const struct cmd_call *c)
{
    return c->cmd->d->run && (c->cmd->d->flags & CMD_DRY_RUN);
}

static enum adhoc_outcome show_form(struct adhoc_call *a, const struct cmd_call *c)
{
    adhoc_form_args(a->arena, a->command, c, jid_host(a->request->to), a->form);
    return adhoc_stage(a, 1, can_preview(c), true);
}

static void note_failure(struct adhoc_call *a, const struct cmd_call *c)
{
    struct str text = c->failure.text;
    adhoc_note(a, "error", text.n ? text : str_of(err_info(c->failure.code)->text));
}

/* A result that says the command was not successful; the form still holds it. */
static void note_reason(struct adhoc_call *a, const struct cmd_call *c)
{
    if (c->reason.n)
        adhoc_note(a, c->shape->result->kind == V_RESCODE && c->result.i == 0 ? "info" : "error", c->reason);
    else if (c->shape->result->kind == V_RESCODE && c->result.i)
        adhoc_note(a, "error", S("The command was not successful"));
}

static enum adhoc_outcome execute(struct adhoc_call *a, struct cmd_call **cp) YIELDS;
static enum adhoc_outcome execute(struct adhoc_call *a, struct cmd_call **cp)
{
    size_t total = 0;
    const struct value *asked = (*cp)->args;
    int rc = adhoc_run(cp, &total);
    const struct cmd_call *c = *cp;
    if (rc < 0) {
        note_failure(a, c);
        return ADHOC_DONE;
    }
    adhoc_form_result(a->arena, a->command, c, asked);
    note_reason(a, c);
    if (total > c->row_count)
        adhoc_note(a, "warn", arena_printf(a->arena, "The first %zu of %zu are shown", c->row_count, total));
    return ADHOC_DONE;
}

static enum adhoc_outcome preview(struct adhoc_call *a, struct cmd_call **cp) YIELDS;
static enum adhoc_outcome preview(struct adhoc_call *a, struct cmd_call **cp)
{
    size_t total = 0;
    (*cp)->dry_run = true;
    int rc = adhoc_run(cp, &total);
    const struct cmd_call *c = *cp;
    if (rc < 0) {
        note_failure(a, c);
        return ADHOC_DONE;
    }
    struct xml_el *x = dataform_new(a->arena, a->command, DATAFORM_FORM);
    dataform_title(a->arena, x, c->cmd->name);
    dataform_instructions(a->arena, x, S("Nothing has been changed yet. Complete the command to do it."));
    struct xml_el *field = dataform_add(a->arena, x, S("fixed"), STR_NULL, S("What would be touched"));
    dataform_add_value(a->arena, field, arena_printf(a->arena, "%llu in all", (unsigned long long)c->would_count));
    for (size_t i = 0; i < c->would_count && i < CMD_WOULD_SHOWN; i++)
        dataform_add_value(a->arena, field, c->would[i]);
    return adhoc_stage(a, 2, false, true);
}

static enum adhoc_outcome answer(struct adhoc_call *a, struct cmd_call **cp, const struct api_caller *caller) YIELDS;
static enum adhoc_outcome answer(struct adhoc_call *a, struct cmd_call **cp, const struct api_caller *caller)
{
    if (a->action == ADHOC_START || a->action == ADHOC_PREV)
        return show_form(a, *cp);
    if (adhoc_form_bind(*cp, a->form) != TREE_OK)
        return adhoc_bad_payload(a, "%.*s", STR_ARG((*cp)->failure.text));
    /* again: who administers one host only is judged by the arguments */
    if (cmd_admit(*cp, caller) < 0)
        return adhoc_forbidden(a);
    if (a->action == ADHOC_COMPLETE)
        return execute(a, cp);
    return can_preview(*cp) ? preview(a, cp) : adhoc_fail(a, ERR_BAD_REQUEST, "The command has no second stage");
}

static enum adhoc_outcome run(struct adhoc_call *a) YIELDS;
static enum adhoc_outcome run(struct adhoc_call *a)
{
    struct api_caller caller;
    const struct command *cmd =
        str_starts(a->node, prefix) ? command_find(str_n(a->node.p + prefix.n, a->node.n - prefix.n)) : NULL;
    int64_t version = standard_version(a->host);
    if (!cmd || !command_shape(cmd, version))
        return ADHOC_NOT_MINE;
    adhoc_caller(a->arena, S("mod_adhoc_api"), a->from, &caller);
    struct cmd_call *c = call_of(cmd, version, &caller);
    if (!c)
        return adhoc_forbidden(a);
    enum adhoc_outcome o = answer(a, &c, &caller);
    cmd_call_end(&c);
    return o;
}

ADHOC_COMMANDS(api_commands) = {"mod_adhoc_api", list, run};
DISCO_NODES(api_nodes) = {"mod_adhoc_api", on_info, on_items};

MODULE(mod_adhoc_api) = {.name = "mod_adhoc_api"};
