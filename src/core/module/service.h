/*
 * Services: addresses of their own that a module answers at ("multicast.a.example"), one or more for every host it is loaded on,
 * named by its options `host` and `hosts` (with @HOST@ in them). A module declares how with one constant table; names come and
 * go with the configuration and the set of modules (core/module/module_set.h), frozen on each shard like both.
 *
 * What every service answers by itself is in mod/service.c: disco#info and disco#items (the option `name` is its name), vCard (the
 * option `vcard`). An address that is a host's, or another service's, is an error of the configuration.
 */
#ifndef CORE_SERVICE_H
#define CORE_SERVICE_H

#include "base/arena.h"
#include "base/err.h"

struct config;
struct iq_entry;
struct module;
struct options;
struct stanza;
struct vhost;
struct yaml;

/* In a module's table. */
struct service {
    const char *category, *type;  /* identity, XEP-0030 §3.1 */
    const char *const *features;  /* besides disco and vCard; NULL-terminated; NULL: none */
    const char *summary;          /* for its vCard; NULL: none */
    const char *enabled_by;       /* boolean option that must be true; NULL: always there */
    const struct iq_entry *iqs;   /* requests to the service itself (IQ_TO_SERVICE); ended by fn NULL; NULL: none */
    /*
     * Everything else: messages, presence, answers, and whatever is for NAME@service or service/RESOURCE. Takes the stanza. NULL:
     * requests get service-unavailable, the rest is dropped (COMPAT(ejabberd): as recorded). The service's host is an index of
     * the configuration.
     */
    void (*receive)(struct stanza **s, unsigned host);
    bool waits;   /* receive may suspend: it gets a fiber, or the sending stream waits */
    /*
     * What is for NAME@service is received at that address's home shard (jid_home_hash): rooms, nodes. Order between two shards is
     * kept; while receive waits, the next one begins on another fiber. false: where the sender is.
     */
    bool at_home;
};

/* One name, on this shard; borrowed until the next suspension. */
struct service_host {
    struct str name;              /* prepared */
    unsigned host;                /* of the configuration */
    const struct module *module;  /* whose `service` it is */
    const struct yaml *where;     /* in the file; NULL: nowhere */
};

/* NULL: nobody's. */
const struct service_host *service_find(struct str name);
/* All of them, in byte order. */
size_t service_list(const struct service_host **out);

/* --- for the registry --- */

struct service_table {
    struct service_host *v; /* sorted */
    size_t n;
};

/*
 * Adds the names of a module on a host, from its options there. `where` (may be NULL) is the place of the module in the file. -1:
 * err says what is wrong with the vCard.
 */
int service_table_add(struct service_table *t, struct arena *a, const struct module *m, const struct vhost *h,
                      const struct options *o, const struct yaml *where, struct error *err);
/* When all are there: sorts. -1: a name is that of a host, or of two services. */
int service_table_close(struct service_table *t, const struct config *c, struct error *err);

/* --- vCards as options have them (core/module/service_vcard.c) --- */

struct xml_el;
/*
 * Option `vcard`: a map of vcard-temp's elements in lower case; lists for what may repeat, `true` for elements without text. -1:
 * err says where and what was expected.
 */
int service_vcard_check(const struct yaml *y, struct error *err);
/* Appends what the option says, checked before. */
void service_vcard_fill(struct arena *a, struct xml_el *vcard, const struct yaml *y);

#endif
