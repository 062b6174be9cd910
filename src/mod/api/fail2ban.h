/* Addresses that failed to log in too often (mod_fail2ban), for the command unban_ip. */
#ifndef MOD_API_FAIL2BAN_H
#define MOD_API_FAIL2BAN_H

#include "net/addr.h"

/* Forgets all failures from a network; of how many addresses. */
int fail2ban_forget(const struct ip_net *net, unsigned *forgotten_out, struct error *err) YIELDS;

#endif
