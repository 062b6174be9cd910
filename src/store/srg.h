/*
 * Shared roster groups: tables `sr_group` (options, store/srg_opts.h) and `sr_user` (members, bare addresses as given). As in
 * ejabberd, members may be there for a group that is not.
 */
#ifndef STORE_SRG_H
#define STORE_SRG_H

#include "store/srg_opts.h"
#include "store/store.h"

struct srg_group {
    struct str name;
    struct srg_opts opts;
    bool malformed; /* the options could not be read; opts is empty */
};

/*
 * Names of groups, members of a group, in byte order and behind `after` (absent: from the first), page by page: nothing is held
 * while `fn` waits. fn returning false ends it.
 */
enum store_rc srg_each_name(struct str host, struct str after, bool (*fn)(struct str name, void *arg) YIELDS, void *arg) YIELDS;
enum store_rc srg_each_member(struct str host, struct str name, struct str after, bool (*fn)(struct str jid, void *arg) YIELDS,
                              void *arg) YIELDS;
/* By name. */
enum store_rc srg_list(struct arena *a, struct str host, struct srg_group **out, size_t *n_out) YIELDS;
enum store_rc srg_get(struct arena *a, struct str host, struct str name, struct srg_group *out) YIELDS;
/* Adds, or replaces the options; members stay. */
enum store_rc srg_set(struct str host, struct str name, const struct srg_opts *o) YIELDS;
/* With its members; STORE_NONE when there was no such group. */
enum store_rc srg_remove(struct str host, struct str name) YIELDS;

/* By address. */
enum store_rc srg_members(struct arena *a, struct str host, struct str name, struct str **out, size_t *n_out) YIELDS;
/* By name. */
enum store_rc srg_groups_of(struct arena *a, struct str host, struct str jid, struct str **out, size_t *n_out) YIELDS;
/* STORE_CONFLICT when it is a member already. */
enum store_rc srg_add_member(struct str host, struct str name, struct str jid) YIELDS;
/* STORE_NONE when it was none. */
enum store_rc srg_remove_member(struct str host, struct str name, struct str jid) YIELDS;

#endif
