/*
 * SASL SCRAM Downgrade Protection (XEP-0474): the hash of what the server offered, which the proofs of SCRAM then cover. A client
 * that compares it knows that nobody has taken stronger mechanisms or channel bindings out of the list on the way.
 */
#ifndef XMPP_SSDP_H
#define XMPP_SSDP_H

#include "xmpp/scram.h"

#define SSDP_NAMES_MAX 64 /* of each list */

/*
 * Base64, for the attribute "h" of server-first; made with the hash of the mechanism in use. `mechanisms` and `bindings` as they
 * were sent, in any order; they are sorted in place. bindings NULL: none were named at all (XEP-0440), which is not the same as
 * an empty list.
 */
struct str ssdp_hash(struct arena *a, enum scram_hash h, struct str *mechanisms, size_t n_mechanisms, struct str *bindings,
                     size_t n_bindings);

#endif
