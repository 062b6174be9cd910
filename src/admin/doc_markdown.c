/*
 * The command reference as Markdown. COMPAT(ejabberd): headings, order and the syntax of the lines are those of its published
 * reference, so that tools which read that one read this one; the sentences are the table's. Pure functions.
 */
#include "admin/doc.h"

#include "core/server.h"

#include <stdlib.h>

#define NAMES_MAX 128
#define MARK " \xf0\x9f\x9f\xa4" /* behind commands that this version of the API changed */

static void type_line(struct buf *out, const struct type *t, const char *help)
{
    buf_printf(out, "- *%s* :: ", t->name);
    doc_type(out, t);
    if (help)
        buf_printf(out, " : %s", help);
    buf_add_c(out, '\n');
}

static void tag_links(struct buf *out, const struct command *cmd, const struct cmd_shape *s)
{
    struct buf tags = BUF_INIT;
    command_tags(&tags, cmd, s);
    struct str rest = buf_str(&tags), tag;
    for (bool first = true; str_split(&rest, ' ', &tag); first = false)
        buf_printf(out, "%s[%.*s](admin-tags.md#%.*s)", first ? "" : ", ", STR_ARG(tag), STR_ARG(tag));
    buf_deinit(&tags);
}

static void examples(struct buf *out, const struct command *cmd, const struct cmd_shape *s, unsigned languages)
{
    static const struct {
        enum doc_language language;
        const char *fence;
    } all[] = {{DOC_JAVA, "java"}, {DOC_PERL, "perl"}, {DOC_XMLRPC, "xml"}, {DOC_JSON, "json"}, {DOC_CURL, "sh"}};
    struct cmd_call *c = doc_example(cmd, s);
    buf_add_str(out, S("__Examples:__\n\n\n"));
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (languages & all[i].language) {
            buf_printf(out, "~~~ %s\n", all[i].fence);
            doc_example_print(out, c, all[i].language);
            buf_add_str(out, S("~~~\n\n"));
        }
    cmd_call_end(&c);
}

static void one_command(struct buf *out, const struct command *cmd, unsigned languages)
{
    const struct cmd_shape *s = &cmd->d->shapes[0];
    bool changed = s->note && strstr(s->note, server_version());
    buf_printf(out, "## %s%s\n\n", cmd->name.p, changed ? MARK : "");
    if (s->note)
        buf_printf(out, "<!-- md:version %s -->\n", s->note);
    buf_printf(out, "\n%s\n\n", cmd->d->brief);
    if (cmd->d->text)
        buf_printf(out, "\n%s\n\n", cmd->d->text);
    buf_add_str(out, S("__Arguments:__\n\n"));
    for (unsigned i = 0; i < s->arg_count; i++)
        type_line(out, &s->args[i], s->args[i].help);
    buf_add_str(out, S("\n__Result:__\n\n"));
    type_line(out, s->result, doc_result_help(s->result));
    buf_add_str(out, S("\n__Tags:__\n"));
    tag_links(out, cmd, s);
    buf_add_str(out, S("\n\n"));
    if (doc_module(cmd))
        buf_printf(out, "__Module:__\n[%s](admin-tags.md#%s)\n\n", doc_module(cmd), doc_module(cmd));
    if (languages)
        examples(out, cmd, s, languages);
    buf_add_c(out, '\n');
}

void doc_markdown_commands(struct buf *out, unsigned languages, doc_filter_fn filter, void *arg)
{
    buf_printf(out, "# API Reference\n\nThe administration commands of cjabberd %s, which are those of ejabberd %s. "
                    "Commands that %s changed carry the mark%s.\n\n\n\n",
               server_own_version(), server_version(), server_version(), MARK);
    for (size_t i = 0; i < command_count(); i++) {
        const struct command *cmd = command_at(i);
        if (doc_shown(cmd) && (!filter || filter(cmd, arg)))
            one_command(out, cmd, languages);
    }
}

/* --- by tag and by module --- */

struct names {
    struct str v[NAMES_MAX];
    size_t n;
};

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void add_name(struct names *set, struct str name)
{
    for (size_t i = 0; i < set->n; i++)
        if (str_eq(set->v[i], name))
            return;
    if (set->n < NAMES_MAX)
        set->v[set->n++] = name;
}

static void section(struct buf *out, struct str name, bool (*belongs)(const struct command *, struct str))
{
    buf_printf(out, "## %.*s\n\n", STR_ARG(name));
    for (size_t i = 0; i < command_count(); i++) {
        const struct command *cmd = command_at(i);
        if (doc_shown(cmd) && belongs(cmd, name))
            buf_printf(out, "- [%s](admin-api.md#%s)\n", cmd->name.p, cmd->name.p);
    }
    buf_add_c(out, '\n');
}

static bool has_tag(const struct command *cmd, struct str tag)
{
    return command_has_tag(cmd, &cmd->d->shapes[0], tag);
}

static bool in_module(const struct command *cmd, struct str module)
{
    return doc_module(cmd) && str_eq(str_of(doc_module(cmd)), module);
}

void doc_markdown_tags(struct buf *out)
{
    struct names tags = {.n = 0}, modules = {.n = 0};
    struct buf all = BUF_INIT;
    for (size_t i = 0; i < command_count(); i++)
        if (doc_shown(command_at(i))) {
            command_tags(&all, command_at(i), &command_at(i)->d->shapes[0]);
            buf_add_c(&all, ' ');
        }
    struct str rest = buf_str(&all), tag;
    while (str_split(&rest, ' ', &tag))
        if (tag.n)
            add_name(&tags, tag);
    for (size_t i = 0; i < command_count(); i++)
        if (doc_shown(command_at(i)) && doc_module(command_at(i)))
            add_name(&modules, str_of(doc_module(command_at(i))));
    qsort(tags.v, tags.n, sizeof(tags.v[0]), by_text);
    qsort(modules.v, modules.n, sizeof(modules.v[0]), by_text);
    buf_printf(out, "# API Tags\n\nThe administration commands of cjabberd %s by their tags, then by the modules they belong "
                    "to.\n\n",
               server_own_version());
    for (size_t i = 0; i < tags.n; i++)
        section(out, tags.v[i], has_tag);
    for (size_t i = 0; i < modules.n; i++)
        section(out, modules.v[i], in_module);
    buf_deinit(&all);
}
