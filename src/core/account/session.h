/*
 * What an online account is made of, on its home shard. Owned by core/account/account.c; only that shard touches it.
 */
#ifndef CORE_SESSION_H
#define CORE_SESSION_H

#include "base/list.h"
#include "base/map.h"
#include "base/order.h"
#include "core/account/account.h"
#include "core/hooks.h"

struct c2s;
struct account_roster;
struct directed;
struct mgmt;

/* Index of a host that the configuration does not have any more: no modules, not counted. */
#define HOST_NONE ((unsigned)-1)

enum show { SHOW_UNAVAILABLE, SHOW_AVAILABLE, SHOW_CHAT, SHOW_AWAY, SHOW_XA, SHOW_DND, SHOW__COUNT };

struct account {
    struct map_node node;
    struct list sessions;
    struct list inbox;         /* stanzas that wait for their turn, struct inbound of core/account/deliver.c */
    uint32_t inbox_n;
    uint32_t pins;             /* who keeps it besides its sessions */
    struct account_roster *roster; /* core/account/roster.h; NULL: not needed yet */
    bool stranger;             /* core/account/stranger.h: goes with its last session */
    bool erasing;              /* it is going */
    bool receiving;            /* a fiber is at work on a stanza for it: later ones wait */
    bool some_deaf;            /* session.deaf of one of them */
    unsigned host;             /* index in the configuration */
    uint16_t user_len, host_len;
    char bare[];               /* "user@host" */
};

struct session {
    struct list link;          /* in the account */
    struct order_node all;     /* in the shard */
    struct account *account;
    struct c2s *owner;         /* the stream; sessions without one come with stream management */
    uint64_t bound_ms;
    int8_t priority;           /* meaningful when available */
    uint8_t show;
    bool had_presence, closing;
    bool interested;           /* asked for the roster: gets its changes (RFC 6121 §2.1.6) */
    struct directed *directed; /* core/account/presence.c: who got presence of its own, newest first */
    uint16_t directed_n;
    struct mgmt *mgmt;         /* core/c2s/mgmt.h; NULL: no stream management */
    bool carbons;              /* XEP-0280: wants copies */
    bool keeps_offline;        /* XEP-0013: asked about waiting messages, fetches them itself */
    bool takes_offline;        /* XEP-0160: was available with non-negative priority when presence last changed */
    bool orphan;               /* its account was removed: nothing more is kept for it */
    bool offline_due;          /* they are coming, or the rest is due when it goes on: what comes now belongs behind them */
    bool took;                 /* only while a message is being delivered: this one got it */
    bool deaf;                 /* only while a stanza to the bare JID is being dealt with: this one must not get it */
    char *presence;            /* text of the last available presence, without `to`; NULL when unavailable */
    uint32_t presence_len;
    uint16_t res_len;
    char full[];               /* "user@host/res" */
};

static inline struct jid session_jid(const struct session *s)
{
    return (struct jid){s->full, s->account->user_len, s->account->host_len, s->res_len};
}
static inline struct jid account_jid(const struct account *a) { return (struct jid){a->bare, a->user_len, a->host_len, 0}; }
static inline bool session_available(const struct session *s) { return s->show != SHOW_UNAVAILABLE && !s->closing; }
/*
 * The available session at that place of the account's, from 0; NULL: no more. For loops that send: handlers may run then, and
 * these may end sessions, so each is looked up by its place again.
 */
struct session *session_available_at(struct account *a, size_t place);

void account_shard_start(void);
void account_shard_stop(void);
/* NULL when nobody of that account is online here and nothing is going on with it. Prepared parts. */
struct account *account_find(struct str user, struct str host);
/* The account, made when needed, whether it exists in the store or not; it stays until as many account_unpin. */
struct account *account_pin(unsigned host, struct jid bare);
void account_unpin(struct account *a);
static inline void account_pin_again(struct account *a) { a->pins++; }
struct session *session_find(struct account *a, struct str resource);
/* Adds a session to its account (made when needed). The resource must be free. The owner keeps it, then calls session_opened. */
struct session *session_open(unsigned host, struct jid full, struct c2s *owner);
/* Runs session_opened; a handler may end the session. Not to be used afterwards without looking it up. */
void session_opened(struct session *s) YIELDS;
/*
 * Runs session_closed, tells the other resources (unavailable), takes it out of the tables. The memory of the session, and of
 * the account with its last one, stays until the end of the loop turn.
 */
void session_close(struct session **s, const char *reason);
/*
 * Stanza at the home of the account: RFC 6121 §8.5. Takes it. One after the other for each account, in order of arrival, on
 * fibers of their own: what handles a stanza may suspend, whoever sent it goes on. What a stream asks of an account of this shard
 * is answered on the stream's fiber (router_route_waiting): back-pressure, and the order of its own requests.
 */
void account_receive(struct stanza **s);
/*
 * Runs turn(a, arg) on the account's fiber, in turn with its stanzas: those that come meanwhile wait until it has ended. The
 * account stays until then; sessions are looked up.
 */
void account_in_turn(struct account *a, void (*turn)(struct account *a, void *arg) YIELDS, void *arg);
/* The same before all that waits. */
void account_in_turn_first(struct account *a, void (*turn)(struct account *a, void *arg) YIELDS, void *arg);
/* For such a turn: the stanza now, as if it had come at this moment. Takes it. */
void account_receive_now(struct account *a, struct stanza **s) YIELDS;
/* The same for a message that came when the account had no session: whoever is there now gets it from what is kept. */
void account_keep_now(struct account *a, struct stanza **s) YIELDS;
/* Own presence without `to` from a session: state and broadcast. Borrowed. */
void session_presence(struct session *s, struct stanza *p);
/*
 * The presence the session last broadcast, rebuilt from its text (a tree for every idle session would cost more than the rest
 * of it); NULL when unavailable. The caller ends it.
 */
struct stanza *session_last_presence(const struct session *s);
/* Writes a stanza to the session's stream, or keeps it until the session has one again; borrowed. */
void session_send(struct session *s, const struct stanza *st);
/* The bytes of the stanza as this session gets it. */
struct buf;
void session_write(const struct session *s, const struct stanza *st, struct buf *out);
/* State only, nobody is told: a session of before the restart. */
void session_restore_presence(struct session *s, const struct stanza *p);
/*
 * Waits until at most `low` bytes of the session's output are left to the socket. false: its connection is gone, or it has none.
 * The session may be over by then: look it up.
 */
bool session_drain(struct session *s, uint32_t low) YIELDS;
const char *show_name(enum show s);
/* false: no such word. */
bool show_of(struct str name, enum show *out);

#endif
