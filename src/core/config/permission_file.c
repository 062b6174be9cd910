/* Rules out of a file of their own, put in the place of those in force (core/config/permission_explain.h). Blocks on the file. */
#include "core/config/permission_explain.h"

#include "core/config/access_compile.h"
#include "core/config/option.h"

static const char *const options[] = {"acl", "access_rules", "api_permissions"};

static int check_names(const struct yaml *top, struct error *err)
{
    ptrdiff_t dup = top->kind == YAML_MAP ? yaml_duplicate(top) : -1;
    char got[96];
    if (top->kind != YAML_MAP)
        return yaml_error(top, err, "a file of permissions is a map with acl, access_rules and api_permissions, got %s",
                          yaml_got(top, got));
    if (dup >= 0)
        return yaml_error(top->key_nodes[dup], err, "option '%.*s' is given twice", STR_ARG(top->keys[dup]));
    for (size_t i = 0; i < top->n; i++) {
        bool known = false;
        for (size_t k = 0; k < ARRAY_LEN(options); k++)
            known = known || str_eq(top->keys[i], str_of(options[k]));
        if (!known)
            return yaml_error(top->key_nodes[i], err, "option %s has no place in a file of permissions: acl, access_rules and "
                                                      "api_permissions have; a whole configuration has hosts too",
                              yaml_got(top->key_nodes[i], got));
    }
    return 0;
}

static int compile(struct arena *a, const struct yaml *top, struct config *c, struct error *err)
{
    struct acl_scope *scope = ARENA_NEW(a, struct acl_scope);
    struct api_rules *api = ARENA_NEW(a, struct api_rules);
    struct rule_compiler rc = {.arena = a, .err = err, .scope = scope};
    const struct yaml *acl = yaml_get(top, S("acl")), *access = yaml_get(top, S("access_rules")),
                      *permissions = yaml_get(top, S("api_permissions"));
    *scope = *c->scope;
    scope->config = c;
    if ((acl && compile_acls(&rc, acl, &scope->acls, &scope->acl_count)) ||
        (access && compile_rules(&rc, access, RULE_ACCESS, &scope->access, &scope->access_count)) ||
        (permissions && compile_api(&rc, permissions, api)))
        return -1;
    c->scope = scope;
    if (permissions) {
        c->api = api;
        c->api_permissions = permissions;
    }
    return 0;
}

/* Hosts that change nothing follow the new rules; the others keep theirs. */
static void take_hosts(struct arena *a, const struct config *base, struct config *c)
{
    struct vhost *v = ARENA_ARRAY(a, struct vhost, base->host_count);
    const struct vhost **by_name = (const struct vhost **)ARENA_ARRAY(a, struct vhost *, base->host_count);
    memcpy(v, base->hosts, base->host_count * sizeof(*v));
    for (size_t i = 0; i < base->host_count; i++) {
        if (v[i].scope == base->scope)
            v[i].scope = c->scope;
        by_name[i] = &v[base->hosts_by_name[i]->index];
    }
    c->hosts = v;
    c->hosts_by_name = by_name;
}

const struct config *api_rules_load(struct arena *a, const struct config *base, const char *file, struct error *err)
{
    struct config *c = ARENA_NEW(a, struct config);
    struct yaml *top = yaml_read(a, file, err);
    if (!top)
        return NULL;
    *c = *base;
    if (check_names(top, err) || compile(a, top, c, err))
        return NULL;
    take_hosts(a, base, c);
    return c;
}
