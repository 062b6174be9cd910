/* What only the store can: keys for SCRAM. */
#ifndef CORE_AUTH_INTERNAL_H
#define CORE_AUTH_INTERNAL_H

#include "core/auth/auth_method.h"

/* ERR_NOT_FOUND: no such account, or no usable form. Copied into a, which is marked secret. */
int auth_internal_keys(struct arena *a, const struct auth_ask *q, enum scram_hash h, struct scram_keys *out,
                       struct error *err) YIELDS;

#endif
