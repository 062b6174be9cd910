/* Options of contributed modules, which the table of core/config/option.h does not know; see also core/module/module_set.h. */
#ifndef CORE_CONFIG_MODULE_H
#define CORE_CONFIG_MODULE_H

#include "core/config/option.h"

/*
 * What stands in the configuration for such a module (may be NULL) against the options it declares, as they hold on a host.
 * The result lives in the arena and refers to the group and to the tree. -1: err says file:line:column and what was expected.
 */
int config_module_options(struct arena *a, const struct opt_group *g, const struct yaml *map, const struct vhost *h,
                          const struct options **out, struct error *err);
/* The options of such a module as long as nobody knows them: none. */
const struct options *config_module_opaque(void);

#endif
