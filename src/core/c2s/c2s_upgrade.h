/* SASL upgrade tasks (XEP-0480) on client streams: new hashes of passwords from clients that know them. */
#ifndef CORE_C2S_UPGRADE_H
#define CORE_C2S_UPGRADE_H

#include "base/buf.h"
#include "xmpp/scram.h"

struct c2s;
struct xml_el;

/* Of a login. */
struct c2s_upgrade {
    enum { UPGRADE_NONE, UPGRADE_OFFERED, UPGRADE_ASKED } state; /* a task is under way: between <continue/> and the last hash */
    unsigned pending;     /* hashes still to come, 1 << enum scram_hash */
    enum scram_hash hash; /* of the present task */
    struct str salt;
    /* AUTH_FORM_* of the account in the header's `from`; for a name nobody has, those it might have; 0: unknown. */
    unsigned forms;
};

/* Looks up the account in the header's `from` where mod_scram_upgrade is loaded: it decides on what is offered. */
void c2s_upgrade_learn(struct c2s *c) YIELDS;
/* SCRAM with this hash makes sense on this stream. */
bool c2s_upgrade_serves(const struct c2s *c, enum scram_hash h);
/* <upgrade/> elements in <authentication/>. */
void c2s_upgrade_features(struct c2s *c, struct buf *b);
/* The client is authenticated; data is the mechanism's. true: a task goes first, or the stream ended meanwhile. */
bool c2s_upgrade_begin(struct c2s *c, struct str data) YIELDS;
/* An element of the exchange while a task is under way. */
void c2s_upgrade_element(struct c2s *c, struct xml_el *el) YIELDS;

#endif
