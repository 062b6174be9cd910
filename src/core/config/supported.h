/*
 * What a configuration asks for that must not be passed over with a warning: accounts or data would be looked for in the
 * wrong place.
 */
#ifndef CORE_SUPPORTED_H
#define CORE_SUPPORTED_H

#include "core/config/config.h"

/* -1: err says which option of which host, and what is possible. */
int supported_check(const struct config *c, struct error *err);

#endif
