/*
 * What subscriptions do (RFC 6121 §3) at the home of an account: requests and answers that its clients send and that reach it,
 * contacts that are taken out, rosters that an administrator changes. Each is one change of the roster (core/account/roster.h), and
 * tells those who gain or lose sight of presence. All wait for their turn and for the store.
 */
#ifndef CORE_SUBSCRIBE_H
#define CORE_SUBSCRIBE_H

#include "core/account/roster.h"

static inline bool stanza_is_subscription(const struct stanza *s)
{
    return s->kind == STANZA_PRESENCE && s->type >= ST_SUBSCRIBE && s->type <= ST_UNSUBSCRIBED;
}

/* Without mod_roster nobody keeps subscriptions: such stanzas are presence like any other. */
static inline bool subscribe_has_rules(const struct account *a) { return roster_on(a->host); }

/* From one of the account's clients; takes it. When the store refuses, the client gets an error and nothing has happened. */
void subscribe_send(struct account *a, struct stanza **s) YIELDS;
/* For the account; takes it. Never delivered in states where the RFC forbids it. */
void subscribe_receive(struct account *a, struct stanza **s) YIELDS;

/* A client's change of name and groups (§2.3, §2.4). STORE_LIMIT: the roster is full. */
enum store_rc subscribe_edit(struct account *a, struct jid who, struct str nick, struct str *groups, size_t n_groups) YIELDS;
/* Takes a contact out (§2.5) and ends subscriptions both ways; clients are told even if she was not there. */
enum store_rc subscribe_remove(struct account *a, struct jid who) YIELDS;
/* An administrator's: one side only, whatever the other thinks of it. All items or none; who: their addresses. */
enum store_rc subscribe_impose(struct account *a, const struct roster_item *items, const struct jid *who, size_t n) YIELDS;
/* All of them in one transaction; STORE_NONE: none was there. */
enum store_rc subscribe_impose_removal(struct account *a, const struct jid *who, size_t n) YIELDS;
/* What modules add about a contact has changed, and was so much before: presence follows. Under the lock. */
void subscribe_shared_changed(struct account *a, struct jid who, enum roster_subscription was);
/* The store has lost it already, with this version of the roster. */
void subscribe_removed(struct account *a, struct jid who, int64_t version) YIELDS;
/*
 * The end of an account at its home: everything that the store has of it goes in one transaction (store/account.h), then its
 * contacts are told, who would wait for an answer or for presence otherwise. Sessions go on, the caller ends them.
 */
enum store_rc account_erase(struct str host, struct str user, int64_t *tokens_out) YIELDS;

#endif
