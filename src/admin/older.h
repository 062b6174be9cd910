/*
 * What adapters of older API versions share: those versions gave an address or a list in one text where the newest one has
 * separate arguments. Pure functions; what they return lives in the arena.
 */
#ifndef ADMIN_OLDER_H
#define ADMIN_OLDER_H

#include "admin/command.h"

/* Name and host of an address, prepared, into two values; a resource is dropped. false: it is no address. */
bool older_split(struct arena *a, struct str jid, struct value *parts_out);
/* The same for an argument; what is no address is refused with this text, NULL: as an internal error, COMPAT(ejabberd). */
bool older_jid(struct cmd_call *c, struct str jid, const char *refusal, struct value *parts_out);
/* The words between the separators, without blanks around them; empty ones are left out. */
struct value older_list(struct arena *a, struct str text, char separator);

#endif
