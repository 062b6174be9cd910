/*
 * The roster of an account on its home shard (RFC 6121 §2): of every contact what presence and subscriptions need (address,
 * subscription), read from the store when first needed and kept as long as the account record is (that is, while it has sessions).
 * Names and groups stay in the store. The tables of the store are the truth: every change is written first, then taken over
 * here, then pushed; changes of one account wait for one another in order of arrival. Home shard only.
 */
#ifndef CORE_ROSTER_H
#define CORE_ROSTER_H

#include "core/account/session.h"
#include "core/account/subscription.h"

#define ROSTER_ITEMS_MAX 10000   /* contacts that a client or an administrator may have put there */
#define ROSTER_WAITING_MAX 1000  /* strangers whose requests wait */
#define ROSTER_GROUPS_MAX 100    /* of one contact */
#define ROSTER_TEXT_MAX 1023     /* bytes of a name or a group, RFC 6121 §2.3.3 */

struct contact {
    struct map_node node;
    uint16_t user_len, host_len, res_len;
    uint8_t subscription;  /* enum roster_subscription */
    uint8_t ask;           /* enum roster_ask */
    uint8_t approved : 1;  /* RFC 6121 §3.4 */
    uint8_t hidden : 1;    /* there only because she asked: clients do not see it (§3.1.3) */
    char address[];
};

static inline struct jid contact_jid(const struct contact *c)
{
    return (struct jid){c->address, c->user_len, c->host_len, c->res_len};
}

/* Is there a roster for the accounts of this host (mod_roster is loaded)? */
bool roster_on(unsigned host);
/*
 * Makes sure that the roster is in memory; STORE_OK also where there are no rosters (it is empty then). The account is pinned or
 * has a session that stays.
 */
enum store_rc account_roster_load(struct account *a) YIELDS;
/* The same, and holds it against other changes until account_roster_unlock; not held unless STORE_OK. First come, first served. */
enum store_rc account_roster_lock(struct account *a) YIELDS;
void account_roster_unlock(struct account *a);
void account_roster_free(struct account *a);
/* This shard's rosters of a host are read again before they are used again; until then presence goes by what is there. */
void rosters_stale(unsigned host);

bool account_roster_is_loaded(const struct account *a);
/* Of a loaded roster. NULL: no such contact, or none loaded. */
struct contact *account_contact(const struct account *a, struct jid who);
/* One after the other; NULL first and at the end. Nothing may suspend in between. */
struct contact *account_contact_next(const struct account *a, const struct contact *prev);
/* How many clients see; how many wait for an answer. */
size_t account_contacts_visible(const struct account *a);
size_t account_contacts_waiting(const struct account *a);
/* Does the account's owner let this address see his presence? Himself, too. For modules; false when the store does not answer. */
bool account_shows_presence_to(struct account *a, struct jid who) YIELDS;
/* Of a loaded roster, with what modules add: who sees whose presence. */
enum roster_subscription account_subscription(const struct account *a, struct jid who);

/*
 * Everything for a client, with the items that modules add (hook roster_load): lives in `arena`. Under the lock. ver_out: text of
 * the version (XEP-0237); "0": none, never equal to a client's.
 */
enum store_rc account_roster_items(struct account *a, struct arena *arena, struct roster *out, struct str *ver_out) YIELDS;
/*
 * For a client that has version `known` (absent: none): takes the lock, which is held on STORE_OK and STORE_NONE; the latter:
 * what it has is current.
 */
enum store_rc account_roster_read(struct account *a, struct arena *arena, struct str known, struct roster *out,
                                  struct str *ver_out) YIELDS;
/* The item of a contact as stored; an empty new one when there is none. Under the lock. */
enum store_rc account_roster_item(struct account *a, struct arena *arena, struct jid who, struct roster_item *out) YIELDS;
/* Clients see her from now on: one of them has put her there. */
void account_contact_reveal(struct account *a, struct contact *c);
bool roster_item_hidden(const struct roster_item *i);

/*
 * Changes, under the lock: write, take over, push. On anything but STORE_OK nothing has changed. Room for one more is the
 * caller's to ask (roster_full).
 */
enum store_rc account_roster_put(struct account *a, const struct roster_item *items, size_t n) YIELDS;
/* One item; between writing and pushing says what the change comes from (§3.1.6). */
enum store_rc account_roster_put_because(struct account *a, const struct roster_item *item,
                                         void (*say)(struct account *a, const struct stanza *s), const struct stanza *s) YIELDS;
/* STORE_NONE: none of them was there. */
enum store_rc account_roster_remove(struct account *a, const struct jid *who, size_t n) YIELDS;
bool roster_full(const struct account *a, bool for_request, size_t more);
/* Tells clients what is, without a change (a contact that was not there and is removed). */
void account_roster_push_removed(struct account *a, struct jid who);

/* What modules add about a contact; false: nothing. Labels only with an arena. */
bool account_shared_contact(const struct account *a, struct arena *arena, struct jid who, struct contact_look *out);
/* Do they add any? The roster need not be loaded. */
bool account_has_shared(struct account *a) YIELDS;
/* How many contacts clients see only because of them, of a loaded roster. */
size_t account_contacts_shared(const struct account *a);
/*
 * What modules add about a contact has changed: tells clients, under the lock. `gone`: the groups it was shown in. The version of
 * what was added moves on by `step` where it was computed before the change (roster_event.generation `from`).
 */
enum store_rc account_roster_push_shared(struct account *a, struct jid who, const struct str *gone, size_t n_gone, uint64_t from,
                                         uint64_t step) YIELDS;
/* All such changes up to this generation were told. */
void account_roster_shared_now(struct account *a, uint64_t from, uint64_t to);

/* The store has removed it already, by itself: takes that over and pushes. */
void account_roster_removed(struct account *a, struct jid who, int64_t version);

/* A stored item with what modules add. The labels go on living where they are. */
void roster_item_share(struct arena *arena, struct roster_item *i, const struct contact_look *shared);
/* <item/> for a client. */
void roster_item_write(struct arena *arena, struct xml_el *query, const struct roster_item *i);

#endif
