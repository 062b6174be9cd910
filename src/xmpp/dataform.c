/* Data forms; see the header. Reads what peers send: bounded by the stanza's limits and DATAFORM_MAX_FIELDS. */
#include "xmpp/dataform.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "xml/writer.h"

static const struct str type_words[] = {
    [DATAFORM_FORM] = {"form", 4}, [DATAFORM_SUBMIT] = {"submit", 6}, [DATAFORM_CANCEL] = {"cancel", 6},
    [DATAFORM_RESULT] = {"result", 6}};

/* --- reading --- */

static bool read_type(const struct xml_el *x, enum dataform_type *out)
{
    struct str word = xml_attr_get(x, TOK_type);
    for (size_t i = 0; i < ARRAY_LEN(type_words); i++)
        if (str_eq(word, type_words[i])) {
            *out = (enum dataform_type)i;
            return true;
        }
    return false;
}

static bool is_part(const struct xml_el *el, enum token name)
{
    return el->tok == name && el->ns == TOK_NS_DATA;
}

static size_t count_parts(const struct xml_el *parent, enum token name)
{
    size_t n = 0;
    for (const struct xml_el *el = xml_first(parent); el; el = xml_next(el))
        n += is_part(el, name);
    return n;
}

static void read_values(struct arena *a, const struct xml_el *el, struct dataform_field *f)
{
    size_t n = count_parts(el, TOK_value);
    struct str *values = ARENA_ARRAY(a, struct str, n + 1);
    f->n = 0;
    for (const struct xml_el *v = xml_first(el); v; v = xml_next(v))
        if (is_part(v, TOK_value))
            values[f->n++] = xml_text_of(a, v);
    f->values = values;
}

const char *dataform_read(struct arena *a, const struct xml_el *x, struct dataform *out)
{
    *out = (struct dataform){0};
    if (!is_part(x, TOK_x) || !read_type(x, &out->type))
        return "the form's type is none of form, submit, cancel, result";
    size_t n = count_parts(x, TOK_field);
    if (n > DATAFORM_MAX_FIELDS)
        return "the form has too many fields";
    struct dataform_field *fields = ARENA_ARRAY(a, struct dataform_field, n + 1);
    out->fields = fields;
    for (const struct xml_el *el = xml_first(x); el; el = xml_next(el)) {
        struct str var = is_part(el, TOK_field) ? xml_attr_get(el, TOK_var) : STR_NULL;
        if (str_empty(var))
            continue;
        if (dataform_find(out, var))
            return "the form has two fields of one name";
        fields[out->n].var = var;
        read_values(a, el, &fields[out->n++]);
    }
    return NULL;
}

const struct dataform_field *dataform_find(const struct dataform *f, struct str var)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_eq(f->fields[i].var, var))
            return &f->fields[i];
    return NULL;
}

struct str dataform_value(const struct dataform *f, struct str var)
{
    const struct dataform_field *field = dataform_find(f, var);
    return field && field->n ? str_trim(field->values[0]) : STR_NULL;
}

bool dataform_boolean(struct str text, bool *out)
{
    bool yes = str_eq(text, S("1")) || str_eq(text, S("true"));
    *out = yes;
    return yes || str_eq(text, S("0")) || str_eq(text, S("false"));
}

struct str dataform_lines(struct arena *a, const struct dataform_field *f)
{
    if (f->n == 1)
        return f->values[0];
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < f->n; i++) {
        if (i)
            buf_add_c(&b, '\n');
        buf_add_str(&b, f->values[i]);
    }
    struct str text = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return text;
}

/* --- building --- */

struct str dataform_clean(struct arena *a, struct str text)
{
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < text.n;) {
        uint32_t cp;
        unsigned n = utf8_decode(str_n(text.p + i, text.n - i), &cp);
        if (n && xml_allows(cp))
            buf_add(&b, text.p + i, n);
        else
            buf_add_str(&b, S("\xef\xbf\xbd"));
        i += n ? n : 1;
    }
    struct str clean = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return clean;
}

struct xml_el *dataform_new(struct arena *a, struct xml_el *parent, enum dataform_type type)
{
    struct xml_el *x = xml_add(a, parent, TOK_x, TOK_NS_DATA);
    xml_attr_set(a, x, TOK_type, type_words[type]);
    return x;
}

void dataform_title(struct arena *a, struct xml_el *x, struct str text)
{
    xml_add_leaf(a, x, TOK_title, dataform_clean(a, text));
}

void dataform_instructions(struct arena *a, struct xml_el *x, struct str text)
{
    struct str line;
    while (str_split(&text, '\n', &line))
        if (!str_empty(str_trim(line)))
            xml_add_leaf(a, x, TOK_instructions, dataform_clean(a, str_trim(line)));
}

struct xml_el *dataform_add(struct arena *a, struct xml_el *parent, struct str type, struct str var, struct str label)
{
    struct xml_el *field = xml_add(a, parent, TOK_field, TOK_NONE);
    if (var.p)
        xml_attr_set(a, field, TOK_var, dataform_clean(a, var));
    if (type.p)
        xml_attr_set(a, field, TOK_type, dataform_clean(a, type));
    if (label.p)
        xml_attr_set(a, field, TOK_label, dataform_clean(a, label));
    return field;
}

void dataform_add_value(struct arena *a, struct xml_el *field, struct str text)
{
    xml_add_leaf(a, field, TOK_value, dataform_clean(a, text));
}

void dataform_add_desc(struct arena *a, struct xml_el *field, struct str text)
{
    xml_add_leaf(a, field, TOK_desc, dataform_clean(a, text));
}

void dataform_add_option(struct arena *a, struct xml_el *field, struct str label, struct str value)
{
    struct xml_el *option = xml_add(a, field, TOK_option, TOK_NONE);
    xml_attr_set(a, option, TOK_label, dataform_clean(a, label));
    dataform_add_value(a, option, value);
}

void dataform_require(struct arena *a, struct xml_el *field)
{
    xml_add(a, field, TOK_required, TOK_NONE);
}

void dataform_form_type(struct arena *a, struct xml_el *x, struct str ns)
{
    dataform_add_value(a, dataform_add(a, x, S("hidden"), S("FORM_TYPE"), STR_NULL), ns);
}
