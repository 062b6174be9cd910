/*
 * A protocol of lines that makes a connection do everything it can. Unfinished lines are left to the connection.
 *   echo X   slow X (suspends first)   quit   abort   late (aborted by a timer while on_bytes waits)   big N   shared N
 *   move   pause   one (from here on one line is used per call)   ip   limit N   sendtimeout MS   shape RATE BURST
 *   tls (STARTTLS)   who (version, cipher, SNI, ALPN)   cb TYPE (channel binding in hex)
 */
#ifndef TESTS_NET_LINE_SERVER_H
#define TESTS_NET_LINE_SERVER_H

#include "net/listener.h"

void line_accept(struct conn *c);

extern struct line_stats {
    unsigned accepted, closed, overflows, tls; /* atomic */
    const char *why;                           /* of the last one that closed; atomic */
} line_stats;
extern struct tls_ctx *line_tls_ctx; /* for STARTTLS */
void line_reset(void);

#endif
