/*
 * Loading the configuration: file and includes, macros, keywords, global options, rules, hosts, listeners; then it is
 * frozen. config_load blocks on files and may run on any thread; everything else here is constant time or pure. What is
 * in force is a pointer per thread (a shard is a thread), set by config_install.
 */
#include "core/config/config_internal.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static __thread struct config *current;

void loader_warn(struct loader *l, const struct yaml *where, const char *fmt, ...)
{
    char words[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    for (size_t i = 0; i < l->warning_count; i++)
        if (str_eq(l->warned[i], str_of(words)))
            return;
    if (l->warning_count == CONFIG_WARNINGS_MAX)
        return;
    struct str said = arena_str(l->arena, str_of(words));
    struct str line = where && where->line
                          ? arena_printf(l->arena, "%s:%u:%u: %s", where->file, where->line, where->column, words)
                          : arena_printf(l->arena, "%s: %s", where && where->file ? where->file : l->file, words);
    l->warned[l->warning_count] = said;
    l->warnings[l->warning_count++] = arena_cstr(l->arena, line);
}

bool loader_warned(const struct loader *l, const char *what, const char *name)
{
    char text[400];
    int n = snprintf(text, sizeof(text), "%s '%s' has no effect yet", what, name);
    for (size_t i = 0; i < l->warning_count; i++)
        if (str_eq(l->warned[i], str_n(text, (size_t)n)))
            return true;
    return false;
}

static void warn_from_rules(void *arg, const struct yaml *where, const char *words)
{
    loader_warn(arg, where, "%s", words);
}

int config_scope(struct loader *l, const struct options *o, const struct acl_scope *global,
                 const struct acl_scope **out)
{
    struct acl_scope *s = ARENA_NEW(l->arena, struct acl_scope);
    struct rule_compiler c = {.arena = l->arena, .err = l->err, .scope = s, .warn = warn_from_rules, .warn_arg = l};
    if (global)
        *s = *global;
    s->config = l->config;
    *out = s;
    const struct options *below = global ? l->config->global : NULL;
    const struct yaml *acl = opt_node(o, "acl"), *access = opt_node(o, "access_rules"),
                      *rules = opt_node(o, "shaper_rules");
    if ((!global || opt_node(o, "shaper") != opt_node(below, "shaper")) &&
        compile_shapers(&c, opt_node(o, "shaper"), &s->shapers, &s->shaper_count))
        return -1;
    if ((!global || acl != opt_node(below, "acl")) && compile_acls(&c, acl, &s->acls, &s->acl_count))
        return -1;
    if ((!global || access != opt_node(below, "access_rules")) &&
        compile_rules(&c, access, RULE_ACCESS, &s->access, &s->access_count))
        return -1;
    if ((!global || rules != opt_node(below, "shaper_rules")) &&
        compile_rules(&c, rules, RULE_SHAPER, &s->shapers_by_rule, &s->shaper_rule_count))
        return -1;
    return 0;
}

/* COMPAT(ejabberd): keywords are not put into these; modules and hosts have their own turn. */
static bool keyword_free(struct str name)
{
    static const char *const words[] = {"hosts",   "loglevel",    "version",           "define_keyword",
                                        "modules", "host_config", "append_host_config"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(name, str_of(words[i])))
            return true;
    return false;
}

static struct yaml *global_map(struct loader *l)
{
    struct yaml *map = yaml_collection(l->arena, YAML_MAP, l->top->n, l->top);
    for (size_t i = 0; i < l->top->n; i++) {
        map->keys[i] = l->top->keys[i];
        map->key_nodes[i] = l->top->key_nodes[i];
        map->items[i] = keyword_free(map->keys[i]) ? l->top->items[i] : words_expand(l, &l->keywords, l->top->items[i]);
        if (!map->items[i])
            return NULL;
    }
    return map;
}

/* COMPAT(ejabberd): levels may be given as the numbers of older versions. */
static void level_from_number(const struct options *o)
{
    static const struct str names[] = {{"none", 4},    {"critical", 8}, {"error", 5},
                                       {"warning", 7}, {"info", 4},     {"debug", 5}};
    for (size_t i = 0; i < o->n; i++) {
        struct opt_entry *e = (struct opt_entry *)(uintptr_t)&o->entries[i];
        if (!strcmp(e->def->name, "loglevel") && e->value.text.n == 1 && e->value.text.p[0] >= '0' &&
            e->value.text.p[0] <= '5')
            e->value.text = names[e->value.text.p[0] - '0'];
    }
}

static int load_global(struct loader *l)
{
    struct config *c = l->config;
    struct option_source src = {.group = opt_group_find(OPT_TOP, S(""))};
    src.map = global_map(l);
    if (!src.map || options_build(l, &src, &c->global) || config_scope(l, c->global, NULL, &c->scope))
        return -1;
    level_from_number(c->global);
    struct rule_compiler rc = {
        .arena = l->arena, .err = l->err, .scope = c->scope, .warn = warn_from_rules, .warn_arg = l};
    struct api_rules *api = ARENA_NEW(l->arena, struct api_rules);
    c->api = api;
    c->api_permissions = opt_node(c->global, "api_permissions");
    return compile_api(&rc, c->api_permissions, api);
}

static int load(struct loader *l)
{
    struct yaml *source = config_source(l);
    if (!source || config_macros(l, source) || config_keywords(l) || load_global(l) || config_hosts(l) ||
        config_listeners(l))
        return -1;
    config_groups(l);
    l->config->root = l->top;
    return 0;
}

static struct config *load_from(const char *file, struct str text, const struct config_env *env, struct error *err)
{
    struct arena *a = arena_new();
    arena_mark_secret(a); /* passwords of databases and components stand in it */
    struct config *c = ARENA_NEW(a, struct config);
    c->arena = a;
    c->file = arena_cstr(a, str_of(file));
    const char *warnings[CONFIG_WARNINGS_MAX];
    struct str warned[CONFIG_WARNINGS_MAX];
    struct loader l = {.arena = a,
                       .err = err,
                       .env = env,
                       .file = c->file,
                       .text = text,
                       .config = c,
                       .warnings = warnings,
                       .warned = warned};
    if (load(&l)) {
        arena_release(&a);
        return NULL;
    }
    const char **kept = (const char **)ARENA_ARRAY(a, char *, l.warning_count + 1);
    memcpy(kept, warnings, l.warning_count * sizeof(*kept));
    c->warnings = kept;
    c->warning_count = l.warning_count;
    return c;
}

struct config *config_load(const char *file, const struct config_env *env, struct error *err)
{
    return load_from(file, STR_NULL, env, err);
}

struct config *config_parse(const char *file, struct str text, const struct config_env *env, struct error *err)
{
    return load_from(file, text.p ? text : S(""), env, err);
}

struct config *config_hold(const struct config *c)
{
    arena_hold(c->arena);
    return (struct config *)(uintptr_t)c;
}

void config_release(struct config **c)
{
    if (!*c)
        return;
    struct arena *a = (*c)->arena;
    *c = NULL;
    arena_release(&a);
}

const struct config *config_current(void)
{
    return current;
}

void config_install(struct config *c)
{
    struct config *was = current;
    current = c ? config_hold(c) : NULL;
    config_release(&was);
}

const struct vhost *config_host(const struct config *c, struct str host)
{
    size_t lo = 0, hi = c ? c->host_count : 0;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int order = str_cmp(host, c->hosts_by_name[mid]->name);
        if (!order)
            return c->hosts_by_name[mid];
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

const char *config_log_ip(const struct vhost *h, const struct ip *ip, char out[IP_TEXT_MAX])
{
    return ip_print_log(ip, h ? opt_bool(h->options, "hide_sensitive_log_data") : log_hides(), out);
}

const struct options *config_module(const struct vhost *h, struct str module)
{
    size_t lo = 0, hi = h->module_count;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = str_cmp(module, h->modules[mid].name);
        if (!c)
            return h->modules[mid].options;
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

static bool masked(struct str key, const struct yaml *value)
{
    bool in_text = value && value->kind == YAML_SCALAR && memmem(value->text.p, value->text.n, "PWD=", 4);
    return option_secret(key) || str_eq(key, S("define_keyword")) || in_text;
}

struct str config_dump(struct arena *a, const struct config *c, bool mask)
{
    struct buf b = BUF_INIT;
    yaml_write(&b, c->root, mask ? masked : NULL);
    struct str text = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return text;
}
