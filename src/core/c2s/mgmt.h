/*
 * Stream management (XEP-0198), the part that belongs to a session and outlives its stream: counters, the queue of what the
 * client has not acknowledged, waiting for resumption, and the copy in the store from which a new server process goes on.
 * Home shard of the account. The elements of the protocol are in core/c2s/c2s_mgmt.c, the copy in core/c2s/mgmt_store.c, what
 * becomes of the queue of a session that ends in core/c2s/mgmt_end.c.
 */
#ifndef CORE_MGMT_H
#define CORE_MGMT_H

#include "base/buf.h"
#include "base/list.h"
#include "net/addr.h"
#include "rt/timer.h"
#include "xmpp/stanza.h"

struct account;
struct ledger_cell;
struct session;
struct mgmt_window;

#define MGMT_ID_LEN 24

/*
 * Something that is done again after a crash when nobody knows that it was done: a client sends what is not acknowledged, a queue
 * is given back, waiting messages are delivered. What comes of it is noted in the ledger (store/ledger.h) under its key, so that
 * the second time is recognised where the first one had its effect (docs/stream-management.md).
 */
struct cause {
    uint64_t key;
    const char *id;              /* of the stream; NULL: none (LEDGER_SPOOL) */
    struct ledger_cell *effects; /* atomic; free them when it will not be done again */
    bool spooled;                /* atomic: table cj_sm_done has some of it */
};
/*
 * cause_n: the number on the stream in the lower 32 bits; of a stanza that a stream had in its queue when it ended, its number
 * there and CAUSE_GIVEN_BACK. Above is what tells a stanza from another under the same number (mgmt_received).
 */
#define CAUSE_GIVEN_BACK (UINT64_C(1) << 32)
#define CAUSE_ID_SHIFT 33

/* One stanza in the queue; its bytes follow, filled up to a multiple of 8. */
struct mgmt_rec {
    uint32_t n : 28, kind : 2, stored : 1, writing : 1;
    uint32_t sent_s;     /* since the epoch */
    uint32_t h;          /* its number: out when it was appended */
    struct arena *hold;  /* of a message that is not safe yet; NULL: nobody waits for it */
};

struct mgmt_peer {
    struct ip ip;
    uint16_t port;
    const char *connection; /* a literal */
};

struct mgmt {
    struct session *session; /* NULL: over */
    struct buf queue;        /* records from `at` on; no memory while empty */
    uint32_t at;
    uint32_t n;              /* records */
    uint32_t in;             /* stanzas of the client, modulo 2^32 (XEP-0198 §4) */
    uint32_t handled;        /* of these, dealt with for good: what the client is told */
    uint32_t safe;           /* the same as the store knows it; handled runs ahead by one write */
    uint32_t want;           /* the count whose acknowledgement the client waits for, with answer_due */
    uint32_t out;            /* stanzas to the client */
    uint32_t acked;          /* of these, acknowledged */
    uint32_t sent;           /* of these, given to a socket: the client cannot have more */
    struct ledger_cell *cell; /* acked and sent for the next process; NULL: none */
    struct ledger_cell *effects; /* of what is handled, until the store knows that it is */
    struct list earlier;     /* what this session was sent in processes before and may be sent again: core/c2s/mgmt_again.c */
    uint64_t key;            /* ledger_key(id) */
    uint32_t max_n, max_bytes;
    uint32_t ack_ms, resume_s; /* 0: none */
    uint32_t refs;           /* home shard only */
    struct timer timer;      /* attached: acknowledgement due; detached: end of the session */
    struct mgmt_window *window; /* of the stanzas that are coming in; NULL: none since the last */
    struct list windows;     /* closed ones that are not done, oldest first */
    struct list dirty;       /* in the shard's list of what the store has to be told; or, while `away`, that of what may be */
    /* The client is told `handled`; set by the stream, NULL without one. */
    void (*answer)(struct mgmt *m);
    bool old_ns : 1;     /* urn:xmpp:sm:2 */
    bool resumable : 1;
    bool asked : 1;      /* <r/> is out */
    bool sent_since : 1; /* stanzas went out after it */
    bool full : 1;
    bool answer_due : 1;
    bool kept : 1;       /* goes to the store at all */
    bool stored : 1;     /* its row is there */
    bool saving : 1;
    bool returned : 1;   /* of the process before, and not resumed yet: numbers may be missing in the queue */
    bool asleep : 1;     /* the server goes down: its time begins anew after the start */
    bool row_due : 1, acked_due : 1;
    bool away : 1;       /* lost its stream a moment ago, and the store does not know */
    bool told_away : 1;  /* the store knows when it ends */
    bool done_due : 1;   /* what came of handled stanzas is noted in the store: the notes may go */
    struct mgmt_peer *peer; /* where its last stream came from; NULL: it has not lost one, or in another process */
    uint8_t floods;      /* deliver waiting messages to it, and these are in the spool still (mod/mod_offline.c) */
    char id[MGMT_ID_LEN + 1];
};

/* Acknowledged so far. */
static inline uint32_t mgmt_acked(const struct mgmt *m) { return m->acked; }

struct mgmt_rec *mgmt_first(struct mgmt *m);
struct mgmt_rec *mgmt_next(struct mgmt *m, struct mgmt_rec *r); /* NULL at the end */
static inline struct str mgmt_bytes(const struct mgmt_rec *r) { return str_n((const char *)(r + 1), r->n); }

struct options;
/* Limits and times as mod_stream_mgmt has them; NULL: defaults. */
void mgmt_limits(struct mgmt *m, const struct options *o);
/* For the session; counters at zero. Limits are the caller's to set. */
struct mgmt *mgmt_new(struct session *s);
void mgmt_hold(struct mgmt *m);
void mgmt_release(struct mgmt **m);
/* The server ends; the session goes without a word. */
void mgmt_drop(struct mgmt **m);
/*
 * A stanza of that kind goes to the client as these bytes; nothing of them may have reached the socket yet. st: what they were made
 * of, held until it is safe if it is a message; NULL: nobody waits for it.
 */
void mgmt_append(struct mgmt *m, enum stanza_kind kind, struct str bytes, uint32_t sent_s, const struct stanza *st);
/* The same between others, under a number that was given before. */
void mgmt_insert(struct mgmt *m, enum stanza_kind kind, struct str bytes, uint32_t sent_s, uint32_t h, const struct stanza *st);
struct mgmt_rec *mgmt_numbered(struct mgmt *m, uint32_t h); /* NULL: not in the queue */
/* The session has a stream from here on: what is queued is given to it. */
void mgmt_attached(struct mgmt *m);
/* The client has h stanzas. false: it was not sent that many. */
bool mgmt_take_ack(struct mgmt *m, uint32_t h);
/* The same for <resume/>, where a server that was killed may know of less than it had sent. */
bool mgmt_take_resume(struct mgmt *m, uint32_t h);
/* A stanza of the client is about to be dealt with. */
void mgmt_received(struct mgmt *m, struct stanza *s);
/* The stanzas up to here are to be acknowledged when all are dealt with. */
void mgmt_settle(struct mgmt *m);
/* The queue is longer than allowed: the session ends. true: so it was. Ends the session. */
bool mgmt_end_full(struct mgmt *m);

/* A session without a stream gets a stanza. */
void mgmt_send_detached(struct session *s, const struct stanza *st);
/* The stream is lost; the session waits for it resume_s seconds. */
void mgmt_detach(struct session *s);
/* Detached because the server goes down. */
void mgmt_sleep(struct mgmt *m);
/* For a session that is kept in the store: its place in the ledger. */
void mgmt_enter(struct mgmt *m);
/* The session of this account that <resume previd=''/> names; NULL: none. */
struct session *mgmt_find(struct account *a, struct str id);

/* --- mgmt_end.c --- */
/*
 * The session is over and out of the tables: what its client never got goes back through delivery, or its senders are told, as
 * resend_on_timeout says. Takes m.
 */
void mgmt_end(struct mgmt **m, unsigned host);
/* How many stanzas a session that timed out had dealt with (XEP-0198 §5: `h` of <failed/>). */
bool mgmt_remembered(struct str id, struct str bare, uint32_t *handled_out);
void mgmt_end_shard_stop(void);

/*
 * A session that had ended when the process before did: its queue is given back (again). Takes m, which never had a session; waits
 * for mgmt_end_go.
 */
void mgmt_end_again(struct mgmt **m, struct jid who, unsigned host);
void mgmt_end_go(void);

/* --- mgmt_again.c --- */
/* In a process before, that came of (cause, n): the session was sent it under this number. Copied. */
void mgmt_earlier(struct mgmt *m, const struct ledger_cell *c);
/* The session came back and has h. */
void mgmt_earlier_settle(struct mgmt *m, uint32_t h);
/* The server ends: only memory. */
void mgmt_earlier_drop(struct mgmt *m);
void mgmt_earlier_shard_stop(void);
/* It ended; what it had or has in its queue its account has had. What of it is in the spool still stays for the next function. */
void mgmt_earlier_end(struct mgmt *m);
void mgmt_earlier_unspool(struct mgmt *m, struct jid who) YIELDS;
/* The account of this shard has had it, by a session that is no more. Copied. */
void mgmt_earlier_gone(const struct ledger_cell *c);
/* The same of what the store knows to be or have been in the account's spool. */
void mgmt_earlier_stored(uint64_t account, uint64_t cause, uint64_t n);
/* The session was sent it in a process before: it must not be sent it now. What its client may not have is back in its queue. */
bool mgmt_again(struct session *s, const struct stanza *st);
/* One of the account's sessions was; the others are asked too. */
bool mgmt_again_any(struct account *a, const struct stanza *st);
/* Whether one of them was. */
bool mgmt_again_known(const struct account *a, const struct stanza *st);
/* A session of the account that is no more was. */
bool mgmt_again_gone(const struct account *a, const struct stanza *st);

/* --- mgmt_store.c --- */
/* Something the store should know has changed. */
void mgmt_changed(struct mgmt *m);
/* The presence of the session, or whether it has a stream. */
void mgmt_row_changed(struct mgmt *m);
/* It has lost its stream; most come back before the store has to know. And: it has one again. */
void mgmt_is_away(struct mgmt *m);
void mgmt_is_back(struct mgmt *m);
void mgmt_shard_start(void);
void mgmt_shard_stop(void);
/* The end of the server: everything to the store. */
void mgmt_save_all(void) YIELDS;
/*
 * The session ended with something to give back: all of it, and that it ended, goes to the store before anything is given back.
 * false: it could not be written.
 */
bool mgmt_save_end(struct mgmt *m, struct jid who) YIELDS;
/* Its rows go. */
void mgmt_forget(struct mgmt *m) YIELDS;

/* --- mgmt_restore.c --- */
/* Before the server takes connections: sessions of the process before. folder: of the ledger; NULL: none. */
int mgmt_restore(const char *folder, struct error *err) YIELDS;

#endif
