/* See the header. */
#include "core/auth/ldap_filter.h"

void ldap_escape(struct buf *b, struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (c == '*' || c == '(' || c == ')' || c == '\\' || c < 0x20 || c >= 0x7f)
            buf_printf(b, "\\%02x", c);
        else
            buf_add_c(b, (char)c);
    }
}

void ldap_expand(struct buf *b, struct str template, const struct ldap_words *w)
{
    size_t next = 0;
    for (size_t i = 0; i < template.n; i++) {
        char c = template.p[i], what = c == '%' && i + 1 < template.n ? template.p[i + 1] : '\0';
        if (what == 'u') {
            ldap_escape(b, w->user);
            buf_add_str(b, w->open ? S("*") : STR_NULL);
        } else if (what == 'd')
            ldap_escape(b, w->host);
        else if (what == 'D')
            ldap_escape(b, w->dn);
        else if (what == 's')
            ldap_escape(b, next < w->value_count ? w->values[next++] : STR_NULL);
        else {
            buf_add_c(b, c);
            continue;
        }
        i++;
    }
}

void ldap_equals(struct buf *b, struct str attr, struct str pattern, const struct ldap_words *w)
{
    buf_add_c(b, '(');
    buf_add_str(b, attr);
    buf_add_c(b, '=');
    ldap_expand(b, pattern, w);
    buf_add_c(b, ')');
}

bool ldap_filter_ok(struct str filter)
{
    size_t depth = 0;
    for (size_t i = 0; i < filter.n; i++) {
        if (filter.p[i] == '(')
            depth++;
        else if (filter.p[i] == ')' && depth-- == 0)
            return false;
        if (depth == 0 && i + 1 < filter.n)
            return false;
    }
    return filter.n > 2 && depth == 0 && filter.p[filter.n - 1] == ')';
}
