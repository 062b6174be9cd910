/* A user and a host, parted by a newline, in a fixed filter: it keeps its form. The rest is a template with words that are tame. */
#include "core/auth/ldap_filter.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str rest = str_n((const char *)data, n), user = STR_NULL, host = STR_NULL;
    struct buf b = BUF_INIT;
    str_split(&rest, '\n', &user);
    str_split(&rest, '\n', &host);
    struct ldap_words w = {.user = user, .host = host, .dn = user, .values = &host, .value_count = 1};
    ldap_expand(&b, S("(&(u=%u)(d=%d)(D=%D)(s=%s))"), &w);
    size_t open = 0, stars = 0;
    for (size_t i = 0; i < b.n; i++) {
        open += b.p[i] == '(';
        stars += b.p[i] == '*' || (unsigned char)b.p[i] >= 0x7f || (unsigned char)b.p[i] < 0x20;
    }
    if (open != 5 || stars || !ldap_filter_ok(buf_str(&b)))
        abort();
    buf_clear(&b);
    w = (struct ldap_words){.user = S("u"), .host = S("h")};
    ldap_expand(&b, rest, &w);
    if (ldap_filter_ok(rest) != ldap_filter_ok(buf_str(&b)) && b.n > 2 && rest.n > 2)
        abort();
    buf_deinit(&b);
    return 0;
}
