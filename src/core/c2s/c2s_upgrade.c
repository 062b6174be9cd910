/*
 * SASL upgrade tasks (XEP-0480) within SASL2 (XEP-0388 §2.6.3): a client that proved its password by SCRAM gives the salted
 * password for another hash, and the keys made from it are stored beside the others. mod_scram_upgrade offers it. Only over
 * TLS: who hears a salted password can log in. The expensive derivation is the client's; here are two HMACs. May suspend.
 */
#include "core/c2s/c2s_upgrade.h"

#include "base/base64.h"
#include "base/log.h"
#include "base/rand.h"
#include "core/auth/auth.h"
#include "core/auth/auth_policy.h"
#include "core/c2s/c2s_stream.h"
#include "core/module/module.h"

#define NS2 "urn:xmpp:sasl:2"
#define NS_UPGRADE "urn:xmpp:sasl:upgrade:0"
#define NS_SCRAM_UPGRADE "urn:xmpp:scram-upgrade:0"

static const struct str tasks[] = {
    [SCRAM_SHA1] = {NULL, 0}, /* nothing to move up to */
    [SCRAM_SHA256] = {"UPGR-SCRAM-SHA-256", 18},
    [SCRAM_SHA512] = {"UPGR-SCRAM-SHA-512", 18},
};

/* NULL: not loaded there. */
static const struct options *options_of(const struct c2s *c)
{
    const struct vhost *h = c2s_vhost(c);
    const struct module *m = module_find(S("mod_scram_upgrade"));
    return h && m && module_loaded(h->index, m) ? module_options(h->index, m) : NULL;
}

/* Hashes of option offered_upgrades. */
static unsigned hashes_of(const struct options *o)
{
    const struct str *names;
    unsigned set = 0;
    size_t n = opt_list(o, "offered_upgrades", &names);
    for (size_t i = 0; i < n; i++)
        set |= str_eq(names[i], S("sha512")) ? 1u << SCRAM_SHA512 : 1u << SCRAM_SHA256;
    return set;
}

/* --- what is offered --- */

/* Of a name nobody has: as an account that was upgraded, or as one that was not, always the same for that name. */
static unsigned pretended_forms(struct c2s *c, const struct options *o, struct str user)
{
    const struct c2s_login *l = c->login;
    struct scram_keys k = scram_fake_keys(l->arena, SCRAM_SHA256, user, arena_printf(l->arena, "%.*s forms", STR_ARG(l->host)), 1);
    unsigned forms = 0, more = hashes_of(o);
    for (enum scram_hash h = SCRAM_SHA1; h <= SCRAM_SHA512; h++)
        if (auth_serves_scram(l->host, h) || (k.salt.p[0] & 1 && more & 1u << h))
            forms |= AUTH_FORM_SCRAM(h);
    return forms;
}

void c2s_upgrade_learn(struct c2s *c)
{
    struct c2s_login *l = c->login;
    const struct options *o = options_of(c);
    struct error err = ERROR_INIT;
    struct jid from;
    unsigned forms = 0;
    l->upgrade = (struct c2s_upgrade){0};
    if (c2s_listen(c)->starttls_required && !conn_is_tls(c->conn))
        return; /* nothing is offered but TLS */
    if (!o || l->authenticated || !l->from.n || !jid_parse(l->arena, l->from, &from) || !str_eq(jid_host(from), l->host))
        return;
    int rc = auth_forms(l->host, jid_user(from), &forms, &err);
    o = options_of(c); /* anew: it may have been a reload */
    if (rc != 0 && err.code == ERR_NOT_FOUND && o)
        forms = pretended_forms(c, o, jid_user(from));
    l->upgrade.forms = forms;
}

bool c2s_upgrade_serves(const struct c2s *c, enum scram_hash h)
{
    unsigned forms = c->login->upgrade.forms;
    return forms ? (forms & (AUTH_FORM_PLAIN | AUTH_FORM_SCRAM(h))) != 0 : auth_serves_scram(c2s_vhost(c)->name, h);
}

/* Without `from` the account is not known yet: a task that turns out not to be needed is left out later. */
static unsigned offered(const struct c2s *c)
{
    const struct options *o = options_of(c);
    unsigned set = o && conn_is_tls(c->conn) ? hashes_of(o) : 0, forms = c->login->upgrade.forms;
    for (enum scram_hash h = SCRAM_SHA1; h <= SCRAM_SHA512; h++)
        if (forms & (AUTH_FORM_PLAIN | AUTH_FORM_SCRAM(h)) ||
            c2s_mech_disabled(c, sasl_mech_info(sasl_mech_of_scram(h, false))->name))
            set &= ~(1u << h);
    return set;
}

void c2s_upgrade_features(struct c2s *c, struct buf *b)
{
    unsigned set = offered(c);
    for (enum scram_hash h = SCRAM_SHA1; h <= SCRAM_SHA512; h++)
        if (set & 1u << h)
            buf_printf(b, "<upgrade xmlns='" NS_UPGRADE "'>%.*s</upgrade>", STR_ARG(tasks[h]));
}

/* --- tasks --- */

static unsigned asked_for(struct c2s *c)
{
    unsigned set = 0;
    for (const struct xml_el *el = c2s_sasl2_child(c, "upgrade", NS_UPGRADE); el; el = xml_next(el)) {
        struct str name = str_trim(xml_text_of(c->login->arena, el));
        for (enum scram_hash h = SCRAM_SHA256; h <= SCRAM_SHA512; h++)
            if (str_eq(el->name, S("upgrade")) && str_eq(el->ns_uri, S(NS_UPGRADE)) && str_eq(name, tasks[h]))
                set |= 1u << h;
    }
    return set;
}

/* Asks for the next of those that are pending. data: of the mechanism, goes with the first. */
static void ask(struct c2s *c, struct str data)
{
    struct c2s_upgrade *u = &c->login->upgrade;
    u->hash = u->pending & 1u << SCRAM_SHA256 ? SCRAM_SHA256 : SCRAM_SHA512;
    u->pending &= ~(1u << u->hash);
    u->state = UPGRADE_OFFERED;
    struct buf *b = conn_out_begin(c->conn);
    buf_add_str(b, S("<continue xmlns='" NS2 "'>"));
    if (data.n)
        buf_printf(b, "<additional-data>%.*s</additional-data>", STR_ARG(base64_encode(c->login->arena, data)));
    buf_printf(b, "<tasks><task>%.*s</task></tasks></continue>", STR_ARG(tasks[u->hash]));
    conn_out_end(c->conn);
}

bool c2s_upgrade_begin(struct c2s *c, struct str data)
{
    struct c2s_login *l = c->login;
    unsigned set = offered(c) & asked_for(c), forms = 0;
    struct error err = ERROR_INIT;
    /* Who has only a token, or a signature, must not get a password out of it. */
    if (!set || l->fast.used || !sasl_mech_info(l->mech)->scram)
        return false;
    if (auth_forms(l->host, l->user, &forms, &err) != 0 || forms & AUTH_FORM_PLAIN)
        return c->state != C2S_AUTH;
    for (enum scram_hash h = SCRAM_SHA256; h <= SCRAM_SHA512; h++)
        if (forms & AUTH_FORM_SCRAM(h))
            set &= ~(1u << h);
    if (!set || c->state != C2S_AUTH)
        return c->state != C2S_AUTH;
    l->upgrade.pending = set;
    ask(c, data);
    return true;
}

static void fail(struct c2s *c, enum sasl_failure f, const char *text)
{
    c->login->upgrade.state = UPGRADE_NONE;
    c2s_sasl_fail(c, f, str_of(text));
}

static void on_next(struct c2s *c, const struct xml_el *el)
{
    struct c2s_login *l = c->login;
    char salt[SCRAM_SALT_LEN];
    if (l->upgrade.state != UPGRADE_OFFERED || !str_eq(xml_attr_get_text(el, S("task")), tasks[l->upgrade.hash])) {
        fail(c, SASL_MALFORMED_REQUEST, "This task was not offered");
        return;
    }
    rand_bytes(salt, sizeof salt);
    l->upgrade.salt = arena_str(l->arena, str_n(salt, sizeof salt));
    l->upgrade.state = UPGRADE_ASKED;
    struct buf *b = conn_out_begin(c->conn);
    buf_printf(b, "<task-data xmlns='" NS2 "'><salt xmlns='" NS_SCRAM_UPGRADE "' iterations='%d'>%.*s</salt></task-data>",
               SCRAM_DEFAULT_ITERATIONS, STR_ARG(base64_encode(l->arena, l->upgrade.salt)));
    conn_out_end(c->conn);
}

static bool read_salted(struct c2s *c, const struct xml_el *el, struct str *out)
{
    struct arena *a = c->login->arena;
    const struct xml_el *hash = xml_first(el);
    return hash && str_eq(hash->name, S("hash")) && str_eq(hash->ns_uri, S(NS_SCRAM_UPGRADE)) &&
           base64_decode(a, arena_str(a, str_trim(xml_text_of(a, hash))), out) &&
           out->n == scram_digest_len(c->login->upgrade.hash);
}

static void on_data(struct c2s *c, const struct xml_el *el) YIELDS;
static void on_data(struct c2s *c, const struct xml_el *el)
{
    struct c2s_login *l = c->login;
    struct error err = ERROR_INIT;
    struct scram_keys keys;
    struct str salted;
    if (l->upgrade.state != UPGRADE_ASKED || !read_salted(c, el, &salted)) {
        fail(c, SASL_MALFORMED_REQUEST, "The salted password is missing, or not of this hash");
        return;
    }
    keys = scram_keys_of_salted(l->arena, l->upgrade.hash, salted, l->upgrade.salt, SCRAM_DEFAULT_ITERATIONS);
    int rc = auth_add_keys(l->host, l->user, &l->keys, &keys, &err);
    if (c->state != C2S_AUTH)
        return;
    if (rc != 0 && err.code != ERR_CONFLICT && err.code != ERR_NOT_FOUND)
        fail(c, SASL_TEMPORARY_AUTH_FAILURE, NULL);
    else if (rc != 0) /* the password that was proved is not the account's any more */
        fail(c, SASL_NOT_AUTHORIZED, NULL);
    else if (l->upgrade.pending)
        ask(c, STR_NULL);
    else {
        l->upgrade.state = UPGRADE_NONE;
        c2s_sasl2_complete(c, STR_NULL);
    }
}

void c2s_upgrade_element(struct c2s *c, struct xml_el *el)
{
    if (str_eq(el->name, S("authenticate")))
        c2s_end(c, "policy-violation", S("The stream is authenticated already")); /* XEP-0388 §4.8 */
    else if (str_eq(el->name, S("abort")))
        fail(c, SASL_ABORTED, "Aborted");
    else if (str_eq(el->name, S("next")))
        on_next(c, el);
    else if (str_eq(el->name, S("task-data")))
        on_data(c, el);
    else
        fail(c, SASL_MALFORMED_REQUEST, NULL);
}
