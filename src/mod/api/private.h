/* Private XML (XEP-0049) for others than mod_private. */
#ifndef MOD_API_PRIVATE_H
#define MOD_API_PRIVATE_H

#include "store/store.h"
#include "xml/node.h"

/* Stores elements under their namespaces, all or none; at most 64. */
enum store_rc private_save(struct str host, struct str user, struct xml_el *const *els, size_t n) YIELDS;
/* What is stored under the namespace of `wanted`, parsed into `a`; an empty element like `wanted` when there is nothing. */
enum store_rc private_load(struct arena *a, struct str host, struct str user, const struct xml_el *wanted,
                           struct xml_el **out) YIELDS;

#endif
