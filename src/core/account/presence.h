/*
 * Presence and who gets it (RFC 6121 §4): contacts, by the roster; whoever a session sent presence of its own (directed); and the
 * answers to probes. Home shard of the account whose presence it is; the roster is in memory (core/account/roster.h), so that
 * nothing here suspends but what says so. What a contact receives arrives at her home like any stanza
 * (core/account/deliver.c).
 */
#ifndef CORE_PRESENCE_H
#define CORE_PRESENCE_H

#include "core/account/session.h"

#define DIRECTED_MAX 1000 /* entities of one session: a room is one */

/* To everybody who may see it: §4.2.2, §4.4.2, §4.5.2. */
void presence_to_contacts(struct session *s, const struct stanza *p);
/* The unavailable presence to whoever got presence of its own (§4.6.3), but those whom the broadcast has reached. */
void presence_end_directed(struct session *s, const struct stanza *p, bool broadcast);
/* Asks for the presence of those we may see (§4.2.2, §4.3). */
void presence_probe_contacts(struct session *s);
/* The presence of every available resource to a bare JID, or that they are all unavailable. */
void presence_show(struct account *a, struct jid to);
void presence_hide(struct account *a, struct jid to);
/* Probes a bare JID for every available resource. */
void presence_probe(struct account *a, struct jid contact);
/* §4.3.2, §4.6.6; who may not know gets no answer, COMPAT(ejabberd). Borrowed. */
void presence_answer_probe(struct account *a, const struct stanza *probe) YIELDS;
/* Requests without an answer, to a resource that has just come online (§3.1.3 no. 4). */
void presence_waiting_requests(struct account *a, struct str resource) YIELDS;

/* Presence with `to` that a session sends: kept in mind. false: it has sent presence to too many. */
bool presence_directed(struct session *s, const struct stanza *p);
/* It came back as an error, or she has left us (§4.6.1): forgotten. */
void presence_directed_over(struct session *s, struct jid to);
void presence_directed_free(struct session *s);

#endif
