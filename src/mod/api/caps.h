/*
 * Entity capabilities of local sessions (XEP-0115, XEP-0390), on the home shard of the account; nothing suspends. Only what a
 * client announced and proved to be true counts: until then, and without mod_caps, a session has no features.
 */
#ifndef MOD_API_CAPS_H
#define MOD_API_CAPS_H

#include "core/account/session.h"

#define CAPS_NODE "https://www.process-one.net/ejabberd/" /* COMPAT(ejabberd): the server's own */

/* Is it known what the session can do? */
bool caps_known(const struct session *s);
bool caps_has_feature(const struct session *s, struct str feature);

/* --- mod/caps_own.c: what the server announces of itself --- */

/* Elements for stream features, made again when modules or options change. Borrowed until then. */
struct str caps_own_elements(unsigned host);
/* Of this shard, when the module is unloaded anywhere: made again when needed. */
void caps_own_forget(void);
/* Is this disco node one of those the server announces? */
bool caps_own_node(unsigned host, struct str node);

#endif
