/*
 * Addresses: cutting a text into parts, joining, comparing, homes (RFC 7622 §3.1). The common address, ASCII and
 * already prepared, costs one pass over its bytes and no copy. Pure functions, any thread, nothing suspends.
 * Preparing the parts is jid_prep.c, XEP-0106 is jid_escape.c.
 */
#include "xmpp/jid.h"

#include "base/hash.h"
#include "xmpp/jid_class.h"

struct cut {
    struct str user, host, res;
    unsigned user_classes, host_classes, res_classes;
    bool has_user;
};

/* First "/" ends the address proper, then the first "@" ends the localpart (RFC 7622 §3.1). */
static inline bool cut_text(struct str text, struct cut *c)
{
    const char *p = text.p, *end = text.p + text.n, *start = p;
    unsigned acc = 0;
    *c = (struct cut){0};
    for (;; p++) {
        unsigned k;
        while (p < end && !((k = jid_class[(uint8_t)*p]) & JC_SEP)) {
            acc |= k;
            p++;
        }
        if (p == end || *p == '/')
            break;
        if (c->has_user || p == start)
            return false;
        c->has_user = true;
        c->user = str_n(start, (size_t)(p - start));
        c->user_classes = acc;
        acc = 0;
        start = p + 1;
    }
    c->host = str_n(start, (size_t)(p - start));
    c->host_classes = acc;
    if (p < end) {
        c->res = str_n(p + 1, (size_t)(end - p - 1));
        c->res_classes = jid_classes(c->res);
        return c->res.n > 0;
    }
    return true;
}

/* All parts are ASCII. */
static inline bool ascii_parts_ok(struct cut *c)
{
    if ((c->user_classes & JC_BAD_NODE) || (c->host_classes & JC_BAD_HOST) || (c->res_classes & JC_BAD_RES))
        return false;
    if (c->host_classes & JC_DOT) {
        /* RFC 7622 §3.2: one final dot is no part of the address. */
        if (c->host.p[c->host.n - 1] == '.')
            c->host.n--;
        if (!jid_labels_ok(c->host))
            return false;
    }
    return c->host.n > 0 && c->user.n <= JID_PART_MAX && c->host.n <= JID_PART_MAX && c->res.n <= JID_PART_MAX;
}

static inline void set_lengths(struct jid *j, const struct cut *c)
{
    j->user_len = (uint16_t)c->user.n;
    j->host_len = (uint16_t)c->host.n;
    j->res_len = (uint16_t)c->res.n;
}

static void lower_copy(struct arena *a, const struct cut *c, struct jid *out)
{
    *out = jid_join(a, c->user, c->host, c->res);
    char *p = (char *)(uintptr_t)out->s;
    jid_lower(p, p, jid_bare_len(*out));
}

bool jid_parse(struct arena *a, struct str text, struct jid *out)
{
    struct cut c;
    *out = JID_NULL;
    /* One more for the dot that may follow the host. */
    if (text.n == 0 || text.n > JID_MAX + 1 || !cut_text(text, &c))
        return false;
    unsigned both = c.user_classes | c.host_classes;
    if (UNLIKELY((both | c.res_classes) & JC_HIGH))
        return jid_make(a, c.user, c.host, c.res, out);
    if (!ascii_parts_ok(&c))
        return false;
    /* Lower case already, and no dropped dot between host and resource: the bytes serve as they are. */
    if (LIKELY(!(both & JC_UPPER) && (c.res.n == 0 || c.host.p + c.host.n + 1 == c.res.p))) {
        out->s = text.p;
        set_lengths(out, &c);
        return true;
    }
    lower_copy(a, &c, out);
    return true;
}

bool jid_make(struct arena *a, struct str user, struct str host, struct str res, struct jid *out)
{
    struct str u, h, r;
    *out = JID_NULL;
    if (!jid_nodeprep(a, user, &u) || !jid_nameprep(a, host, &h) || !jid_resourceprep(a, res, &r))
        return false;
    *out = jid_join(a, u, h, r);
    return true;
}

static char *put(char *p, struct str s)
{
    if (s.n)
        memcpy(p, s.p, s.n);
    return p + s.n;
}

struct jid jid_join(struct arena *a, struct str user, struct str host, struct str res)
{
    char *text = arena_alloc(a, user.n + host.n + res.n + 2), *p = text;
    if (user.n) {
        p = put(p, user);
        *p++ = '@';
    }
    p = put(p, host);
    if (res.n) {
        *p++ = '/';
        put(p, res);
    }
    return (struct jid){text, (uint16_t)user.n, (uint16_t)host.n, (uint16_t)res.n};
}

struct jid jid_copy(struct arena *a, struct jid j)
{
    if (jid_present(j))
        j.s = arena_str(a, jid_full(j)).p;
    return j;
}

bool jid_eq(struct jid a, struct jid b)
{
    return a.res_len == b.res_len && a.user_len == b.user_len && a.host_len == b.host_len &&
           str_eq(jid_full(a), jid_full(b));
}

bool jid_bare_eq(struct jid a, struct jid b)
{
    return a.user_len == b.user_len && a.host_len == b.host_len && str_eq(jid_bare(a), jid_bare(b));
}

uint64_t jid_home_hash(struct jid j)
{
    return hash_stable(j.s, jid_bare_len(j));
}

uint64_t jid_home_hash_parts(struct str user, struct str host)
{
    char text[2 * JID_PART_MAX + 1], *p = text;
    /* Prepared parts are never longer; whatever else comes has no home of its own. */
    if (user.n > JID_PART_MAX || host.n > JID_PART_MAX)
        return 0;
    if (user.n) {
        p = put(p, user);
        *p++ = '@';
    }
    p = put(p, host);
    return hash_stable(text, (size_t)(p - text));
}
