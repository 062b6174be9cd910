/* Folders of contributed modules on disk: copies, removal, replacement in one step. Blocks; any thread. */
#ifndef CORE_CONTRIB_FILES_H
#define CORE_CONTRIB_FILES_H

#include "base/err.h"

/*
 * A new folder `to` with the files and folders of `from`: regular files only, nothing that begins with '.', no links, at most
 * 2,000 files of together 64 MiB, 8 deep. -1: err; `to` is left half done for tree_remove.
 */
int tree_copy(const char *from, const char *to, struct error *err);
/* Removes a file or a folder with all in it; links are not followed. Missing: 0. */
int tree_remove(const char *path);
/*
 * `ready` takes the place of `there`, which may be missing; after a crash there is the old or the new one, never none. What was
 * there is removed. Both are in one file system.
 */
int tree_replace(const char *ready, const char *there, struct error *err);
/* The folder and those above it; 0 when it is there already. */
int folder_make(const char *path, struct error *err);

#endif
