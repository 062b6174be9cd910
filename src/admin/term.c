/* Terms in error texts. COMPAT(ejabberd): clients match these texts. Pure functions. */
#include "admin/term.h"

#include "base/mem.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void term_print_bytes(struct buf *out, struct str s)
{
    buf_add_str(out, S("<<"));
    for (size_t i = 0; i < s.n && out->n < TERM_MAX; i++)
        buf_printf(out, "%s%u", i ? "," : "", (unsigned)(unsigned char)s.p[i]);
    buf_add_str(out, S(">>"));
}

void term_print_real(struct buf *out, double d)
{
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, d);
        if (strtod(text, NULL) == d)
            break;
    }
    const char *e = strchr(text, 'e');
    size_t mantissa = e ? (size_t)(e - text) : strlen(text);
    buf_add(out, text, mantissa);
    if (!memchr(text, '.', mantissa))
        buf_add_str(out, S(".0"));
    if (e)
        buf_printf(out, "e%d", atoi(e + 1));
}

void term_print_atom(struct buf *out, struct str s)
{
    bool plain = s.n && islower((unsigned char)s.p[0]);
    for (size_t i = 0; i < s.n && plain; i++)
        plain = isalnum((unsigned char)s.p[i]) || s.p[i] == '_' || s.p[i] == '@';
    if (plain) {
        buf_add_str(out, s);
        return;
    }
    buf_add_c(out, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\'' || s.p[i] == '\\')
            buf_add_c(out, '\\');
        buf_add_c(out, s.p[i]);
    }
    buf_add_c(out, '\'');
}

void term_print_text(struct buf *out, struct str s)
{
    buf_add_c(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_add_c(out, '\\');
        if (s.p[i] == '\n')
            buf_add_str(out, S("\\n"));
        else
            buf_add_c(out, s.p[i]);
    }
    buf_add_c(out, '"');
}

static int key_cmp(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void print_object(struct buf *out, const json_t *j)
{
    size_t n = json_object_size(j), i = 0;
    const char **keys = mem_zalloc(n * sizeof(*keys));
    json_t *o = (json_t *)(uintptr_t)j, *v;
    const char *key;
    json_object_foreach(o, key, v)
        keys[i++] = key;
    qsort(keys, n, sizeof(*keys), key_cmp);
    buf_add_str(out, S("#{"));
    for (i = 0; i < n && out->n < TERM_MAX; i++) {
        if (i)
            buf_add_c(out, ',');
        term_print_bytes(out, str_of(keys[i]));
        buf_add_str(out, S(" => "));
        term_print_json(out, json_object_get(j, keys[i]));
    }
    buf_add_c(out, '}');
    free(keys);
}

/* Depth is bounded by the JSON parser. */
void term_print_json(struct buf *out, const json_t *j)
{
    switch (json_typeof(j)) {
    case JSON_NULL:
        buf_add_str(out, S("null"));
        break;
    case JSON_TRUE:
        buf_add_str(out, S("true"));
        break;
    case JSON_FALSE:
        buf_add_str(out, S("false"));
        break;
    case JSON_INTEGER:
        buf_printf(out, "%lld", (long long)json_integer_value(j));
        break;
    case JSON_REAL:
        term_print_real(out, json_real_value(j));
        break;
    case JSON_STRING:
        term_print_bytes(out, str_n(json_string_value(j), json_string_length(j)));
        break;
    case JSON_ARRAY:
        buf_add_c(out, '[');
        for (size_t i = 0; i < json_array_size(j) && out->n < TERM_MAX; i++) {
            if (i)
                buf_add_c(out, ',');
            term_print_json(out, json_array_get(j, i));
        }
        buf_add_c(out, ']');
        break;
    case JSON_OBJECT:
        print_object(out, j);
        break;
    }
}
