/* Wiping and constant-time comparison. Pure functions, any thread. */
#include "base/secret.h"

void secret_wipe(void *p, size_t n)
{
    if (n)
        explicit_bzero(p, n);
}

bool secret_eq(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    const volatile unsigned char *x = (const volatile unsigned char *)a.p, *y = (const volatile unsigned char *)b.p;
    unsigned char diff = 0;
    for (size_t i = 0; i < a.n; i++)
        diff |= (unsigned char)(x[i] ^ y[i]);
    return diff == 0;
}
