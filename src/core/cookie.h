/*
 * The node's cluster secret: a word in the spool folder that nodes of one cluster share, readable by the owner only. Made
 * at the first start; a cluster is formed by copying the file. Never logged.
 */
#ifndef CORE_COOKIE_H
#define CORE_COOKIE_H

#include "base/err.h"
#include "base/str.h"

#define COOKIE_FILE "cookie"
#define COOKIE_MAX 255 /* bytes */

/* Reads it, or makes it. Blocks; once, before anything is served. An empty, overlong or unprintable file is an error. */
int cookie_start(const char *spool_dir, struct error *err);
/* Absent before the start. Lives as long as the process. */
struct str cookie(void);
/* Is it the secret? In constant time. */
bool cookie_fits(struct str given);

#endif
