/* What all documents share, and the documents by name. Pure functions. */
#include "admin/doc.h"

#include "admin/help.h"

bool doc_shown(const struct command *cmd)
{
    return !(cmd->d->flags & CMD_INTERNAL);
}

static const struct {
    struct str word;
    enum doc_language language;
} languages[] = {
    {{"json", 4}, DOC_JSON}, {{"xmlrpc", 6}, DOC_XMLRPC}, {{"java", 4}, DOC_JAVA}, {{"perl", 4}, DOC_PERL}, {{"curl", 4}, DOC_CURL},
};

unsigned doc_languages(struct str words)
{
    struct str word;
    unsigned set = 0;
    while (str_split(&words, ',', &word))
        for (size_t i = 0; i < ARRAY_LEN(languages); i++)
            if (str_eq(word, languages[i].word))
                set |= languages[i].language;
    return set;
}

void doc_type(struct buf *out, const struct type *t)
{
    if (t->kind == V_INTEGER || t->kind == V_RESCODE) {
        buf_add_str(out, S("integer"));
    } else if (t->kind != V_LIST && t->kind != V_TUPLE) {
        buf_add_str(out, S("string"));
    } else {
        buf_add_c(out, t->kind == V_LIST ? '[' : '{');
        for (unsigned i = 0; i < t->count; i++) {
            bool inner_tuple = t->kind == V_LIST && t->of[i].kind == V_TUPLE;
            buf_printf(out, "%s%s%s", i ? ", " : "", inner_tuple ? "" : t->of[i].name, inner_tuple ? "" : "::");
            doc_type(out, &t->of[i]);
        }
        buf_add_c(out, t->kind == V_LIST ? ']' : '}');
    }
}

const char *doc_result_help(const struct type *t)
{
    if (t->help)
        return t->help;
    if (t->kind == V_RESCODE)
        return "Status code (`0` on success, `1` otherwise)";
    return t->kind == V_RESTUPLE ? "Raw result string" : NULL;
}

const char *doc_module(const struct command *cmd)
{
    return cmd->d->module && !strncmp(cmd->d->module, "mod_", 4) ? cmd->d->module : NULL;
}

static void markdown(struct buf *out)
{
    doc_markdown_commands(out, DOC_JSON, NULL, NULL);
}

static void html(struct buf *out)
{
    doc_html_commands(out, DOC_JSON | DOC_CURL, NULL, NULL);
}

bool doc_by_name(struct buf *out, struct str name)
{
    static const struct {
        struct str name;
        void (*print)(struct buf *out);
    } kinds[] = {
        {{"markdown", 8}, markdown}, {{"tags", 4}, doc_markdown_tags}, {{"html", 4}, html},
        {{"man", 3}, doc_man},       {{"openapi", 7}, doc_openapi},    {{"json", 4}, help_dump_json},
    };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_eq(kinds[i].name, name)) {
            kinds[i].print(out);
            return true;
        }
    return false;
}
