/*
 * The command reference as one HTML page that needs nothing from elsewhere. The table's texts are Markdown: of it, paragraphs,
 * lists, fences and code in back quotes are known here. Pure functions.
 */
#include "admin/doc.h"

#include "core/server.h"

static void escaped(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '<': buf_add_str(out, S("&lt;")); break;
        case '>': buf_add_str(out, S("&gt;")); break;
        case '&': buf_add_str(out, S("&amp;")); break;
        case '"': buf_add_str(out, S("&quot;")); break;
        default: buf_add_c(out, s.p[i]);
        }
    }
}

/* Text with `code` in it. */
static void inline_text(struct buf *out, struct str s)
{
    struct str part;
    for (bool code = false; str_split(&s, '`', &part); code = !code) {
        buf_add_str(out, code ? S("<code>") : S(""));
        escaped(out, part);
        buf_add_str(out, code ? S("</code>") : S(""));
    }
}

enum block { BLOCK_NONE, BLOCK_TEXT, BLOCK_LIST, BLOCK_CODE };

static void change_block(struct buf *out, enum block *now, enum block next)
{
    static const char *const open[] = {"", "<p>", "<ul>\n", "<pre>"}, *const close[] = {"", "</p>\n", "</ul>\n", "</pre>\n"};
    if (*now == next)
        return;
    buf_add_str(out, str_of(close[*now]));
    buf_add_str(out, str_of(open[next]));
    *now = next;
}

static void block_line(struct buf *out, enum block *now, struct str line)
{
    if (str_starts(line, S("```")) || str_starts(line, S("~~~"))) {
        change_block(out, now, *now == BLOCK_CODE ? BLOCK_NONE : BLOCK_CODE);
    } else if (*now == BLOCK_CODE) {
        escaped(out, line);
        buf_add_c(out, '\n');
    } else if (line.n == 0) {
        change_block(out, now, BLOCK_NONE);
    } else if (str_starts(line, S("* ")) || str_starts(line, S("- ")) || str_starts(line, S(" - "))) {
        size_t mark = line.p[0] == ' ' ? 3 : 2;
        change_block(out, now, BLOCK_LIST);
        buf_add_str(out, S("<li>"));
        inline_text(out, str_n(line.p + mark, line.n - mark));
        buf_add_str(out, S("</li>\n"));
    } else {
        buf_add_str(out, *now == BLOCK_TEXT ? S("\n") : S(""));
        change_block(out, now, BLOCK_TEXT);
        inline_text(out, line);
    }
}

static void blocks(struct buf *out, struct str text)
{
    enum block now = BLOCK_NONE;
    struct str line;
    while (str_split(&text, '\n', &line))
        block_line(out, &now, line);
    change_block(out, &now, BLOCK_NONE);
}

static void type_row(struct buf *out, const struct type *t, const char *help)
{
    struct buf type = BUF_INIT;
    doc_type(&type, t);
    buf_printf(out, "<dt><var>%s</var> <span>%.*s</span></dt><dd>", t->name, STR_ARG(buf_str(&type)));
    blocks(out, str_of(help ? help : ""));
    buf_add_str(out, S("</dd>\n"));
    buf_deinit(&type);
}

static void types(struct buf *out, const struct cmd_shape *s)
{
    buf_add_str(out, s->arg_count ? S("<h3>Arguments</h3>\n<dl>\n") : S("<p>No arguments.</p>\n"));
    for (unsigned i = 0; i < s->arg_count; i++)
        type_row(out, &s->args[i], s->args[i].help);
    buf_add_str(out, s->arg_count ? S("</dl>\n<h3>Result</h3>\n<dl>\n") : S("<h3>Result</h3>\n<dl>\n"));
    type_row(out, s->result, doc_result_help(s->result));
    buf_add_str(out, S("</dl>\n"));
}

static void examples(struct buf *out, const struct command *cmd, const struct cmd_shape *s, unsigned languages)
{
    struct cmd_call *c = doc_example(cmd, s);
    for (unsigned one = 1; one <= DOC_CURL; one <<= 1) {
        struct buf text = BUF_INIT;
        if (languages & one) {
            doc_example_print(&text, c, (enum doc_language)one);
            buf_add_str(out, S("<pre>"));
            escaped(out, buf_str(&text));
            buf_add_str(out, S("</pre>\n"));
        }
        buf_deinit(&text);
    }
    cmd_call_end(&c);
}

static void one_command(struct buf *out, const struct command *cmd, unsigned languages)
{
    const struct cmd_shape *s = &cmd->d->shapes[0];
    struct buf tags = BUF_INIT;
    command_tags(&tags, cmd, s);
    buf_printf(out, "<section id=\"%s\">\n<h2>%s</h2>\n", cmd->name.p, cmd->name.p);
    buf_printf(out, "<p class=\"facts\">%.*s%s%s%s%s</p>\n", STR_ARG(buf_str(&tags)), doc_module(cmd) ? " · " : "",
               doc_module(cmd) ? doc_module(cmd) : "", s->note ? " · " : "", s->note ? s->note : "");
    blocks(out, str_of(cmd->d->brief));
    blocks(out, str_of(cmd->d->text ? cmd->d->text : ""));
    types(out, s);
    if (languages)
        examples(out, cmd, s, languages);
    buf_add_str(out, S("</section>\n"));
    buf_deinit(&tags);
}

static const char style[] =
    "body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem;color:#222;background:#fff}"
    "nav{columns:3 14rem;font-size:.9rem}nav a{display:block}h2{border-top:1px solid #ccc;padding-top:1rem}"
    "code,pre,var{font-family:ui-monospace,monospace;font-style:normal}pre{background:#f4f4f4;padding:.8rem;overflow:auto}"
    "dt span,.facts{color:#666}dd p{margin:.2rem 0}"
    "@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}pre{background:#262626}a{color:#8ab4f8}}";

void doc_html_commands(struct buf *out, unsigned languages, doc_filter_fn filter, void *arg)
{
    buf_printf(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>API Reference</title>\n<style>%s</style>\n"
                    "</head>\n<body>\n<h1>API Reference</h1>\n<p>The administration commands of cjabberd %s, which are those of "
                    "ejabberd %s.</p>\n<nav>\n", style, server_own_version(), server_version());
    for (size_t i = 0; i < command_count(); i++)
        if (doc_shown(command_at(i)) && (!filter || filter(command_at(i), arg)))
            buf_printf(out, "<a href=\"#%s\">%s</a>\n", command_at(i)->name.p, command_at(i)->name.p);
    buf_add_str(out, S("</nav>\n"));
    for (size_t i = 0; i < command_count(); i++)
        if (doc_shown(command_at(i)) && (!filter || filter(command_at(i), arg)))
            one_command(out, command_at(i), languages);
    buf_add_str(out, S("</body>\n</html>\n"));
}
