/* The table as JSON: what tests compare with the recorded registry, and what documents are made from. */
#include "admin/help.h"

#include "admin/out.h"

static const char *const policies[] = {
    [POLICY_RESTRICTED] = "restricted", [POLICY_ADMIN] = "admin", [POLICY_USER] = "user", [POLICY_OPEN] = "open"};

static void member(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, ",\"%s\":", name);
    json_out_str(out, str_of(text ? text : ""));
}

static void texts(struct buf *out, const char *name, const char *const *items, unsigned n)
{
    buf_printf(out, ",\"%s\":[", name);
    for (unsigned i = 0; i < n; i++) {
        if (i)
            buf_add_c(out, ',');
        json_out_str(out, str_of(items[i]));
    }
    buf_add_c(out, ']');
}

static void tags(struct buf *out, const struct command *cmd, const struct cmd_shape *s)
{
    struct buf b = BUF_INIT;
    command_tags(&b, cmd, s);
    struct str rest = buf_str(&b), tag;
    buf_add_str(out, S("\"tags\":["));
    for (bool first = true; str_split(&rest, ' ', &tag); first = false) {
        if (!first)
            buf_add_c(out, ',');
        json_out_str(out, tag);
    }
    buf_add_c(out, ']');
    buf_deinit(&b);
}

static void type_text(struct buf *out, const struct type *t)
{
    struct buf b = BUF_INIT;
    type_print(&b, t);
    json_out_str(out, buf_str(&b));
    buf_deinit(&b);
}

static void renames(struct buf *out, const struct admin_cmd *d)
{
    buf_add_str(out, S(",\"old_argument_names\":{"));
    for (unsigned i = 0; i < d->rename_count; i++)
        buf_printf(out, "%s\"%s\":\"%s\"", i ? "," : "", d->renames[i].old_name, d->renames[i].name);
    buf_add_c(out, '}');
}

static void shape(struct buf *out, const struct command *cmd, const struct cmd_shape *s)
{
    const struct admin_cmd *d = cmd->d;
    buf_printf(out, "\"%u\":{", s->api);
    tags(out, cmd, s);
    member(out, "policy", policies[d->policy]);
    member(out, "note", s->note);
    member(out, "module", d->module);
    buf_add_str(out, S(",\"args\":["));
    for (unsigned i = 0; i < s->arg_count; i++) {
        buf_printf(out, "%s{\"name\":\"%s\",\"type\":", i ? "," : "", s->args[i].name);
        type_text(out, &s->args[i]);
        member(out, "help", s->args[i].help);
        buf_add_c(out, '}');
    }
    buf_printf(out, "],\"result\":{\"name\":\"%s\",\"type\":", s->result->name);
    type_text(out, s->result);
    member(out, "help", s->result->help);
    buf_add_c(out, '}');
    renames(out, d);
    texts(out, "example", s->example, s->example_count);
    texts(out, "shows", s->shows, s->shows_count);
    buf_add_c(out, '}');
}

void help_dump_json(struct buf *out)
{
    buf_add_c(out, '{');
    for (size_t i = 0; i < command_count(); i++) {
        const struct command *cmd = command_at(i);
        buf_printf(out, "%s\n\"%s\":{\"implemented\":%s,\"tool_only\":%s,\"internal\":%s", i ? "," : "", cmd->name.p,
                   cmd->d->run ? "true" : "false", cmd->d->flags & CMD_TOOL_ONLY ? "true" : "false",
                   cmd->d->flags & CMD_INTERNAL ? "true" : "false");
        member(out, "brief", cmd->d->brief);
        member(out, "text", cmd->d->text);
        buf_add_str(out, S(",\"versions\":{"));
        for (unsigned k = cmd->d->shape_count; k-- > 0;) {
            shape(out, cmd, &cmd->d->shapes[k]);
            if (k)
                buf_add_c(out, ',');
        }
        buf_add_str(out, S("}}"));
    }
    buf_add_str(out, S("\n}\n"));
}
