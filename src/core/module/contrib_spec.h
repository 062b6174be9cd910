/* module.yml of a contributed module: what it is called, what it is for, what it needs. Blocks on the file; any thread. */
#ifndef CORE_CONTRIB_SPEC_H
#define CORE_CONTRIB_SPEC_H

#include "base/arena.h"
#include "base/err.h"

struct yaml;

struct contrib_spec {
    struct str name, author, category, summary, home, url;
    const struct str *libs; /* libraries to link with: "m" for -lm */
    size_t lib_count;
};

/*
 * Reads DIR/module.yml; strings live in the arena. A module is called like its folder. -1: err says file:line:column and what
 * was expected. Unknown keys are counted in *unknown_out (may be NULL), whose text names them.
 */
int contrib_spec_read(struct arena *a, const char *dir, const char *name, struct contrib_spec *out, struct str *unknown_out,
                      struct error *err);
/* The same from the tree of such a file. */
int contrib_spec_of(struct arena *a, const struct yaml *y, const char *name, struct contrib_spec *out, struct str *unknown_out,
                    struct error *err);

#endif
