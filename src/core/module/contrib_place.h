/*
 * Where contributed modules lie. ROOT is SPOOL/modules, or CONTRIB_MODULES_PATH of the environment (COMPAT(ejabberd)):
 *     ROOT/installed/NAME/   module.yml, sources, conf/NAME.yml, NAME.so
 *     ROOT/sources/NAME/, ROOT/sources/REPOSITORY/NAME/   what can be installed; module.yml says that it is one
 *     ROOT/running/          what is loaded, each file under a name of its own; emptied at start
 * Blocks on files; any thread.
 */
#ifndef CORE_CONTRIB_PLACE_H
#define CORE_CONTRIB_PLACE_H

#include "base/err.h"

#define CONTRIB_PATH_MAX 4096
#define CONTRIB_NAME_MAX 64

enum contrib_state { CONTRIB_UNKNOWN, CONTRIB_AVAILABLE, CONTRIB_INSTALLED };

/* -1: no spool, or a path that is too long. */
int contrib_root(const char *spool, char out[CONTRIB_PATH_MAX]);
/* A letter, then letters, digits and underscores in lower case: nothing that means something in a path. */
bool contrib_name_valid(struct str name);
/* "A/B" or "A/B/C" (c NULL); -1: too long. */
int contrib_path(char out[CONTRIB_PATH_MAX], const char *a, const char *b, const char *c);
/* The folder of the sources; a folder of its own comes before one in a repository, these in order of their names. */
bool contrib_source(const char *root, const char *name, char out[CONTRIB_PATH_MAX]);
bool contrib_installed(const char *root, const char *name, char out[CONTRIB_PATH_MAX]);
enum contrib_state contrib_state(const char *root, struct str name);
/* Calls fn for everything that can be installed (`sources`) or is, names twice where they are there twice; in no order. */
void contrib_each(const char *root, bool sources, void (*fn)(void *arg, const char *name, const char *dir), void *arg);

#endif
