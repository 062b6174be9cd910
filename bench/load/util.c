/* Small helpers: clock, base64, fixed-width hex, text search. */
#include "load.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

size_t base64_encode(const void *in, size_t len, char *out)
{
    return (size_t)EVP_EncodeBlock((unsigned char *)out, in, (int)len);
}

ssize_t base64_decode(const char *in, size_t len, void *out)
{
    if (len == 0 || len % 4 != 0)
        return -1;
    int n = EVP_DecodeBlock(out, (const unsigned char *)in, (int)len);
    if (n < 0)
        return -1;
    for (size_t i = len; i > len - 2 && in[i - 1] == '='; i--)
        n--;
    return n;
}

void hex16(uint64_t value, char *out)
{
    for (int i = 15; i >= 0; i--, value >>= 4)
        out[i] = "0123456789abcdef"[value & 15];
}

bool unhex16(const char *in, uint64_t *value_out)
{
    uint64_t value = 0;
    for (int i = 0; i < 16; i++) {
        unsigned digit = (unsigned char)in[i];
        if (digit - '0' < 10)
            digit -= '0';
        else if (digit - 'a' < 6)
            digit -= 'a' - 10;
        else
            return false;
        value = value << 4 | digit;
    }
    *value_out = value;
    return true;
}

bool attribute(const char *in, size_t len, const char *name, char *out, size_t size)
{
    const char *end = memchr(in, '>', len), *p = end ? memmem(in, (size_t)(end - in), name, strlen(name)) : NULL;
    if (!p)
        return false;
    p += strlen(name);
    const char quote[2] = {*p++, 0};
    const char *stop = p < end ? memchr(p, quote[0], (size_t)(end - p)) : NULL;
    if (!stop || (size_t)(stop - p) >= size)
        return false;
    memcpy(out, p, (size_t)(stop - p));
    out[stop - p] = 0;
    return true;
}

bool text_between(const char *in, size_t len, const char *before, const char *after, char *out, size_t size)
{
    const char *start = memmem(in, len, before, strlen(before));
    if (!start)
        return false;
    start += strlen(before);
    const char *end = memmem(start, len - (size_t)(start - in), after, strlen(after));
    if (!end || (size_t)(end - start) >= size)
        return false;
    memcpy(out, start, (size_t)(end - start));
    out[end - start] = 0;
    return true;
}
