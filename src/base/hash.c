/*
 * SipHash-1-3 (Aumasson, Bernstein): peers choose addresses, so the hash of a table must be keyed and keep its key.
 * The stable hash is the same function with key 0. The key is written once, before threads start.
 */
#include "base/hash.h"
#include "base/rand.h"

static uint64_t key[2];

void hash_seed(void)
{
    rand_bytes(key, sizeof(key));
}

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define ROUND                  \
    do {                       \
        v0 += v1;              \
        v1 = ROTL(v1, 13) ^ v0; \
        v0 = ROTL(v0, 32);     \
        v2 += v3;              \
        v3 = ROTL(v3, 16) ^ v2; \
        v0 += v3;              \
        v3 = ROTL(v3, 21) ^ v0; \
        v2 += v1;              \
        v1 = ROTL(v1, 17) ^ v2; \
        v2 = ROTL(v2, 32);     \
    } while (0)

static inline uint64_t load64(const unsigned char *p)
{
    uint64_t w;
    memcpy(&w, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap64(w);
#endif
    return w;
}

static inline uint64_t load_tail(const unsigned char *p, size_t n)
{
    uint64_t w = 0;
    for (size_t i = 0; i < n; i++)
        w |= (uint64_t)p[i] << (8 * i);
    return w;
}

static inline uint64_t siphash13(uint64_t k0, uint64_t k1, const unsigned char *p, size_t n)
{
    uint64_t v0 = 0x736f6d6570736575ull ^ k0, v1 = 0x646f72616e646f6dull ^ k1;
    uint64_t v2 = 0x6c7967656e657261ull ^ k0, v3 = 0x7465646279746573ull ^ k1;
    size_t words = n / 8;
    for (size_t i = 0; i < words; i++, p += 8) {
        uint64_t w = load64(p);
        v3 ^= w;
        ROUND;
        v0 ^= w;
    }
    /* The last eight bytes in one load when the string is long enough. */
    size_t rest = n & 7;
    uint64_t tail = !rest ? 0 : words ? load64(p + rest - 8) >> (8 * (8 - rest)) : load_tail(p, rest);
    uint64_t last = (uint64_t)n << 56 | tail;
    v3 ^= last;
    ROUND;
    v0 ^= last;
    v2 ^= 0xff;
    ROUND;
    ROUND;
    ROUND;
    return v0 ^ v1 ^ v2 ^ v3;
}

uint64_t hash_bytes(const void *p, size_t n)
{
    return siphash13(key[0], key[1], p, n);
}

uint64_t hash_stable(const void *p, size_t n)
{
    return siphash13(0, 0, p, n);
}
