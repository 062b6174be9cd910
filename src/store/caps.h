/*
 * What clients can do, by what they announce (XEP-0115, XEP-0390): table `caps_features`, a row for each feature of a node and its
 * verification string. Only what was verified is written here.
 */
#ifndef STORE_CAPS_H
#define STORE_CAPS_H

#include "store/store.h"

#define CAPS_STORED_MAX 200000 /* rows; beyond, the oldest quarter goes: clients ask for any hash they like */

/* At most `max` features. STORE_NONE when nothing is known. */
enum store_rc caps_get(struct arena *a, struct str node, struct str ver, size_t max, struct str **out, size_t *n_out) YIELDS;
/* In place of what was there. */
enum store_rc caps_set(struct str node, struct str ver, const struct str *features, size_t n) YIELDS;

#endif
