/*
 * Fast Authentication Streamlining Tokens, XEP-0484: loading this offers it. It is part of the streams themselves
 * (core/c2s/c2s_fast.c, core/auth/fast_token.h).
 */
#include "core/module/module.h"

MODULE(mod_auth_fast) = {.name = "mod_auth_fast", .xep = "XEP-0484 0.2.0"};
