/* Text made comparable for searching: case folded (RFC 3454 table B.2) and in NFKC. Nothing suspends, any thread. */
#ifndef XMPP_CASEFOLD_H
#define XMPP_CASEFOLD_H

#include "base/arena.h"

/* The result lives in the arena or is the input. Text that is not UTF-8 stays as it is. */
struct str casefold(struct arena *a, struct str in);

#endif
