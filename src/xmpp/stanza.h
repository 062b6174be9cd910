/*
 * A stanza on its way: tree, kind and addresses in one arena. Handlers borrow; only the router ends it.
 */
#ifndef XMPP_STANZA_H
#define XMPP_STANZA_H

#include "base/err.h"
#include "xml/node.h"
#include "xmpp/jid.h"

enum stanza_kind { STANZA_MESSAGE, STANZA_PRESENCE, STANZA_IQ };

enum stanza_type {
    ST_NORMAL, /* message without type or with an unknown one */
    ST_CHAT, ST_GROUPCHAT, ST_HEADLINE, ST_ERROR,
    ST_AVAILABLE, /* presence without type */
    ST_UNAVAILABLE, ST_SUBSCRIBE, ST_SUBSCRIBED, ST_UNSUBSCRIBE, ST_UNSUBSCRIBED, ST_PROBE,
    ST_GET, ST_SET, ST_RESULT,
    ST_INVALID /* a value that the kind does not allow */
};

struct cause;
struct stanza_watch;

struct stanza {
    struct arena *arena; /* owns everything here, this struct included */
    struct xml_el *el;
    enum stanza_kind kind;
    enum stanza_type type;
    struct jid from, to; /* prepared; `to` absent: the sender's own account */
    struct str id;
    /* What may be done again after a crash, and which part of it this is (core/c2s/mgmt.h); NULL: nobody would do it again. */
    struct cause *cause;
    uint64_t cause_n;
    struct stanza_watch *watch; /* who waits for its end (core/router_kept.c); not for that of a copy. NULL: nobody */
};

/* Reads kind, type and id off the element (not the addresses); NULL when it is no stanza of jabber:client. */
struct stanza *stanza_of(struct arena *a, struct xml_el *el);
/* New, empty, in its own new arena. type ST_NORMAL/ST_AVAILABLE leave the attribute out. */
struct stanza *stanza_new(enum stanza_kind kind, enum stanza_type type, struct jid from, struct jid to);
/*
 * Why no client may send it, in the words of ejabberd's errors, in the stanza's arena; absent: it is well made. Looks at type, id,
 * and what RFC 6121 §4.7.2 says of show and priority; addresses are the caller's.
 */
struct str stanza_flaw(struct stanza *s);
struct str stanza_bad_attr(struct stanza *s, const char *attr);
/* Sets the from/to attributes of the element from the jids. */
void stanza_stamp(struct stanza *s);
/*
 * Reply skeletons in a new arena: addresses swapped, same id. Without `to` the reply comes from the sender's bare
 * address; when the element has a `to` that could not be prepared, from that text as it is.
 */
struct stanza *stanza_result(const struct stanza *iq);
/*
 * Error reply with the original children included (RFC 6120 §8.3.1), or NULL when none may be sent (to an error, to an
 * IQ result). text may be absent. The text says xml:lang='en'.
 */
struct stanza *stanza_error(const struct stanza *s, enum err_code code, struct str text);
/* The same with free type and condition words (RFC 6120 §8.3.3). */
struct stanza *stanza_error_words(const struct stanza *s, struct str type, struct str condition, struct str text);
/*
 * The copy, new and nobody else's yet, is an effect of s: it has its cause, and s counts as dealt with only when the copy does.
 * Nothing without a cause.
 */
void stanza_follow(struct stanza *copy, const struct stanza *s);
/* A copy for another receiver, in a new arena: nobody waits for it, and it has no cause yet. */
struct stanza *stanza_copy(const struct stanza *s, struct jid to);
/* Ends it. */
void stanza_end(struct stanza **s);
/*
 * Takes out every <stanza-id/> that claims to come from `by`: only that address itself may set it (XEP-0359 §5, and its security
 * considerations: forged ids would point into somebody's archive).
 */
void stanza_id_strip(struct stanza *s, struct jid by);
/* Text of the type attribute; absent for the default one. */
struct str stanza_type_str(enum stanza_type t);

#endif
