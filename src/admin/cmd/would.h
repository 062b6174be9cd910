/* What dry runs of several commands have in common. */
#ifndef ADMIN_CMD_WOULD_H
#define ADMIN_CMD_WOULD_H

#include "admin/command.h"

/* "session user@host/resource" for each session that would be closed; resource absent: all of the account. Names are prepared. */
int would_kick(struct cmd_call *c, struct str user, struct str host, struct str resource) YIELDS;

#endif
