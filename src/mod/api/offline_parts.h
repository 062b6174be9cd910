/* The parts of mod_offline, to each other. */
#ifndef MOD_API_OFFLINE_PARTS_H
#define MOD_API_OFFLINE_PARTS_H

#include "core/account/session.h"
#include "core/module/module.h"

/* A session by address and time of binding, to be found again after a suspension. */
struct offline_receiver {
    struct arena *arena;
    struct jid jid;
    uint64_t bound_ms;
};
void offline_receiver_init(struct offline_receiver *r, struct arena *a, const struct session *s);
/* NULL: that session is over. */
struct session *offline_receiver_find(const struct offline_receiver *r);

/* mod/offline_retrieval.c: XEP-0013. */
void offline_on_iq(struct iq *iq) YIELDS;

/* mod/offline_purge.c: takes up the batch jobs of the host that were at work when the server ended. */
void offline_purge_start(unsigned host);

#endif
