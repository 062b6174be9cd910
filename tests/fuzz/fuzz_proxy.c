/* PROXY headers from arbitrary bytes: the outcome must not depend on how they are cut, and nothing behind is taken. */
#include "net/proxy.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define CHECK(cond)  \
    do {             \
        if (!(cond)) \
            abort(); \
    } while (0)

static enum proxy_result feed(const char *p, size_t n, size_t step, size_t *used_out, struct ip *ip, uint16_t *port)
{
    struct proxy x = {0};
    enum proxy_result r = PROXY_MORE;
    *used_out = 0;
    *ip = (struct ip){0};
    *port = 0;
    while (r == PROXY_MORE && *used_out < n) {
        size_t left = n - *used_out, k = left < step ? left : step, used;
        r = proxy_feed(&x, p + *used_out, k, &used, ip, port);
        CHECK(used <= k && (r != PROXY_MORE || used == k));
        *used_out += used;
    }
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    size_t used_a, used_b;
    struct ip ip_a, ip_b;
    uint16_t port_a, port_b;
    if (n < 2)
        return 0;
    const char *p = (const char *)data + 1;
    enum proxy_result a = feed(p, n - 1, n, &used_a, &ip_a, &port_a);
    enum proxy_result b = feed(p, n - 1, 1u + data[0] % 9, &used_b, &ip_b, &port_b);
    CHECK(a == b);
    if (a != PROXY_DONE)
        return 0;
    CHECK(used_a == used_b && ip_eq(&ip_a, &ip_b) && port_a == port_b && (ip_a.family == 4 || ip_a.family == 6));
    char text[IP_TEXT_MAX];
    struct ip again;
    CHECK(ip_parse(str_of(ip_print(&ip_a, text)), &again) && ip_eq(&ip_a, &again));
    return 0;
}
