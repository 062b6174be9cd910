/* Random bytes from the kernel, buffered per thread; what has been handed out is wiped. Suspends never. */
#include "base/rand.h"
#include "base/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define POOL 256

static _Thread_local unsigned char pool[POOL];
static _Thread_local size_t left;

static void from_system(unsigned char *p, size_t n)
{
    while (n) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort();
        p += got;
        n -= (size_t)got;
    }
}

void rand_bytes(void *out, size_t n)
{
    if (n > POOL / 2) {
        from_system(out, n);
        return;
    }
    if (left < n) {
        from_system(pool, POOL);
        left = POOL;
    }
    left -= n;
    memcpy(out, pool + left, n);
    secret_wipe(pool + left, n);
}

uint64_t rand_u64(void)
{
    uint64_t v;
    rand_bytes(&v, sizeof(v));
    return v;
}

void rand_token(char *out, size_t n)
{
    static const char chars[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    for (size_t i = 0; i < n;) {
        unsigned char c;
        rand_bytes(&c, 1);
        /* 252 is the last multiple of 36: beyond it some characters would come more often. */
        if (c < 252)
            out[i++] = chars[c % 36];
    }
    out[n] = '\0';
}
