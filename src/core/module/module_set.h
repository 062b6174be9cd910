/*
 * Generations of module tables. One is built aside, checked, and then put in force on every shard by message; shards read
 * theirs without locks. A set is counted and freed with the last shard that leaves it; the tables in it are the modules'
 * own and live as long as the process (core/module/module_load.h), so a fiber that waits inside an old one may go on.
 */
#ifndef CORE_MODULE_SET_H
#define CORE_MODULE_SET_H

#include "core/config/option.h"
#include "core/module/module.h"

/* What the registry keeps beside a contributed table; made by core/module/module_load.c, never freed. */
struct module_contrib {
    struct arena *arena;         /* holds this and the defaults */
    struct opt_group group;      /* the module's options, sorted */
    const struct yaml *defaults; /* conf/NAME.yml, used when the configuration names the module nowhere; may be NULL */
    const struct options *own;   /* the defaults of the options */
    uint64_t file[5];            /* what the shared object was on disk when it was read */
};

struct module_set;

/*
 * The set in force last, with `was` (may be NULL) taken out and `now` (may be NULL) put in. NULL: err says what it collides
 * with (a name, a namespace). Any thread, one at a time.
 */
struct module_set *module_set_with(const struct module *was, struct module *now, struct error *err);
void module_set_release(struct module_set **s);
/* Do the options of all contributed modules of the set fit the configuration? err: "file:line:column: words". */
int module_set_check(const struct module_set *s, const struct config *c, struct error *err);
/* The same for the set in force last. */
int module_check_config(const struct config *c, struct error *err);
/* Before the shards run: what they start with. Takes the set. */
void module_set_start(struct module_set *s);
/*
 * Puts it in force on every shard; from a fiber, one at a time. Takes the set. -1 with ERR_TIMEOUT: a shard is slow; it follows
 * later by itself.
 */
int module_set_publish(struct module_set *s, struct error *err) YIELDS;
/* Stops and starts a module on one host on every shard; nothing for one without callbacks. */
int module_restart(const struct module *m, unsigned host, struct error *err) YIELDS;

#endif
