/*
 * Client certificates as a login; see the header. The authorities belong to the configuration, so that a reload brings new ones and
 * new lists of revoked certificates to listeners that stay. On the stream's shard; nothing suspends. Leaves out: addresses
 * guessed from a common name or a mail address, which authorities do not check for this purpose.
 */
#include "core/c2s/c2s_cert.h"

#include "base/log.h"
#include "net/tls_peer.h"

#define FILES_MAX 64

struct trust_file {
    struct str path;
    struct tls_trust *trust;
};

struct client_trust {
    size_t n;
    struct trust_file files[FILES_MAX];
};

/* Of the login, in its arena. */
struct c2s_cert {
    size_t n;          /* addresses in all; of other hosts too */
    struct jid jids[TLS_PEER_ADDRESSES_MAX];
};

/* --- authorities --- */

static void drop(void *arg)
{
    struct client_trust *all = arg;
    while (all->n)
        tls_trust_delete(&all->files[--all->n].trust);
}

static const struct tls_trust *find(const struct config *c, struct str path)
{
    for (size_t i = 0; c->client_trust && i < c->client_trust->n; i++)
        if (str_eq(c->client_trust->files[i].path, path))
            return c->client_trust->files[i].trust;
    return NULL;
}

static int add(struct config *c, struct str path, struct error *err)
{
    struct client_trust *all = c->client_trust;
    if (!path.n || find(c, path))
        return 0;
    if (all->n == FILES_MAX)
        return err_set(err, ERR_CONFIG, "more than %d files of certificate authorities for clients", FILES_MAX);
    struct tls_trust *t = tls_trust_load(arena_cstr(c->arena, path), err);
    if (!t)
        return -1;
    all->files[all->n++] = (struct trust_file){path, t};
    return 0;
}

static bool asks(const struct listen_conf *l)
{
    return str_eq(l->module, S("ejabberd_c2s")) && opt_bool(l->options, "tls_verify");
}

/* The file that a distribution usually has may be missing; one that was asked for may not. */
static int add_general(struct config *c, struct error *err)
{
    struct error own = ERROR_INIT;
    if (add(c, opt_str(c->global, "ca_file"), &own) == 0)
        return 0;
    if (opt_is_set(c->global, "ca_file"))
        return err_set(err, own.code, "ca_file: %s", own.text);
    LOG(WARNING, "tls", NULL, "%s: tls_verify needs cafile, c2s_cafile or ca_file", own.text);
    return 0;
}

static int add_listeners(struct config *c, bool *any_out, struct error *err)
{
    for (size_t i = 0; i < c->listener_count; i++) {
        struct str own = asks(&c->listeners[i]) ? opt_str(c->listeners[i].options, "cafile") : STR_NULL;
        *any_out = *any_out || asks(&c->listeners[i]);
        if (add(c, own, err) != 0)
            return -1;
    }
    return 0;
}

int c2s_cert_load(struct config *c, struct error *err)
{
    bool any = false;
    c->client_trust = ARENA_NEW(c->arena, struct client_trust);
    arena_on_release(c->arena, drop, c->client_trust);
    if (add_listeners(c, &any, err) != 0)
        return -1;
    for (size_t i = 0; any && i < c->host_count; i++)
        if (add(c, opt_str(c->hosts[i].options, "c2s_cafile"), err) != 0)
            return -1;
    return any ? add_general(c, err) : 0;
}

/* COMPAT(ejabberd): what a host says goes before the listener. */
static const struct tls_trust *trust_of(const struct c2s *c)
{
    struct str path = opt_str(c2s_vhost(c)->options, "c2s_cafile");
    if (!path.n)
        path = c2s_listen(c)->cafile;
    return find(config_current(), path.n ? path : opt_str(config_current()->global, "ca_file"));
}

/* --- the certificate --- */

static bool verified(const struct c2s *c)
{
    const struct tls_trust *t = trust_of(c);
    const char *why = "there are no authorities";
    char ip[IP_TEXT_MAX];
    if (t && tls_peer_verify(c->conn, t, &why) == 0)
        return true;
    struct log_ctx ctx = {.ip = str_of(config_log_ip(c2s_vhost(c), conn_ip(c->conn), ip))};
    if (why)
        LOG_LIMITED(INFO, "c2s", &ctx, "client certificate is not accepted: %s", why);
    return false;
}

/* Of this host, a person's and not a device's (RFC 6120 §13.7.1.4 has <localpart@domainpart>). */
static bool fits(const struct c2s *c, struct jid j)
{
    return j.user_len && !j.res_len && str_eq(jid_host(j), c2s_vhost(c)->name);
}

bool c2s_cert_offered(struct c2s *c)
{
    struct arena *a = c->login->arena;
    struct str names[TLS_PEER_ADDRESSES_MAX];
    bool some = false;
    c->login->cert = NULL;
    if (!c2s_listen(c)->verify || !conn_is_tls(c->conn) || !c2s_vhost(c) || !verified(c))
        return false;
    struct c2s_cert *cert = ARENA_NEW(a, struct c2s_cert);
    size_t n = tls_peer_addresses(c->conn, a, names);
    for (size_t i = 0; i < n; i++)
        if (jid_parse(a, names[i], &cert->jids[cert->n])) {
            some = some || fits(c, cert->jids[cert->n]);
            cert->n++;
        }
    c->login->cert = cert;
    return some;
}

/* With more than one address the client has to say which (XEP-0178 §2 step 10). */
enum sasl_failure c2s_cert_user(struct c2s *c, struct str authzid, struct str *user_out)
{
    const struct c2s_cert *cert = c->login->cert;
    struct jid wanted;
    if (!cert || !cert->n)
        return SASL_NOT_AUTHORIZED;
    if (!authzid.n && cert->n > 1)
        return SASL_INVALID_AUTHZID;
    if (!authzid.n)
        wanted = cert->jids[0];
    else if (!jid_parse(c->login->arena, authzid, &wanted))
        return SASL_INVALID_AUTHZID;
    for (size_t i = 0; i < cert->n; i++)
        if (fits(c, wanted) && jid_eq(cert->jids[i], wanted)) {
            *user_out = jid_user(wanted);
            return SASL_OK;
        }
    return SASL_INVALID_AUTHZID;
}
