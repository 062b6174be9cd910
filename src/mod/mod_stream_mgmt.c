/*
 * Stream Management, XEP-0198: loading this offers it. It is part of the streams themselves (core/c2s/c2s_mgmt.c,
 * core/c2s/mgmt.h).
 */
#include "core/module/module.h"

MODULE(mod_stream_mgmt) = {.name = "mod_stream_mgmt", .xep = "XEP-0198 1.6.3"};
