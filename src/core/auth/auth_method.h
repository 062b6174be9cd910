/*
 * Ways to know who somebody is (option auth_method), one file each (auth_<name>.c) behind one table of operations, and what a
 * configuration makes of them. The methods of a host are asked in the order they are written. Operations run at the account's
 * home shard; what blocks they do on threads of their own.
 */
#ifndef CORE_AUTH_METHOD_H
#define CORE_AUTH_METHOD_H

#include "core/auth/auth_policy.h"
#include "core/config/config.h"

/* ERR_NOT_FOUND, in the words of all; -1. */
int auth_no_account(struct error *err);

/* A question about one account. Everything lives until the answer; host and user are prepared. */
struct auth_ask {
    struct str host, user, password;
    const struct private_element *with; /* of `set` in the store: written together with the password; NULL: nothing */
    const struct auth_policy *policy;
    void *state; /* of the method on this host */
};

/* NULL: the method cannot do it. All fail with ERR_UNAVAILABLE when whoever has to be asked is out of reach. */
struct auth_backend {
    struct str name;
    bool scram;    /* it has keys for SCRAM; others see passwords */
    bool cached;   /* its answers are kept (auth_use_cache); the store has a cache of its own */
    /*
     * The state for a host; may block. ERR_CONFIG: an option is missing or makes no sense. NULL: there is none. drop is called
     * when the configuration goes, on any thread, after all operations ended.
     */
    int (*make)(const struct vhost *h, void **state_out, struct error *err);
    void (*drop)(void *state);
    /* ERR_NOT_FOUND no such account, ERR_NOT_AUTHORIZED wrong password (or it cannot be told which). */
    int (*check)(const struct auth_ask *q, struct error *err) YIELDS;
    int (*exists)(const struct auth_ask *q, bool *out, struct error *err) YIELDS;
    /* ERR_CONFLICT; ERR_NOT_ALLOWED */
    int (*add)(const struct auth_ask *q, struct error *err) YIELDS;
    /* ERR_NOT_FOUND; ERR_NOT_ALLOWED */
    int (*set)(const struct auth_ask *q, struct error *err) YIELDS;
    int (*remove)(const struct auth_ask *q, struct error *err) YIELDS;
};

extern const struct auth_backend auth_internal, auth_external, auth_jwt, auth_anonymous;
#ifdef HAVE_LDAP
extern const struct auth_backend auth_ldap;
#endif
#ifdef HAVE_PAM
extern const struct auth_backend auth_pam;
#endif

struct auth_method {
    const struct auth_backend *backend;
    void *state;
};

/* Of one host. */
struct auth_methods {
    size_t n;
    struct auth_method list[AUTH_METHODS_MAX];
    bool only_stored;     /* nothing but the store: the common case */
    bool has_store;
    bool passwords;       /* PLAIN makes sense */
    bool scram;           /* every method that takes passwords has keys too */
    bool sasl_anonymous;  /* the mechanism ANONYMOUS is offered */
    bool login_anonymous; /* any password does for a name that nobody has */
    struct str tokens_only; /* access rule: accounts for which nothing but JWT is asked; absent: nobody */
};

/*
 * Makes the methods of all hosts; they end with the configuration. May block (key files). -1: err says which option of which
 * host.
 */
int auth_methods_make(struct config *c, struct error *err);
/* Never NULL. */
const struct auth_methods *auth_methods_of(const struct config *c, size_t host);
/* Is there such a method in this build? */
bool auth_method_known(struct str name);

#endif
