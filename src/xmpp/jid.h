/*
 * Addresses (RFC 7622 with the profiles of RFC 6122 that deployed servers use: nodeprep, nameprep, resourceprep).
 * A jid is prepared (normalised) and contiguous: "user@host/res", so its bare and full texts are slices of it.
 * Limits: 1023 bytes a part. Nothing here suspends.
 */
#ifndef XMPP_JID_H
#define XMPP_JID_H

#include "base/arena.h"
#include "base/err.h"

#define JID_PART_MAX 1023
#define JID_MAX (3 * JID_PART_MAX + 2)

struct jid {
    const char *s;                         /* NULL: no address */
    uint16_t user_len, host_len, res_len;
};

#define JID_NULL ((struct jid){0})

static inline bool jid_present(struct jid j) { return j.s != NULL; }
static inline struct str jid_user(struct jid j) { return str_n(j.s, j.user_len); }
static inline struct str jid_host(struct jid j)
{
    return str_n(j.s + (j.user_len ? j.user_len + 1 : 0), j.host_len);
}
static inline size_t jid_bare_len(struct jid j) { return (j.user_len ? j.user_len + 1u : 0u) + j.host_len; }
static inline struct str jid_res(struct jid j)
{
    return j.res_len ? str_n(j.s + jid_bare_len(j) + 1, j.res_len) : STR_NULL;
}
static inline struct str jid_bare(struct jid j) { return str_n(j.s, jid_bare_len(j)); }
static inline struct str jid_full(struct jid j)
{
    return str_n(j.s, jid_bare_len(j) + (j.res_len ? j.res_len + 1u : 0u));
}
static inline bool jid_is_bare(struct jid j) { return j.res_len == 0; }
/* The same address without the resource; shares the bytes. */
static inline struct jid jid_to_bare(struct jid j) { j.res_len = 0; return j; }

/* Parses and prepares. false: not an address. Already prepared ASCII input is used without copying. */
bool jid_parse(struct arena *a, struct str text, struct jid *out);
/* From parts (each prepared); user and res may be empty. */
bool jid_make(struct arena *a, struct str user, struct str host, struct str res, struct jid *out);
/* From parts that are already prepared. */
struct jid jid_join(struct arena *a, struct str user, struct str host, struct str res);
struct jid jid_copy(struct arena *a, struct jid j);
bool jid_eq(struct jid a, struct jid b);
bool jid_bare_eq(struct jid a, struct jid b);
/* Stable hash of the bare address: its home (rt/shard.h shard_of). */
uint64_t jid_home_hash(struct jid j);
/* The same from prepared parts. */
uint64_t jid_home_hash_parts(struct str user, struct str host);

/*
 * Preparation of single parts; fast for ASCII, libidn for the rest. The result lives in the arena or is the input.
 * An empty user, resource or password stays empty (COMPAT(ejabberd): the empty user name is an account); a host is
 * never empty, and loses one final dot (RFC 7622 §3.2). What would vanish (only soft hyphens, say) is refused.
 */
bool jid_nodeprep(struct arena *a, struct str in, struct str *out);
bool jid_nameprep(struct arena *a, struct str in, struct str *out);
bool jid_resourceprep(struct arena *a, struct str in, struct str *out);
/* RFC 4013, for passwords; at most JID_PART_MAX bytes. */
bool jid_saslprep(struct arena *a, struct str in, struct str *out);

/* XEP-0106. The result may be the input. Escaping: absent when the name starts or ends with a space (§3.2). */
struct str jid_escape_node(struct arena *a, struct str in);
struct str jid_unescape_node(struct arena *a, struct str in);

#endif
