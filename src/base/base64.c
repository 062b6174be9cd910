/* Base64 and hex. Pure functions, any thread. */
#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct str base64_encode(struct arena *a, struct str bytes)
{
    size_t n = (bytes.n + 2) / 3 * 4;
    char *out = arena_alloc(a, n + 1), *o = out;
    const unsigned char *p = (const unsigned char *)bytes.p;
    size_t left = bytes.n;
    for (; left >= 3; left -= 3, p += 3) {
        uint32_t w = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        *o++ = alphabet[w >> 18];
        *o++ = alphabet[w >> 12 & 63];
        *o++ = alphabet[w >> 6 & 63];
        *o++ = alphabet[w & 63];
    }
    if (left) {
        uint32_t w = (uint32_t)p[0] << 16 | (left == 2 ? (uint32_t)p[1] << 8 : 0);
        *o++ = alphabet[w >> 18];
        *o++ = alphabet[w >> 12 & 63];
        *o++ = left == 2 ? alphabet[w >> 6 & 63] : '=';
        *o++ = '=';
    }
    *o = '\0';
    return str_n(out, n);
}

/* Computed rather than looked up: a table index would tell a shared cache about the bytes of a password. */
static inline int value_of(unsigned char c)
{
    int v = -1;
    v += ((('A' - 1 - c) & (c - 'Z' - 1)) >> 8) & (c - 'A' + 1);
    v += ((('a' - 1 - c) & (c - 'z' - 1)) >> 8) & (c - 'a' + 27);
    v += ((('0' - 1 - c) & (c - '9' - 1)) >> 8) & (c - '0' + 53);
    v += ((('+' - 1 - c) & (c - '+' - 1)) >> 8) & 63;
    v += ((('/' - 1 - c) & (c - '/' - 1)) >> 8) & 64;
    return v;
}

bool base64_decode(struct arena *a, struct str text, struct str *out)
{
    if (text.n % 4)
        return false;
    size_t pad = 0;
    while (pad < 2 && pad < text.n && text.p[text.n - 1 - pad] == '=')
        pad++;
    size_t n = text.n / 4 * 3 - pad;
    char *bytes = arena_alloc(a, n + 3), *o = bytes;
    const unsigned char *p = (const unsigned char *)text.p;
    for (size_t i = 0; i < text.n; i += 4) {
        uint32_t w = 0;
        int bad = 0;
        for (size_t j = 0; j < 4; j++) {
            int v = i + j >= text.n - pad ? 0 : value_of(p[i + j]);
            bad |= v;
            w = w << 6 | (uint32_t)(v & 63);
        }
        if (bad < 0)
            return false;
        *o++ = (char)(w >> 16);
        *o++ = (char)(w >> 8);
        *o++ = (char)w;
    }
    /* RFC 4648 §3.5: bits that padding leaves over are zero, else two texts mean the same bytes. */
    for (size_t i = 0; i < pad; i++)
        if (bytes[n + i])
            return false;
    bytes[n] = '\0';
    *out = str_n(bytes, n);
    return true;
}

struct str hex_encode(struct arena *a, struct str bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *out = arena_alloc(a, bytes.n * 2 + 1), *o = out;
    for (size_t i = 0; i < bytes.n; i++) {
        unsigned char c = (unsigned char)bytes.p[i];
        *o++ = digits[c >> 4];
        *o++ = digits[c & 15];
    }
    *o = '\0';
    return str_n(out, bytes.n * 2);
}
