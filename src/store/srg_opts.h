/*
 * Options of a shared roster group as ejabberd keeps them in sr_group.opts: the text of an Erlang list of pairs,
 *     [{label,<<"Staff">>},{displayed_groups,[<<"staff">>]},{all_users,true}]
 * in the order of their last change. Pure; nothing suspends; everything lives in the arena.
 */
#ifndef STORE_SRG_OPTS_H
#define STORE_SRG_OPTS_H

#include "base/arena.h"

#define SRG_OPTS_MAX_BYTES (1u << 20)
#define SRG_OPTS_MAX_DEPTH 32 /* of terms that are carried along without being understood */

enum srg_kind {
    SRG_TEXT,  /* label, description: a binary */
    SRG_LIST,  /* displayed_groups: a list of binaries */
    SRG_FLAG,  /* all_users, online_users, disabled: true or false */
    SRG_OTHER  /* any other term; text is how it was written, and is written again */
};

struct srg_opt {
    struct str name;   /* the atom, without quotes */
    enum srg_kind kind;
    struct str text;   /* TEXT: UTF-8; OTHER: the term */
    struct str *items; /* LIST */
    size_t n;
    bool on;           /* FLAG */
};

struct srg_opts {
    struct srg_opt *opts;
    size_t n;
};

/* false: not of this form; *out is empty then. A binary that is not UTF-8 is OTHER. */
bool srg_opts_parse(struct arena *a, struct str text, struct srg_opts *out);
/* What ejabberd would write. */
struct str srg_opts_write(struct arena *a, const struct srg_opts *o);
/* The option of that name and kind, or NULL. */
const struct srg_opt *srg_opts_find(const struct srg_opts *o, struct str name, enum srg_kind kind);
/* Takes the place of the option of the same name, as the first one (the last change). */
void srg_opts_put(struct arena *a, struct srg_opts *o, const struct srg_opt *opt);
/* false: it was not there. */
bool srg_opts_drop(struct srg_opts *o, struct str name);

#endif
