/* What a program answers, byte by byte, and frames made of three names: they are read back as they were meant. */
#include "core/auth/extauth.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void answer(struct str bytes)
{
    int before = -1;
    for (size_t i = 0; i <= bytes.n; i++) {
        int now = extauth_answer(str_n(bytes.p, i));
        /* More bytes never make an answer of what was none, nor another one of what was one. */
        if ((before == -2 && now != -2) || (before >= 0 && now != -2) || (now >= 0 && i != EXTAUTH_ANSWER))
            abort();
        before = now;
    }
}

static void request(struct str user, struct str host, struct str password)
{
    struct buf b = BUF_INIT;
    if (extauth_request(&b, "auth", user, host, password)) {
        struct str rest = str_n(b.p + 2, b.n - 2), part;
        if (((size_t)(uint8_t)b.p[0] << 8 | (uint8_t)b.p[1]) != rest.n)
            abort();
        str_split(&rest, ':', &part);
        if (!str_split(&rest, ':', &part) || !str_eq(part, user) || !str_split(&rest, ':', &part) || !str_eq(part, host))
            abort();
        if (password.p ? !str_eq(rest, password) : rest.p != NULL)
            abort();
    } else if (b.n) {
        abort();
    }
    buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str in = str_n((const char *)data, n), rest = in, user, host = STR_NULL;
    answer(in);
    if (str_split(&rest, '\n', &user) && str_split(&rest, '\n', &host))
        request(user, host, rest);
    return 0;
}
