/* Whole files. Everything here blocks: call it from a thread of the pool, or before the shards run. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/err.h"
#include "base/str.h"

#include <sys/types.h>

/*
 * Puts the bytes in place of what the path held: a reader sees the old file or the new one, never a part, and the new one is on
 * disk when this returns. The folder must exist. -1 with ERR_IO and the path in words; the old file stands then.
 */
int file_replace(const char *path, struct str bytes, mode_t mode, struct error *err);

#endif
