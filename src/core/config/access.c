/*
 * Who may do what: conditions, access rules and shaper rules evaluated over the frozen configuration. Any thread, no
 * allocation but pcre2's match data, suspends never. What a regular expression may cost is bounded.
 */
#include "core/config/access_compile.h"

#define RE_STEPS_MAX 20000
#define RE_DEPTH_MAX 500
#define ACL_NESTING_MAX 8

static bool regexp_match(const pcre2_code *re, struct str text)
{
    pcre2_match_data *md = pcre2_match_data_create(1, NULL);
    pcre2_match_context *mc = pcre2_match_context_create(NULL);
    bool hit = false;
    if (md && mc) {
        pcre2_set_match_limit(mc, RE_STEPS_MAX);
        pcre2_set_depth_limit(mc, RE_DEPTH_MAX);
        hit = pcre2_match(re, (PCRE2_SPTR)(text.p ? text.p : ""), text.n, 0, 0, md, mc) >= 0;
    }
    pcre2_match_context_free(mc);
    pcre2_match_data_free(md);
    return hit;
}

static size_t char_len(struct str s, size_t at)
{
    unsigned char c = (unsigned char)s.p[at];
    size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return at + n <= s.n ? n : 1;
}

static uint32_t char_at(struct str s, size_t at, size_t *len)
{
    *len = char_len(s, at);
    uint32_t c = 0;
    for (size_t i = 0; i < *len; i++)
        c = c << 8 | (unsigned char)s.p[at + i]; /* the bytes order like the characters */
    return c;
}

/* `at` stands behind "["; false when the set has no end, then "[" is itself. */
static bool glob_set(struct str p, size_t at, uint32_t c, size_t *end_out, bool *hit_out)
{
    bool negate = at < p.n && (p.p[at] == '!' || p.p[at] == '^');
    bool hit = false, first = true;
    for (at += negate; at < p.n; first = false) {
        size_t len;
        uint32_t lo = char_at(p, at, &len), hi = lo;
        if (lo == ']' && !first) {
            *end_out = at + 1;
            *hit_out = hit != negate;
            return true;
        }
        at += len;
        if (at + 1 < p.n && p.p[at] == '-' && p.p[at + 1] != ']') {
            hi = char_at(p, at + 1, &len);
            at += 1 + len;
        }
        hit = hit || (c >= lo && c <= hi);
    }
    return false;
}

/* Does the pattern's element at `pi` match the character? Sets where the pattern goes on. */
static bool glob_one(struct str p, size_t pi, struct str t, size_t ti, size_t *pnext, size_t *tnext)
{
    size_t tlen, plen;
    uint32_t c = char_at(t, ti, &tlen);
    *tnext = ti + tlen;
    bool hit;
    if (p.p[pi] == '[' && glob_set(p, pi + 1, c, pnext, &hit))
        return hit;
    uint32_t want = char_at(p, pi, &plen);
    *pnext = pi + plen;
    return want == '?' || want == c;
}

/* Only the last star is tried again: at most |pattern| x |text| steps. */
bool glob_match(struct str p, struct str t)
{
    size_t pi = 0, ti = 0, star = (size_t)-1, star_ti = 0;
    while (ti < t.n) {
        size_t pnext, tnext;
        if (pi < p.n && p.p[pi] == '*') {
            star = ++pi;
            star_ti = ti;
        } else if (pi < p.n && glob_one(p, pi, t, ti, &pnext, &tnext)) {
            pi = pnext;
            ti = tnext;
        } else if (star != (size_t)-1) {
            pi = star;
            star_ti += char_len(t, star_ti);
            ti = star_ti;
        } else {
            return false;
        }
    }
    while (pi < p.n && p.p[pi] == '*')
        pi++;
    return pi == p.n;
}

static bool host_fits(const struct acl_scope *s, const struct acl_cond *c, struct str host)
{
    return c->host.p ? str_eq(c->host, host) : config_host(s->config, host) != NULL;
}

static bool acl_named(const struct acl_scope *s, struct str name, const struct access_subject *who, unsigned depth);

static bool cond_at(const struct acl_scope *s, const struct acl_cond *c, const struct access_subject *who,
                    unsigned depth)
{
    if (c->kind == COND_ALL || c->kind == COND_NONE)
        return c->kind == COND_ALL;
    if (c->kind == COND_ACL)
        return acl_named(s, c->user, who, depth + 1);
    if (c->kind == COND_IP)
        return who->any_ip || (who->ip.family && ip_net_has(&c->net, &who->ip));
    if (!jid_present(who->jid))
        return false;
    if (c->kind == COND_SHARED_GROUP)
        return group_match(c, who);
    struct str user = jid_user(who->jid), host = jid_host(who->jid), res = jid_res(who->jid);
    switch (c->kind) {
    case COND_USER:
        return str_eq(c->user, user) && host_fits(s, c, host);
    case COND_USER_RE:
        return host_fits(s, c, host) && regexp_match(c->re, user);
    case COND_USER_GLOB:
        return host_fits(s, c, host) && glob_match(c->user, user);
    case COND_NODE_RE:
        return regexp_match(c->re, user) && regexp_match(c->re_host, host);
    case COND_NODE_GLOB:
        return glob_match(c->user, user) && glob_match(c->host, host);
    case COND_SERVER:
        return str_eq(c->host, host);
    case COND_SERVER_RE:
        return regexp_match(c->re_host, host);
    case COND_SERVER_GLOB:
        return glob_match(c->host, host);
    case COND_RESOURCE:
        return str_eq(c->user, res);
    case COND_RESOURCE_RE:
        return regexp_match(c->re, res);
    case COND_RESOURCE_GLOB:
        return glob_match(c->user, res);
    default:
        return false;
    }
}

static bool acl_named(const struct acl_scope *s, struct str name, const struct access_subject *who, unsigned depth)
{
    if (depth > ACL_NESTING_MAX) /* acls that name each other */
        return false;
    const struct named_acl *acl = acl_find(s, name);
    for (size_t k = 0; acl && k < acl->any_of.n; k++)
        if (cond_at(s, &acl->any_of.v[k], who, depth))
            return true;
    return false;
}

const struct named_acl *acl_find(const struct acl_scope *s, struct str name)
{
    for (size_t i = 0; i < s->acl_count; i++)
        if (str_eq(s->acls[i].name, name))
            return &s->acls[i];
    return NULL;
}

bool cond_match(const struct acl_scope *s, const struct acl_cond *cond, const struct access_subject *who)
{
    struct access_subject asked = *who;
    asked.doubt = who->any_ip;
    return cond_at(s, cond, &asked, 0);
}

bool conds_all(const struct acl_scope *s, const struct acl_conds *conds, const struct access_subject *who)
{
    for (size_t i = 0; i < conds->n; i++)
        if (!cond_at(s, &conds->v[i], who, 0))
            return false;
    return true;
}

struct str rule_value(const struct acl_scope *s, const struct rule *r, const struct access_subject *who)
{
    struct access_subject asked = *who;
    for (size_t i = 0; i < r->n; i++) {
        asked.doubt = str_eq(r->v[i].value, S("deny")) != who->any_ip; /* fails closed */
        if (conds_all(s, &r->v[i].all_of, &asked))
            return r->v[i].value;
    }
    return STR_NULL;
}

const struct rule *rule_find(const struct named_rule *v, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(v[i].name, name))
            return &v[i].rule;
    return NULL;
}

const struct named_shaper *shaper_named(const struct acl_scope *s, struct str name)
{
    for (size_t i = 0; i < s->shaper_count; i++)
        if (str_eq(s->shapers[i].name, name))
            return &s->shapers[i];
    return NULL;
}

static struct access_subject asked_on(const struct vhost *h, const struct access_subject *who)
{
    struct access_subject asked = *who;
    asked.host = h->name;
    asked.doubt = who->any_ip;
    return asked;
}

bool acl_match(const struct vhost *h, struct str name, const struct access_subject *who)
{
    if (str_eq(name, S("all")))
        return true;
    struct access_subject asked = asked_on(h, who);
    return acl_named(h->scope, name, &asked, 0);
}

static struct str value_on(const struct vhost *h, const struct rule *r, const struct access_subject *who)
{
    struct access_subject asked = asked_on(h, who);
    return r ? rule_value(h->scope, r, &asked) : STR_NULL;
}

static bool allows(const struct vhost *h, const struct rule *r, const struct access_subject *who)
{
    return str_eq(value_on(h, r, who), S("allow"));
}

bool access_allowed_name(const struct vhost *h, struct str rule, const struct access_subject *who)
{
    if (str_eq(rule, S("all")))
        return true;
    return allows(h, rule_find(h->scope->access, h->scope->access_count, rule), who);
}

bool access_allowed(const struct vhost *h, const struct yaml *rule, const struct access_subject *who)
{
    if (!rule)
        return false;
    return rule->kind == YAML_SCALAR ? access_allowed_name(h, rule->text, who) : allows(h, rule->compiled, who);
}

struct str shaper_rule_match(const struct vhost *h, struct str rule, const struct access_subject *who)
{
    const struct rule *r = rule_find(h->scope->shapers_by_rule, h->scope->shaper_rule_count, rule);
    return value_on(h, r, who);
}

struct str shaper_rule_match_node(const struct vhost *h, const struct yaml *rule, const struct access_subject *who)
{
    if (rule && rule->kind == YAML_SCALAR)
        return shaper_rule_match(h, rule->text, who);
    return rule ? value_on(h, rule->compiled, who) : STR_NULL;
}

static void shaper_rate(const struct acl_scope *s, struct str value, uint64_t *rate_out, uint64_t *burst_out)
{
    int64_t n;
    *rate_out = *burst_out = 0;
    if (str_to_i64(value, &n)) {
        *rate_out = *burst_out = n > 0 ? (uint64_t)n : 0;
        return;
    }
    const struct named_shaper *sh = shaper_named(s, value);
    if (sh) {
        *rate_out = sh->rate;
        *burst_out = sh->burst;
    }
}

void shaper_find(const struct vhost *h, struct str name, const struct access_subject *who, uint64_t *rate_out,
                 uint64_t *burst_out)
{
    const struct rule *r = rule_find(h->scope->shapers_by_rule, h->scope->shaper_rule_count, name);
    shaper_rate(h->scope, r ? value_on(h, r, who) : name, rate_out, burst_out);
}

void shaper_find_node(const struct vhost *h, const struct yaml *rule, const struct access_subject *who,
                      uint64_t *rate_out, uint64_t *burst_out)
{
    *rate_out = *burst_out = 0;
    if (rule && rule->kind == YAML_SCALAR)
        shaper_find(h, rule->text, who, rate_out, burst_out);
    else if (rule && rule->compiled)
        shaper_rate(h->scope, value_on(h, rule->compiled, who), rate_out, burst_out);
}
