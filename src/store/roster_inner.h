/* Between store/roster.c and store/roster_filter.c. */
#ifndef STORE_ROSTER_INNER_H
#define STORE_ROSTER_INNER_H

#include "store/roster.h"
#include "store/rows.h"

/* Columns ROSTER_COLUMNS; a struct roster_item. */
bool roster_read_item(const struct sql_query *q, struct rows *r, void *row_out);
/* One contact with groups; *touched_out: whether it was there. */
enum store_rc roster_delete_in(struct sql_conn *c, struct str host, struct str user, struct str jid, int64_t *touched_out);
enum store_rc roster_new_version(struct sql_conn *c, struct str host, struct str user, int64_t *out);

#endif
