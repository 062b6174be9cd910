/*
 * An ejabberd.cfg (Erlang terms, ejabberd before 13.10) as an ejabberd.yml of today. Settings that have no counterpart, or that
 * this server would refuse, are not taken over; each is named with the reason in a comment at the top of the result. Pure but
 * for reading included files; may take long: for the blocking pool.
 */
#ifndef CORE_ERLANG_CFG_H
#define CORE_ERLANG_CFG_H

#include "core/config/config.h"
#include "core/config/erlang_term.h"

#define ERLANG_INCLUDES_MAX 50

struct erlang_cfg_env {
    struct config_env config;
    const char *dir; /* where relative included files are */
    /* Contents of an included file, in the arena; absent with err. NULL: nothing is included. */
    struct str (*read)(struct arena *a, const char *path, struct error *err);
};

struct erlang_cfg {
    struct str yaml;
    size_t left_out; /* settings that were not taken over */
    bool accepted;   /* the check of the configuration finds nothing wrong with the result; otherwise a comment says what */
};

/* -1: not a file of terms; err says "at line N: ...". */
int erlang_cfg_convert(struct arena *a, struct str text, const struct erlang_cfg_env *env, struct erlang_cfg *out,
                       struct error *err);

#endif
