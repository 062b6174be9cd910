/* Typed results as the command line tool prints them. COMPAT(ejabberd): scripts read these lines. Pure functions. */
#include "admin/out.h"

#include "admin/term.h"

/* A field may not break the line format: the end of a line and the tab become \n and \t. */
static void out_field(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n')
            buf_add_str(out, S("\\n"));
        else if (s.p[i] == '\t')
            buf_add_str(out, S("\\t"));
        else
            buf_add_c(out, s.p[i]);
    }
}

static void out_value(struct buf *out, const struct type *t, const struct value *v, unsigned version, bool field)
{
    switch (t->kind) {
    case V_INTEGER:
    case V_RESCODE:
        buf_printf(out, "%lld", (long long)v->i);
        break;
    case V_TUPLE:
        for (unsigned i = 0; i < t->count; i++) {
            if (i)
                buf_add_c(out, '\t');
            out_value(out, &t->of[i], &v->items[i], version, true);
        }
        break;
    case V_LIST:
        for (size_t i = 0; i < v->n; i++) {
            if (i)
                buf_add_c(out, version ? ',' : ';');
            out_value(out, &t->of[0], &v->items[i], version, field);
        }
        break;
    default:
        if (field)
            out_field(out, v->s);
        else
            buf_add_str(out, v->s);
    }
}

void text_out_row(struct buf *out, const struct type *list, const struct value *row, unsigned version)
{
    out_value(out, &list->of[0], row, version, false);
    buf_add_c(out, '\n');
}

int text_out_result(struct buf *out, const struct cmd_call *c)
{
    const struct type *t = c->shape->result;
    if (t->kind == V_RESCODE) {
        if (c->result.i == 0)
            return 0;
        buf_add_str(out, c->failure.note); /* compile: what the compiler said */
        buf_printf(out, "Error: %.*s\n", STR_ARG(c->result.s.p ? c->result.s : S("false")));
        return 1;
    }
    size_t before = out->n;
    out_value(out, t, &c->result, c->version, false);
    if (out->n > before)
        buf_add_c(out, '\n');
    return 0;
}

static void out_reason(struct buf *out, const struct failure *f)
{
    if (f->quote == QUOTE_NONE) {
        buf_add_str(out, f->text);
        return;
    }
    if (f->quote == QUOTE_BINARY)
        buf_add_str(out, S("<<"));
    term_print_text(out, f->text);
    if (f->quote == QUOTE_BINARY)
        buf_add_str(out, S(">>"));
}

int text_out_failure(struct buf *out, const struct failure *f)
{
    buf_add_str(out, f->note);
    switch (f->form) {
    case FAIL_REASON:
        buf_printf(out, "Error: %.*s\nError: ", STR_ARG(f->word));
        out_reason(out, f);
        break;
    case FAIL_THROWN:
        buf_printf(out, "{%.*s,", STR_ARG(f->word));
        out_reason(out, f);
        buf_add_c(out, '}');
        break;
    case FAIL_CODED:
        buf_printf(out, "Error: %.*s: %.*s", STR_ARG(f->word), STR_ARG(f->text));
        break;
    case FAIL_REPORT:
        buf_printf(out, "Error: %.*s\n%.*s", STR_ARG(f->word), STR_ARG(f->text));
        break;
    case FAIL_BARE:
        buf_add_str(out, f->text);
        break;
    case FAIL_CRASH:
        buf_printf(out, "Unhandled exception occurred executing the command:\n%.*s", STR_ARG(f->text));
        break;
    }
    buf_add_c(out, '\n');
    return err_info(f->code)->exit_code;
}
