/*
 * Access rules as they are kept in a loaded configuration: compiled once, read by core/config/access.c and
 * core/config/permission.c. Everything lives in the configuration's arena (regular expressions are freed with it).
 */
#ifndef CORE_ACCESS_COMPILE_H
#define CORE_ACCESS_COMPILE_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include "core/config/access.h"

#include <pcre2.h>

enum cond_kind {
    COND_ALL,
    COND_NONE,
    COND_ACL,
    COND_USER,
    COND_USER_RE,
    COND_USER_GLOB, /* host: of that host; absent: of any served host */
    COND_NODE_RE,
    COND_NODE_GLOB, /* both parts are patterns */
    COND_SERVER,
    COND_SERVER_RE,
    COND_SERVER_GLOB, /* in host / re_host */
    COND_RESOURCE,
    COND_RESOURCE_RE,
    COND_RESOURCE_GLOB, /* in user / re */
    COND_IP,
    COND_SHARED_GROUP /* host absent: of the host whose rules are asked */
};

struct acl_cond {
    enum cond_kind kind;
    struct str user, host; /* names, globs; COND_ACL: user is the acl's name */
    pcre2_code *re, *re_host;
    struct ip_net net;
    const struct yaml *where; /* what was written; NULL: nothing was (a default) */
};

struct acl_conds {
    struct acl_cond *v;
    size_t n;
};

/* One allow, deny or shaper value with its conditions: all of them must match. */
struct rule_clause {
    struct str value;
    struct acl_conds all_of;
    const struct yaml *where;
};

struct rule {
    struct rule_clause *v;
    size_t n;
};

struct named_acl {
    struct str name;
    struct acl_conds any_of;
    const struct yaml *where;
};

struct named_rule {
    struct str name;
    struct rule rule;
    const struct yaml *where;
};

struct named_shaper {
    struct str name;
    uint64_t rate, burst;
};

/* What names mean on a host, or globally. A host without definitions of its own shares the global one's arrays. */
struct acl_scope {
    const struct config *config; /* for "any served host" */
    struct named_acl *acls;
    size_t acl_count;
    struct named_rule *access, *shapers_by_rule;
    size_t access_count, shaper_rule_count;
    struct named_shaper *shapers;
    size_t shaper_count;
};

/* One clause of "who" in api_permissions. */
struct api_who {
    enum { WHO_COND, WHO_ACCESS, WHO_RULE, WHO_OAUTH } kind;
    struct acl_cond cond; /* WHO_COND */
    struct str access;    /* WHO_ACCESS: name */
    struct rule rule;     /* WHO_RULE: given in place */
    struct str *scopes;   /* WHO_OAUTH */
    size_t scope_count;
    struct api_who *inner; /* WHO_OAUTH: any of these */
    size_t inner_count;
    const struct yaml *where;
};

struct api_what {
    bool negative;
    enum { WHAT_ALL, WHAT_NAME, WHAT_TAG } kind;
    struct str name;
    const struct yaml *where;
};

struct api_section {
    struct str name;
    struct str *frontends, *tags; /* each empty: any */
    size_t frontend_count, tag_count;
    struct api_who *who;
    size_t who_count;
    struct api_what *what;
    size_t what_count;
    const struct yaml *where, *from_at, *who_at, *what_at; /* NULL: not written */
};

struct api_rules {
    struct api_section *v;
    size_t n;
};

enum rule_values { RULE_ACCESS, RULE_SHAPER };

struct rule_compiler {
    struct arena *arena;
    struct error *err;
    const struct acl_scope *scope; /* for the names of shapers; may be NULL */
    /* Something worth a warning; may be NULL. */
    void (*warn)(void *arg, const struct yaml *where, const char *words);
    void *warn_arg;
};

/* The options' values; NULL nodes give empty results. -1: err says where and what. */
int compile_acls(struct rule_compiler *c, const struct yaml *map, struct named_acl **out, size_t *n_out);
int compile_rules(struct rule_compiler *c, const struct yaml *map, enum rule_values values, struct named_rule **out,
                  size_t *n_out);
int compile_shapers(struct rule_compiler *c, const struct yaml *map, struct named_shaper **out, size_t *n_out);
/* A rule given in place: a list, a map, or (shapers) a number. */
int compile_rule(struct rule_compiler *c, const struct yaml *y, enum rule_values values, struct rule *out);
/* One acl type with its value ("user", [a, b]): appends a condition for each entry. */
int compile_conds(struct rule_compiler *c, const struct yaml *y, struct acl_conds *out);
int compile_cond_entry(struct rule_compiler *c, struct str type, const struct yaml *key, const struct yaml *value,
                       struct acl_conds *out);
bool acl_type_known(struct str type);
/* api_permissions; map NULL: ejabberd's default. */
int compile_api(struct rule_compiler *c, const struct yaml *map, struct api_rules *out);

bool conds_all(const struct acl_scope *s, const struct acl_conds *conds, const struct access_subject *who);
bool cond_match(const struct acl_scope *s, const struct acl_cond *cond, const struct access_subject *who);
/* Value of the first clause that matches; absent when none does. */
struct str rule_value(const struct acl_scope *s, const struct rule *r, const struct access_subject *who);
const struct rule *rule_find(const struct named_rule *v, size_t n, struct str name);
const struct named_acl *acl_find(const struct acl_scope *s, struct str name);

/* The parts of a section, one by one; permission.c asks all of them. */
bool section_from(const struct api_section *s, const struct api_caller *caller);
bool section_what(const struct api_section *s, const struct api_target *t);
bool section_who(const struct acl_scope *scope, const struct api_section *s, const struct api_caller *caller);
bool what_hits(const struct api_what *w, const struct api_target *t);
/* One entry of `who`, with the caller's token where there is one. */
bool who_matches(const struct acl_scope *scope, const struct api_who *w, const struct api_caller *caller);
const struct named_shaper *shaper_named(const struct acl_scope *s, struct str name);
bool glob_match(struct str pattern, struct str text);
/* Is the subject, whose address is present, in the shared roster group? */
bool group_match(const struct acl_cond *c, const struct access_subject *who);

#endif
