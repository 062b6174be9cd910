/*
 * Accounts of strangers (auth_method anonymous): they are there as long as somebody is online under the name, and so is what is
 * kept under it, also when the server is killed. Home shard of the account.
 */
#ifndef CORE_STRANGER_H
#define CORE_STRANGER_H

#include "core/account/session.h"

/* Before a session of a stranger opens: written down. Kept until stranger_settle. NULL: the store does not answer. */
struct account *stranger_begin(unsigned host, struct jid bare) YIELDS;
/* Gives back what begin, or whoever closed a session, kept; an account of a stranger without sessions goes. */
void stranger_settle(struct account *a);
/* Before the server takes connections: what strangers of the process before have left. */
int stranger_start(struct error *err) YIELDS;

#endif
