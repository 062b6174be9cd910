/* See the header. */
#include "core/auth/extauth.h"

static bool has_colon(struct str s)
{
    return s.n && memchr(s.p, ':', s.n);
}

bool extauth_request(struct buf *b, const char *operation, struct str user, struct str host, struct str password)
{
    size_t n = strlen(operation) + 1 + user.n + 1 + host.n + (password.p ? 1 + password.n : 0);
    if (n > UINT16_MAX || has_colon(user) || has_colon(host))
        return false;
    buf_add_c(b, (char)(n >> 8));
    buf_add_c(b, (char)(n & 255));
    buf_add_str(b, str_of(operation));
    buf_add_c(b, ':');
    buf_add_str(b, user);
    buf_add_c(b, ':');
    buf_add_str(b, host);
    if (password.p) {
        buf_add_c(b, ':');
        buf_add_str(b, password);
    }
    return true;
}

int extauth_answer(struct str bytes)
{
    static const char yes[EXTAUTH_ANSWER] = {0, 2, 0, 1};
    size_t n = bytes.n < EXTAUTH_ANSWER - 1 ? bytes.n : EXTAUTH_ANSWER - 1;
    if (bytes.n > EXTAUTH_ANSWER || (n && memcmp(bytes.p, yes, n) != 0))
        return -2;
    if (bytes.n < EXTAUTH_ANSWER)
        return -1;
    return bytes.p[3] == 0 || bytes.p[3] == 1 ? bytes.p[3] : -2;
}
