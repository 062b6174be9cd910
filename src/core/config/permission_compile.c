/*
 * api_permissions from the file's form into the form of core/config/access_compile.h. Runs when a configuration is loaded.
 * A section is a map with from, who and what; each of them one entry or a list.
 */
#include "core/config/access_compile.h"
#include "core/config/option.h"

static const char *const frontends[] = {"ejabberd_ctl",  "ejabberd_web_admin", "ejabberd_xmlrpc",
                                        "mod_adhoc_api", "mod_cron",           "mod_http_api"};

static int unknown(struct rule_compiler *c, const struct yaml *y, const char *what, const char *near)
{
    char got[96];
    return yaml_error(y, c->err, "unknown %s %s%s%s%s", what, yaml_got(y, got), near ? "; did you mean '" : "",
                      near ? near : "", near ? "'?" : "");
}

static int wrong(struct rule_compiler *c, const struct yaml *y, const char *what, const char *expected)
{
    char got[96];
    return yaml_error(y, c->err, "%s must be %s, got %s", what, expected, yaml_got(y, got));
}

/* The entries of "one or a list of". */
static size_t entries(const struct yaml *y, const struct yaml *const **out, const struct yaml **one)
{
    *one = y;
    *out = y->kind == YAML_LIST ? (const struct yaml *const *)y->items : (const struct yaml *const *)one;
    return y->kind == YAML_LIST ? y->n : y->kind == YAML_NULL ? 0 : 1;
}

static int from_entry(struct rule_compiler *c, const struct yaml *y, struct api_section *s)
{
    if (y->kind == YAML_SCALAR) {
        for (size_t i = 0; i < ARRAY_LEN(frontends); i++)
            if (str_eq(y->text, str_of(frontends[i]))) {
                s->frontends[s->frontend_count++] = y->text;
                return 0;
            }
        return unknown(c, y, "front end of api_permissions", str_near(y->text, frontends, ARRAY_LEN(frontends)));
    }
    if (y->kind != YAML_MAP || y->n != 1 || !str_eq(y->keys[0], S("tag")) || y->items[0]->kind != YAML_SCALAR)
        return wrong(c, y, "an entry of 'from'", "the name of a front end or 'tag: NAME'");
    s->tags[s->tag_count++] = y->items[0]->text;
    return 0;
}

static int compile_from(struct rule_compiler *c, const struct yaml *y, struct api_section *s)
{
    const struct yaml *const *v, *one;
    size_t n = entries(y, &v, &one);
    s->from_at = y;
    s->frontends = ARENA_ARRAY(c->arena, struct str, n + 1);
    s->tags = ARENA_ARRAY(c->arena, struct str, n + 1);
    for (size_t i = 0; i < n; i++)
        if (from_entry(c, v[i], s))
            return -1;
    return 0;
}

struct who_list {
    struct api_who *v;
    size_t n;
};

static struct api_who *who_add(struct rule_compiler *c, struct who_list *out)
{
    ARENA_MORE(c->arena, out->v, out->n);
    return &out->v[out->n++];
}

static int compile_who(struct rule_compiler *c, const struct yaml *y, struct api_who *oauth, struct who_list *out);

static int who_access(struct rule_compiler *c, const struct yaml *y, struct who_list *out)
{
    struct api_who *w = who_add(c, out);
    w->where = y;
    if (y->kind == YAML_SCALAR) {
        w->kind = WHO_ACCESS;
        w->access = y->text;
        return 0;
    }
    w->kind = WHO_RULE;
    if (y->kind != YAML_MAP && y->kind != YAML_LIST)
        return wrong(c, y, "'access'", "the name of an access rule, or a rule");
    return compile_rule(c, y, RULE_ACCESS, &w->rule);
}

static int who_conds(struct rule_compiler *c, struct str type, const struct yaml *key, const struct yaml *value,
                     struct who_list *out)
{
    struct acl_conds conds = {0};
    if (key ? compile_cond_entry(c, type, key, value, &conds) : compile_conds(c, value, &conds))
        return -1;
    for (size_t i = 0; i < conds.n; i++) {
        struct api_who *w = who_add(c, out);
        w->cond = conds.v[i];
        w->where = conds.v[i].where;
    }
    return 0;
}

static int oauth_scopes(struct rule_compiler *c, const struct yaml *y, struct api_who *w)
{
    const struct yaml *const *v, *one;
    size_t n = entries(y, &v, &one);
    w->scopes = ARENA_ARRAY(c->arena, struct str, n + 1);
    for (size_t i = 0; i < n; i++) {
        if (v[i]->kind != YAML_SCALAR)
            return wrong(c, v[i], "'scope'", "a text or a list of texts");
        w->scopes[w->scope_count++] = v[i]->text;
    }
    return 0;
}

static int who_oauth(struct rule_compiler *c, const struct yaml *y, struct who_list *out)
{
    struct api_who oauth = {.kind = WHO_OAUTH, .where = y};
    struct who_list inner = {0};
    if (y->kind != YAML_MAP && y->kind != YAML_LIST)
        return wrong(c, y, "'oauth'", "a map with 'scope' and who it is for");
    if (compile_who(c, y, &oauth, &inner))
        return -1;
    if (!oauth.scope_count)
        return yaml_error(y, c->err, "'oauth' has no 'scope'");
    oauth.inner = inner.v;
    oauth.inner_count = inner.n;
    *who_add(c, out) = oauth;
    return 0;
}

/* oauth: the clause being filled, NULL outside one. */
static int who_map(struct rule_compiler *c, const struct yaml *y, struct api_who *oauth, struct who_list *out)
{
    for (size_t i = 0; i < y->n; i++) {
        struct str key = y->keys[i];
        int rc;
        if (str_eq(key, S("access")))
            rc = who_access(c, y->items[i], out);
        else if (str_eq(key, S("oauth")) && !oauth)
            rc = who_oauth(c, y->items[i], out);
        else if (str_eq(key, S("scope")) && oauth)
            rc = oauth_scopes(c, y->items[i], oauth);
        else
            rc = who_conds(c, key, y->key_nodes[i], y->items[i], out);
        if (rc)
            return -1;
    }
    return 0;
}

static int compile_who(struct rule_compiler *c, const struct yaml *y, struct api_who *oauth, struct who_list *out)
{
    const struct yaml *const *v, *one;
    size_t n = entries(y, &v, &one);
    for (size_t i = 0; i < n; i++) {
        if (v[i]->kind != YAML_SCALAR && v[i]->kind != YAML_MAP)
            return wrong(c, v[i], "an entry of 'who'", "the name of an acl or a map");
        if (v[i]->kind == YAML_MAP ? who_map(c, v[i], oauth, out) : who_conds(c, STR_NULL, NULL, v[i], out))
            return -1;
    }
    return 0;
}

static int what_entry(struct rule_compiler *c, const struct yaml *y, struct api_what *w)
{
    if (y->kind != YAML_SCALAR || !y->text.n)
        return wrong(c, y, "an entry of 'what'",
                     "the name of a command, \"*\", \"[tag:NAME]\" or one of these after '!'");
    struct str s = y->text;
    w->where = y;
    w->negative = s.p[0] == '!';
    s.p += w->negative;
    s.n -= w->negative;
    if (str_eq(s, S("*"))) {
        w->kind = WHAT_ALL;
    } else if (str_starts(s, S("[tag:")) && s.p[s.n - 1] == ']') {
        w->kind = WHAT_TAG;
        w->name = str_trim(str_n(s.p + 5, s.n - 6));
    } else {
        w->kind = WHAT_NAME;
        w->name = s;
    }
    return 0;
}

static int compile_what(struct rule_compiler *c, const struct yaml *y, struct api_section *s)
{
    const struct yaml *const *v, *one;
    size_t n = entries(y, &v, &one);
    s->what_at = y;
    s->what = ARENA_ARRAY(c->arena, struct api_what, n + 1);
    for (size_t i = 0; i < n; i++)
        if (what_entry(c, v[i], &s->what[s->what_count++]))
            return -1;
    return 0;
}

static int compile_part(struct rule_compiler *c, const struct yaml *y, size_t i, struct api_section *s)
{
    static const char *const parts[] = {"from", "who", "what"};
    if (str_eq(y->keys[i], S("from")))
        return compile_from(c, y->items[i], s);
    if (str_eq(y->keys[i], S("what")))
        return compile_what(c, y->items[i], s);
    if (!str_eq(y->keys[i], S("who")))
        return unknown(c, y->key_nodes[i], "option of api_permissions", str_near(y->keys[i], parts, ARRAY_LEN(parts)));
    struct who_list who = {0};
    int rc = compile_who(c, y->items[i], NULL, &who);
    s->who_at = y->items[i];
    s->who = who.v;
    s->who_count = who.n;
    return rc;
}

static int compile_section(struct rule_compiler *c, const struct yaml *y, struct api_section *s)
{
    /* COMPAT(ejabberd): older documents write a section as a list of maps with one key each. */
    if (y->kind == YAML_LIST) {
        for (size_t i = 0; i < y->n; i++)
            if (y->items[i]->kind == YAML_LIST || compile_section(c, y->items[i], s))
                return y->items[i]->kind == YAML_LIST ? wrong(c, y->items[i], "a part of api_permissions", "a map")
                                                      : -1;
        return 0;
    }
    if (y->kind != YAML_MAP)
        return wrong(c, y, "a section of api_permissions", "a map with 'from', 'who' and 'what'");
    ptrdiff_t dup = yaml_duplicate(y);
    if (dup >= 0)
        return yaml_error(y->key_nodes[dup], c->err, "'%.*s' is given twice in section '%.*s' of api_permissions",
                          STR_ARG(y->keys[dup]), STR_ARG(s->name));
    for (size_t i = 0; i < y->n; i++)
        if (compile_part(c, y, i, s))
            return -1;
    return 0;
}

/* What ejabberd does without the option: acl admin, also by token with scope ejabberd:admin, all but start and stop. */
static void default_api(struct rule_compiler *c, struct api_rules *out)
{
    struct api_section *s = ARENA_NEW(c->arena, struct api_section);
    s->name = S("admin access");
    s->who = ARENA_ARRAY(c->arena, struct api_who, 2);
    s->who_count = 2;
    s->who[0].cond = (struct acl_cond){.kind = COND_ACL, .user = S("admin")};
    s->who[1].kind = WHO_OAUTH;
    s->who[1].scopes = ARENA_NEW(c->arena, struct str);
    s->who[1].scopes[0] = S("ejabberd:admin");
    s->who[1].scope_count = 1;
    s->who[1].inner = &s->who[0];
    s->who[1].inner_count = 1;
    s->what = ARENA_ARRAY(c->arena, struct api_what, 3);
    s->what_count = 3;
    s->what[0].kind = WHAT_ALL;
    s->what[1] = (struct api_what){.negative = true, .kind = WHAT_NAME, .name = S("start")};
    s->what[2] = (struct api_what){.negative = true, .kind = WHAT_NAME, .name = S("stop")};
    *out = (struct api_rules){s, 1};
}

int compile_api(struct rule_compiler *c, const struct yaml *map, struct api_rules *out)
{
    if (!map || map->n == 0) {
        default_api(c, out);
        return map && map->kind == YAML_SCALAR ? wrong(c, map, "option 'api_permissions'", "a map") : 0;
    }
    if (map->kind != YAML_MAP)
        return wrong(c, map, "option 'api_permissions'", "a map");
    ptrdiff_t dup = yaml_duplicate(map);
    if (dup >= 0)
        return yaml_error(map->key_nodes[dup], c->err, "section '%.*s' is given twice in option 'api_permissions'",
                          STR_ARG(map->keys[dup]));
    out->n = map->n;
    out->v = ARENA_ARRAY(c->arena, struct api_section, map->n);
    for (size_t i = 0; i < map->n; i++) {
        out->v[i].name = map->keys[i];
        out->v[i].where = map->key_nodes[i];
        if (compile_section(c, map->items[i], &out->v[i]))
            return -1;
    }
    return 0;
}
