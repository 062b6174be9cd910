/*
 * What waiting messages are made of: which are kept (XEP-0160 §3), how they look in the store, when they end (XEP-0023). Pure
 * functions but for the memory they take; nothing suspends.
 */
#ifndef MOD_API_OFFLINE_RULES_H
#define MOD_API_OFFLINE_RULES_H

#include "base/buf.h"
#include "store/spool.h"
#include "xmpp/stanza.h"

enum offline_empty {
    OFFLINE_EMPTY_NEVER,
    OFFLINE_EMPTY_UNLESS_CHAT_STATE, /* unless it says no more than "is typing" */
    OFFLINE_EMPTY_ALWAYS
};

/* Should it wait for its receiver? `groupchat`: those of rooms too. */
bool offline_wants(const struct stanza *s, enum offline_empty empty, bool groupchat);
/* The text to keep: with both addresses, and <delay/> of `host` (XEP-0203) unless it was delayed here before. */
void offline_write(struct buf *out, const struct stanza *s, struct str host, uint64_t wall_us);
/*
 * A kept message as it is delivered now, in an arena of its own: its delay is there, what is left of its time is said. NULL: its
 * time has passed, or (*broken_out) the text is no message.
 */
struct stanza *offline_read(const struct spool_message *m, struct jid owner, int64_t now_s, bool *broken_out);
/* Has its sender's time passed? false when it is no message. */
bool offline_expired(const struct spool_message *m, int64_t now_s);

#endif
