/*
 * Accounts that are online: the bare JID and its sessions on the home shard. Everything here may be called from any shard;
 * functions that answer go to the home shard (or all shards) themselves.
 */
#ifndef CORE_ACCOUNT_H
#define CORE_ACCOUNT_H

#include "net/addr.h"
#include "xmpp/stanza.h"

/* A snapshot of one session; strings live in the arena that was passed. */
struct session_info {
    struct jid jid;            /* full */
    const char *connection;    /* "c2s", "c2s_tls" */
    struct ip ip;
    uint16_t port;
    int priority;              /* -1 before initial presence */
    uint64_t uptime_s;         /* since bind */
    const char *show;          /* "available", "away", "chat", "dnd", "xa", "unavailable" */
    struct str status_text;
};

/*
 * All sessions (host absent: of all; show absent: whatever they show, otherwise a word as in session_info) in order of their full
 * addresses, behind `after` (absent: from the first): brought from the shards in pieces, so that neither memory nor the turns of a
 * loop grow with them. Who comes or goes meanwhile may be among them. fn may suspend; what it is shown lives until it returns. It
 * says false when it has enough; that is no failure.
 */
typedef bool (*session_fn)(const struct session_info *s, void *arg);
int account_sessions_each(struct str host, struct str show, struct str after, session_fn fn, void *arg, struct error *err) YIELDS;
/* The same in order of names, then hosts, then resources; from the first. */
int account_sessions_each_by_parts(struct str host, struct str show, session_fn fn, void *arg, struct error *err) YIELDS;
/* Whatever they show, as an array in order of full addresses. */
int account_sessions(struct arena *a, struct str host, struct session_info **out, size_t *n_out, struct error *err) YIELDS;
/* Sessions of one account; n 0 when there is none or the host is not served. */
int account_user_sessions(struct arena *a, struct str user, struct str host, struct session_info **out, size_t *n_out,
                          struct error *err) YIELDS;
/* Counting does not list. host absent: all. */
int account_count_sessions(struct str host, uint64_t *out, struct error *err) YIELDS;
/* The same for the sessions with a word of struct session_info.show; none for any other word. */
int account_count_showing(struct str host, struct str show, uint64_t *out, struct error *err) YIELDS;
/* How many sessions an account has. */
int account_count_user_sessions(struct str user, struct str host, uint64_t *out, struct error *err) YIELDS;

enum kick_kind {
    KICK_ADMIN,   /* kick_user: policy-violation, "has been kicked" */
    KICK_SESSION, /* kick_session: conflict and the reason as text */
    KICK_REMOVED, /* account removed: conflict, "User removed" */
    KICK_STOP     /* system-shutdown */
};
/* Ends sessions of an account; resource absent: all of them. How many were ended comes back. */
int account_kick(struct str user, struct str host, struct str resource, enum kick_kind kind, struct str reason,
                 unsigned *kicked_out, struct error *err) YIELDS;

/*
 * The stanza as if the session had sent it. ERR_NOT_FOUND when there is no such session, ERR_BAD_REQUEST when no client may send
 * it. Takes the stanza.
 */
int account_inject(struct str user, struct str host, struct str resource, struct stanza **s, struct error *err) YIELDS;

#endif
