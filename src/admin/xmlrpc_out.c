/*
 * XML-RPC results: {"res": 0}, {"res": 0, "text": "..."} of a report, otherwise {result's name: value}. A list is an array of
 * structs named after the element, a tuple an array of structs with one field each. COMPAT(ejabberd): as observed.
 */
#include "admin/xmlrpc.h"

#include "base/utf8.h"
#include "xml/writer.h"

#define HEAD "<?xml version=\"1.0\"?><methodResponse>"

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || (unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

static void add_text(struct buf *out, struct str s)
{
    size_t i = 0;
    if (is_plain(s)) {
        xml_escape_text(out, s);
        return;
    }
    while (i < s.n) {
        uint32_t cp;
        unsigned n = utf8_decode(str_n(s.p + i, s.n - i), &cp);
        if (n && cp == '\r')
            buf_add_str(out, S("&#13;")); /* a parser would take it for a line end */
        else if (n && xml_allows(cp))
            xml_escape_text(out, str_n(s.p + i, n));
        else
            buf_add_str(out, S("\xef\xbf\xbd"));
        i += n ? n : 1;
    }
}

static void add_value(struct buf *out, const struct type *t, const struct value *v);

static void open_member(struct buf *out, const char *name)
{
    buf_add_str(out, S("<member><name>"));
    buf_add_str(out, str_of(name));
    buf_add_str(out, S("</name>"));
}

static void add_member(struct buf *out, const struct type *t, const struct value *v)
{
    open_member(out, t->name);
    add_value(out, t, v);
    buf_add_str(out, S("</member>"));
}

/* {"username": "peter"}: an element of an array. */
static void add_named(struct buf *out, const struct type *t, const struct value *v)
{
    buf_add_str(out, S("<value><struct>"));
    add_member(out, t, v);
    buf_add_str(out, S("</struct></value>"));
}

static void add_int(struct buf *out, int64_t i)
{
    /* <int/> has 32 bits */
    bool small = i >= INT32_MIN && i <= INT32_MAX;
    buf_printf(out, small ? "<value><int>%lld</int></value>" : "<value><i8>%lld</i8></value>", (long long)i);
}

static void add_value(struct buf *out, const struct type *t, const struct value *v)
{
    if (t->kind == V_INTEGER || t->kind == V_RESCODE) {
        add_int(out, v->i);
        return;
    }
    if (t->kind != V_LIST && t->kind != V_TUPLE) {
        buf_add_str(out, S("<value><string>"));
        add_text(out, v->s);
        buf_add_str(out, S("</string></value>"));
        return;
    }
    buf_add_str(out, S("<value><array><data>"));
    for (size_t i = 0; i < v->n; i++)
        add_named(out, &t->of[t->kind == V_LIST ? 0 : i], &v->items[i]);
    buf_add_str(out, S("</data></array></value>"));
}

void xmlrpc_out_result(struct buf *out, const struct cmd_call *c)
{
    const struct type *t = c->shape->result;
    static const struct type code = T_RESCODE("res"), text = T_STRING("text", NULL);
    buf_add_str(out, S(HEAD "<params><param><value><struct>"));
    if (t->kind == V_RESCODE || t->kind == V_RESTUPLE) {
        struct value rc = {.i = t->kind == V_RESCODE ? c->result.i : 0};
        add_member(out, &code, &rc);
        if (t->kind == V_RESTUPLE)
            add_member(out, &text, &c->result);
    } else {
        add_member(out, t, &c->result);
    }
    buf_add_str(out, S("</struct></value></param></params></methodResponse>"));
}

void xmlrpc_out_list_open(struct buf *out, const struct type *list)
{
    buf_add_str(out, S(HEAD "<params><param><value><struct>"));
    open_member(out, list->name);
    buf_add_str(out, S("<value><array><data>"));
}

void xmlrpc_out_list_row(struct buf *out, const struct type *list, const struct value *row)
{
    add_named(out, &list->of[0], row);
}

void xmlrpc_out_list_close(struct buf *out)
{
    buf_add_str(out, S("</data></array></value></member></struct></value></param></params></methodResponse>"));
}

void xmlrpc_out_fault(struct buf *out, int code, struct str text)
{
    static const struct type fault_code = T_INTEGER("faultCode", NULL), fault_string = T_STRING("faultString", NULL);
    struct value number = {.i = code}, words = {.s = text};
    buf_add_str(out, S(HEAD "<fault><value><struct>"));
    add_member(out, &fault_code, &number);
    add_member(out, &fault_string, &words);
    buf_add_str(out, S("</struct></value></fault></methodResponse>"));
}
