/*
 * Hook tables (core/hooks.def). Handlers borrow what the event points to; only the router ends a stanza. A handler runs on
 * the home shard of the account concerned. Whether it may suspend stands in the list: stanza_sent and session_opened run on the
 * stream's own fiber, stanza_received and message_undelivered on the account's (core/account/deliver.c), so that waiting
 * keeps order. After a suspension sessions are looked up again.
 */
#ifndef CORE_HOOKS_H
#define CORE_HOOKS_H

#include "net/addr.h"
#include "xmpp/stanza.h"

struct buf;
struct session;
struct account;
struct roster;

struct session_event {
    struct session *session;
    const char *reason; /* session_closed: why, for last activity; may be NULL */
};

struct presence_event {
    struct session *session;
    const struct stanza *presence;
    bool was_available, available;
};

struct stanza_event {
    struct account *account;
    struct session *session; /* the sending one; NULL for received stanzas and server-made ones */
    struct stanza *stanza;
    enum err_code reject;    /* set with HOOK_REJECT */
    const char *reject_text;
};

struct roster_event {
    struct account *account;
    struct arena *arena;   /* what is added lives here */
    struct roster *roster; /* store/roster.h: replace `items` by an array with more of them, or with others, in byte order */
    uint64_t version;      /* of what was added: another one whenever that changes; 0: nothing */
    uint64_t generation;   /* of what was added, on this shard: see account_roster_push_shared */
};

/* One contact; `who` is a bare JID. The labels live in `arena`; NULL: nobody wants them. */
struct contact_look {
    struct account *account;
    struct arena *arena;
    struct jid who;
    bool to, from;         /* the account sees her presence; she sees the account's */
    struct str *labels;    /* groups of the roster that show her */
    size_t n_labels;
};

struct contact_walk {
    struct account *account;
    void (*each)(void *arg, struct jid who, bool to, bool from); /* changes nothing */
    void *arg;
};

struct known_event {
    struct jid account;
    bool there;
    bool stranger; /* its last session has ended; it never was among the registered ones */
};

/* Another program has changed the database. */
struct caches_event {
    unsigned host;
};

struct presence_out_event {
    struct account *account;
    struct session *session; /* whose presence it is */
    enum stanza_type type;   /* available, unavailable, or a probe */
    struct jid to;
};

/* On the stream's fiber, on whatever shard it is. */
struct login_event {
    unsigned host;
    struct ip ip;
    struct jid account;    /* login_ended: bare */
    bool accepted;
    struct arena *arena;   /* of the login */
    struct str text;       /* with HOOK_REJECT: for the client, whose stream ends */
};

/* On any shard. Written to all streams of the host alike: nothing of the account's may be in it. */
struct features_event {
    unsigned host;
    struct buf *out;
};

struct early_event {
    unsigned host;
    struct ip ip;
    struct stanza *stanza; /* without from; of any kind */
    struct stanza *answer; /* out, with HOOK_STOP: the stream's to end; NULL: none */
};

/* Where the sender's stream is. */
struct server_event {
    unsigned host;
    struct stanza *stanza; /* to HOST or HOST/RESOURCE; borrowed */
    enum err_code reject;  /* set with HOOK_REJECT */
    const char *reject_text;
};

struct delivered_event {
    struct account *account;
    const struct stanza *stanza;
};

enum hook_verdict {
    HOOK_PASS,   /* go on */
    HOOK_STOP,   /* handled: nothing more happens to it */
    HOOK_REJECT  /* the sender gets event->reject */
};

enum hook {
#define HOOK(name, type, suspends, sentence) HOOK_##name,
#define STAGE(hook, name, sentence)
#include "core/hooks.def"
#undef HOOK
#undef STAGE
    HOOK__COUNT
};

enum hook_stage {
#define HOOK(name, type, suspends, sentence)
#define STAGE(hook, name, sentence) STAGE_##hook##_##name,
#include "core/hooks.def"
#undef HOOK
#undef STAGE
    STAGE__COUNT
};

struct hook_entry {
    enum hook hook;
    enum hook_stage stage;
    union {
#define HOOK(name, type, suspends, sentence) enum hook_verdict (*name)(type *event);
#define STAGE(hook, name, sentence)
#include "core/hooks.def"
#undef HOOK
#undef STAGE
        void *any;
    } fn;
};

/* In a module's table: ON(session_closed, STATE, on_closed). A handler of the wrong type does not compile. */
#define ON(hook_, stage_, fn_) \
    { .hook = HOOK_##hook_, .stage = STAGE_##hook_##_##stage_, .fn = {.hook_ = (fn_)} }

/* hook_run_NAME(host index, event): handlers of modules loaded on that host, in stage order, until one does not pass. */
#define HOOK(name, type, suspends, sentence) enum hook_verdict hook_run_##name(unsigned host, type *event);
#define STAGE(hook, name, sentence)
#include "core/hooks.def"
#undef HOOK
#undef STAGE

/* Those that may suspend once more, for tools/yieldcheck. */
enum hook_verdict hook_run_session_opened(unsigned host, struct session_event *event) YIELDS;
enum hook_verdict hook_run_stanza_sent(unsigned host, struct stanza_event *event) YIELDS;
enum hook_verdict hook_run_stanza_received(unsigned host, struct stanza_event *event) YIELDS;
enum hook_verdict hook_run_message_undelivered(unsigned host, struct stanza_event *event) YIELDS;
enum hook_verdict hook_run_roster_load(unsigned host, struct roster_event *event) YIELDS;
enum hook_verdict hook_run_account_known(unsigned host, struct known_event *event) YIELDS;
enum hook_verdict hook_run_login_tried(unsigned host, struct login_event *event) YIELDS;
enum hook_verdict hook_run_login_ended(unsigned host, struct login_event *event) YIELDS;
enum hook_verdict hook_run_early_stanza(unsigned host, struct early_event *event) YIELDS;

#endif
