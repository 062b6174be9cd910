/*
 * Options auth_password_format, auth_scram_hash, auth_stored_password_types, auth_use_cache and auth_cache_*, read by name
 * once per configuration; and the rules for passwords. State per shard; nothing suspends.
 */
#include "core/auth/auth_policy.h"

#include "base/mem.h"
#include "base/secret.h"
#include "base/utf8.h"
#include "core/auth/auth_method.h"
#include "core/config/config.h"
#include "rt/shard.h"
#include "xmpp/jid.h"
#include <stdlib.h>

/* The configuration is held so that a new one cannot take its address. */
static _Thread_local struct {
    struct config *config;
    struct auth_policy *hosts;
} known;

static unsigned form_named(struct str name)
{
    static const struct {
        struct str name;
        unsigned form;
    } forms[] = {
        {{"plain", 5}, AUTH_FORM_PLAIN},
        {{"scram_sha1", 10}, AUTH_FORM_SCRAM(SCRAM_SHA1)},
        {{"scram_sha256", 12}, AUTH_FORM_SCRAM(SCRAM_SHA256)},
        {{"scram_sha512", 12}, AUTH_FORM_SCRAM(SCRAM_SHA512)},
    };

    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        if (str_eq(forms[i].name, name))
            return forms[i].form;
    return 0;
}

static unsigned form_of_hash(struct str hash)
{
    if (str_eq(hash, S("sha256")))
        return AUTH_FORM_SCRAM(SCRAM_SHA256);
    return str_eq(hash, S("sha512")) ? AUTH_FORM_SCRAM(SCRAM_SHA512) : AUTH_FORM_SCRAM(SCRAM_SHA1);
}

/* auth_stored_password_types, where it is set, replaces the two older options. */
static unsigned forms_of(const struct options *o)
{
    const struct str *names = NULL;
    size_t n = opt_list(o, "auth_stored_password_types", &names);
    unsigned forms = 0;

    for (size_t i = 0; i < n; i++)
        forms |= form_named(names[i]);
    if (forms)
        return forms;
    return str_eq(opt_str(o, "auth_password_format"), S("scram")) ? form_of_hash(opt_str(o, "auth_scram_hash")) : AUTH_FORM_PLAIN;
}

/* Accounts do not spread evenly over the shards: without some room above its share the fuller shard would miss all the time. */
static size_t share_of_shard(int64_t size)
{
    size_t share = (size_t)size / shard_count();
    return size == OPT_INFINITY ? SIZE_MAX : shard_count() == 1 ? share : share + share / 4 + 16;
}

static void learn(const struct config *c)
{
    auth_policy_stop();
    known.config = config_hold(c);
    known.hosts = mem_zalloc((c->host_count + 1) * sizeof(*known.hosts));
    for (size_t i = 0; i < c->host_count; i++)
        known.hosts[i] = (struct auth_policy){
            .forms = forms_of(c->hosts[i].options),
            .use_cache = opt_bool(c->hosts[i].options, "auth_use_cache"),
            .cache_missed = opt_bool(c->global, "auth_cache_missed"),
            .cache_max = share_of_shard(opt_int(c->global, "auth_cache_size")),
            .cache_life_ms = (uint64_t)opt_int(c->global, "auth_cache_life_time"),
            .methods = auth_methods_of(c, i),
        };
}

bool auth_policy_of(struct str host, struct auth_policy *out)
{
    const struct config *c = config_current();
    const struct vhost *h = config_host(c, host);

    if (!h)
        return false;
    if (UNLIKELY(known.config != c))
        learn(c);
    *out = known.hosts[h->index];
    return true;
}

void auth_policy_stop(void)
{
    if (known.config)
        config_release(&known.config);
    free(known.hosts);
    known.hosts = NULL;
}

int auth_password_ok(struct str password, struct error *err)
{
    struct arena *a = arena_new();
    struct str prepared = STR_NULL;
    bool ok;

    arena_mark_secret(a);
    ok = password.n && password.n <= AUTH_PASSWORD_MAX && jid_saslprep(a, password, &prepared) && prepared.n;
    arena_release(&a);
    return ok ? 0 : err_set(err, ERR_NOT_ACCEPTABLE, "The password contains unacceptable characters");
}

static bool same_prepared(struct str stored, struct str given)
{
    struct arena *a = arena_new();
    struct str s, g;
    bool same;

    arena_mark_secret(a);
    same = jid_saslprep(a, stored, &s) && jid_saslprep(a, given, &g) && s.n && secret_eq(s, g);
    arena_release(&a);
    return same;
}

bool auth_same_password(struct str stored, struct str given)
{
    if (given.n == 0 || given.n > AUTH_PASSWORD_MAX)
        return false;
    if (secret_eq(stored, given))
        return true;
    return !(utf8_is_ascii(stored) && utf8_is_ascii(given)) && same_prepared(stored, given);
}
