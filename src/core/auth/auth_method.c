/* The methods of every host, made with the configuration and let go with it. auth_methods_make may block; nothing suspends. */
#include "core/auth/auth_method.h"

#include "base/mem.h"
#include <stdlib.h>

static const struct auth_methods only_store = {
    .n = 1, .list = {{&auth_internal, NULL}}, .only_stored = true, .has_store = true, .passwords = true, .scram = true};

/* "internal", "mnesia" and "sql" are the same here: where the store is says default_db. */
static const struct {
    const char *word;
    const struct auth_backend *backend;
} known[] = {
    {"internal", &auth_internal}, {"mnesia", &auth_internal}, {"sql", &auth_internal},
    {"external", &auth_external}, {"jwt", &auth_jwt},         {"anonymous", &auth_anonymous},
#ifdef HAVE_LDAP
    {"ldap", &auth_ldap},
#endif
#ifdef HAVE_PAM
    {"pam", &auth_pam},
#endif
};

static const struct auth_backend *backend_named(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(str_of(known[i].word), name))
            return known[i].backend;
    return NULL;
}

bool auth_method_known(struct str name)
{
    return backend_named(name) != NULL;
}

const struct auth_methods *auth_methods_of(const struct config *c, size_t host)
{
    return c->auth ? &c->auth[host] : &only_store;
}

static bool has(const struct auth_methods *m, const struct auth_backend *b)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->list[i].backend == b)
            return true;
    return false;
}

/* What follows for the host as a whole. */
static void conclude(const struct vhost *h, struct auth_methods *m)
{
    struct str protocol = opt_str(h->options, "anonymous_protocol"), rule = opt_str(h->options, "jwt_auth_only_rule");
    bool anonymous = has(m, &auth_anonymous);
    m->sasl_anonymous = anonymous && !str_eq(protocol, S("login_anon"));
    m->login_anonymous = anonymous && !str_eq(protocol, S("sasl_anon"));
    m->has_store = has(m, &auth_internal);
    m->only_stored = m->n == 1 && m->has_store;
    m->passwords = m->login_anonymous || m->n > anonymous;
    m->scram = m->has_store && !m->login_anonymous;
    for (size_t i = 0; i < m->n; i++)
        m->scram = m->scram && (m->list[i].backend->scram || m->list[i].backend == &auth_anonymous);
    if (has(m, &auth_jwt) && !str_eq(rule, S("none")))
        m->tokens_only = rule;
}

/* Whoever nobody knows may come in with any password; with tokens, nobody knows who is somebody's. */
static int check_together(const struct vhost *h, const struct auth_methods *m, struct error *err)
{
    if (m->login_anonymous && has(m, &auth_jwt))
        return err_set(err, ERR_CONFIG, "host %.*s: anonymous_protocol '%.*s' together with auth_method 'jwt' would let anybody in "
                                        "under the name of an account that only has tokens; 'sasl_anon' is possible",
                       STR_ARG(h->name), STR_ARG(opt_str(h->options, "anonymous_protocol")));
    return 0;
}

static int make_one(const struct vhost *h, struct auth_methods *m, struct str word, struct error *err)
{
    const struct auth_backend *b = backend_named(word);
    struct auth_method *made = &m->list[m->n];
    if (!b)
        return err_set(err, ERR_CONFIG, "host %.*s: auth_method '%.*s' is not supported", STR_ARG(h->name), STR_ARG(word));
    if (has(m, b))
        return 0;
    if (m->n == AUTH_METHODS_MAX)
        return err_set(err, ERR_CONFIG, "host %.*s: more than %d methods in auth_method", STR_ARG(h->name), AUTH_METHODS_MAX);
    if (b->make && b->make(h, &made->state, err) != 0)
        return err_wrap(err, "host %.*s, auth_method '%.*s'", STR_ARG(h->name), STR_ARG(word));
    made->backend = b;
    m->n++;
    return 0;
}

static int make_host(const struct vhost *h, struct auth_methods *m, struct error *err)
{
    const struct str *words;
    size_t n = opt_list(h->options, "auth_method", &words);
    for (size_t i = 0; i < n; i++)
        if (make_one(h, m, words[i], err) != 0)
            return -1;
    conclude(h, m);
    return check_together(h, m, err);
}

struct made {
    size_t hosts;
    struct auth_methods *methods;
};

static void drop_all(void *arg)
{
    struct made *made = arg;
    for (size_t i = 0; i < made->hosts; i++)
        for (size_t k = 0; k < made->methods[i].n; k++) {
            struct auth_method *m = &made->methods[i].list[k];
            if (m->backend->drop && m->state)
                m->backend->drop(m->state);
        }
}

int auth_methods_make(struct config *c, struct error *err)
{
    struct made *made = ARENA_NEW(c->arena, struct made);
    *made = (struct made){c->host_count, ARENA_ARRAY(c->arena, struct auth_methods, c->host_count)};
    arena_on_release(c->arena, drop_all, made);
    for (size_t i = 0; i < c->host_count; i++)
        if (make_host(&c->hosts[i], &made->methods[i], err) != 0)
            return -1;
    c->auth = made->methods;
    return 0;
}

int auth_no_account(struct error *err)
{
    return err_set(err, ERR_NOT_FOUND, "no such account");
}
