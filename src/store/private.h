/* Private XML (XEP-0049): table `private_storage`, an element per account and namespace, bans of accounts among them. */
#ifndef STORE_PRIVATE_H
#define STORE_PRIVATE_H

#include "store/store.h"

struct private_element {
    struct str ns, xml;
};

enum store_rc private_get(struct arena *a, struct str host, struct str user, struct str ns, struct str *xml_out) YIELDS;
/* All of an account, by namespace. */
enum store_rc private_list(struct arena *a, struct str host, struct str user, struct private_element **out, size_t *n_out) YIELDS;
/* Adds or replaces, all in one transaction. */
enum store_rc private_set(struct str host, struct str user, const struct private_element *e, size_t n) YIELDS;
/* STORE_NONE when it was not there. */
enum store_rc private_remove(struct str host, struct str user, struct str ns) YIELDS;
enum store_rc private_remove_all(struct str host, struct str user) YIELDS;

#endif
