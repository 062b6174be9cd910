/* Faults; see the header. What the caller sent is quoted as terms, cut at QUOTE_MAX bytes. COMPAT(ejabberd): as observed. */
#include "admin/xmlrpc_fault.h"

#include "admin/args.h"
#include "admin/term.h"

#include <stdarg.h>
#include <stdio.h>

#define QUOTE_MAX 2048

void xmlrpc_fault(struct buf *out, int code, const char *fmt, ...)
{
    char text[4096];
    va_list ap;
    va_start(ap, fmt);
    int head = snprintf(text, sizeof text, "Error %d\n", code), n = vsnprintf(text + head, sizeof text - (size_t)head, fmt, ap);
    va_end(ap);
    size_t all = (size_t)head + (n > 0 ? (size_t)n : 0);
    xmlrpc_out_fault(out, code, str_n(text, all < sizeof text ? all : sizeof text - 1));
}

/* --- quoting --- */

static void quote(struct buf *b, const struct tree *t)
{
    if (b->n > QUOTE_MAX)
        return;
    switch (t->kind) {
    case TREE_TEXT:
        buf_add_str(b, S("<<"));
        term_print_text(b, str_n(t->s.p, t->s.n < QUOTE_MAX ? t->s.n : QUOTE_MAX));
        buf_add_str(b, S(">>"));
        break;
    case TREE_NIL:
        buf_add_str(b, S("nil"));
        break;
    case TREE_LIST:
    case TREE_STRUCT:
        buf_add_str(b, t->kind == TREE_LIST ? S("{array,[") : S("{struct,["));
        for (size_t i = 0; i < t->n && b->n <= QUOTE_MAX; i++) {
            if (i)
                buf_add_c(b, ',');
            if (t->kind == TREE_STRUCT) {
                buf_add_c(b, '{');
                term_print_atom(b, t->names[i]);
                buf_add_c(b, ',');
            }
            quote(b, &t->items[i]);
            if (t->kind == TREE_STRUCT)
                buf_add_c(b, '}');
        }
        buf_add_str(b, S("]}"));
        break;
    default:
        buf_add_str(b, t->s);
    }
}

static bool is_word_of(struct str words, struct str name)
{
    struct str word;
    while (words.p && str_split(&words, ' ', &word))
        if (str_eq(word, name))
            return true;
    return false;
}

enum wanted { WANT_ALL, WANT_UNUSED };

static void quote_args(struct buf *b, const struct cmd_call *c, const struct tree *args, enum wanted wanted)
{
    static const struct tree hidden = {.kind = TREE_TEXT, .s = {"***", 3}};
    const struct admin_cmd *d = c->cmd->d;
    bool first = true;
    buf_add_c(b, '[');
    for (size_t i = 0; i < args->n && b->n <= QUOTE_MAX; i++) {
        struct str name = args_tree_name(d, args->names[i]);
        if (wanted == WANT_UNUSED && cmd_shape_has(c->shape, name))
            continue;
        buf_add_str(b, first ? S("{") : S(",{"));
        first = false;
        term_print_atom(b, args->names[i]);
        buf_add_c(b, ',');
        quote(b, is_word_of(str_of(d->secret), name) ? &hidden : &args->items[i]);
        buf_add_c(b, '}');
    }
    buf_add_c(b, ']');
}

/* --- faults --- */

static void fault_unfit(struct buf *out, const struct cmd_call *c, const struct tree_problem *p)
{
    struct buf value = BUF_INIT, type = BUF_INIT;
    if (is_word_of(str_of(c->cmd->d->secret), str_of(p->arg->name)))
        buf_add_str(&value, S("***"));
    else
        quote(&value, p->value);
    type_print_term(&type, p->type);
    xmlrpc_fault(out, XMLRPC_UNFIT, "Parameter '%.*s' can't be coerced to type '%.*s'", (int)value.n, value.p, (int)type.n, type.p);
    buf_deinit(&value);
    buf_deinit(&type);
}

void xmlrpc_fault_binding(struct buf *out, const struct cmd_call *c, const struct tree *args, const struct tree_problem *p)
{
    struct buf b = BUF_INIT;
    if (p->fault == TREE_UNFIT) {
        fault_unfit(out, c, p);
        return;
    }
    quote_args(&b, c, args, p->fault == TREE_DOUBLED ? WANT_ALL : WANT_UNUSED);
    if (p->fault == TREE_DOUBLED)
        xmlrpc_fault(out, XMLRPC_DOUBLED, "Attribute '%s' duplicated:\n%.*s", p->arg->name, (int)b.n, b.p);
    else if (p->fault == TREE_MISSING)
        xmlrpc_fault(out, XMLRPC_MISSING, "Required attribute '%s' not found:\n%.*s", p->arg->name, (int)b.n, b.p);
    else
        xmlrpc_fault(out, XMLRPC_UNUSED, "The call provided additional unused arguments:\n%.*s", (int)b.n, b.p);
    buf_deinit(&b);
}

static void quote_reason(struct buf *b, const struct failure *f)
{
    struct str text = f->text.n ? f->text : str_of(err_info(f->code)->text);
    if (f->code == ERR_FORBIDDEN)
        buf_add_str(b, S("access_rules_unauthorized"));
    else if (f->quote == QUOTE_NONE)
        buf_add_str(b, str_n(text.p, text.n < QUOTE_MAX ? text.n : QUOTE_MAX));
    else
        term_print_text(b, str_n(text.p, text.n < QUOTE_MAX ? text.n : QUOTE_MAX));
}

void xmlrpc_fault_failure(struct buf *out, const struct cmd_call *c, const struct tree *args)
{
    struct buf reason = BUF_INIT, b = BUF_INIT;
    if (c->failure.form == FAIL_CRASH)
        buf_add_str(&reason, S("internal_error")); /* the text is for the log */
    else
        quote_reason(&reason, &c->failure);
    quote_args(&b, c, args, WANT_ALL);
    xmlrpc_fault(out, XMLRPC_PROBLEM, "A problem '{error,%.*s}' occurred executing the command %.*s with arguments\n%.*s",
                 (int)reason.n, reason.p, STR_ARG(c->cmd->name), (int)b.n, b.p);
    buf_deinit(&reason);
    buf_deinit(&b);
}
