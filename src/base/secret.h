/* Handling of passwords, keys and tokens. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/str.h"

/* Not optimised away. */
void secret_wipe(void *p, size_t n);
/* Time depends on the lengths only. */
bool secret_eq(struct str a, struct str b);

#endif
