/* The listener kind ejabberd_http. */
#ifndef ADMIN_LISTEN_HTTP_H
#define ADMIN_LISTEN_HTTP_H

#include "core/listeners.h"

extern const struct listen_kind listen_http;

#endif
