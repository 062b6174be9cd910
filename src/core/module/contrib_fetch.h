/* Getting sources of contributed modules: git repositories are cloned, folders copied. Blocks; any thread that may. */
#ifndef CORE_CONTRIB_FETCH_H
#define CORE_CONTRIB_FETCH_H

#include "core/module/contrib_build.h"

/*
 * Each of env->sources (none given: the examples that come with the server) becomes ROOT/sources/LAST-PART-OF-ITS-NAME. -1: one
 * or more could not be had, err says which and why, in `words` more of it; the others have been updated.
 */
int contrib_fetch(const struct contrib_env *env, struct buf *words, struct error *err);

#endif
