/*
 * XML-RPC: reading a call, writing results and faults. The handler itself (xmlrpc.c) is found by its name ejabberd_xmlrpc, as
 * a kind of listener and as a request handler. Nothing here suspends.
 */
#ifndef ADMIN_XMLRPC_H
#define ADMIN_XMLRPC_H

#include "admin/args_tree.h"

#define XMLRPC_MAX_DEPTH 16  /* values inside values */
#define XMLRPC_MAX_PARAMS 8

struct xmlrpc_call {
    struct str method;
    struct tree params[XMLRPC_MAX_PARAMS];
    size_t n;
};

/* NULL, or what is wrong. Everything lives in `a`; bounded by the parser's number of elements. */
const char *xmlrpc_parse(struct arena *a, struct str body, struct xmlrpc_call *out);

/* A whole answer. Characters that XML does not allow become U+FFFD. */
void xmlrpc_out_result(struct buf *out, const struct cmd_call *c);
void xmlrpc_out_fault(struct buf *out, int code, struct str text);
/* The same for a list result, element by element. */
void xmlrpc_out_list_open(struct buf *out, const struct type *list);
void xmlrpc_out_list_row(struct buf *out, const struct type *list, const struct value *row);
void xmlrpc_out_list_close(struct buf *out);

#endif
