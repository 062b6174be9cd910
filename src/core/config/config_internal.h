/* What the files of the configuration loader share. Nobody else includes this. */
#ifndef CORE_CONFIG_INTERNAL_H
#define CORE_CONFIG_INTERNAL_H

#include "core/config/access_compile.h"
#include "core/config/config.h"
#include "core/config/option.h"
#include "core/config/option_type.h"
#include "core/module/contrib_place.h"

#define CONFIG_MACROS_MAX 1000
#define CONFIG_TOP_MAX 1000 /* entries of the top level or of a host: far above the number of options */
#define CONFIG_INCLUDE_DEPTH 8
#define CONFIG_FILES_MAX 100
#define CONFIG_WARNINGS_MAX 1000

/* Names and what stands for them: macros or keywords. Later ones win. */
struct words {
    struct str *names;
    struct yaml **values;
    size_t n;
};

struct loader {
    struct arena *arena; /* of the configuration */
    struct error *err;
    const struct config_env *env;
    const char *file;
    struct str text; /* present: instead of the file */
    struct config *config;
    struct words macros, keywords;
    struct yaml *top; /* after includes and macros */
    const char **warnings;
    struct str *warned; /* the words alone: each is said once */
    size_t warning_count;
    size_t files;
    /* Where the names of access rules are looked up while options are built; NULL: nowhere. */
    const struct acl_scope *scope;
};

/* Warns once for the same words, with the place where it came up first. */
void loader_warn(struct loader *l, const struct yaml *where, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Has "WHAT 'NAME' has no effect yet" been said? A module that is a listener or handler too is named once. */
bool loader_warned(const struct loader *l, const char *what, const char *name);

/* The file with what it includes: a map of top-level options. NULL with err. */
struct yaml *config_source(struct loader *l);

void words_set(struct arena *a, struct words *w, struct str name, struct yaml *value);
struct yaml *words_get(const struct words *w, struct str name);
/* Collects define_macro and the environment, expands macros in the whole tree; sets l->top. */
int config_macros(struct loader *l, struct yaml *top);
/* Keywords of the file and the predefined ones. */
int config_keywords(struct loader *l);
/* Copies `from` and adds the entries of a define_keyword map (may be NULL). */
int words_extend(struct loader *l, const struct words *from, const struct yaml *map, struct words *out);
/* The tree with words put in; unchanged parts are shared. NULL with err (too large, a word of itself). */
struct yaml *words_expand(struct loader *l, const struct words *w, struct yaml *y);

/* Is the value of this option secret (not in messages and dumps)? */
bool option_secret(struct str name);

struct option_source {
    const struct opt_group *group, *common;
    const struct yaml *map; /* NULL: nothing set */
    const char *of;         /* "listener ejabberd_c2s"; NULL: top level */
    struct str host;        /* for defaults with @HOST@ */
    const struct options *below, *top;
    bool host_config; /* only options allowed there */
    bool quiet;       /* no warnings about options without effect */
};

int options_build(struct loader *l, const struct option_source *src, const struct options **out);

/* acl, access_rules, shaper_rules, shaper of these options, compiled; what is not set there is taken from `global` (may
 * be NULL). */
int config_scope(struct loader *l, const struct options *o, const struct acl_scope *global,
                 const struct acl_scope **out);
/* Is it a contributed module? Looks at the spool, and at install_contrib_modules. */
enum contrib_state config_contrib(const struct loader *l, struct str name);
int config_hosts(struct loader *l);
int config_listeners(struct loader *l);
/* Marks the hosts whose shared roster groups are named, and warns where mod_shared_roster is not there to know them. */
void config_groups(struct loader *l);

#endif
