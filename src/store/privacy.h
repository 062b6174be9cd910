/*
 * Privacy lists (XEP-0016), on which blocking (XEP-0191) stands: tables `privacy_list` (names), `privacy_list_data` (items),
 * `privacy_default_list`.
 */
#ifndef STORE_PRIVACY_H
#define STORE_PRIVACY_H

#include "store/store.h"

/* The letters in the column t. */
enum privacy_type { PRIVACY_ANY = 'n', PRIVACY_JID = 'j', PRIVACY_GROUP = 'g', PRIVACY_SUBSCRIPTION = 's' };

struct privacy_item {
    enum privacy_type type;
    struct str value; /* address, group, or none, to, from, both */
    bool allow;       /* otherwise deny */
    int64_t order;
    bool match_all, match_iq, match_message, match_presence_in, match_presence_out;
};

struct privacy_list {
    struct privacy_item *items; /* by order */
    size_t n;
};

/* STORE_NONE when there is no list of that name. */
enum store_rc privacy_get(struct arena *a, struct str host, struct str user, struct str name, struct privacy_list *out) YIELDS;
/* By name. */
enum store_rc privacy_names(struct arena *a, struct str host, struct str user, struct str **out, size_t *n_out) YIELDS;
/* Replaces the list of that name; with `make_default` it is the default one from the same moment on. */
enum store_rc privacy_set(struct str host, struct str user, struct str name, const struct privacy_list *l,
                          bool make_default) YIELDS;
/* STORE_NONE when it was not there; STORE_CONFLICT when it is the default one. */
enum store_rc privacy_remove(struct str host, struct str user, struct str name) YIELDS;
enum store_rc privacy_remove_all(struct str host, struct str user) YIELDS;

/* The name of the default list; STORE_NONE when there is none. */
enum store_rc privacy_get_default(struct arena *a, struct str host, struct str user, struct str *name_out) YIELDS;
/* STORE_NONE when there is no such list. */
enum store_rc privacy_set_default(struct str host, struct str user, struct str name) YIELDS;
/* STORE_NONE when there was none. */
enum store_rc privacy_unset_default(struct str host, struct str user) YIELDS;

#endif
