/*
 * Message of the day (announcements): table `motd`, the message itself under the empty user name, and a row for every account
 * that has seen it.
 */
#ifndef STORE_MOTD_H
#define STORE_MOTD_H

#include "store/store.h"

enum store_rc motd_get(struct arena *a, struct str host, struct str *xml_out) YIELDS;
/* A new message: nobody has seen it, but with `keep_seen` who saw the one before (announce/motd/update). */
enum store_rc motd_set(struct str host, struct str xml, bool keep_seen) YIELDS;
/* STORE_NONE when there was none. */
enum store_rc motd_remove(struct str host) YIELDS;
/* STORE_OK: it has; STORE_NONE: not yet. The account with the empty name never has. */
enum store_rc motd_seen(struct str host, struct str user) YIELDS;
enum store_rc motd_set_seen(struct str host, struct str user) YIELDS;

#endif
