/*
 * Which forms of an account's password are stored, and putting a further one beside them (XEP-0480). At the account's home shard,
 * like all of core/auth/auth.h. Suspends: everything public.
 */
#include "core/auth/auth.h"
#include "core/auth/auth_cache.h"
#include "core/auth/auth_method.h"
#include "rt/mailbox.h"
#include "rt/shard.h"
#include "xmpp/jid.h"

#define DEADLINE_MS 30000

struct upgrade {
    struct str host, user;
    unsigned forms;
    struct scram_keys known, add;
};

static unsigned forms_of(const struct user_creds *c)
{
    unsigned forms = c->has_plain ? AUTH_FORM_PLAIN : 0;
    for (enum scram_hash h = SCRAM_SHA1; h <= SCRAM_SHA512; h++)
        if (c->scram[h].iterations)
            forms |= AUTH_FORM_SCRAM(h);
    return forms;
}

static int forms_at_home(void *arg, struct error *err) YIELDS;
static int forms_at_home(void *arg, struct error *err)
{
    struct upgrade *u = arg;
    struct auth_policy p;
    if (!auth_policy_of(u->host, &p) || !p.methods->scram)
        return 0;
    struct auth_entry *e = auth_cache_get(u->host, u->user, &p);
    enum store_rc rc = e->rc;
    if (rc == STORE_OK) /* keys that were derived from a plain password are in it too: that serves every hash anyway */
        u->forms = forms_of(&e->creds);
    auth_entry_release(&e);
    return rc == STORE_OK ? 0 : store_error(rc, "account", err);
}

static int add_at_home(void *arg, struct error *err) YIELDS;
static int add_at_home(void *arg, struct error *err)
{
    struct upgrade *u = arg;
    enum store_rc rc = users_add_keys(u->host, u->user, &u->known, &u->add);
    auth_cache_forget(u->host, u->user);
    return rc == STORE_OK ? 0 : store_error(rc, "account", err);
}

static struct scram_keys copy_keys(struct arena *a, const struct scram_keys *k)
{
    struct scram_keys copy = *k;
    copy.salt = arena_str(a, k->salt);
    copy.stored_key = arena_str(a, k->stored_key);
    copy.server_key = arena_str(a, k->server_key);
    return copy;
}

static int at_home(call_fn fn, struct str host, struct str user, const struct scram_keys *known, const struct scram_keys *add,
                   unsigned *forms_out, struct error *err) YIELDS;
static int at_home(call_fn fn, struct str host, struct str user, const struct scram_keys *known, const struct scram_keys *add,
                   unsigned *forms_out, struct error *err)
{
    if (user.n > JID_PART_MAX || host.n > JID_PART_MAX)
        return auth_no_account(err);
    struct arena *a = arena_new();
    arena_mark_secret(a);
    struct upgrade *u = ARENA_NEW(a, struct upgrade);
    u->host = arena_str(a, host);
    u->user = arena_str(a, user);
    if (known)
        u->known = copy_keys(a, known);
    if (add)
        u->add = copy_keys(a, add);
    int rc = mail_call(shard_of(jid_home_hash_parts(user, host)), fn, u, a, DEADLINE_MS, err);
    if (rc == 0 && forms_out)
        *forms_out = u->forms;
    arena_release(&a);
    return rc;
}

int auth_forms(struct str host, struct str user, unsigned *forms_out, struct error *err)
{
    *forms_out = 0;
    return at_home(forms_at_home, host, user, NULL, NULL, forms_out, err);
}

int auth_add_keys(struct str host, struct str user, const struct scram_keys *known, const struct scram_keys *add, struct error *err)
{
    return at_home(add_at_home, host, user, known, add, NULL, err);
}
