/*
 * SASL Upgrade Tasks for SCRAM, XEP-0480: loading this offers them. They are part of the streams themselves
 * (core/c2s/c2s_upgrade.c).
 */
#include "core/module/module.h"

MODULE(mod_scram_upgrade) = {.name = "mod_scram_upgrade", .xep = "XEP-0480 0.2.0"};
