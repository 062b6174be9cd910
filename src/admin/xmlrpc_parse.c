/*
 * XML-RPC calls (xmlrpc.com/spec, with the types i8, nil and those of the common extensions). Any thread; parses hostile input
 * (fuzz target xmlrpc): the XML parser bounds size, depth and number of elements, this the nesting of values.
 */
#include "admin/xmlrpc.h"

#include "base/base64.h"
#include "xml/stream.h"

static bool is(const struct xml_el *el, const char *name)
{
    return el && str_eq(el->name, str_of(name));
}

static const char *read_value(struct arena *a, const struct xml_el *el, unsigned depth, struct tree *out);

/* Of the children that are called so. */
static size_t count(const struct xml_el *parent, const char *name)
{
    size_t n = 0;
    for (const struct xml_el *el = xml_first(parent); el; el = xml_next(el))
        n += is(el, name);
    return n;
}

static const struct xml_el *only(const struct xml_el *parent, const char *name)
{
    for (const struct xml_el *el = xml_first(parent); el; el = xml_next(el))
        if (is(el, name))
            return el;
    return NULL;
}

static const char *read_integer(struct str text, struct tree *out)
{
    struct str digits = str_trim(text);
    *out = (struct tree){.kind = TREE_INTEGER, .s = digits};
    return str_to_i64(digits, &out->i) ? NULL : "a number that is none, or too large";
}

static const char *read_boolean(struct str text, struct tree *out)
{
    text = str_trim(text);
    bool yes = str_eq(text, S("1")) || str_eq(text, S("true"));
    *out = (struct tree){.kind = TREE_INTEGER, .i = yes, .s = yes ? S("true") : S("false")};
    return yes || str_eq(text, S("0")) || str_eq(text, S("false")) ? NULL : "a boolean that is neither 0 nor 1";
}

/* Writers break lines. */
static const char *read_base64(struct arena *a, struct str text, struct tree *out)
{
    char *p = arena_alloc(a, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] != ' ' && text.p[i] != '\t' && text.p[i] != '\r' && text.p[i] != '\n')
            p[n++] = text.p[i];
    out->kind = TREE_TEXT;
    return base64_decode(a, str_n(p, n), &out->s) ? NULL : "bytes that are no base64";
}

static const char *read_array(struct arena *a, const struct xml_el *el, unsigned depth, struct tree *out)
{
    const struct xml_el *data = only(el, "data");
    if (!data)
        return "an array without data";
    out->kind = TREE_LIST;
    out->items = ARENA_ARRAY(a, struct tree, count(data, "value") + 1);
    for (const struct xml_el *v = xml_first(data); v; v = xml_next(v)) {
        if (!is(v, "value"))
            return "an array of something else than values";
        const char *why = read_value(a, v, depth + 1, &out->items[out->n++]);
        if (why)
            return why;
    }
    return NULL;
}

static const char *read_struct(struct arena *a, const struct xml_el *el, unsigned depth, struct tree *out)
{
    size_t n = count(el, "member");
    out->kind = TREE_STRUCT;
    out->names = ARENA_ARRAY(a, struct str, n + 1);
    out->items = ARENA_ARRAY(a, struct tree, n + 1);
    for (const struct xml_el *m = xml_first(el); m; m = xml_next(m)) {
        const struct xml_el *name = is(m, "member") ? only(m, "name") : NULL, *value = name ? only(m, "value") : NULL;
        if (!value)
            return "a struct member without name or value";
        out->names[out->n] = xml_text_of(a, name);
        const char *why = read_value(a, value, depth + 1, &out->items[out->n++]);
        if (why)
            return why;
    }
    return NULL;
}

static const char *read_typed(struct arena *a, const struct xml_el *el, unsigned depth, struct tree *out)
{
    static const char *const integers[] = {"int", "i4", "i8", "i2", "i1", "biginteger"};
    struct str text = xml_text_of(a, el);
    for (size_t i = 0; i < ARRAY_LEN(integers); i++)
        if (is(el, integers[i]))
            return read_integer(text, out);
    if (is(el, "boolean"))
        return read_boolean(text, out);
    if (is(el, "base64"))
        return read_base64(a, text, out);
    if (is(el, "array"))
        return read_array(a, el, depth, out);
    if (is(el, "struct"))
        return read_struct(a, el, depth, out);
    if (is(el, "string") || is(el, "dateTime.iso8601"))
        *out = (struct tree){.kind = TREE_TEXT, .s = text};
    else if (is(el, "double") || is(el, "float"))
        *out = (struct tree){.kind = TREE_DOUBLE, .s = str_trim(text)};
    else if (is(el, "nil"))
        *out = (struct tree){.kind = TREE_NIL};
    else
        return "a value of an unknown type";
    return NULL;
}

static const char *read_value(struct arena *a, const struct xml_el *el, unsigned depth, struct tree *out)
{
    const struct xml_el *typed = xml_first(el);
    if (depth > XMLRPC_MAX_DEPTH)
        return "values nested too deep";
    if (typed && xml_next(typed))
        return "a value of two types";
    if (typed)
        return read_typed(a, typed, depth, out);
    *out = (struct tree){.kind = TREE_TEXT, .s = xml_text_of(a, el)};
    return NULL;
}

const char *xmlrpc_parse(struct arena *a, struct str body, struct xmlrpc_call *out)
{
    const char *why = NULL;
    *out = (struct xmlrpc_call){0};
    const struct xml_el *root = xml_parse(a, body, TOK_NS_CLIENT, &why);
    const struct xml_el *name = is(root, "methodCall") ? only(root, "methodName") : NULL;
    const struct xml_el *params = name ? only(root, "params") : NULL;
    if (!name)
        return why ? why : "no method call";
    out->method = str_trim(xml_text_of(a, name));
    for (const struct xml_el *p = params ? xml_first(params) : NULL; p; p = xml_next(p)) {
        const struct xml_el *value = is(p, "param") ? only(p, "value") : NULL;
        if (!value || out->n == XMLRPC_MAX_PARAMS)
            return value ? "too many parameters" : "a parameter without a value";
        if ((why = read_value(a, value, 0, &out->params[out->n++])))
            return why;
    }
    return NULL;
}
