/* Parts of mod_announce: what is asked for, how it is sent to many, the message of the day. */
#ifndef MOD_API_ANNOUNCE_H
#define MOD_API_ANNOUNCE_H

#include "core/module/module.h"

enum announce_what { ANNOUNCE_ALL, ANNOUNCE_ONLINE, ANNOUNCE_MOTD, ANNOUNCE_MOTD_UPDATE, ANNOUNCE_MOTD_DELETE };

/*
 * Does it for a host (index), or for all of them: a message of the day is in the store when this returns; sending goes on behind,
 * one announcement after the other. The message is borrowed; NULL: to be deleted. ERR_TOO_OFTEN: too many wait; ERR_UNAVAILABLE:
 * the store.
 */
int announce_begin(enum announce_what what, bool all_hosts, unsigned host, const struct stanza *message, struct error *err) YIELDS;

/* --- sending (announce_send.c): on a fiber, page by page; returns when everybody has it or the server ends --- */

/* To every account of a host, whether online or not: the message waits for those who are away. */
int announce_to_accounts(struct str host, struct str text, struct error *err) YIELDS;
/* To every session of a host. */
int announce_to_sessions(struct str host, struct str text, struct error *err) YIELDS;

/* --- message of the day (announce_motd.c) --- */

int motd_change(struct str host, struct str text, struct error *err) YIELDS;
int motd_drop(struct str host, struct error *err) YIELDS;
/* To every account that is online and has not seen it. */
int motd_show_online(struct str host, struct error *err) YIELDS;
/* session_presence of the module. */
enum hook_verdict motd_on_presence(struct presence_event *e);
/* What is known about the host's message is not known any more. */
void motd_forget(unsigned host);
/* The module's stop. */
void motd_stop(unsigned host);

/* The message of a text for an address, from the host. NULL: it is no message. */
struct stanza *announce_message(struct str text, struct str host, struct jid to);

/* In the account's turn: to each of its sessions, and only while it lasts. */
void announce_to_sessions_of(struct account *a, struct str text) YIELDS;
/* Every account of the host that is online on this shard, each in its turn, a bounded number at once; returns after the last. */
void announce_online_here(struct str host, void (*fn)(struct account *a, void *arg) YIELDS, void *arg) YIELDS;

#endif
