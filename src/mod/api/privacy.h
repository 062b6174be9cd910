/*
 * Privacy lists (XEP-0016) for mod_blocking and the command privacy_set. At the home shard of the account.
 */
#ifndef MOD_API_PRIVACY_H
#define MOD_API_PRIVACY_H

#include "core/account/session.h"
#include "store/privacy.h"

#define PRIVACY_ITEMS_MAX 10000 /* of one list */
#define PRIVACY_LISTS_MAX 100
#define PRIVACY_NAME_MAX 255    /* bytes */

struct privacy_contact {
    struct str jid, *groups;
    size_t n_groups;
    int subscription; /* enum roster_subscription */
};

struct privacy_named {
    struct str name;
    struct privacy_list list;
};

/* All lists of an account as they were read; does not change. */
struct privacy_lists {
    struct arena *arena; /* owns it */
    unsigned refs;
    const struct privacy_named *lists;
    size_t n;
    const struct privacy_list *by_default; /* NULL: none */
    struct str default_name;
    bool needs_roster; /* some item asks for groups or subscriptions */
    const struct privacy_contact *contacts; /* in order of addresses; only then */
    size_t n_contacts;
};

enum privacy_way { PRIVACY_IN, PRIVACY_OUT };

/* --- mod/privacy_lists.c --- */

/* NULL: the store does not say. Give it back with privacy_release. */
struct privacy_lists *privacy_hold(unsigned host, struct jid owner) YIELDS;
/* What is remembered, or NULL; borrowed until the next suspension. */
const struct privacy_lists *privacy_peek(struct jid owner);
void privacy_release(struct privacy_lists **l);
/* They were changed: what is remembered is not true any more. */
void privacy_forget(struct jid owner);
void privacy_forget_all(void);
const struct privacy_named *privacy_find(const struct privacy_lists *l, struct str name);

/* A list of an account, NULL: none, and what it may ask about. Borrows. */
struct privacy_view {
    const struct account *account;
    const struct privacy_lists *lists;
    const struct privacy_list *list;
};
/* May a stanza of that kind and type pass between the owner and the peer? (§2.2) */
bool privacy_allows(const struct privacy_view *v, enum privacy_way way, enum stanza_kind kind, enum stanza_type type,
                    struct jid peer);

/* --- mod/privacy_effect.c --- */

/*
 * Presence goes out, and comes, to whom a change of lists makes a difference. only: the one session whose list has changed, from
 * only_was; JID_NULL: all of them. What the lists are made of stays held.
 */
void privacy_took_effect(struct account *a, const struct privacy_lists *was, const struct privacy_lists *now, struct jid only,
                         const struct privacy_list *only_was) YIELDS;

/* --- mod_privacy.c --- */

struct privacy_answer {
    enum err_code code; /* ERR_NONE: done */
    const char *text;
    bool undecodable;   /* the query itself is malformed */
};

/* <query xmlns='jabber:iq:privacy'/> of an IQ set; session absent: by an administrator. false: refused. */
bool privacy_change(unsigned host, struct jid owner, struct jid session, const struct xml_el *query,
                    struct privacy_answer *out) YIELDS;
/* The list that counts for a session, or for the account when it has no say (§2.2). */
const struct privacy_list *privacy_list_for(const struct privacy_lists *l, struct jid session);
/* After they were forgotten: presence is put right for all sessions. was: as they were before, held. */
void privacy_lists_changed(unsigned host, struct jid owner, const struct privacy_lists *was) YIELDS;
/* An IQ set to all sessions of the account with this child, which is copied (§2.6). */
void privacy_push(struct jid owner, const struct xml_el *child);
/* <query><list name=''/></query> of a push. */
void privacy_push_list(struct jid owner, struct str name);

#endif
