/*
 * The certificates of a configuration. Hosts that no certificate covers get a self-signed one, kept in the spool folder, with a
 * warning: encrypted logins work at once, and what is missing is said.
 */
#ifndef CORE_CERTS_H
#define CORE_CERTS_H

#include "core/config/config.h"
#include "core/server.h"
#include "net/tls.h"

/* Blocks. NULL with words when a file of `certfiles` cannot be used. */
struct tls_certs *certs_for(const struct config *c, const struct server_env *env, struct error *err);

#endif
