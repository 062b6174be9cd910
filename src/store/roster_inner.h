/* Between store/roster.c and store/roster_scan.c. */
#ifndef STORE_ROSTER_INNER_H
#define STORE_ROSTER_INNER_H

#include "store/roster.h"
#include "store/rows.h"

/* Columns ROSTER_COLUMNS; a struct roster_item. */
bool roster_read_item(const struct sql_query *q, struct rows *r, void *row_out);

#endif
