/* What store/sm.c needs of the spool inside its own transaction. */
#ifndef STORE_SPOOL_INNER_H
#define STORE_SPOOL_INNER_H

#include "store/rows.h"

enum store_rc spool_add_in(struct sql_conn *c, struct str host, struct str user, struct str xml, int64_t stored_s, uint64_t max);

#endif
