/*
 * Modules: one file per XEP, one constant table each; the registry adds and withdraws, modules have no registration calls.
 * A table is found through the linker section "cj_modules". What is loaded on a host is said by the configuration.
 */
#ifndef CORE_MODULE_H
#define CORE_MODULE_H

#include "core/config.h"
#include "core/hooks.h"

#define MODULE_MAX 128

enum iq_to { IQ_TO_SERVER, IQ_TO_ACCOUNT };

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
};

struct module {
    const char *name;           /* "mod_ping" */
    const char *xep;            /* "XEP-0199 2.0.1", for docs; NULL when none */
    bool core;                  /* loaded everywhere, whatever the configuration says */
    const char *const *features;         /* disco#info of the server, NULL-terminated; NULL: none */
    const char *const *account_features; /* disco#info of an account */
    const struct iq_entry *iqs; /* ended by fn NULL */
    const struct hook_entry *hooks; /* ended by fn.any NULL */
    unsigned slot;              /* number, given at start */
};

#define MODULE(ident)                                                        \
    static struct module ident;                                             \
    static struct module *const ident##_entry SECTION_ENTRY("cj_modules") = &ident; \
    static struct module ident

/* Collects the tables once; aborts on duplicate names or IQ namespaces. Before the shards run. */
void module_registry_start(void);
size_t module_count(void);
const struct module *module_at(size_t i);
/* Works out, on this shard, what is loaded on which host; called when a configuration is put in force. */
void module_apply_config(const struct config *c);
void module_shard_stop(void);
bool module_loaded(unsigned host, const struct module *m);
/* NULL when nobody answers this namespace there. */
const struct iq_entry *module_iq(unsigned host, enum iq_to to, enum token ns);

/* Answers. The child may be NULL; it lives in the answer's arena: make it with xml_new(iq_reply_arena...). */
struct stanza *iq_result_new(const struct iq *iq);
void iq_result(struct iq *iq, struct stanza *answer);
void iq_result_empty(struct iq *iq);
void iq_error(struct iq *iq, enum err_code code, const char *text);

#endif
