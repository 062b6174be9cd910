/*
 * Names of services: collected from the options of loaded modules whenever a configuration or a set of modules is put in force,
 * and checked the same way before. Nothing suspends; a table belongs to whoever fills it.
 */
#include "core/module/service.h"

#include "core/config/option.h"
#include "core/module/module.h"

#include <stdio.h>
#include <stdlib.h>

static bool has_option(const struct options *o, const char *name, enum opt_kind kind)
{
    const struct opt_def *d = opt_def_find(o->group, str_of(name));
    return d && d->kind == kind;
}

static const struct yaml *place(const struct options *o, const struct yaml *where)
{
    static const char *const names[] = {"hosts", "host"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (opt_def_find(o->group, str_of(names[i])) && opt_is_set(o, names[i]))
            return opt_node(o, names[i]);
    return where;
}

static int fail(const struct service_host *s, const char *words, struct error *err)
{
    if (s->where)
        return yaml_error(s->where, err, "'%.*s', an address of module '%s', %s", STR_ARG(s->name), s->module->name, words);
    return err_set(err, ERR_CONFIG, "'%.*s', an address of module '%s', %s", STR_ARG(s->name), s->module->name, words);
}

static void push(struct service_table *t, struct arena *a, struct service_host s)
{
    ARENA_MORE(a, t->v, t->n);
    t->v[t->n++] = s;
}

/* Of the host list, or of the one host when there is no list. */
static size_t names_of(const struct options *o, const struct str **out, struct str *one)
{
    size_t n = has_option(o, "hosts", OPT_LIST) ? opt_list(o, "hosts", out) : 0;
    if (n)
        return n;
    *one = has_option(o, "host", OPT_STR) ? opt_str(o, "host") : STR_NULL;
    *out = one;
    return one->n > 0;
}

int service_table_add(struct service_table *t, struct arena *a, const struct module *m, const struct vhost *h,
                      const struct options *o, const struct yaml *where, struct error *err)
{
    const struct str *names;
    struct str one;
    if (m->service->enabled_by && !opt_bool(o, m->service->enabled_by))
        return 0;
    if (has_option(o, "vcard", OPT_NODE) && service_vcard_check(opt_node(o, "vcard"), err) != 0)
        return -1;
    size_t n = names_of(o, &names, &one);
    for (size_t i = 0; i < n; i++)
        push(t, a, (struct service_host){arena_str(a, names[i]), h->index, m, place(o, where)});
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct service_host *x = a, *y = b;
    int c = str_cmp(x->name, y->name);
    c = c ? c : strcmp(x->module->name, y->module->name);
    return c ? c : (x->host > y->host) - (x->host < y->host);
}

static int collision(const struct service_host *first, const struct service_host *second, struct error *err)
{
    char words[160];
    snprintf(words, sizeof words, first->module == second->module
                                      ? "is the same for two hosts: use @HOST@ in the name, or name it for one of them (%s)"
                                      : "is the address of module '%s' already",
             first->module->name);
    return fail(second, words, err);
}

int service_table_close(struct service_table *t, const struct config *c, struct error *err)
{
    if (t->n)
        qsort(t->v, t->n, sizeof *t->v, by_name);
    for (size_t i = 0; i < t->n; i++) {
        if (config_host(c, t->v[i].name))
            return fail(&t->v[i], "is one of the hosts: a service has a name of its own", err);
        if (i && str_eq(t->v[i - 1].name, t->v[i].name))
            return collision(&t->v[i - 1], &t->v[i], err);
    }
    return 0;
}
