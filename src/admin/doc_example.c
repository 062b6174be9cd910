/* Examples of calls, from the words of the table's entries, in the languages of the documents. Pure functions. */
#include "admin/doc.h"

#include "admin/args.h"
#include "admin/out.h"

/* --- values --- */

/* What an argument without an example could be; the name tells more than the type. */
static const char *made_up(const struct type *t)
{
    static const struct {
        const char *name, *text;
    } known[] = {
        {"user", "juliet"},           {"host", "example.com"},       {"localuser", "juliet"},   {"localhost", "example.com"},
        {"server", "example.com"},    {"resource", "balcony"},       {"password", "R0meo-and-me"}, {"jid", "juliet@example.com"},
        {"service", "conference.example.com"}, {"room", "garden"},   {"name", "garden"},        {"file", "/tmp/file"},
        {"nick", "Juliet"},           {"from", "juliet@example.com"}, {"to", "romeo@example.net"}, {"node", "ejabberd@localhost"},
        {"username", "juliet"},       {"contact", "romeo@example.net"}, {"affiliation", "member"}, {"subs", "both"},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (!strcmp(known[i].name, t->name))
            return known[i].text;
    return t->kind == V_INTEGER ? "1" : "text";
}

static void invent(struct cmd_call *c, const struct type *t, struct value *out)
{
    if (t->kind == V_LIST || t->kind == V_TUPLE) {
        out->n = t->count;
        out->items = ARENA_ARRAY(c->arena, struct value, t->count + 1u);
        for (unsigned i = 0; i < t->count; i++)
            invent(c, &t->of[i], &out->items[i]);
    } else if (t->kind == V_INTEGER) {
        out->i = 1;
    } else if (t->kind == V_RESTUPLE) {
        out->s = S("Success");
    } else if (t->kind != V_RESCODE) {
        out->s = str_of(made_up(t));
    }
}

static void from_words(struct cmd_call *c, const struct type *t, const char *const *words, struct value *out)
{
    if (t->kind == V_TUPLE) {
        out->n = t->count;
        out->items = ARENA_ARRAY(c->arena, struct value, t->count + 1u);
        for (unsigned i = 0; i < t->count; i++)
            from_words(c, &t->of[i], words + i, &out->items[i]);
    } else if (t->kind != V_RESCODE && args_from_word(c, t, str_of(words[0]), out) < 0) {
        invent(c, t, out);
    }
}

static void set_args(struct cmd_call *c)
{
    const struct cmd_shape *s = c->shape;
    struct str *words = ARENA_ARRAY(c->arena, struct str, s->arg_count + 1u);
    for (unsigned i = 0; i < s->example_count; i++)
        words[i] = str_of(s->example[i]);
    if (s->example_count && args_bind_words(c, words, s->example_count) == 0)
        return;
    struct value *args = ARENA_ARRAY(c->arena, struct value, s->arg_count + 1u);
    for (unsigned i = 0; i < s->arg_count; i++)
        invent(c, &s->args[i], &args[i]);
    c->args = args;
}

static void set_result(struct cmd_call *c)
{
    const struct cmd_shape *s = c->shape;
    const struct type *t = s->result, *row = t->kind == V_LIST ? &t->of[0] : t;
    unsigned width = row->kind == V_TUPLE ? row->count : 1, rows = s->shows_count / width;
    if (t->kind != V_LIST) {
        if (rows)
            from_words(c, t, s->shows, &c->result);
        else
            invent(c, t, &c->result);
        return;
    }
    c->row_count = rows ? rows : 1;
    c->rows = ARENA_ARRAY(c->arena, struct value, c->row_count);
    for (unsigned i = 0; i < c->row_count; i++)
        if (rows)
            from_words(c, row, s->shows + i * width, &c->rows[i]);
        else
            invent(c, row, &c->rows[i]);
}

struct cmd_call *doc_example(const struct command *cmd, const struct cmd_shape *s)
{
    struct cmd_call *c = cmd_call_new(cmd, s, s->api);
    set_args(c);
    set_result(c);
    return c;
}

/* --- JSON --- */

static void new_line(struct buf *out, unsigned indent)
{
    buf_add_c(out, '\n');
    for (unsigned i = 0; i < indent; i++)
        buf_add_str(out, S("  "));
}

static void json_pair(struct buf *out, struct str name, const struct type *t, const struct value *v, unsigned indent)
{
    json_out_str(out, name);
    buf_add_str(out, S(": "));
    doc_json(out, t, v, indent);
}

static void json_items(struct buf *out, const struct type *list, const struct value *items, size_t n, unsigned indent, bool answer)
{
    const struct type *el = &list->of[0];
    bool map = answer && type_is_map(list);
    buf_add_c(out, map ? '{' : '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_add_c(out, ',');
        new_line(out, indent + 1);
        if (map)
            json_pair(out, items[i].items[0].s, &el->of[1], &items[i].items[1], indent + 1);
        else
            doc_json(out, el, &items[i], indent + 1);
    }
    if (n)
        new_line(out, indent);
    buf_add_c(out, map ? '}' : ']');
}

static void json_fields(struct buf *out, const struct type *types, unsigned n, const struct value *values, unsigned indent)
{
    buf_add_c(out, '{');
    for (unsigned i = 0; i < n; i++) {
        if (i)
            buf_add_c(out, ',');
        new_line(out, indent + 1);
        json_pair(out, str_of(types[i].name), &types[i], &values[i], indent + 1);
    }
    if (n)
        new_line(out, indent);
    buf_add_c(out, '}');
}

void doc_json(struct buf *out, const struct type *t, const struct value *v, unsigned indent)
{
    if (t->kind == V_LIST)
        json_items(out, t, v->items, v->n, indent, false);
    else if (t->kind == V_TUPLE)
        json_fields(out, t->of, t->count, v->items, indent);
    else if (t->kind == V_INTEGER || t->kind == V_RESCODE)
        buf_printf(out, "%lld", (long long)v->i);
    else
        json_out_str(out, v->s);
}

void doc_json_args(struct buf *out, const struct cmd_call *c, unsigned indent)
{
    json_fields(out, c->shape->args, c->shape->arg_count, c->args, indent);
}

void doc_json_result(struct buf *out, const struct cmd_call *c, unsigned indent)
{
    if (c->shape->result->kind == V_LIST)
        json_items(out, c->shape->result, c->rows, c->row_count, indent, true);
    else
        doc_json(out, c->shape->result, &c->result, indent);
}

/* --- languages --- */

static void print_json(struct buf *out, const struct cmd_call *c)
{
    buf_printf(out, "POST /api/%s\n", c->cmd->name.p);
    doc_json_args(out, c, 0);
    buf_add_str(out, S("\n\nHTTP/1.1 200 OK\n"));
    doc_json_result(out, c, 0);
    buf_add_c(out, '\n');
}

/* In single quotes, where a shell takes everything but the quote itself as it is. */
static void print_curl(struct buf *out, const struct cmd_call *c)
{
    struct buf body = BUF_INIT;
    doc_json_args(&body, c, 0);
    buf_printf(out, "curl -X POST http://localhost:5280/api/%s -d '", c->cmd->name.p);
    for (size_t i = 0; i < body.n; i++) {
        if (body.p[i] == '\'')
            buf_add_str(out, S("'\\''"));
        else
            buf_add_c(out, body.p[i]);
    }
    buf_add_str(out, S("'\n"));
    buf_deinit(&body);
}

static void xml_text(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '<': buf_add_str(out, S("&lt;")); break;
        case '>': buf_add_str(out, S("&gt;")); break;
        case '&': buf_add_str(out, S("&amp;")); break;
        default: buf_add_c(out, s.p[i]);
        }
    }
}

static void xmlrpc_value(struct buf *out, const struct type *t, const struct value *v, unsigned indent);

static void xmlrpc_member(struct buf *out, const struct type *t, const struct value *v, unsigned indent)
{
    new_line(out, indent);
    buf_printf(out, "<member><name>%s</name>", t->name);
    xmlrpc_value(out, t, v, indent);
    buf_add_str(out, S("</member>"));
}

static void xmlrpc_struct(struct buf *out, const struct type *types, unsigned n, const struct value *values, unsigned indent)
{
    buf_add_str(out, S("<value><struct>"));
    for (unsigned i = 0; i < n; i++)
        xmlrpc_member(out, &types[i], &values[i], indent + 1);
    buf_add_str(out, S("</struct></value>"));
}

static void xmlrpc_value(struct buf *out, const struct type *t, const struct value *v, unsigned indent)
{
    if (t->kind == V_TUPLE) {
        xmlrpc_struct(out, t->of, t->count, v->items, indent);
    } else if (t->kind == V_LIST) {
        buf_add_str(out, S("<value><array><data>"));
        for (size_t i = 0; i < v->n; i++) {
            new_line(out, indent + 1);
            if (t->of[0].kind == V_TUPLE)
                xmlrpc_value(out, &t->of[0], &v->items[i], indent + 1);
            else
                xmlrpc_struct(out, &t->of[0], 1, &v->items[i], indent + 1);
        }
        buf_add_str(out, S("</data></array></value>"));
    } else if (t->kind == V_INTEGER) {
        buf_printf(out, "<value><int>%lld</int></value>", (long long)v->i);
    } else {
        buf_add_str(out, S("<value><string>"));
        xml_text(out, v->s);
        buf_add_str(out, S("</string></value>"));
    }
}

static void print_xmlrpc(struct buf *out, const struct cmd_call *c)
{
    buf_printf(out, "<methodCall>\n<methodName>%s</methodName>\n<params><param>", c->cmd->name.p);
    xmlrpc_struct(out, c->shape->args, c->shape->arg_count, c->args, 0);
    buf_add_str(out, S("</param></params>\n</methodCall>\n"));
}

/* A constructor expression per value: what the languages differ in are a few words. */
struct syntax {
    const char *list_open, *list_close, *map_open, *map_close, *pair_open, *pair_mid, *pair_close;
};

static void code_value(struct buf *out, const struct syntax *x, const struct type *t, const struct value *v);

static void code_map(struct buf *out, const struct syntax *x, const struct type *types, unsigned n, const struct value *values)
{
    buf_add_str(out, str_of(x->map_open));
    for (unsigned i = 0; i < n; i++) {
        buf_printf(out, "%s%s\"%s\"%s", i ? ", " : "", x->pair_open, types[i].name, x->pair_mid);
        code_value(out, x, &types[i], &values[i]);
        buf_add_str(out, str_of(x->pair_close));
    }
    buf_add_str(out, str_of(x->map_close));
}

static void code_value(struct buf *out, const struct syntax *x, const struct type *t, const struct value *v)
{
    if (t->kind == V_TUPLE) {
        code_map(out, x, t->of, t->count, v->items);
    } else if (t->kind == V_LIST) {
        buf_add_str(out, str_of(x->list_open));
        for (size_t i = 0; i < v->n; i++) {
            buf_add_str(out, i ? S(", ") : S(""));
            if (t->of[0].kind == V_TUPLE)
                code_value(out, x, &t->of[0], &v->items[i]);
            else
                code_map(out, x, &t->of[0], 1, &v->items[i]);
        }
        buf_add_str(out, str_of(x->list_close));
    } else if (t->kind == V_INTEGER) {
        buf_printf(out, "%lld", (long long)v->i);
    } else {
        json_out_str(out, v->s);
    }
}

static void print_java(struct buf *out, const struct cmd_call *c)
{
    static const struct syntax java = {"List.of(", ")", "Map.ofEntries(", ")", "Map.entry(", ", ", ")"};
    buf_printf(out, "XmlRpcClientConfigImpl config = new XmlRpcClientConfigImpl();\n"
                    "config.setServerURL(new URL(\"http://localhost:4560/\"));\n"
                    "XmlRpcClient client = new XmlRpcClient();\nclient.setConfig(config);\n"
                    "Object answer = client.execute(\"%s\", new Object[] {", c->cmd->name.p);
    code_map(out, &java, c->shape->args, c->shape->arg_count, c->args);
    buf_add_str(out, S("});\n"));
}

static void print_perl(struct buf *out, const struct cmd_call *c)
{
    static const struct syntax perl = {"[", "]", "{", "}", "", " => ", ""};
    buf_printf(out, "use XML::RPC;\nmy $server = XML::RPC->new('http://localhost:4560/');\nmy $answer = $server->call('%s', ",
               c->cmd->name.p);
    code_map(out, &perl, c->shape->args, c->shape->arg_count, c->args);
    buf_add_str(out, S(");\n"));
}

void doc_example_print(struct buf *out, const struct cmd_call *c, enum doc_language language)
{
    switch (language) {
    case DOC_JSON: print_json(out, c); break;
    case DOC_CURL: print_curl(out, c); break;
    case DOC_XMLRPC: print_xmlrpc(out, c); break;
    case DOC_JAVA: print_java(out, c); break;
    case DOC_PERL: print_perl(out, c); break;
    }
}
