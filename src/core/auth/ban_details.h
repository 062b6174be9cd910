/* The element in which a ban is kept, for core/auth/ban.c. */
#ifndef CORE_BAN_DETAILS_H
#define CORE_BAN_DETAILS_H

#include "core/auth/ban.h"
#include "xml/node.h"

/* The first child of that name; NULL: none. */
struct xml_el *ban_child(const struct xml_el *el, const char *name);
/* Its text; absent without such a child. */
struct str ban_text(struct arena *a, const struct xml_el *el, const char *name);
/* *el_out NULL: not banned. */
int ban_load(struct arena *a, struct str host, struct str user, struct xml_el **el_out, struct error *err) YIELDS;

#endif
