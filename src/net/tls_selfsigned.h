/* A self-signed certificate for hosts that have none (ECDSA P-256, ten years), key and certificate in one PEM file. */
#ifndef NET_TLS_SELFSIGNED_H
#define NET_TLS_SELFSIGNED_H

#include "base/err.h"
#include "base/str.h"

/* Keeps the file when it names all these hosts already, otherwise writes a new one (mode 0600, atomically). Blocks. */
int tls_selfsigned_ensure(const char *path, const struct str *hosts, size_t n, struct error *err);

#endif
