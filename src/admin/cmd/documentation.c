/* Commands of the tag documentation: files made from the command table. They run on the blocking pool. */
#include "admin/doc.h"

#include "base/file.h"
#include "core/server.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>

/* What a pattern costs to try is bounded: it comes from outside. */
#define MATCH_LIMIT 100000

struct filter {
    pcre2_code *re;
    pcre2_match_data *match;
    pcre2_match_context *limits;
};

static int filter_open(struct filter *f, struct cmd_call *c, struct str pattern)
{
    int code;
    size_t at;
    *f = (struct filter){.re = pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n, PCRE2_UTF, &code, &at, NULL)};
    if (!f->re)
        return cmd_fail(c, ERR_INTERNAL, "regexp: no regular expression, at character %zu", at);
    f->match = pcre2_match_data_create_from_pattern(f->re, NULL);
    f->limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(f->limits, MATCH_LIMIT);
    return 0;
}

static void filter_close(struct filter *f)
{
    pcre2_match_data_free(f->match);
    pcre2_match_context_free(f->limits);
    pcre2_code_free(f->re);
}

static bool matches(const struct filter *f, struct str s)
{
    return pcre2_match(f->re, (PCRE2_SPTR)s.p, s.n, 0, 0, f->match, f->limits) >= 0;
}

static bool by_name_or_module(const struct command *cmd, void *arg)
{
    return matches(arg, cmd->name) || (cmd->d->module && matches(arg, str_of(cmd->d->module)));
}

static int save(struct cmd_call *c, const char *arg, struct buf *text)
{
    struct error err = ERROR_INIT;
    int rc = file_replace(arena_cstr(c->arena, arg_str(c, arg)), buf_str(text), 0644, &err);
    buf_deinit(text);
    return rc < 0 ? cmd_fail(c, ERR_INTERNAL, "%s", err.text) : 0;
}

typedef void (*write_fn)(struct buf *out, unsigned languages, doc_filter_fn filter, void *arg);

static int generate(struct cmd_call *c, write_fn write)
{
    struct filter f;
    struct buf text = BUF_INIT;
    struct str pattern = arg_str(c, "regexp");
    unsigned languages = doc_languages(arg_str(c, "examples"));
    if (str_eq(pattern, S("runtime"))) {
        write(&text, languages, NULL, NULL);
    } else {
        if (filter_open(&f, c, pattern) < 0)
            return -1;
        write(&text, languages, by_name_or_module, &f);
        filter_close(&f);
    }
    return save(c, "file", &text);
}

static int gen_markdown_doc_for_commands(struct cmd_call *c)
{
    return generate(c, doc_markdown_commands);
}

#define FILE_ARG T_BINARY("file", "Where to write the document; the folder has to exist")
#define PATTERN_HELP "Regular expression; commands are in the document whose name or module it matches"
#define LANGUAGES_ARG                                                                                                     \
    T_BINARY("examples", "Languages of the examples, separated by commas: `json`, `xmlrpc`, `java`, `perl` or `curl`")

ADMIN_CMD(gen_markdown_doc_for_commands) = {
    .tags = "documentation", .where = RUNS_ON_POOL, .run = gen_markdown_doc_for_commands,
    .brief = "Write the command reference as a Markdown file",
    SHAPES({ARGS(FILE_ARG, T_BINARY("regexp", PATTERN_HELP ", or `runtime` for all"), LANGUAGES_ARG), RESULT(T_RESCODE("res")),
            EXAMPLE("/home/me/docs/api.html", "mod_admin", "java,json"), SHOWS("ok")}),
};

static int gen_html_doc_for_commands(struct cmd_call *c)
{
    return generate(c, doc_html_commands);
}

ADMIN_CMD(gen_html_doc_for_commands) = {
    .tags = "documentation", .where = RUNS_ON_POOL, .run = gen_html_doc_for_commands,
    .brief = "Write the command reference as an HTML page",
    SHAPES({ARGS(FILE_ARG, T_BINARY("regexp", PATTERN_HELP), LANGUAGES_ARG), RESULT(T_RESCODE("res")),
            EXAMPLE("/home/me/docs/api.html", "mod_admin", "java,json"), SHOWS("ok")}),
};

static int gen_markdown_doc_for_tags(struct cmd_call *c)
{
    struct buf text = BUF_INIT;
    doc_markdown_tags(&text);
    return save(c, "file", &text);
}

ADMIN_CMD(gen_markdown_doc_for_tags) = {
    .tags = "documentation", .where = RUNS_ON_POOL, .run = gen_markdown_doc_for_tags,
    .brief = "Write the list of commands by tag and by module as a Markdown file",
    SHAPES({.note = "added in 21.12", ARGS(FILE_ARG), RESULT(T_RESCODE("res")), EXAMPLE("/home/me/docs/tags.md"), SHOWS("ok")}),
};

static int man(struct cmd_call *c)
{
    char path[4096];
    struct error err = ERROR_INIT;
    struct buf text = BUF_INIT;
    snprintf(path, sizeof(path), "%s/cjabberd-commands.7", server_env()->spool_dir);
    doc_man(&text);
    int rc = file_replace(path, buf_str(&text), 0644, &err);
    buf_deinit(&text);
    if (rc < 0)
        return cmd_fail(c, ERR_BAD_ARGUMENT, "%s", err.text);
    cmd_textf(c, "Manual page written, to be read with: man -l %s", path);
    return 0;
}

ADMIN_CMD(man) = {
    .tags = "documentation", .where = RUNS_ON_POOL, .run = man,
    .brief = "Write the manual page of the commands into the spool folder",
    SHAPES({.note = "added in 20.01", NO_ARGS, RESULT(T_RESTUPLE("res"))}),
};
