/* Typed results as JSON (RFC 8259). Pure functions. */
#include "admin/out.h"

#include "base/utf8.h"

static bool plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        if (ch < 0x20 || ch >= 0x80 || ch == '"' || ch == '\\')
            return false;
    }
    return true;
}

static void escape_char(struct buf *out, unsigned char ch)
{
    static const char shorts[] = {['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    if (ch < sizeof(shorts) && shorts[ch])
        buf_printf(out, "\\%c", shorts[ch]);
    else if (ch < 0x20)
        buf_printf(out, "\\u%04X", ch);
    else
        buf_add_c(out, (char)ch);
}

void json_out_str(struct buf *out, struct str s)
{
    buf_add_c(out, '"');
    if (plain(s)) {
        buf_add_str(out, s);
    } else {
        while (s.n) {
            uint32_t cp;
            unsigned n = (unsigned char)s.p[0] < 0x80 ? 1 : utf8_decode(s, &cp);
            if (n == 1)
                escape_char(out, (unsigned char)s.p[0]);
            else if (n)
                buf_add(out, s.p, n);
            else
                buf_add_str(out, S("\xef\xbf\xbd"));
            n = n ? n : 1;
            s = str_n(s.p + n, s.n - n);
        }
    }
    buf_add_c(out, '"');
}

static void out_int(struct buf *out, int64_t i)
{
    char digits[24], *p = digits + sizeof(digits);
    uint64_t u = i < 0 ? -(uint64_t)i : (uint64_t)i;
    do
        *--p = (char)('0' + u % 10);
    while (u /= 10);
    if (i < 0)
        *--p = '-';
    buf_add(out, p, (size_t)(digits + sizeof(digits) - p));
}

static void out_tuple(struct buf *out, const struct type *t, const struct value *v)
{
    for (unsigned i = 0; i < t->count; i++) {
        buf_add_c(out, i ? ',' : '{');
        json_out_str(out, str_of(t->of[i].name));
        buf_add_c(out, ':');
        json_out_value(out, &t->of[i], &v->items[i]);
    }
    buf_add_str(out, t->count ? S("}") : S("{}"));
}

void json_out_list_open(struct buf *out, const struct type *list)
{
    buf_add_c(out, type_is_map(list) ? '{' : '[');
}

void json_out_list_row(struct buf *out, const struct type *list, const struct value *row, bool first)
{
    if (!first)
        buf_add_c(out, ',');
    if (!type_is_map(list)) {
        json_out_value(out, &list->of[0], row);
        return;
    }
    json_out_str(out, row->items[0].s);
    buf_add_c(out, ':');
    json_out_value(out, &list->of[0].of[1], &row->items[1]);
}

void json_out_list_close(struct buf *out, const struct type *list)
{
    buf_add_c(out, type_is_map(list) ? '}' : ']');
}

void json_out_value(struct buf *out, const struct type *t, const struct value *v)
{
    switch (t->kind) {
    case V_INTEGER:
    case V_RESCODE:
        out_int(out, v->i);
        break;
    case V_TUPLE:
        out_tuple(out, t, v);
        break;
    case V_LIST:
        json_out_list_open(out, t);
        for (size_t i = 0; i < v->n; i++)
            json_out_list_row(out, t, &v->items[i], i == 0);
        json_out_list_close(out, t);
        break;
    default:
        json_out_str(out, v->s);
    }
}

void json_out_result(struct buf *out, const struct cmd_call *c)
{
    const struct type *t = c->shape->result;
    bool wrap = c->version == 0 && (t->kind == V_INTEGER || type_is_text(t));
    if (wrap) {
        buf_add_c(out, '{');
        json_out_str(out, str_of(t->name));
        buf_add_c(out, ':');
    }
    json_out_value(out, t, &c->result);
    if (wrap)
        buf_add_c(out, '}');
}

void json_out_error(struct buf *out, int code, struct str message)
{
    buf_printf(out, "{\"status\":\"error\",\"code\":%d,\"message\":", code);
    json_out_str(out, message);
    buf_add_c(out, '}');
}

void json_out_failure(struct buf *out, const struct failure *f, int *status_out)
{
    const struct err_info *info = err_info(f->code);
    *status_out = info->http;
    if (f->form == FAIL_CODED)
        json_out_error(out, info->api, f->text);
    else if (f->form == FAIL_REPORT)
        json_out_error(out, 0, f->text);
    else if (f->form == FAIL_CRASH || f->code == ERR_INTERNAL)
        buf_add_str(out, S("\"internal_error\"")); /* words go to the log, not to strangers */
    else
        json_out_str(out, f->text);
}
