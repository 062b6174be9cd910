/*
 * A YAML tree as text: block style, two blanks a level, text quoted wherever the plain form could be read otherwise.
 * Pure, any thread, suspends never. Comments and the original layout are not kept.
 */
#include "core/config/yaml.h"

static bool word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '/' || c == '-' || c == '@' || c == ' ' || c == '+' || c == ':' || c == ';';
}

/* Safe as a plain scalar: no indicator at the start, no ": " and no blank at an end. */
static bool plain_safe(struct str s)
{
    if (!s.n || s.p[0] == '-' || s.p[0] == '@' || s.p[0] == ' ' || s.p[0] == ':' || s.p[s.n - 1] == ' ' ||
        s.p[s.n - 1] == ':')
        return s.n > 1 && s.p[0] == '-' && s.p[1] >= '0' && s.p[1] <= '9' && str_find(s, ':') < 0;
    for (size_t i = 0; i < s.n; i++)
        if (!word_char(s.p[i]) || (s.p[i] == ':' && i + 1 < s.n && s.p[i + 1] == ' '))
            return false;
    return true;
}

static void write_quoted(struct buf *out, struct str s)
{
    buf_add_c(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c == '\n')
            buf_add_str(out, S("\\n"));
        else if (c < 0x20 || c == 0x7f)
            buf_printf(out, "\\x%02x", c);
        else if (c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0) /* U+0080..U+009F: not printable YAML */
            buf_printf(out, "\\x%02x", (unsigned char)s.p[++i]);
        else
            buf_add_c(out, (char)c);
    }
    buf_add_c(out, '"');
}

static void write_key(struct buf *out, struct str key)
{
    if (plain_safe(key) && !str_eq(key, S("null")) && str_find(key, ' ') < 0)
        buf_add_str(out, key);
    else
        write_quoted(out, key);
}

static void write_node(struct buf *out, const struct yaml *y, unsigned indent,
                       bool (*mask)(struct str, const struct yaml *));

static void write_inline(struct buf *out, const struct yaml *y)
{
    if (!y || y->kind == YAML_NULL)
        buf_add_str(out, S("null"));
    else if (y->kind == YAML_LIST)
        buf_add_str(out, S("[]"));
    else if (y->kind == YAML_MAP)
        buf_add_str(out, S("{}"));
    else if (!y->quoted && plain_safe(y->text))
        buf_add_str(out, y->text);
    else
        write_quoted(out, y->text);
}

static void write_value(struct buf *out, const struct yaml *y, unsigned indent,
                        bool (*mask)(struct str, const struct yaml *))
{
    if (!y || !y->n) {
        buf_add_c(out, ' ');
        write_inline(out, y);
        buf_add_c(out, '\n');
        return;
    }
    buf_add_c(out, '\n');
    write_node(out, y, indent, mask);
}

static void write_node(struct buf *out, const struct yaml *y, unsigned indent,
                       bool (*mask)(struct str, const struct yaml *))
{
    for (size_t i = 0; i < y->n; i++) {
        buf_printf(out, "%*s", (int)indent, "");
        if (y->kind == YAML_LIST) {
            buf_add_c(out, '-');
        } else {
            write_key(out, y->keys[i]);
            buf_add_c(out, ':');
            if (mask && mask(y->keys[i], y->items[i])) {
                buf_add_str(out, S(" \"***\"\n"));
                continue;
            }
        }
        write_value(out, y->items[i], indent + 2, mask);
    }
}

void yaml_write(struct buf *out, const struct yaml *y, bool (*mask)(struct str key, const struct yaml *value))
{
    if (y->n) {
        write_node(out, y, 0, mask);
        return;
    }
    write_inline(out, y);
    buf_add_c(out, '\n');
}
