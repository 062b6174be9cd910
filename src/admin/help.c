/*
 * Help texts of the command line tool. The layout is ejabberd's (COMPAT: scripts and people read it), the sentences are
 * those of the table.
 */
#include "admin/help.h"

#include "base/utf8.h"

#include <fnmatch.h>
#include <stdlib.h>

#define WIDTH 77
#define TEXT_INDENT 13

static void spaces(struct buf *out, unsigned n)
{
    while (n--)
        buf_add_c(out, ' ');
}

/* Words from column `at` on, later lines indented by `indent`. */
static void wrapped(struct buf *out, unsigned at, unsigned indent, struct str words)
{
    struct str word;
    bool first = true;
    while (str_split(&words, ' ', &word)) {
        if (!first && at + 1 + word.n > WIDTH) {
            buf_add_c(out, '\n');
            spaces(out, indent);
            at = indent;
        } else if (!first) {
            buf_add_c(out, ' ');
            at++;
        }
        buf_add_str(out, word);
        at += (unsigned)word.n;
        first = false;
    }
}

static bool shown(const struct command *cmd, const struct cmd_shape *s)
{
    return s && !(cmd->d->flags & CMD_INTERNAL);
}

static void name_and_args(struct buf *out, unsigned indent, const struct command *cmd, const struct cmd_shape *s)
{
    spaces(out, indent);
    buf_add_str(out, cmd->name);
    for (unsigned i = 0; i < s->arg_count; i++)
        buf_printf(out, " %s", s->args[i].name);
    buf_add_c(out, '\n');
}

/* --- one command --- */

static void type_lines(struct buf *out, const struct type *t, unsigned at)
{
    buf_printf(out, "%s::", t->name);
    at += (unsigned)strlen(t->name) + 2;
    if (t->kind == V_LIST) {
        buf_add_str(out, S("[ "));
        type_lines(out, &t->of[0], at + 2);
        buf_add_str(out, S(" ]"));
    } else if (t->kind == V_TUPLE) {
        buf_add_str(out, S("{ "));
        for (unsigned i = 0; i < t->count; i++) {
            if (i) {
                buf_add_str(out, S(",\n"));
                spaces(out, at + 2);
            }
            type_lines(out, &t->of[i], at + 2);
        }
        buf_add_str(out, S(" }"));
    } else {
        type_print(out, t);
    }
}

static void arguments(struct buf *out, const struct cmd_shape *s)
{
    buf_add_str(out, S("  Arguments: "));
    for (unsigned i = 0; i < s->arg_count; i++) {
        type_lines(out, &s->args[i], TEXT_INDENT);
        if (s->args[i].help)
            buf_printf(out, " : %s", s->args[i].help);
        buf_add_c(out, '\n');
        spaces(out, TEXT_INDENT);
    }
    buf_add_c(out, '\n');
}

static void quoted(struct buf *out, struct str s)
{
    bool plain = true; /* COMPAT(ejabberd): the empty word too, and some signs between Z and a */
    for (size_t i = 0; i < s.n && plain; i++)
        plain = s.p[i] >= 'A' && s.p[i] <= 'z';
    buf_printf(out, plain ? "%.*s" : "\"%.*s\"", STR_ARG(s));
}

static void example_arg(struct buf *out, const struct type *t, struct str text)
{
    char separator = t->kind == V_LIST ? ',' : ':';
    struct str part;
    if (t->kind == V_INTEGER) {
        buf_add_str(out, text);
    } else if (t->kind != V_LIST && t->kind != V_TUPLE) {
        quoted(out, text);
    } else {
        for (unsigned i = 0; str_split(&text, separator, &part); i++) {
            if (i)
                buf_add_c(out, separator);
            example_arg(out, &t->of[t->kind == V_LIST || i >= t->count ? 0 : i], part);
        }
    }
}

static void example_result(struct buf *out, const struct cmd_shape *s)
{
    const struct type *t = s->result;
    const struct type *row = t->kind == V_LIST ? &t->of[0] : t;
    unsigned width = row->kind == V_TUPLE ? row->count : 1;
    for (unsigned i = 0; i < s->shows_count; i++) {
        const struct type *field = row->kind == V_TUPLE ? &row->of[i % width] : row;
        bool word = field->kind == V_ATOM || field->kind == V_RESCODE;
        buf_printf(out, word ? "'%s'" : "%s", s->shows[i]);
        if (i % width + 1 == width)
            buf_add_str(out, S("\n           "));
        else
            buf_add_c(out, '\t');
    }
}

static void example(struct buf *out, struct str program, const struct command *cmd, const struct cmd_shape *s)
{
    if (!s->example_count)
        return;
    buf_printf(out, "  Example: %.*s %s", STR_ARG(program), cmd->name.p);
    for (unsigned i = 0; i < s->example_count; i++) {
        buf_add_c(out, ' ');
        example_arg(out, &s->args[i], str_of(s->example[i]));
    }
    buf_add_str(out, S("\n           "));
    example_result(out, s);
    buf_add_c(out, '\n');
}

static void syntax_notes(struct buf *out, const struct cmd_shape *s)
{
    bool list = false, tuple = false;
    for (unsigned i = 0; i < s->arg_count; i++) {
        list |= s->args[i].kind == V_LIST;
        tuple |= s->args[i].kind == V_LIST && s->args[i].of[0].kind == V_TUPLE;
    }
    if (list)
        buf_add_str(out, S("  Note: a list argument is written with commas between its elements: one,two,three\n\n"));
    if (tuple)
        buf_add_str(out, S("  Note: a tuple argument is written with colons between its fields: members_only:true\n\n"));
}

static void long_text(struct buf *out, const char *text)
{
    struct str rest = str_of(text), line;
    while (text && str_split(&rest, '\n', &line)) {
        wrapped(out, 0, 0, line);
        buf_add_c(out, '\n');
    }
    if (text)
        buf_add_c(out, '\n');
}

void help_command(struct buf *out, struct str program, const struct command *cmd, const struct cmd_shape *s)
{
    buf_printf(out, "  Command Name: %s\n\n", cmd->name.p);
    arguments(out, s);
    buf_add_str(out, s->arg_count ? S("  Result: ") : S("\n  Result: "));
    type_lines(out, s->result, 11);
    buf_add_str(out, S("\n\n"));
    example(out, program, cmd, s);
    buf_add_str(out, S("  Tags: "));
    command_tags(out, cmd, s);
    buf_add_str(out, S("\n\n"));
    if (!(cmd->d->flags & CMD_TOOL_ONLY))
        buf_printf(out, "  Module: %s\n\n", cmd->d->module ? cmd->d->module : "unknown");
    if (s->note)
        buf_printf(out, "  Note: %s\n\n", s->note);
    buf_add_str(out, S("  Description: "));
    wrapped(out, 15, 15, str_of(cmd->d->brief));
    buf_add_str(out, S("\n\n"));
    long_text(out, cmd->d->text);
    syntax_notes(out, s);
}

/* --- lists of commands --- */

static void list_brief(struct buf *out, const struct command *cmd, const struct cmd_shape *s)
{
    name_and_args(out, 2, cmd, s);
    spaces(out, TEXT_INDENT);
    wrapped(out, TEXT_INDENT, TEXT_INDENT, str_of(cmd->d->brief));
    buf_add_c(out, '\n');
}

static bool help_tag(struct buf *out, struct str tag, int64_t version)
{
    bool any = false;
    for (size_t i = 0; i < command_count(); i++) {
        const struct command *cmd = command_at(i);
        const struct cmd_shape *s = command_shape(cmd, version);
        if (!shown(cmd, s) || !command_has_tag(cmd, s, tag))
            continue;
        if (!any)
            buf_printf(out, "Available commands with tag %.*s:\n\n", STR_ARG(tag));
        any = true;
        list_brief(out, cmd, s);
    }
    if (any)
        buf_add_c(out, '\n');
    return any;
}

static bool help_glob(struct buf *out, struct str word, int64_t version)
{
    char pattern[128];
    bool any = false;
    if (word.n >= sizeof(pattern))
        return false;
    memcpy(pattern, word.p, word.n);
    pattern[word.n] = '\0';
    for (size_t i = 0; i < command_count(); i++) {
        const struct command *cmd = command_at(i);
        const struct cmd_shape *s = command_shape(cmd, version);
        if (!shown(cmd, s) || fnmatch(pattern, cmd->name.p, 0) != 0)
            continue;
        any = true;
        list_brief(out, cmd, s);
    }
    return any;
}

struct tag_set {
    struct str names[64];
    unsigned n;
};

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void collect_tags(struct tag_set *set, int64_t version)
{
    static const char versions[] = "v1 v2 v3";
    for (size_t i = 0; i < command_count(); i++) {
        const struct command *cmd = command_at(i);
        const struct cmd_shape *s = command_shape(cmd, version);
        struct str rest = str_of(cmd->d->tags), tag;
        if (!shown(cmd, s))
            continue;
        for (bool more = str_split(&rest, ' ', &tag); more || s;) {
            if (!more) {
                tag = s->api ? str_n(versions + (s->api - 1) * 3, 2) : STR_NULL;
                s = NULL;
            }
            bool known = tag.p == NULL;
            for (unsigned k = 0; k < set->n && !known; k++)
                known = str_eq(set->names[k], tag);
            if (!known && set->n < ARRAY_LEN(set->names))
                set->names[set->n++] = tag;
            more = more && str_split(&rest, ' ', &tag);
        }
    }
    qsort(set->names, set->n, sizeof(*set->names), by_text);
}

static void help_tags(struct buf *out, int64_t version, bool details)
{
    struct tag_set set = {.n = 0};
    collect_tags(&set, version);
    buf_add_str(out, details ? S("Available tags and commands details:\n\n") : S("Available tags and list of commands:\n\n"));
    for (unsigned k = 0; k < set.n; k++) {
        struct buf names = BUF_INIT;
        buf_printf(out, "  %.*s\n", STR_ARG(set.names[k]));
        for (size_t i = 0; i < command_count(); i++) {
            const struct command *cmd = command_at(i);
            const struct cmd_shape *s = command_shape(cmd, version);
            if (!shown(cmd, s) || !command_has_tag(cmd, s, set.names[k]))
                continue;
            if (details)
                name_and_args(out, 4, cmd, s);
            else
                buf_printf(&names, "%s%s", names.n ? " " : "", cmd->name.p);
        }
        if (!details) {
            spaces(out, 5);
            wrapped(out, 5, 5, buf_str(&names));
            buf_add_c(out, '\n');
        }
        buf_add_c(out, '\n');
        buf_deinit(&names);
    }
}

static void overview(struct buf *out, struct str program)
{
    buf_printf(out,
               "Help about the commands of this server.\n\n"
               "The format is:\n  %.*s help [tags | commands | tag | command | com?*]\n\n"
               "The word after help, if any:\n"
               "  tags         every tag with the names of its commands\n"
               "  commands     every tag with its commands and their arguments\n"
               "  tag          the commands that carry this tag\n"
               "  command      everything about this command\n"
               "  com?*        the commands whose names match the glob:\n"
               "               ? stands for one character, * for any number\n\n",
               STR_ARG(program));
    static const char *const samples[] = {"", " tags", " commands", " accounts", " register", " regist*"};
    buf_add_str(out, S("Some example usages:\n"));
    for (size_t i = 0; i < ARRAY_LEN(samples); i++)
        buf_printf(out, "  %.*s help%s\n", STR_ARG(program), samples[i]);
    buf_add_str(out, S("\nArguments that are lists take commas between their elements, tuples take colons between\n"
                       "their fields. In results a list inside a line is joined by commas, fields by tabs.\n\n"
                       "Options, before the command:\n"
                       "  --version N                  the command as API version N has it\n"
                       "  --json                       result or error as JSON\n"
                       "  --dry-run                    what would be touched, and how much of it\n"
                       "  --auth USER HOST PASSWORD    with the rights of this account\n"
                       "  --batch FILE, or only -      the commands of a file or of standard input, one a line\n\n"
                       "The program's own verbs: start, foreground, foreground-quiet, live, started, stopped, ping,\n"
                       "completion. Its manual page explains them.\n\n"));
}

void help_print(struct buf *out, struct str program, struct str word, int64_t version)
{
    const struct command *cmd = str_empty(word) ? NULL : command_find(word);
    const struct cmd_shape *s = cmd ? command_shape(cmd, version) : NULL;
    if (str_empty(word)) {
        overview(out, program);
    } else if (str_eq(word, S("tags")) || str_eq(word, S("commands"))) {
        help_tags(out, version, str_eq(word, S("commands")));
    } else if (cmd && (cmd->d->flags & CMD_TOOL_ONLY) && str_eq(word, S("help"))) {
        long_text(out, cmd->d->text);
    } else if (s) {
        help_command(out, program, cmd, s);
    } else if (!help_tag(out, word, version) && !help_glob(out, word, version)) {
        buf_printf(out, "No tag or command matches '%.*s'\n", STR_ARG(word));
    }
}
