/*
 * Service discovery for others (XEP-0030): items and nodes that a module adds below the server's address or an account's. One
 * constant table each; asked in the order of module names, where the module is loaded.
 */
#ifndef MOD_API_DISCO_H
#define MOD_API_DISCO_H

#include "core/module/module.h"

enum disco_found {
    DISCO_NOT_MINE,
    DISCO_ANSWERED,
    DISCO_REFUSED /* ask->code and ->text say why */
};

/* A question and the <query/> of its answer. Ours while it is being answered; everything lives in `arena`. */
struct disco_ask {
    const struct stanza *request;
    unsigned host;
    struct str node; /* absent: the server itself, only items are asked for then */
    struct arena *arena;
    struct xml_el *query;
    enum err_code code;
    const char *text;
};

struct disco_nodes {
    const char *module;
    enum disco_found (*info)(struct disco_ask *ask) YIELDS; /* NULL: no nodes */
    enum disco_found (*items)(struct disco_ask *ask) YIELDS; /* NULL: none */
    /* Nodes of an account, asked for by its owner. NULL: none. */
    enum disco_found (*account_info)(struct disco_ask *ask) YIELDS;
    enum disco_found (*account_items)(struct disco_ask *ask) YIELDS;
    /*
     * Of the module's service (core/module/service.h). Without a node: what the table does not say, info after it. With one: as
     * above. NULL: nothing more.
     */
    enum disco_found (*service_info)(struct disco_ask *ask) YIELDS;
    enum disco_found (*service_items)(struct disco_ask *ask) YIELDS;
};
#define DISCO_NODES(ident)                                                                            \
    static const struct disco_nodes ident;                                                            \
    static const struct disco_nodes *const ident##_entry SECTION_ENTRY("cj_disco_nodes") = &ident;    \
    static const struct disco_nodes ident

/* Copy their texts. node and name may be absent. */
void disco_add_item(struct disco_ask *ask, struct str jid, struct str node, struct str name);
void disco_add_identity(struct disco_ask *ask, const char *category, const char *type, struct str name);
void disco_add_feature(struct disco_ask *ask, const char *var);
/* The form of contact addresses (XEP-0157) that option server_info of mod_disco has for a module. */
void disco_add_contacts(struct disco_ask *ask, const char *module);
/* The table of a module; NULL: it has none. */
const struct disco_nodes *disco_nodes_of(const char *module);
/* All that disco#info of the server says: what its entity capabilities are made of. */
void disco_add_server(struct arena *a, struct xml_el *query, unsigned host);
/* Returns DISCO_REFUSED. text may be NULL. */
enum disco_found disco_refuse(struct disco_ask *ask, enum err_code code, const char *text);

#endif
