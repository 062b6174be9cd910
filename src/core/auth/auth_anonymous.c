/*
 * Strangers (auth_method anonymous): an account is there as long as somebody is online under the name. The mechanism ANONYMOUS
 * gives out names that nobody can have guessed (c2s_sasl.c); here come those who choose one, where anonymous_protocol says so.
 * That the name is nobody's has been asked of the other methods before (core/auth/auth.c). At the account's home shard, which
 * is the shard of its sessions; nothing suspends.
 */
#include "core/account/session.h"
#include "core/auth/auth_method.h"

static bool online(const struct auth_ask *q)
{
    struct account *a = account_find(q->user, q->host);
    return a && (!list_empty(&a->sessions) || a->erasing);
}

static int check(const struct auth_ask *q, struct error *err)
{
    const struct vhost *h = config_host(config_current(), q->host);
    if (h && (opt_bool(h->options, "allow_multiple_connections") || !online(q)))
        return 0;
    return err_set(err, ERR_NOT_AUTHORIZED, "somebody is online under that name");
}

static int exists(const struct auth_ask *q, bool *out, struct error *err)
{
    (void)err;
    *out = online(q);
    return 0;
}

const struct auth_backend auth_anonymous = {.name = {"anonymous", 9}, .check = check, .exists = exists};
