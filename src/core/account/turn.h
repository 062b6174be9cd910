/*
 * Turns of an account: who reads something of it, changes it and writes all of it back does so in turn, in order of arrival. Of
 * two that had read the same, the second would undo what the first has acknowledged. The home shard of the account only.
 */
#ifndef CORE_TURN_H
#define CORE_TURN_H

#include "base/list.h"
#include "rt/fiber.h"
#include "xmpp/jid.h"

enum turn_kind { TURN_VCARD, TURN_PRIVACY };

/* On the stack of the fiber that takes it. */
struct account_turn {
    struct list link;
    enum turn_kind kind;
    struct jid owner;
    struct fiber *fiber;
};

/* Suspends while others have it; the owner's text stays until the end. Not again before the end: it would wait for itself. */
void account_turn_begin(struct account_turn *t, enum turn_kind kind, struct jid owner) YIELDS;
void account_turn_end(struct account_turn *t);

#endif
