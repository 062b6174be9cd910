/*
 * The table of known options and the sets of values checked against it. The table is read-only data (option_top.def,
 * option_listen.def, option_module.def); what has an effect in this build is said by option_effect.def.
 * A set holds only what the file says (and the few defaults that need memory): everything else is read from the table.
 */
#ifndef CORE_OPTION_H
#define CORE_OPTION_H

#include "core/config/config.h"

enum opt_kind { OPT_BOOL, OPT_INT, OPT_STR, OPT_LIST, OPT_NODE };
enum opt_group_kind { OPT_TOP, OPT_LISTEN_COMMON, OPT_LISTENER, OPT_MODULE };

#define OPT_FLAG_0 0
#define OPT_FLAG_HOST 1 /* allowed inside host_config */
#define OPT_FLAG_OWN 2  /* cjabberd's own, unknown to ejabberd */
#define OPT_FLAG_OWN_HOST (OPT_FLAG_OWN | OPT_FLAG_HOST)

struct opt_def {
    const char *name;
    const char *type; /* notation of core/config/option_type.h; NULL: the name is a group's */
    const char *def;  /* NULL: undefined; "=x": the value of top-level option x */
    uint8_t kind, flags;
};

struct opt_group {
    const char *name; /* "" top level, "listen" common to listeners, "ejabberd_c2s", "mod_ping" */
    enum opt_group_kind kind;
    const struct opt_def *defs;
    unsigned n;
};

struct opt_value {
    int64_t num; /* bool, int, milliseconds, thousandths for fractions */
    struct str text;
    const struct str *list;
    size_t list_n;
};

struct opt_entry {
    const struct opt_def *def;
    struct yaml *node; /* NULL: a default that needs memory */
    struct opt_value value;
};

struct options {
    const struct opt_group *group, *common; /* common: of listeners, else NULL */
    const struct options *below;     /* same group, asked for what is not here: the globals below those of a host */
    const struct options *top;       /* where "=x" defaults are read; NULL: here */
    const struct opt_entry *entries; /* by address of def */
    size_t n;
};

const struct opt_group *opt_group_find(enum opt_group_kind kind, struct str name);
/* All groups in table order, for checks and documents; NULL past the end. */
const struct opt_group *opt_group_at(unsigned i);
const struct opt_def *opt_def_find(const struct opt_group *g, struct str name);
/* Nearest known name for a message, or NULL when nothing is near. */
const char *opt_near_group(enum opt_group_kind kind, struct str name);
const char *opt_near_def(const struct opt_group *g, const struct opt_group *common, struct str name);
const char *str_near(struct str name, const char *const *words, size_t n);
/* Has it an effect in this build? option NULL: the group itself. */
bool opt_has_effect(const char *group, const char *option);
/* Is it a module that can answer HTTP requests, as far as ejabberd knows? */
bool opt_http_handler(struct str name);
extern const char *const opt_http_handlers[];
extern const size_t opt_http_handler_count;
/* The fixed node of an access default ("all", "none", ...); NULL for an unknown word. */
const struct yaml *opt_default_rule(const char *word);

#endif
