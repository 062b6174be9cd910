/* The listener kind ejabberd_xmlrpc: a port of its own, where every path takes calls. */
#ifndef ADMIN_LISTEN_XMLRPC_H
#define ADMIN_LISTEN_XMLRPC_H

#include "core/listeners.h"

extern const struct listen_kind listen_xmlrpc;

#endif
