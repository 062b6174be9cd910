/*
 * Modules: one file per XEP, one constant table each; the registry adds and withdraws, modules have no registration calls.
 * A built-in table is found through the linker section "cj_modules", a contributed one through the symbol its shared object
 * exports (docs/modules.md). What is loaded on a host is said by the configuration.
 */
#ifndef CORE_MODULE_H
#define CORE_MODULE_H

#include "core/config/config.h"
#include "core/hooks.h"

#define MODULE_MAX 256 /* names, over the life of the process */

struct http_handler;
struct module_contrib;
struct opt_def;
struct service;

/* IQ_TO_SERVICE in `iqs` of a module: what every service of the host answers; a service's own requests are in its table. */
enum iq_to { IQ_TO_SERVER, IQ_TO_ACCOUNT, IQ_TO_SERVICE, IQ_TO__COUNT };

/* An IQ get or set being answered. The handler answers exactly once through iq_result or iq_error. */
struct iq {
    const struct stanza *stanza;
    struct xml_el *child;
    struct arena *arena;       /* of the request; the answer has its own */
    unsigned host;             /* index in the configuration */
    bool answered;
};

typedef void (*iq_fn)(struct iq *iq);

struct iq_entry {
    enum iq_to to;
    enum token ns;
    bool waits; /* fn may suspend: it gets a fiber */
    iq_fn fn;
    const char *uri; /* instead of ns: a namespace that xml/tokens.def does not know */
};

struct module {
    const char *name;           /* "mod_ping" */
    const char *xep;            /* "XEP-0199 2.0.1", for docs; NULL when none */
    bool core;                  /* loaded everywhere, whatever the configuration says */
    const char *const *features;         /* disco#info of the server, NULL-terminated; NULL: none */
    const char *const *account_features; /* disco#info of an account */
    const struct iq_entry *iqs; /* ended by fn NULL */
    const struct hook_entry *hooks; /* ended by fn.any NULL */
    const struct service *service;  /* addresses of its own: core/module/service.h; NULL: none */
    /*
     * On every shard, on its loop, when the module begins or ceases to be loaded on a host there; must not suspend and cannot
     * fail. A replaced module: stop of the old table, then start of the new one, with no event between them. When the list
     * of hosts changes, all are stopped with their old indices and started with the new ones. Fibers of the module may be
     * waiting when stop is called; what they use must stay.
     */
    void (*start)(unsigned host);
    void (*stop)(unsigned host);
    /* Contributed modules only: built-in ones have core/config/option_module.def and HTTP_HANDLER. Ended by name NULL. */
    const struct opt_def *options;
    const struct http_handler *http;
    /* The registry's own. */
    unsigned slot; /* of the name, for ever */
    const struct module_contrib *contrib; /* NULL: built in */
};

#ifdef CJABBERD_CONTRIB
/* What a shared object exports. This struct never changes: it is read before anything else is believed. */
struct module_object {
    const char *abi; /* CJABBERD_ABI of the headers it was compiled against */
    struct module *module;
};
#define MODULE(ident)                                                                                        \
    static struct module ident;                                                                             \
    extern const struct module_object cjabberd_module;                                                      \
    __attribute__((visibility("default"), used)) const struct module_object cjabberd_module = {CJABBERD_ABI, &ident}; \
    static struct module ident
#else
#define MODULE(ident)                                                        \
    static struct module ident;                                             \
    static struct module *const ident##_entry SECTION_ENTRY("cj_modules") = &ident; \
    static struct module ident
#endif

/* Collects the built-in tables once; aborts on duplicate names or IQ namespaces. Before the shards run. */
void module_registry_start(void);
/* Tables in force on this shard; on other threads those in force last. Borrowed until the next suspension. */
size_t module_count(void);
const struct module *module_at(size_t i);
/* NULL: no such table. */
const struct module *module_find(struct str name);
/* Works out, on this shard, what is loaded on which host; called when a configuration is put in force. */
void module_apply_config(const struct config *c);
void module_shard_stop(void);
bool module_loaded(unsigned host, const struct module *m);
/* Goes up on this shard whenever tables or the configuration change: what was made of them is to be made again. */
uint64_t module_changes(void);
/*
 * Of a module on a host. Ask each time: a reload makes new ones. Where the table is not in force (its code waited while it was
 * replaced) a contributed module gets its defaults, a built-in one NULL.
 */
const struct options *module_options(unsigned host, const struct module *m);
/* NULL when nobody answers this namespace there. */
const struct iq_entry *module_iq(unsigned host, enum iq_to to, enum token ns);
/* The same for the child of an IQ, whose namespace may have no token. */
const struct iq_entry *module_iq_for(unsigned host, enum iq_to to, const struct xml_el *child);
/* HTTP handler of a contributed module. NULL: nobody by that name. */
const struct http_handler *module_http(struct str name);

/* Answers. The child may be NULL; it lives in the answer's arena: make it with xml_new(iq_reply_arena...). */
struct stanza *iq_result_new(const struct iq *iq);
void iq_result(struct iq *iq, struct stanza *answer);
void iq_result_empty(struct iq *iq);
void iq_error(struct iq *iq, enum err_code code, const char *text);
/* Of what can only be asked for: true when it was a set, which is answered now. */
bool iq_refuse_set(struct iq *iq);

#endif
