/* Tables: created at the first start, checked at every other, brought up in numbered steps. Blocks; never suspends. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include "store/sql.h"

/*
 * In one transaction of c. ERR_UNAVAILABLE locked or full; ERR_CONFIG when the database has the other layout or a newer
 * or a too old schema: nothing was changed then. The words do not name the database: the caller does.
 */
int schema_ensure(struct sql_conn *c, struct error *err);

#endif
