/*
 * acl, access_rules, shaper_rules and api_permissions, evaluated over the frozen configuration. Pure functions, no
 * suspension.
 */
#ifndef CORE_ACCESS_H
#define CORE_ACCESS_H

#include "core/config.h"
#include "xmpp/jid.h"

struct access_subject {
    struct jid jid; /* JID_NULL when nobody is authenticated */
    struct ip ip;   /* family 0: unknown */
};

/* Does the named acl (or inline acl definition node) match? */
bool acl_match(const struct vhost *h, struct str name, const struct access_subject *who);
/* `rule` is the option's value: "all", "none", the name of an access rule, or an inline rule list. */
bool access_allowed(const struct vhost *h, const struct yaml *rule, const struct access_subject *who);
bool access_allowed_name(const struct vhost *h, struct str rule, const struct access_subject *who);
/* First matching value of a shaper rule ("none", number, shaper name), absent when none matches. */
struct str shaper_rule_match(const struct vhost *h, struct str rule, const struct access_subject *who);
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

/* api_permissions: may this caller run the command? tags: of the command, ended by NULL; NULL: none. */
bool api_allowed_tagged(const struct config *c, const struct api_caller *caller, struct str command,
                        const char *const *tags);
/* The same without tags. `open_policy` (the command's policy is "open") has no effect: no command of 25.03 has it. */
bool api_allowed(const struct config *c, const struct api_caller *caller, struct str command, bool open_policy);

#endif
