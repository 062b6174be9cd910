/* Addresses and networks of configurations, commands and proxy headers: what is read is printed and read again as the same. */
#include "net/addr.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool x)
{
    if (!x)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_n((const char *)data, size);
    struct ip ip, again;
    struct ip_net net;
    char words[IP_TEXT_MAX];
    if (ip_parse(text, &ip)) {
        require(ip.family == 4 || ip.family == 6);
        require(ip_parse(str_of(ip_print(&ip, words)), &again) && ip_eq(&ip, &again));
    }
    if (ip_net_parse(text, &net)) {
        require(net.bits <= (net.ip.family == 4 ? 32 : 128));
        require(ip_net_has(&net, &net.ip));
        ip_print(&net.ip, words);
    }
    return 0;
}
