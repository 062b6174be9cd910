/* See the header. */
#include "net/form.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "net/http.h"

static bool decode(struct arena *a, struct str in, struct str *out)
{
    return http_percent_decode(a, in, true, out) && utf8_valid(*out) && !(out->n && memchr(out->p, '\0', out->n));
}

static bool take_field(struct arena *a, struct str part, struct form *f)
{
    struct str name;
    if (part.n == 0)
        return true;
    if (f->n == FORM_FIELDS_MAX)
        return false;
    struct form_field *field = &f->v[f->n++];
    str_split(&part, '=', &name);
    return decode(a, name, &field->name) && decode(a, part.p ? part : S(""), &field->value);
}

bool form_parse(struct arena *a, struct str text, struct form *out)
{
    struct str part;
    *out = (struct form){.v = ARENA_ARRAY(a, struct form_field, FORM_FIELDS_MAX)};
    while (str_split(&text, '&', &part))
        if (!take_field(a, part, out))
            return false;
    return true;
}

struct str form_get(const struct form *f, struct str name)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_eq(f->v[i].name, name))
            return f->v[i].value;
    return STR_NULL;
}

bool form_repeats(const struct form *f)
{
    for (size_t i = 0; i < f->n; i++)
        for (size_t k = 0; k < i; k++)
            if (str_eq(f->v[i].name, f->v[k].name))
                return true;
    return false;
}

void form_escape(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                     c == '_' || c == '~';
        if (plain)
            buf_add_c(out, (char)c);
        else
            buf_printf(out, "%%%02X", c);
    }
}
