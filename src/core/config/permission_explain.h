/*
 * Why a caller may run a command or not: every section of api_permissions with what matched and what missed. Pure; suspends
 * never. The verdict is core/config/access.h's own, so it cannot differ from what a call gets.
 */
#ifndef CORE_PERMISSION_EXPLAIN_H
#define CORE_PERMISSION_EXPLAIN_H

#include "core/config/access.h"

struct explain_row {
    struct str section; /* absent: about the whole */
    const char *part;   /* "verdict", "section", "from", "who", "what", "host" */
    bool yes;           /* allowed, matched */
    struct str text;
    const struct yaml *where; /* NULL: nothing was written */
};

struct explanation {
    bool allowed;
    const struct vhost *only_host; /* allowed, but only to act on this one */
    struct explain_row *rows;      /* the verdict first */
    size_t n;
};

/* Everything is made in a, but the places, which live as long as the configuration. */
struct explanation api_explain(struct arena *a, const struct config *c, const struct api_caller *caller,
                               const struct api_target *t);

/*
 * Only the rules, to be asked as if they were part of `base`: acl, access_rules and api_permissions out of a file of their
 * own; what is missing there is taken from base. Blocks (reads the file). NULL: err says file:line:column and what is wrong.
 * The result, and base, must be held as long as it is used: it lives in a.
 */
const struct config *api_rules_load(struct arena *a, const struct config *base, const char *file, struct error *err);

#endif
