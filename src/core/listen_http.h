/* The listener kind ejabberd_http. */
#ifndef CORE_LISTEN_HTTP_H
#define CORE_LISTEN_HTTP_H

#include "core/listeners.h"

extern const struct listen_kind listen_http;

#endif
