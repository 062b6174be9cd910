/* Forms of commands; see the header. Runs on the fiber of the IQ. */
#include "admin/adhoc_form.h"

#include "admin/args.h"
#include "core/account/account.h"

/* --- who --- */

void adhoc_caller(struct arena *a, struct str frontend, struct jid from, struct api_caller *out)
{
    struct error err = ERROR_INIT;
    struct session_info *s;
    size_t n = 0;
    *out = (struct api_caller){.frontend = frontend, .who.jid = jid_copy(a, from)};
    if (account_user_sessions(a, jid_user(from), jid_host(from), &s, &n, &err) < 0)
        return;
    for (size_t i = 0; i < n; i++)
        if (jid_eq(s[i].jid, from))
            out->who.ip = s[i].ip;
}

/* --- values --- */

void adhoc_value_text(struct buf *out, const struct type *t, const struct value *v)
{
    switch (t->kind) {
    case V_INTEGER:
    case V_RESCODE:
        buf_printf(out, "%lld", (long long)v->i);
        break;
    case V_LIST:
        for (size_t i = 0; i < v->n; i++) {
            if (i)
                buf_add_c(out, '\n');
            adhoc_value_text(out, &t->of[0], &v->items[i]);
        }
        break;
    case V_TUPLE:
        for (size_t i = 0; i < v->n && i < t->count; i++) {
            if (i)
                buf_add_c(out, ':');
            adhoc_value_text(out, &t->of[i], &v->items[i]);
        }
        break;
    default:
        buf_add_str(out, v->s);
    }
}

static void add_text_value(struct arena *a, struct xml_el *field, const struct type *t, const struct value *v)
{
    struct buf b = BUF_INIT;
    adhoc_value_text(&b, t, v);
    dataform_add_value(a, field, buf_str(&b));
    buf_deinit(&b);
}

static void add_values(struct arena *a, struct xml_el *field, const struct type *t, const struct value *v)
{
    if (t->kind != V_LIST)
        add_text_value(a, field, t, v);
    for (size_t i = 0; t->kind == V_LIST && i < v->n; i++)
        add_text_value(a, field, &t->of[0], &v->items[i]);
}

static struct value copy_value(struct arena *a, const struct type *t, const struct value *v)
{
    struct value n = {.i = v->i, .n = v->n};
    if (v->s.p)
        n.s = arena_str(a, v->s);
    if (t->kind != V_LIST && t->kind != V_TUPLE)
        return n;
    n.items = ARENA_ARRAY(a, struct value, v->n + 1);
    for (size_t i = 0; i < v->n; i++)
        n.items[i] = copy_value(a, &t->of[t->kind == V_LIST ? 0 : i], &v->items[i]);
    return n;
}

/* --- arguments --- */

/* Of what is never logged, the proofs: they are not shown while they are typed, and not repeated. Texts of messages are. */
static bool is_secret(const struct cmd_call *c, const char *name)
{
    struct str rest = str_of(c->cmd->d->secret), word;
    bool proof = strstr(name, "pass") || strstr(name, "token") || strstr(name, "secret");
    while (proof && rest.p && str_split(&rest, ' ', &word))
        if (str_eq(word, str_of(name)))
            return true;
    return false;
}

/* Whom a command is about is not suggested; where, is. */
static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (!strcmp(name, *names))
            return true;
    return false;
}

static void add_example(struct arena *a, struct xml_el *field, const struct type *t, const struct value *example, struct str host)
{
    static const char *const hosts[] = {"host", "localhost", NULL}, *const people[] = {"user", "localuser", "newpass", NULL};
    if (is_one_of(t->name, people))
        return;
    if (is_one_of(t->name, hosts))
        dataform_add_value(a, field, host);
    else if (!strcmp(t->name, "service"))
        dataform_add_value(a, field, arena_printf(a, "conference.%.*s", STR_ARG(host)));
    else if (example)
        add_values(a, field, t, example);
}

/* The example's values: words as on the command line. NULL: none. */
static const struct value *example_values(struct cmd_call *scratch)
{
    const struct cmd_shape *s = scratch->shape;
    struct str *words = ARENA_ARRAY(scratch->arena, struct str, s->arg_count + 1u);
    if (s->example_count != s->arg_count)
        return NULL;
    for (unsigned i = 0; i < s->arg_count; i++)
        words[i] = str_of(s->example[i]);
    return args_bind_words(scratch, words, s->arg_count) == 0 ? scratch->args : NULL;
}

static void add_head(struct arena *a, struct xml_el *x, const struct cmd_call *c)
{
    struct buf b = BUF_INIT;
    buf_printf(&b, "Tags: ");
    command_tags(&b, c->cmd, c->shape);
    dataform_title(a, x, c->cmd->name);
    dataform_instructions(a, x, str_of(c->cmd->d->brief));
    if (c->cmd->d->text)
        dataform_instructions(a, x, str_of(c->cmd->d->text));
    dataform_instructions(a, x, buf_str(&b));
    buf_deinit(&b);
}

static struct str field_type(const struct cmd_call *c, const struct type *t)
{
    return is_secret(c, t->name) ? S("text-private") : t->kind == V_LIST ? S("text-multi") : S("text-single");
}

static void add_answer(struct arena *a, struct xml_el *field, const struct dataform_field *answer)
{
    for (size_t i = 0; answer && i < answer->n; i++)
        dataform_add_value(a, field, answer->values[i]);
}

void adhoc_form_args(struct arena *a, struct xml_el *command, const struct cmd_call *c, struct str host,
                     const struct dataform *answers)
{
    const struct cmd_shape *s = c->shape;
    struct xml_el *x = dataform_new(a, command, DATAFORM_FORM);
    struct cmd_call *scratch = cmd_call_new(c->cmd, s, c->version);
    const struct value *examples = example_values(scratch);
    add_head(a, x, c);
    if (s->arg_count)
        dataform_add(a, x, S("fixed"), STR_NULL, S("Arguments"));
    for (unsigned i = 0; i < s->arg_count; i++) {
        const struct type *t = &s->args[i];
        struct xml_el *field = dataform_add(a, x, field_type(c, t), str_of(t->name), str_of(t->name));
        dataform_require(a, field);
        if (t->help)
            dataform_add_desc(a, field, str_of(t->help));
        if (is_secret(c, t->name))
            continue;
        if (answers)
            add_answer(a, field, dataform_find(answers, str_of(t->name)));
        else
            add_example(a, field, t, examples ? &examples[i] : NULL, host);
    }
    cmd_call_end(&scratch);
}

/* --- answers --- */

static bool wants_list(const struct cmd_shape *s, struct str name)
{
    for (unsigned i = 0; i < s->arg_count; i++)
        if (str_eq(str_of(s->args[i].name), name))
            return s->args[i].kind == V_LIST;
    return false;
}

/* Empty lines of a text-multi are no elements. */
static void answer_to_tree(struct cmd_call *c, const struct dataform_field *f, struct tree *out)
{
    if (!wants_list(c->shape, f->var)) {
        *out = (struct tree){.kind = TREE_TEXT, .s = f->n ? arena_str(c->arena, dataform_lines(c->arena, f)) : S("")};
        return;
    }
    *out = (struct tree){.kind = TREE_LIST, .items = ARENA_ARRAY(c->arena, struct tree, f->n + 1)};
    for (size_t i = 0; i < f->n; i++)
        if (!str_empty(str_trim(f->values[i])))
            out->items[out->n++] = (struct tree){.kind = TREE_TEXT, .s = arena_str(c->arena, f->values[i])};
}

enum tree_fault adhoc_form_bind(struct cmd_call *c, const struct dataform *answers)
{
    struct tree args = {.kind = TREE_STRUCT, .names = ARENA_ARRAY(c->arena, struct str, answers->n + 1),
                        .items = ARENA_ARRAY(c->arena, struct tree, answers->n + 1)};
    for (size_t i = 0; i < answers->n; i++) {
        const struct dataform_field *f = &answers->fields[i];
        if (str_eq(f->var, S("FORM_TYPE")))
            continue;
        args.names[args.n] = arena_str(c->arena, f->var);
        answer_to_tree(c, f, &args.items[args.n++]);
    }
    return args_bind_tree(c, &args, NULL);
}

/* --- running --- */

struct keeper {
    struct cmd_sink sink; /* first */
    size_t total;
};

static int keep_row(struct cmd_sink *s, struct cmd_call *c, const struct value *row)
{
    struct keeper *k = (struct keeper *)s;
    if (k->total++ >= ADHOC_ROWS_MAX)
        return 0; /* go on: they are counted */
    ARENA_MORE(c->arena, c->rows, c->row_count);
    c->rows[c->row_count++] = copy_value(c->arena, &c->shape->result->of[0], row);
    return 0;
}

int adhoc_run(struct cmd_call **cp, size_t *total_out)
{
    struct cmd_call *c = *cp;
    struct keeper k = {.sink.row = keep_row};
    c->sink = &k.sink;
    c->frontend = c->caller->frontend;
    c->who = jid_bare(c->caller->who.jid);
    cmd_log(c);
    if (cmd_run(cp) < 0)
        return -1;
    c = *cp;
    *total_out = c->streamed ? k.total : c->row_count;
    if (c->shape->result->kind != V_LIST || c->streamed)
        return 0;
    value_sort(&c->shape->result->of[0], c->rows, c->row_count);
    if (c->row_count > ADHOC_ROWS_MAX)
        c->row_count = ADHOC_ROWS_MAX;
    return 0;
}

/* --- the result --- */

static void add_arguments(struct arena *a, struct xml_el *x, const struct cmd_call *c, const struct value *asked)
{
    const struct cmd_shape *s = c->shape;
    if (!s->arg_count)
        return;
    dataform_add(a, x, S("fixed"), STR_NULL, S("Arguments"));
    for (unsigned i = 0; i < s->arg_count; i++) {
        struct xml_el *field = dataform_add(a, x, STR_NULL, str_of(s->args[i].name), STR_NULL);
        if (!is_secret(c, s->args[i].name))
            add_values(a, field, &s->args[i], &asked[i]);
    }
    dataform_add(a, x, S("fixed"), STR_NULL, STR_NULL);
}

static void add_field(struct arena *a, struct xml_el *x, const struct type *t, const struct value *v)
{
    struct str type = t->kind == V_LIST ? S("text-multi") : S("text-single");
    struct xml_el *field = dataform_add(a, x, type, str_of(t->name), str_of(t->name));
    if (t->help)
        dataform_add_desc(a, field, str_of(t->help));
    add_values(a, field, t, v);
}

/* XEP-0004 §3.4: a table of items. */
static void add_table(struct arena *a, struct xml_el *x, const struct cmd_call *c, const struct type *el)
{
    struct xml_el *reported = xml_add(a, x, TOK_reported, TOK_NONE);
    for (unsigned i = 0; i < el->count; i++)
        dataform_add(a, reported, el->of[i].kind == V_LIST ? S("text-multi") : S("text-single"), str_of(el->of[i].name),
                     str_of(el->of[i].name));
    for (size_t r = 0; r < c->row_count; r++) {
        struct xml_el *item = xml_add(a, x, TOK_item, TOK_NONE);
        for (unsigned i = 0; i < el->count; i++)
            add_values(a, dataform_add(a, item, STR_NULL, str_of(el->of[i].name), STR_NULL), &el->of[i], &c->rows[r].items[i]);
    }
}

static void add_result(struct arena *a, struct xml_el *x, const struct cmd_call *c)
{
    const struct type *t = c->shape->result;
    if (t->kind == V_LIST && t->of[0].kind == V_TUPLE) {
        add_table(a, x, c, &t->of[0]);
    } else if (t->kind == V_LIST) {
        struct value all = {.items = c->rows, .n = c->row_count};
        add_field(a, x, t, &all);
    } else if (t->kind == V_TUPLE) {
        for (unsigned i = 0; i < t->count; i++)
            add_field(a, x, &t->of[i], &c->result.items[i]);
    } else {
        add_field(a, x, t, &c->result);
    }
}

void adhoc_form_result(struct arena *a, struct xml_el *command, const struct cmd_call *c, const struct value *asked)
{
    struct xml_el *x = dataform_new(a, command, DATAFORM_RESULT);
    add_head(a, x, c);
    add_arguments(a, x, c, asked);
    dataform_add(a, x, S("fixed"), STR_NULL, S("Result"));
    add_result(a, x, c);
}
