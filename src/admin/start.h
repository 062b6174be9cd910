/* Start of the room: everything that must stand before a front end serves. */
#ifndef ADMIN_START_H
#define ADMIN_START_H

#include "base/err.h"

/* Collects and checks the table of commands; the first call does it, later ones cost nothing. On shard 0, before serving. */
int admin_start(struct error *err);

#endif
