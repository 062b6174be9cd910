/*
 * Who sees whom by shared roster groups: one virtual host's groups, made from the tables once, never changed, held by every
 * shard. An account that is a member of a group sees the members of the groups that this one displays; the other direction is
 * kept beside it, because presence goes to those who see one. Everybody (`@all@`) is one list for all of them: what one
 * account sees is walked over, not copied. Pure; nothing suspends.
 */
#ifndef MOD_API_SRG_VIEW_H
#define MOD_API_SRG_VIEW_H

#include "store/srg.h"
#include "xmpp/jid.h"

struct srg_members {
    struct str *jids; /* as stored */
    size_t n;
};

/* By name, label where rosters show it. The texts live in the view. */
struct srg_node {
    struct str name, label;
    bool all, online;              /* all accounts of the host; those with sessions */
    const uint32_t *members;       /* indices of addresses, ascending */
    uint32_t n_members;
    const uint32_t *shows, *shown_to; /* indices of groups, ascending, each once */
    uint32_t n_shows, n_shown_to;
};

struct srg_address {
    struct str jid;                /* bare, prepared */
    const uint32_t *groups;        /* that name it as a member */
    uint32_t n_groups;
    bool account;                  /* of the host; only where a group needs to know */
};

struct srg_view {
    struct arena *arena;           /* owns the view */
    struct srg_node *groups;
    struct srg_address *addresses; /* in byte order */
    size_t n_groups, n_addresses;
    bool everybody;                /* a group has all accounts, or those that are online */
    bool online;
};

/*
 * `members` as many as groups; what is no address is left out, as are groups that are disabled. `accounts`: bare addresses of all
 * accounts of the host, in any order. Copies. One reference; the last arena_release frees it.
 */
struct srg_view *srg_view_new(const struct srg_group *groups, const struct srg_members *members, size_t n,
                              const struct str *accounts, size_t n_accounts);
/* Does any of them need the accounts of the host? */
bool srg_needs_accounts(const struct srg_group *groups, size_t n);
enum srg_difference { SRG_ALIKE, SRG_ONE, SRG_ANY };
/*
 * What may look different to somebody between two views of a host. SRG_ONE: nothing but one address, *who_out, borrowed from
 * either view; SRG_ANY: groups, or several addresses.
 */
enum srg_difference srg_view_difference(const struct srg_view *a, const struct srg_view *b, struct str *who_out);
/* One more reference. */
struct srg_view *srg_view_hold(struct srg_view *v);
void srg_view_release(struct srg_view **v);
/* The address of an item, or of a member, as it stands in a view. */
struct jid srg_jid(struct str bare);
/*
 * Is the bare address in the group? A member by name; with `@all@` an account of the host, with `@online@` one that has sessions.
 * SRG_STRANGER: only as somebody of the host who is no account that is listed (`@all@`). Groups that are disabled have nobody.
 */
enum srg_belongs { SRG_OUTSIDE, SRG_STRANGER, SRG_INSIDE };
enum srg_belongs srg_view_belongs(const struct srg_view *v, struct str group, struct jid who, bool of_host, bool online);
/* Of any group, by name. */
bool srg_view_has_member(const struct srg_view *v, struct str jid);

/* Somebody whom an account sees, or who sees it. */
struct srg_item {
    struct str jid;
    bool to, from;
    struct str *labels; /* of the groups in which the account sees her; empty unless `to` */
    size_t n_labels;
};

/* The view of one account. Who has sessions is asked while it is used; nobody is `online` when the function is NULL. */
struct srg_eye {
    const struct srg_view *v;
    struct str self;
    bool (*online)(struct str jid);
    uint8_t *to, *from;          /* by group: it is displayed to the account; it displays a group of the account */
    uint32_t *lists;             /* the groups of either kind */
    uint32_t *at;                /* a place in the members of each */
    uint32_t n_lists, everybody_at;
    bool walks_everybody, everybody_to, everybody_from, online_to, online_from;
    struct str *labels;          /* room for an item's */
};

/* What it needs lives in `scratch`, together with the items' labels. */
void srg_eye_open(struct srg_eye *e, const struct srg_view *v, struct arena *scratch, struct str self,
                  bool (*online)(struct str jid), bool self_online);
/* One after the other, in byte order of addresses; valid until the next call. false: that was all. */
bool srg_eye_next(struct srg_eye *e, struct srg_item *out);
/* Of one address; false: neither sees the other. Valid until the next call. */
bool srg_eye_look(struct srg_eye *e, struct str jid, struct srg_item *out);
/* A number that stands for an item in versions: their sum stands for all. */
uint64_t srg_item_hash(const struct srg_item *i);

#endif
