/* Parts of mod_multicast (XEP-0033): delivery to many, and who got presence through a service. */
#ifndef MOD_API_MULTICAST_H
#define MOD_API_MULTICAST_H

#include "core/module/module.h"

#define MULTICAST_HARD_MAX 4096 /* recipients of one stanza, whatever `limits` says: what a stanza can cost is bounded */

struct multicast_to {
    struct jid jid;
    struct xml_el *bcc; /* its own <address/>, for this recipient's eyes only (§4.6.3); NULL: named in the stanza */
};

/*
 * The stanza as it is in `s`, from its sender, to each: its text is made once, recipients of this server get it in one message for
 * each shard. Borrows all. Sorts `to`.
 */
void multicast_deliver(const struct stanza *s, struct multicast_to *to, size_t n);

#define MULTICAST_ANY_HOST ((unsigned)-1)
/*
 * Directed presence (§5.1), on the shard the sender's stanzas come from, through the services of a host. Available: notes the
 * recipients; false: too many for one sender, nothing was noted. Unavailable: forgets them.
 */
bool multicast_note(struct jid from, unsigned host, const struct multicast_to *to, size_t n);
void multicast_forget(struct jid from, unsigned host, const struct multicast_to *to, size_t n);
/* The sender is unavailable (p; borrowed): everybody who was noted is told so, and forgotten. */
void multicast_end(struct jid from, unsigned host, const struct stanza *p);
/* The module is stopped on a host. */
void multicast_drop(unsigned host);

#endif
