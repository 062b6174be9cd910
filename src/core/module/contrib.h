/*
 * Contributed modules: installing, replacing and removing them while the server runs (docs/modules.md). One change at a time, on
 * a fiber of shard 0; files, compiler and git on the blocking pool. Whatever fails leaves the module that is there, on disk and
 * in the process, as it was.
 */
#ifndef CORE_CONTRIB_H
#define CORE_CONTRIB_H

#include "core/config/config.h"
#include "core/module/contrib_build.h"

enum contrib_op {
    CONTRIB_INSTALL,   /* copy, compile, start */
    CONTRIB_UNINSTALL,
    CONTRIB_UPGRADE,   /* the same with the sources as they are now; the old one runs until the new one does */
    CONTRIB_CHECK,     /* compile and look, change nothing */
    CONTRIB_UPDATE,    /* read the shared object again; name absent: of every module whose file has changed */
    CONTRIB_COMPILE,   /* name is a source file's path: the module it belongs to is upgraded from there when it is installed */
    CONTRIB_FETCH      /* modules_update_specs */
};

/* Words for what is wrong with a name: COMPAT(ejabberd), they are the whole answer. */
enum contrib_why { CONTRIB_OTHER, CONTRIB_NOT_AVAILABLE, CONTRIB_NOT_INSTALLED, CONTRIB_CONFLICT };

struct contrib_call {
    enum contrib_op op;
    struct str name;
    /* The outcome, when the call came back: */
    enum contrib_why why;
    struct str words;        /* what compilers and git said: warnings, or why it failed; may be absent */
    const struct str *names; /* of CONTRIB_UPDATE: what was read again */
    size_t count;
    bool still_named;        /* uninstalled, but the configuration names it */
    bool installed;          /* CONTRIB_COMPILE: it was more than a check */
    struct arena *arena;
    struct contrib_env env;
};

/* The call, for contrib_run; lives as long as `a`; copies name. Any shard. */
struct contrib_call *contrib_call_new(struct arena *a, enum contrib_op op, struct str name);
/*
 * 0 or -1 with err; c->words may say more. Waits for changes that are under way. ERR_TIMEOUT: it still goes on, and *c must not be
 * looked at any more.
 */
int contrib_run(struct contrib_call *c, struct error *err) YIELDS;

struct contrib_item {
    struct str name, summary;
};
/* What can be installed, or is; sorted, each once. Blocks (a command's RUNS_ON_POOL). */
size_t contrib_list(struct arena *a, bool installed, struct contrib_item **out);
/* Installed modules whose shared object is not the one that runs. From a fiber. */
size_t contrib_changed(struct arena *a, struct str **out) YIELDS;

/*
 * Before the shards run: loads what is installed, compiles again what was compiled against other headers, installs what
 * install_contrib_modules asks for. What fails is logged and left out. check: only load. -1: the configuration of a module
 * is wrong.
 */
int contrib_start(const struct config *c, const char *spool, bool check, struct error *err);

#endif
