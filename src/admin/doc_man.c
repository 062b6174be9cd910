/* The commands as a manual page in the man macros (man(7)). Pure functions. */
#include "admin/doc.h"

#include "core/server.h"

/* A dot or quote at the start of a line would be a request; a backslash an escape. */
static void text_line(struct buf *out, struct str line)
{
    if (line.n && (line.p[0] == '.' || line.p[0] == '\''))
        buf_add_str(out, S("\\&"));
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] == '\\')
            buf_add_str(out, S("\\e"));
        else if (line.p[i] == '-')
            buf_add_str(out, S("\\-"));
        else if (line.p[i] != '`')
            buf_add_c(out, line.p[i]);
    }
    buf_add_c(out, '\n');
}

static void text_lines(struct buf *out, struct str text)
{
    struct str line;
    bool code = false;
    while (str_split(&text, '\n', &line)) {
        if (str_starts(line, S("```")) || str_starts(line, S("~~~"))) {
            code = !code;
            buf_add_str(out, code ? S(".RS\n.nf\n") : S(".fi\n.RE\n"));
        } else if (line.n == 0 && !code) {
            buf_add_str(out, S(".sp\n"));
        } else if (str_starts(line, S("* ")) || str_starts(line, S("- ")) || str_starts(line, S(" - "))) {
            buf_add_str(out, S(".br\n"));
            text_line(out, line);
        } else {
            text_line(out, line);
        }
    }
}

static void type_item(struct buf *out, const struct type *t, const char *help)
{
    struct buf type = BUF_INIT;
    doc_type(&type, t);
    buf_printf(out, ".TP\n.IR %s \" (%.*s)\"\n", t->name, STR_ARG(buf_str(&type)));
    text_lines(out, str_of(help ? help : ""));
    buf_deinit(&type);
}

static void one_command(struct buf *out, const struct command *cmd)
{
    const struct cmd_shape *s = &cmd->d->shapes[0];
    struct buf tags = BUF_INIT;
    command_tags(&tags, cmd, s);
    buf_printf(out, ".SS %s", cmd->name.p);
    for (unsigned i = 0; i < s->arg_count; i++)
        buf_printf(out, " %s", s->args[i].name);
    buf_add_c(out, '\n');
    text_lines(out, str_of(cmd->d->brief));
    if (cmd->d->text) {
        buf_add_str(out, S(".sp\n"));
        text_lines(out, str_of(cmd->d->text));
    }
    for (unsigned i = 0; i < s->arg_count; i++)
        type_item(out, &s->args[i], s->args[i].help);
    buf_add_str(out, S(".P\nResult:\n"));
    type_item(out, s->result, doc_result_help(s->result));
    buf_printf(out, ".P\nTags: %.*s", STR_ARG(buf_str(&tags)));
    if (doc_module(cmd))
        buf_printf(out, "; module: %s", doc_module(cmd));
    if (s->note)
        buf_printf(out, "; %s", s->note);
    buf_add_c(out, '\n');
    buf_deinit(&tags);
}

void doc_man(struct buf *out)
{
    buf_printf(out, ".TH CJABBERD-COMMANDS 7 \"\" \"cjabberd %s\" \"Administration commands\"\n.SH NAME\n"
                    "cjabberd-commands \\- what administrators can tell cjabberd to do\n.SH DESCRIPTION\n"
                    "Each command can be called with\n.BR cjabberdctl (1),\n"
                    "over HTTP as POST /api/COMMAND, over XML\\-RPC, and as an\n"
                    "ad\\-hoc command in an XMPP client. They are those of ejabberd %s.\n.SH COMMANDS\n",
               server_own_version(), server_version());
    for (size_t i = 0; i < command_count(); i++)
        if (doc_shown(command_at(i)))
            one_command(out, command_at(i));
    buf_add_str(out, S(".SH SEE ALSO\n.BR cjabberdctl (1),\n.BR cjabberd (8)\n"));
}
