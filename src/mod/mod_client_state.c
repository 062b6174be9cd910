/* Client State Indication, XEP-0352: loading this offers it. It is part of the streams themselves (core/c2s/c2s_csi.c). */
#include "core/module/module.h"

MODULE(mod_client_state) = {.name = "mod_client_state", .xep = "XEP-0352 1.0.0"};
