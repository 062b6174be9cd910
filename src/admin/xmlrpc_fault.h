/* Faults of XML-RPC calls, with the numbers and words that ejabberd's clients know. Nothing suspends. */
#ifndef ADMIN_XMLRPC_FAULT_H
#define ADMIN_XMLRPC_FAULT_H

#include "admin/xmlrpc.h"

enum {
    XMLRPC_UNKNOWN_CALL = -112, /* no such command, or parameters that are not understood */
    XMLRPC_DOUBLED = -114,
    XMLRPC_MISSING = -116,
    XMLRPC_PROBLEM = -118, /* credentials, permission, and whatever the command says */
    XMLRPC_UNUSED = -120,
    XMLRPC_UNFIT = -122
};

/* Whole answers. Secret arguments are shown as "***". */
void xmlrpc_fault(struct buf *out, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
void xmlrpc_fault_binding(struct buf *out, const struct cmd_call *c, const struct tree *args, const struct tree_problem *p);
void xmlrpc_fault_failure(struct buf *out, const struct cmd_call *c, const struct tree *args);

#endif
