/* IP addresses and networks. IPv4-mapped IPv6 is folded to IPv4 at the edge, so rules see one form. */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include "base/arena.h"
#include "base/err.h"
#include <netinet/in.h>

struct ip {
    uint8_t family; /* 4 or 6; 0: none (local socket) */
    uint8_t b[16];
};

struct ip_net {
    struct ip ip;
    uint8_t bits;
};

/* Text form, as ejabberd prints it: "127.0.0.1", "::1", "2001:db8::1". out has room for IP_TEXT_MAX. */
#define IP_TEXT_MAX 48
const char *ip_print(const struct ip *ip, char out[IP_TEXT_MAX]);
/* The same of a peer, for a line of the log: LOG_HIDDEN (base/log.h) when it hides addresses; a local socket has none to hide. */
const char *ip_print_log(const struct ip *ip, bool hide, char out[IP_TEXT_MAX]);
bool ip_parse(struct str text, struct ip *out);
/* "10.0.0.0/8", "::1", "127.0.0.1/8" (host bits are ignored). */
bool ip_net_parse(struct str text, struct ip_net *out);
bool ip_net_has(const struct ip_net *net, const struct ip *ip);
bool ip_is_loopback(const struct ip *ip);
bool ip_eq(const struct ip *a, const struct ip *b);
void ip_from_sockaddr(const struct sockaddr *sa, struct ip *ip_out, uint16_t *port_out);

#endif
