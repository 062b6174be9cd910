/*
 * Inside of mod_configure (XEP-0133): one row per node; what a node does is a command of the table, with the form's fields for
 * its arguments. A node whose command does not exist yet is not offered.
 */
#ifndef ADMIN_CONFIGURE_H
#define ADMIN_CONFIGURE_H

#include "admin/adhoc_form.h"

#define CONFIGURE_NS "http://jabber.org/protocol/admin"

struct configure_field {
    const char *type, *var, *label; /* type "fixed": a label alone */
    bool required, empty;           /* empty: is shown with an empty value */
    bool delays;                    /* the choice of times before the server ends */
};

struct configure_ask {
    struct adhoc_call *call;
    struct api_caller caller;
    const struct configure_node *node;
    struct cmd_call *last; /* of the table; ended by whoever makes the next, and at the end */
};

struct configure_node {
    const char *node;    /* "http://...#add-user"; on_node: what follows "running nodes/NODE" */
    bool on_node;
    const char *parent;  /* node that lists it; on_node: what follows there */
    const char *name;
    const char *title, *instructions; /* NULL: the name; none */
    const char *command; /* that it stands for */
    const struct configure_field *fields; /* ended by type NULL; NULL: no form, done at once */
    enum adhoc_outcome (*work)(struct configure_ask *k) YIELDS;
};

extern const struct configure_node configure_nodes[];
extern const size_t configure_node_count;

/*
 * May the subject configure this host? Its mod_configure's option access says so, or, where that is not loaded, the rule of the
 * host that was addressed. Hosts are indices; after a reload they may be too large, and nothing is allowed.
 */
bool configure_allowed(const struct config *c, unsigned asked, unsigned host, const struct access_subject *who);
bool configure_everywhere(const struct config *c, unsigned asked, const struct access_subject *who);

#endif
