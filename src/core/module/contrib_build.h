/*
 * Compiling a contributed module: one run of the compiler, as a child process without a shell and with limited memory, in the
 * module's folder, against the public headers; then a look at the result by another child process, so that a module that cannot
 * be loaded, or ends the process that tries, does no harm here. Blocks for as long as the compiler takes; any thread that may.
 */
#ifndef CORE_CONTRIB_BUILD_H
#define CORE_CONTRIB_BUILD_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct contrib_spec;

/* A copy of what the configuration says, so that it can be read on any thread. */
struct contrib_env {
    char *root;               /* core/module/contrib_place.h */
    const char *compiler;     /* "cc" */
    const char *const *flags; /* after ours; ended by NULL */
    uint64_t memory_max;      /* bytes for each process of the compiler; 0: no limit */
    const char *const *sources; /* repositories and folders for modules_update_specs; ended by NULL */
    const char *const *wanted;  /* install_contrib_modules */
};

/* Public headers and example modules: around the program in a build folder, else where they were installed. -1: not there. */
int contrib_headers(char out[4096]);
int contrib_examples(char out[4096]);

/*
 * DIR/NAME.so from the sources of DIR (*.c or src/ *.c). Warnings and errors of the compiler are appended to words. -1: err has
 * the kind and one line; the compiler's own words are in `words`.
 */
int contrib_build(const struct contrib_env *env, const char *dir, const struct contrib_spec *spec, struct buf *words,
                  struct error *err);
/* Can the object be loaded here? -1: err and words as above. */
int contrib_probe(const char *dir, const char *name, struct buf *words, struct error *err);

#endif
