/*
 * acl, access_rules, shaper_rules and api_permissions, evaluated over the frozen configuration. Pure functions, no
 * suspension.
 */
#ifndef CORE_ACCESS_H
#define CORE_ACCESS_H

#include "core/config/config.h"
#include "xmpp/jid.h"

struct access_subject {
    struct jid jid; /* JID_NULL when nobody is authenticated */
    struct ip ip;   /* family 0: unknown */
    bool any_ip;    /* asks what the address could be allowed at best: every network matches */
    /* Set by the functions below: whose rules are asked (absent: global ones), and what a group that cannot be looked up does. */
    struct str host;
    bool doubt;
};

/*
 * Who is in a shared roster group is known above: the module says where to ask. What cannot be known now is not taken for a no:
 * it matches nobody in "allow" and everybody in "deny". The function is called on any shard and must not suspend.
 */
enum group_answer { GROUP_UNKNOWN, GROUP_OUT, GROUP_IN };
typedef enum group_answer (*group_fn)(struct str group, struct str host, struct jid who);
void access_groups_from(group_fn fn);

/* Does the named acl (or inline acl definition node) match? */
bool acl_match(const struct vhost *h, struct str name, const struct access_subject *who);
/* `rule` is the option's value: "all", "none", the name of an access rule, or an inline rule list. */
bool access_allowed(const struct vhost *h, const struct yaml *rule, const struct access_subject *who);
bool access_allowed_name(const struct vhost *h, struct str rule, const struct access_subject *who);
/* First matching value of a shaper rule ("none", number, shaper name), absent when none matches. */
struct str shaper_rule_match(const struct vhost *h, struct str rule, const struct access_subject *who);
/* The same of an option's value: the name of a rule, or a rule in place. */
struct str shaper_rule_match_node(const struct vhost *h, const struct yaml *rule, const struct access_subject *who);
/* Rate and burst (bytes per second) of a shaper name, number or shaper rule; 0 rate: unlimited. */
void shaper_find(const struct vhost *h, struct str name, const struct access_subject *who, uint64_t *rate_out,
                 uint64_t *burst_out);

/* The same for an option's value, which may be a rule in place. */
void shaper_find_node(const struct vhost *h, const struct yaml *rule, const struct access_subject *who,
                      uint64_t *rate_out, uint64_t *burst_out);

struct api_caller {
    struct str frontend; /* "mod_http_api", "ejabberd_ctl", ... */
    struct str tag;      /* of the listener, may be absent */
    struct access_subject who;
    struct str oauth_scopes; /* space separated; absent: no token */
    bool admin_header;       /* X-Admin: true (kept for the record, no effect) */
};

/* What the caller wants to do. */
struct api_target {
    struct str command;
    const char *tags; /* between blanks; NULL: none */
    unsigned api;     /* of the shape asked for; above 0 it has the tag "v<api>" too */
};

/*
 * api_permissions: may this caller run the command? Names mean what they mean globally. No allocation (but a regular
 * expression's): this is asked for every call of the API.
 */
bool api_allowed(const struct config *c, const struct api_caller *caller, const struct api_target *t);
/*
 * The same where the caller's host gives names their meaning (acl and access_rules in host_config and
 * append_host_config): the host he may act on, NULL when he is not allowed there either, is not of a served host, that host
 * changes nothing, or option api_host_admins is "ejabberd".
 */
const struct vhost *api_allowed_on_host(const struct config *c, const struct api_caller *caller, const struct api_target *t);
/*
 * Does some section let this account do what it does not let the caller do, by who it is and wherever it calls from? Then an
 * administrator of one host must not get hold of it.
 */
bool api_account_above(const struct config *c, struct jid account, const struct api_caller *caller);
/* Whose domain is it: a served host itself, a service that a host's modules name, or a part of a host. NULL: nobody's. */
const struct vhost *api_domain_owner(const struct config *c, struct str domain);
/* Does an oauth clause of api_permissions ask for this scope? */
bool api_names_scope(const struct config *c, struct str scope);

#endif
