/*
 * Administrators of one host: what the arguments of a call name. Names of arguments are the API's conventions ("host",
 * "service", "jid", ...); an entry's `elsewhere` lists the ones that may name anybody (a contact, somebody in a room).
 */
#ifndef ADMIN_HOST_ARGS_H
#define ADMIN_HOST_ARGS_H

#include "admin/command.h"

struct vhost;

/*
 * Does the call, whose arguments are bound, stay within the host: at least one argument names it, all that name a domain
 * name it or one of its services, none is a file of this machine, and no account is above the caller's (see
 * api_account_above)? When not, c->failure is set.
 */
bool host_args_fit(struct cmd_call *c, const struct vhost *h, const struct api_caller *caller);
/* Does this argument name a domain, an address, or a list of such? For tests and documents. */
bool host_arg_names(const struct command *cmd, const struct type *arg);
/* May an administrator of one host run it at all? */
bool host_args_possible(const struct command *cmd);

#endif
