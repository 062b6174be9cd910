/*
 * Presence subscriptions as the account's server sees them (RFC 6121 §3, Appendix A): for every state of a contact and every
 * stanza, going out or coming in, what becomes of both. Constant tables; pure functions, any thread, nothing suspends.
 */
#ifndef CORE_SUBSCRIPTION_H
#define CORE_SUBSCRIPTION_H

#include "store/roster.h"
#include "xmpp/stanza.h"

/* RFC 6121 §A.1. IN: she asked, OUT: we asked. */
enum sub_state {
    SUB_NONE, SUB_NONE_OUT, SUB_NONE_IN, SUB_NONE_OUT_IN, SUB_TO, SUB_TO_IN, SUB_FROM, SUB_FROM_OUT, SUB_BOTH, SUB__COUNT
};

struct sub_step {
    enum sub_state next;
    bool pass;              /* out: it is sent on; in: the account's resources get it */
    enum stanza_type reply; /* in: what the server answers for the account (bare JID); ST_INVALID: nothing */
};

/* Of a request, approval, cancellation or refusal (ST_SUBSCRIBE..ST_UNSUBSCRIBED). */
struct sub_step subscription_out(enum sub_state s, enum stanza_type t);
struct sub_step subscription_in(enum sub_state s, enum stanza_type t);

/* Columns of the store that contradict each other count as the subscription says. */
enum sub_state subscription_state(enum roster_subscription subscription, enum roster_ask ask);
enum roster_subscription subscription_of_state(enum sub_state s);
enum roster_ask subscription_ask_of_state(enum sub_state s);

/* The contact sees our presence; we see hers; she waits for an answer. */
static inline bool sub_sees_us(enum roster_subscription s) { return s == ROSTER_FROM || s == ROSTER_BOTH; }
static inline bool sub_we_see(enum roster_subscription s) { return s == ROSTER_TO || s == ROSTER_BOTH; }
static inline bool sub_waits(enum roster_ask a) { return a == ROSTER_ASK_IN || a == ROSTER_ASK_BOTH; }
/* "none", "to", "from", "both". */
const char *subscription_name(enum roster_subscription s);
bool subscription_parse(struct str word, enum roster_subscription *out);

#endif
