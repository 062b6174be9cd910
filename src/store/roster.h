/*
 * Rosters (RFC 6121 §2, versions XEP-0237): tables `rosterusers`, `rostergroups`, `roster_version`. One row per contact,
 * subscriptions that are only asked for included; which of them a client sees is the caller's rule. Names and addresses are
 * prepared. Columns that ejabberd fills and never reads: server 'N', type 'item', subscribe '' (here: 'approved' for a
 * contact who will be let in when she asks, RFC 6121 §3.4).
 */
#ifndef STORE_ROSTER_H
#define STORE_ROSTER_H

#include "store/pattern.h"
#include "store/store.h"

/* The letters in the columns. Other letters read as NONE. */
enum roster_subscription { ROSTER_NONE = 'N', ROSTER_TO = 'T', ROSTER_FROM = 'F', ROSTER_BOTH = 'B' };
/* Who waits for whom: we asked (out), she asked (in). ejabberd's S (subscribe) reads as OUT, its U as NONE. */
enum roster_ask { ROSTER_ASK_NONE = 'N', ROSTER_ASK_OUT = 'O', ROSTER_ASK_IN = 'I', ROSTER_ASK_BOTH = 'B' };

struct roster_item {
    struct str jid, nick;
    enum roster_subscription subscription;
    enum roster_ask ask;
    struct str ask_message; /* of a request that came in */
    bool approved;
    struct str *groups; /* in the order in which they were written */
    size_t n_groups;
};

struct roster {
    struct roster_item *items; /* in byte order of addresses */
    size_t n;
    int64_t version; /* 0: none yet, or one that another server wrote */
};

/*
 * The whole roster; an empty one is STORE_OK. Lives as long as `a`. When somebody writes meanwhile, the items may be newer than
 * the version, never older.
 */
enum store_rc roster_load(struct arena *a, struct str host, struct str user, struct roster *out) YIELDS;
enum store_rc roster_get(struct arena *a, struct str host, struct str user, struct str jid, struct roster_item *out) YIELDS;
/* Those who asked and got no answer yet. */
enum store_rc roster_pending(struct arena *a, struct str host, struct str user, struct roster *out) YIELDS;
/* Of the contacts that the account knows: without those who only asked (roster_item_hidden in core/account/roster.h). */
enum store_rc roster_count(struct str host, struct str user, uint64_t *out) YIELDS;
/* 0: none, or another server's. */
enum store_rc roster_version(struct str host, struct str user, int64_t *out) YIELDS;

/*
 * Adds or replaces, in one transaction, and gives the roster a new version: larger than every one that this account's roster
 * ever had, also when the account was removed meanwhile (it follows the clock). version_out may be NULL.
 */
enum store_rc roster_set(struct str host, struct str user, const struct roster_item *items, size_t n, int64_t *version_out) YIELDS;
/* In one transaction; STORE_NONE when none of them was there. */
enum store_rc roster_remove(struct str host, struct str user, const struct str *jids, size_t n, int64_t *version_out) YIELDS;
/* All contacts; STORE_NONE when there was none. */
enum store_rc roster_remove_all(struct str host, struct str user, int64_t *version_out) YIELDS;

/* --- over all accounts of a host --- */

struct roster_filter {
    struct str subscriptions, asks;  /* letters that may be; absent: any */
    const struct pattern *users;     /* one of them fits "user@host"; n_users 0: any */
    size_t n_users;
    const struct pattern *contacts;  /* one of them fits the contact's address; 0: any */
    size_t n_contacts;
};

struct roster_match {
    struct str user;
    struct roster_item item; /* without groups */
};

/*
 * Every contact that passes, in byte order of "user@host" and then of the contact's address, in pages of bounded memory; between
 * two pages nothing of the database is held. Who writes meanwhile may be seen or not. The filter is borrowed until the end.
 * page: rows looked at at once, 0: as many as are good for one scan.
 */
struct roster_scan;
struct roster_scan *roster_scan_new(struct str host, const struct roster_filter *f, size_t page);
/* NULL at the end, or when it failed. Good until the next call. */
const struct roster_match *roster_scan_next(struct roster_scan *s) YIELDS;
enum store_rc roster_scan_end(struct roster_scan **s);

#endif
