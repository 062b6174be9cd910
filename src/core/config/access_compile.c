/*
 * acl, access_rules, shaper_rules and shaper from the file's form into the form of core/config/access_compile.h. Runs when a
 * configuration is loaded; suspends never. Both spellings of rules are taken (maps, which may repeat keys, and lists).
 * COMPAT(ejabberd): conditions inside one allow are ANDed even when they are a list of one type; a single name that is
 * not defined never matches.
 */
#include "core/config/access_compile.h"
#include "base/mem.h"
#include "core/config/option.h"

#include <stdio.h>

#define CONDS_MAX 10000

static const struct {
    const char *name;
    enum cond_kind kind;
} acl_types[] = {{"acl", COND_ACL},
                 {"ip", COND_IP},
                 {"node_glob", COND_NODE_GLOB},
                 {"node_regexp", COND_NODE_RE},
                 {"resource", COND_RESOURCE},
                 {"resource_glob", COND_RESOURCE_GLOB},
                 {"resource_regexp", COND_RESOURCE_RE},
                 {"server", COND_SERVER},
                 {"server_glob", COND_SERVER_GLOB},
                 {"server_regexp", COND_SERVER_RE},
                 {"shared_group", COND_SHARED_GROUP},
                 {"user", COND_USER},
                 {"user_glob", COND_USER_GLOB},
                 {"user_regexp", COND_USER_RE}};

bool acl_type_known(struct str type)
{
    for (size_t i = 0; i < ARRAY_LEN(acl_types); i++)
        if (str_eq(type, str_of(acl_types[i].name)))
            return true;
    return false;
}

static const char *acl_type_near(struct str type)
{
    const char *words[ARRAY_LEN(acl_types)];
    for (size_t i = 0; i < ARRAY_LEN(acl_types); i++)
        words[i] = acl_types[i].name;
    return str_near(type, words, ARRAY_LEN(acl_types));
}

static struct acl_cond *cond_add(struct rule_compiler *c, struct acl_conds *out)
{
    ARENA_MORE(c->arena, out->v, out->n);
    return &out->v[out->n++];
}

static void regexp_free(void *re)
{
    pcre2_code_free(re);
}

static int regexp_make(struct rule_compiler *c, const struct yaml *where, struct str pattern, pcre2_code **out)
{
    int code;
    size_t at;
    *out = pcre2_compile((PCRE2_SPTR)(pattern.p ? pattern.p : ""), pattern.n, PCRE2_UTF, &code, &at, NULL);
    if (!*out) {
        PCRE2_UCHAR words[128];
        pcre2_get_error_message(code, words, sizeof(words));
        return yaml_error(where, c->err, "the regular expression '%.*s' is wrong at its character %zu: %s",
                          pattern.n < 80 ? (int)pattern.n : 80, pattern.p, at, (char *)words);
    }
    arena_on_release(c->arena, regexp_free, *out);
    return 0;
}

static int not_a(struct rule_compiler *c, const struct yaml *y, const char *type, const char *expected)
{
    char got[96];
    return yaml_error(y, c->err, "acl type '%s' must be %s, got %s", type, expected, yaml_got(y, got));
}

static int prepare_host(struct rule_compiler *c, const struct yaml *y, const char *type, struct str host,
                        struct str *out)
{
    if (!host.n || !jid_nameprep(c->arena, host, out) || !out->n)
        return not_a(c, y, type, "a name with a domain");
    *out = arena_str(c->arena, *out);
    return 0;
}

static int prepare_user(struct rule_compiler *c, const struct yaml *y, const char *type, struct str user,
                        struct str *out)
{
    if (!jid_nodeprep(c->arena, user, out))
        return not_a(c, y, type, "a valid user name");
    *out = arena_str(c->arena, *out);
    return 0;
}

/* user types: the name or pattern, and the host it is for (absent: any served one). */
static int fill_user(struct rule_compiler *c, struct acl_cond *cond, const char *type, const struct yaml *y,
                     struct str user, struct str host)
{
    if (host.p && prepare_host(c, y, type, host, &cond->host))
        return -1;
    if (cond->kind == COND_USER)
        return prepare_user(c, y, type, user, &cond->user);
    cond->user = arena_str(c->arena, user);
    return cond->kind == COND_USER_RE ? regexp_make(c, y, user, &cond->re) : 0;
}

static int fill_node(struct rule_compiler *c, struct acl_cond *cond, const char *type, const struct yaml *y,
                     struct str user, struct str host)
{
    if (!host.p)
        return not_a(c, y, type, "of the form user@server, both patterns");
    cond->user = arena_str(c->arena, user);
    cond->host = arena_str(c->arena, host);
    if (cond->kind == COND_NODE_GLOB)
        return 0;
    return regexp_make(c, y, user, &cond->re) || regexp_make(c, y, host, &cond->re_host) ? -1 : 0;
}

static int fill_single(struct rule_compiler *c, struct acl_cond *cond, const char *type, const struct yaml *y)
{
    switch (cond->kind) {
    case COND_SERVER:
        return prepare_host(c, y, type, y->text, &cond->host);
    case COND_SERVER_RE:
        return regexp_make(c, y, y->text, &cond->re_host);
    case COND_SERVER_GLOB:
        cond->host = arena_str(c->arena, y->text);
        return 0;
    case COND_RESOURCE:
        if (!jid_resourceprep(c->arena, y->text, &cond->user))
            return not_a(c, y, type, "a valid resource");
        cond->user = arena_str(c->arena, cond->user);
        return 0;
    case COND_RESOURCE_RE:
        return regexp_make(c, y, y->text, &cond->re);
    case COND_IP:
        return ip_net_parse(y->text, &cond->net) ? 0 : not_a(c, y, type, "an IP address or network");
    default:
        cond->user = arena_str(c->arena, y->text);
        return 0;
    }
}

static bool two_parts(enum cond_kind k)
{
    return k == COND_USER || k == COND_USER_RE || k == COND_USER_GLOB || k == COND_NODE_RE || k == COND_NODE_GLOB;
}

static int fill_two(struct rule_compiler *c, struct acl_cond *cond, const char *type, const struct yaml *y,
                    struct str user, struct str host)
{
    bool node = cond->kind == COND_NODE_RE || cond->kind == COND_NODE_GLOB;
    return node ? fill_node(c, cond, type, y, user, host) : fill_user(c, cond, type, y, user, host);
}

/* Names of groups are taken as they are: they have no prepared form. */
static int fill_group(struct rule_compiler *c, struct acl_cond *cond, const char *type, const struct yaml *host, struct str group)
{
    cond->user = arena_str(c->arena, group);
    return prepare_host(c, host, type, host->text, &cond->host);
}

static int add_scalar(struct rule_compiler *c, enum cond_kind kind, const char *type, const struct yaml *y,
                      struct acl_conds *out)
{
    struct acl_cond *cond = cond_add(c, out);
    cond->kind = kind;
    cond->where = y;
    if (kind == COND_ACL && (str_eq(y->text, S("all")) || str_eq(y->text, S("none"))))
        cond->kind = str_eq(y->text, S("all")) ? COND_ALL : COND_NONE;
    if (!two_parts(kind))
        return fill_single(c, cond, type, y);
    const char *at = y->text.n ? memrchr(y->text.p, '@', y->text.n) : NULL;
    size_t user_len = at ? (size_t)(at - y->text.p) : y->text.n;
    struct str host = at ? str_n(at + 1, y->text.n - user_len - 1) : STR_NULL;
    return fill_two(c, cond, type, y, str_n(y->text.p, user_len), host);
}

/* {name: server}, also {name: [server, ...]} */
static int add_map(struct rule_compiler *c, enum cond_kind kind, const char *type, const struct yaml *y,
                   struct acl_conds *out)
{
    if (!two_parts(kind) && kind != COND_SHARED_GROUP)
        return not_a(c, y, type, "a text");
    for (size_t i = 0; i < y->n; i++) {
        const struct yaml *v = y->items[i];
        const struct yaml *const one[] = {v};
        const struct yaml *const *hosts = v->kind == YAML_LIST ? (const struct yaml *const *)v->items : one;
        for (size_t k = 0; k < (v->kind == YAML_LIST ? v->n : 1); k++) {
            if (hosts[k]->kind != YAML_SCALAR)
                return not_a(c, hosts[k], type, "of the form {name: server}");
            struct acl_cond *cond = cond_add(c, out);
            cond->kind = kind;
            cond->where = hosts[k];
            if (kind == COND_SHARED_GROUP ? fill_group(c, cond, type, hosts[k], y->keys[i])
                                          : fill_two(c, cond, type, hosts[k], y->keys[i], hosts[k]->text))
                return -1;
        }
    }
    return 0;
}

static int add_values(struct rule_compiler *c, enum cond_kind kind, const char *type, const struct yaml *y,
                      struct acl_conds *out)
{
    if (out->n > CONDS_MAX)
        return yaml_error(y, c->err, "more than %d conditions in one rule", CONDS_MAX);
    if (y->kind == YAML_SCALAR)
        return add_scalar(c, kind, type, y, out);
    if (y->kind == YAML_MAP)
        return add_map(c, kind, type, y, out);
    if (y->kind == YAML_NULL)
        return not_a(c, y, type, "a text or a list of texts");
    for (size_t i = 0; i < y->n; i++) {
        if (y->items[i]->kind == YAML_LIST)
            return not_a(c, y->items[i], type, "a text or a list of texts");
        if (add_values(c, kind, type, y->items[i], out))
            return -1;
    }
    return 0;
}

int compile_cond_entry(struct rule_compiler *c, struct str type, const struct yaml *key, const struct yaml *value,
                       struct acl_conds *out)
{
    for (size_t i = 0; i < ARRAY_LEN(acl_types); i++) {
        if (!str_eq(type, str_of(acl_types[i].name)))
            continue;
        return add_values(c, acl_types[i].kind, acl_types[i].name, value, out);
    }
    char got[96];
    const char *near = acl_type_near(type);
    return yaml_error(key, c->err, "unknown acl type %s%s%s%s", yaml_got(key, got), near ? "; did you mean '" : "",
                      near ? near : "", near ? "'?" : "");
}

static int conds_map(struct rule_compiler *c, const struct yaml *y, struct acl_conds *out)
{
    for (size_t i = 0; i < y->n; i++)
        if (compile_cond_entry(c, y->keys[i], y->key_nodes[i], y->items[i], out))
            return -1;
    return 0;
}

int compile_conds(struct rule_compiler *c, const struct yaml *y, struct acl_conds *out)
{
    if (y->kind == YAML_SCALAR)
        return add_scalar(c, COND_ACL, "acl", y, out);
    if (y->kind == YAML_MAP)
        return conds_map(c, y, out);
    for (size_t i = 0; y->kind == YAML_LIST && i < y->n; i++) {
        const struct yaml *e = y->items[i];
        if (e->kind != YAML_SCALAR && e->kind != YAML_MAP) {
            char got[96];
            return yaml_error(e, c->err, "every condition must be the name of an acl or a map of acl types, got %s",
                              yaml_got(e, got));
        }
        if (compile_conds(c, e, out))
            return -1;
    }
    return 0;
}

static int name_check(struct rule_compiler *c, const struct yaml *map, size_t i, const char *what)
{
    if (str_eq(map->keys[i], S("all")) || str_eq(map->keys[i], S("none")))
        return yaml_error(map->key_nodes[i], c->err, "'%.*s' has its own meaning and cannot be %s",
                          STR_ARG(map->keys[i]), what);
    return 0;
}

static int names_check(struct rule_compiler *c, const struct yaml *map, const char *option, const char *what)
{
    if (!map || map->kind == YAML_NULL)
        return 0;
    char got[96];
    if (map->kind != YAML_MAP)
        return yaml_error(map, c->err, "option '%s' must be a map, got %s", option, yaml_got(map, got));
    ptrdiff_t dup = yaml_duplicate(map);
    if (dup >= 0)
        return yaml_error(map->key_nodes[dup], c->err, "'%.*s' is given twice in option '%s'", STR_ARG(map->keys[dup]),
                          option);
    for (size_t i = 0; i < map->n; i++)
        if (name_check(c, map, i, what))
            return -1;
    return 0;
}

int compile_acls(struct rule_compiler *c, const struct yaml *map, struct named_acl **out, size_t *n_out)
{
    if (names_check(c, map, "acl", "the name of an acl"))
        return -1;
    *n_out = map ? map->n : 0;
    *out = ARENA_ARRAY(c->arena, struct named_acl, *n_out + 1);
    for (size_t i = 0; i < *n_out; i++) {
        const struct yaml *y = map->items[i];
        char got[96];
        (*out)[i].name = map->keys[i];
        (*out)[i].where = map->key_nodes[i];
        if (y->kind == YAML_SCALAR && !str_eq(y->text, S("all")) && !str_eq(y->text, S("none")))
            return yaml_error(y, c->err, "acl '%.*s' must be a map of acl types, got %s", STR_ARG(map->keys[i]),
                              yaml_got(y, got));
        if (compile_conds(c, y, &(*out)[i].any_of))
            return -1;
    }
    return 0;
}

static bool rate_known(const struct acl_scope *s, struct str name)
{
    return !s || shaper_named(s, name);
}

/* "none", a number, infinity, or the name of a shaper; COMPAT(ejabberd): an undefined shaper is "none", with a warning.
 */
static int shaper_value(struct rule_compiler *c, const struct yaml *where, struct str word, struct str *out)
{
    int64_t n;
    *out = word;
    if (str_to_i64(word, &n))
        return n > 0
                   ? 0
                   : yaml_error(where, c->err, "a number in a shaper rule must be positive, got '%.*s'", STR_ARG(word));
    if (str_eq(word, S("unlimited")) || str_eq(word, S("infinite")))
        *out = S("infinity");
    if (str_eq(*out, S("infinity")) || str_eq(word, S("none")) || rate_known(c->scope, word))
        return 0;
    *out = S("none");
    if (c->warn) {
        char words[160];
        snprintf(words, sizeof(words), "shaper '%.*s' is not defined: no limit", word.n < 80 ? (int)word.n : 80,
                 word.p);
        c->warn(c->warn_arg, where, words);
    }
    return 0;
}

static int clause_value(struct rule_compiler *c, enum rule_values values, const struct yaml *where, struct str word,
                        struct str *out)
{
    if (values == RULE_SHAPER)
        return shaper_value(c, where, word, out);
    *out = word;
    if (str_eq(word, S("allow")) || str_eq(word, S("deny")))
        return 0;
    char got[96];
    return yaml_error(where, c->err, "an access rule is made of 'allow' and 'deny', got %s", yaml_got(where, got));
}

static struct rule_clause *clause_add(struct rule_compiler *c, struct rule *out)
{
    ARENA_MORE(c->arena, out->v, out->n);
    return &out->v[out->n++];
}

static int clause(struct rule_compiler *c, enum rule_values values, const struct yaml *key, const struct yaml *conds,
                  struct rule *out)
{
    struct rule_clause *cl = clause_add(c, out);
    cl->where = key;
    if (clause_value(c, values, key, key->text, &cl->value))
        return -1;
    if (conds && conds->kind != YAML_NULL)
        return compile_conds(c, conds, &cl->all_of);
    cond_add(c, &cl->all_of)->kind = COND_ALL; /* "- allow" alone */
    return 0;
}

static int clauses_map(struct rule_compiler *c, enum rule_values values, const struct yaml *y, struct rule *out)
{
    for (size_t i = 0; i < y->n; i++)
        if (clause(c, values, y->key_nodes[i], y->items[i], out))
            return -1;
    return 0;
}

int compile_rule(struct rule_compiler *c, const struct yaml *y, enum rule_values values, struct rule *out)
{
    if (y->kind == YAML_MAP)
        return clauses_map(c, values, y, out);
    if (y->kind == YAML_SCALAR)
        return clause(c, values, y, NULL, out);
    for (size_t i = 0; y->kind == YAML_LIST && i < y->n; i++) {
        const struct yaml *e = y->items[i];
        char got[96];
        if (e->kind != YAML_MAP && e->kind != YAML_SCALAR)
            return yaml_error(e, c->err, "every entry of a rule must be a word or a map, got %s", yaml_got(e, got));
        if (e->kind == YAML_MAP ? clauses_map(c, values, e, out) : clause(c, values, e, NULL, out))
            return -1;
    }
    return 0;
}

int compile_rules(struct rule_compiler *c, const struct yaml *map, enum rule_values values, struct named_rule **out,
                  size_t *n_out)
{
    const char *option = values == RULE_ACCESS ? "access_rules" : "shaper_rules";
    if (names_check(c, map, option, "the name of a rule"))
        return -1;
    *n_out = map ? map->n : 0;
    *out = ARENA_ARRAY(c->arena, struct named_rule, *n_out + 1);
    for (size_t i = 0; i < *n_out; i++) {
        const struct yaml *y = map->items[i];
        char got[96];
        (*out)[i].name = map->keys[i];
        (*out)[i].where = map->key_nodes[i];
        bool word = y->kind == YAML_SCALAR && values == RULE_SHAPER;
        if (y->kind != YAML_MAP && y->kind != YAML_LIST && !word)
            return yaml_error(y, c->err, "rule '%.*s' of option '%s' must be a map or a list%s, got %s",
                              STR_ARG(map->keys[i]), option, values == RULE_SHAPER ? ", a shaper or a number" : "",
                              yaml_got(y, got));
        if (compile_rule(c, y, values, &(*out)[i].rule))
            return -1;
    }
    return 0;
}

static int shaper_number(struct rule_compiler *c, struct str name, const char *what, const struct yaml *y,
                         uint64_t *out)
{
    int64_t n;
    char got[96];
    *out = 0;
    if (y->kind == YAML_SCALAR &&
        (str_eq(y->text, S("infinity")) || str_eq(y->text, S("unlimited")) || str_eq(y->text, S("none"))))
        return 0;
    if (!yaml_int(y, &n) || n < 1)
        return yaml_error(y, c->err, "%sof shaper '%.*s' must be a positive integer or 'infinity', got %s", what,
                          STR_ARG(name), yaml_got(y, got));
    *out = (uint64_t)n;
    return 0;
}

static int shaper_map(struct rule_compiler *c, const struct yaml *y, struct named_shaper *s)
{
    bool has_rate = false;
    for (size_t i = 0; i < y->n; i++) {
        bool rate = str_eq(y->keys[i], S("rate")), burst = str_eq(y->keys[i], S("burst_size"));
        char got[96];
        if (!rate && !burst)
            return yaml_error(y->key_nodes[i], c->err,
                              "unknown option %s of shaper '%.*s'; known are 'rate' and 'burst_size'",
                              yaml_got(y->key_nodes[i], got), STR_ARG(s->name));
        if (shaper_number(c, s->name, rate ? "rate " : "burst_size ", y->items[i], rate ? &s->rate : &s->burst))
            return -1;
        has_rate = has_rate || rate;
    }
    return has_rate ? 0 : yaml_error(y, c->err, "shaper '%.*s' has no 'rate'", STR_ARG(s->name));
}

int compile_shapers(struct rule_compiler *c, const struct yaml *map, struct named_shaper **out, size_t *n_out)
{
    if (names_check(c, map, "shaper", "the name of a shaper"))
        return -1;
    *n_out = map ? map->n : 0;
    *out = ARENA_ARRAY(c->arena, struct named_shaper, *n_out + 1);
    for (size_t i = 0; i < *n_out; i++) {
        struct named_shaper *s = &(*out)[i];
        const struct yaml *y = map->items[i];
        ptrdiff_t dup = yaml_duplicate(y);
        s->name = map->keys[i];
        if (dup >= 0)
            return yaml_error(y->key_nodes[dup], c->err, "'%.*s' is given twice in shaper '%.*s'",
                              STR_ARG(y->keys[dup]), STR_ARG(s->name));
        if (y->kind == YAML_MAP ? shaper_map(c, y, s) : shaper_number(c, s->name, "the rate ", y, &s->rate))
            return -1;
        if (s->burst < s->rate) /* a burst below the rate would never let the rate be reached */
            s->burst = s->rate;
    }
    return 0;
}
