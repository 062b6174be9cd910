/* Options of contributed modules, checked when the module and the configuration meet. Pure; any thread. */
#include "core/config/config_internal.h"
#include "core/config/config_module.h"

#include <stdio.h>

int config_module_options(struct arena *a, const struct opt_group *g, const struct yaml *map, const struct vhost *h,
                          const struct options **out, struct error *err)
{
    /* Nothing can be warned about: every declared option has an effect, and no rules are looked up. */
    struct loader l = {.arena = a, .err = err, .file = map && map->file ? map->file : "", .warning_count = CONFIG_WARNINGS_MAX};
    struct str of = arena_printf(a, "module %s", g->name);
    struct option_source src = {
        .group = g, .map = map, .of = of.p, .host = h->name, .top = h->options, .quiet = true};
    return options_build(&l, &src, out);
}

const struct options *config_module_opaque(void)
{
    static const struct opt_group group = {"contributed module", OPT_MODULE, NULL, 0};
    static const struct options none = {.group = &group};
    return &none;
}

enum contrib_state config_contrib(const struct loader *l, struct str name)
{
    const struct str *wanted;
    char root[CONTRIB_PATH_MAX];
    bool rooted = contrib_root(l->env ? l->env->spool_dir : NULL, root) == 0;
    enum contrib_state s = rooted ? contrib_state(root, name) : CONTRIB_UNKNOWN;
    bool look = s == CONTRIB_UNKNOWN && contrib_name_valid(name);
    size_t n = look ? opt_list(l->config->global, "install_contrib_modules", &wanted) : 0;
    while (n--)
        if (str_eq(wanted[n], name))
            return CONTRIB_AVAILABLE;
    return s;
}
