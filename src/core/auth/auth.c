/*
 * Accounts and passwords: every operation goes to the home shard of the account (a call across shards, or straight on when
 * it is this one) and works on the cache there; what takes long (database, PBKDF2) happens on other threads while the
 * fiber waits. The methods of a host (core/auth/auth_method.h) are asked in their order, each failing on its own: whoever cannot be
 * asked never lets anybody in. Suspends: everything public but start, stop and the questions at the end.
 * Left out: ending sessions (core/account/account.h).
 */
#include "core/auth/auth.h"

#include "core/auth/auth_cache.h"
#include "core/auth/auth_internal.h"
#include "core/auth/auth_memo.h"
#include "core/auth/ban.h"
#include "core/auth/oauth.h"
#include "core/config/access.h"
#include "core/hooks.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/shard.h"
#include "store/fast.h"
#include "store/oauth.h"
#include "store/private.h"
#include "xmpp/jid.h"

/* Far beyond what a busy pool takes; a login gives up before that. */
#define DEADLINE_MS 30000

/* One operation on its way to the home shard; results are made in `arena`. */
struct op {
    struct arena *arena;
    struct str host, user, password;
    const struct private_element *with; /* written together with the password; NULL: nothing */
    enum scram_hash hash;
    struct scram_keys keys;
    bool login; /* of a client, not of a caller of the API */
    bool stranger; /* out: let in as nobody's name */
    bool exists;
};

void auth_shard_start(void)
{
    auth_cache_start();
}

void auth_shard_stop(void)
{
    auth_cache_stop();
    auth_policy_stop();
    auth_memo_stop();
}

/* --- the way home --- */

static struct op *op_dup(struct arena *a, const struct op *o)
{
    struct op *copy = ARENA_NEW(a, struct op);

    *copy = *o;
    copy->arena = a;
    copy->host = arena_str(a, o->host);
    copy->user = arena_str(a, o->user);
    copy->password = arena_str(a, o->password);
    if (o->with) {
        struct private_element *e = ARENA_NEW(a, struct private_element);
        *e = (struct private_element){arena_str(a, o->with->ns), o->with->xml.p ? arena_str(a, o->with->xml) : STR_NULL};
        copy->with = e;
    }
    return copy;
}

static void take_results(struct op *o, const struct op *from)
{
    o->exists = from->exists;
    o->stranger = from->stranger;
    if (!from->keys.iterations)
        return;
    o->keys = from->keys;
    o->keys.salt = arena_str(o->arena, from->keys.salt);
    o->keys.stored_key = arena_str(o->arena, from->keys.stored_key);
    o->keys.server_key = arena_str(o->arena, from->keys.server_key);
}

/*
 * The operation in memory of its own: for another shard, and for writes, where the caller's strings (a host name out of
 * the configuration) may be gone before the end. `late`: what an answer that did not come in time means.
 */
static int copied_call(unsigned shard, call_fn fn, struct op *o, enum err_code late, struct error *err) YIELDS;
static int copied_call(unsigned shard, call_fn fn, struct op *o, enum err_code late, struct error *err)
{
    struct arena *a = arena_new();
    struct op *copy;
    struct error own = ERROR_INIT;
    int rc;

    arena_mark_secret(a);
    copy = op_dup(a, o);
    rc = mail_call(shard, fn, copy, a, DEADLINE_MS, &own);
    if (rc == 0)
        take_results(o, copy);
    else
        err_set(err, own.code == ERR_TIMEOUT ? late : own.code, "%s", own.text);
    arena_release(&a);
    return rc;
}

static int at_home(call_fn fn, struct op *o, enum err_code late, struct error *err) YIELDS;
static int at_home(call_fn fn, struct op *o, enum err_code late, struct error *err)
{
    unsigned shard = shard_of(jid_home_hash_parts(o->user, o->host));

    /* No prepared name is longer, and the cache is not for keeping what is. */
    if (o->user.n > JID_PART_MAX || o->host.n > JID_PART_MAX)
        return err_set(err, ERR_NOT_FOUND, "no such account");
    if (shard == shard_self() && late != ERR_UNCERTAIN)
        return fn(o, err);
    return copied_call(shard, fn, o, late, err);
}

/* --- the methods of a host, one after the other --- */

/* What an operation at home needs; the configuration is held, it owns the methods and may be replaced meanwhile. */
struct turn {
    struct config *config;
    struct auth_policy policy;
    const struct auth_methods *methods;
    struct auth_ask ask;
};

static bool turn_begin(struct turn *t, const struct op *o)
{
    if (!auth_policy_of(o->host, &t->policy))
        return false;
    t->config = config_hold(config_current());
    t->methods = t->policy.methods;
    t->ask = (struct auth_ask){.host = o->host, .user = o->user, .password = o->password, .with = o->with, .policy = &t->policy};
    return true;
}

static void turn_end(struct turn *t)
{
    config_release(&t->config);
}

static const struct auth_backend *turn_to(struct turn *t, size_t i)
{
    t->ask.state = t->methods->list[i].state;
    return t->methods->list[i].backend;
}

/* Of several failures the one that says most: somebody could not be asked, the password was wrong, nobody knows the name. */
static int weight(enum err_code code)
{
    return code == ERR_NOT_FOUND ? 1 : code == ERR_NOT_AUTHORIZED || code == ERR_NOT_ALLOWED ? 2 : 3;
}

static void remember(struct error *worst, const struct error *one)
{
    if (worst->code == ERR_NONE || weight(one->code) > weight(worst->code))
        *worst = *one;
}

/* The kind under which a method's answers are in the cache; 0 is the store. */
static unsigned kind_of(size_t i)
{
    return (unsigned)i + 1;
}

static int exists_by(struct turn *t, size_t i, bool *out, struct error *err) YIELDS;
static int exists_by(struct turn *t, size_t i, bool *out, struct error *err)
{
    const struct auth_backend *b = turn_to(t, i);
    struct auth_entry *e = b->cached ? auth_cache_peek(t->ask.host, t->ask.user, kind_of(i), &t->policy) : NULL;
    uint64_t as_of = auth_cache_now();

    *out = e && e->rc == STORE_OK;
    if (!e && b->exists(&t->ask, out, err) != 0)
        return -1;
    if (!e && b->cached)
        e = auth_cache_note(t->ask.host, t->ask.user, kind_of(i), *out ? STORE_OK : STORE_NONE, as_of, &t->policy);
    auth_entry_release(&e);
    return 0;
}

static int check_by(struct turn *t, size_t i, struct error *err) YIELDS;
static int check_by(struct turn *t, size_t i, struct error *err)
{
    const struct auth_backend *b = turn_to(t, i);
    struct auth_entry *e = b->cached ? auth_cache_peek(t->ask.host, t->ask.user, kind_of(i), &t->policy) : NULL;
    uint64_t as_of = auth_cache_now();
    bool fits = e && e->rc == STORE_OK && auth_memo_fits(e, t->ask.password);

    auth_entry_release(&e);
    if (fits)
        return 0;
    if (b->check(&t->ask, err) != 0)
        return -1;
    if (b->cached && (e = auth_cache_note(t->ask.host, t->ask.user, kind_of(i), STORE_OK, as_of, &t->policy)))
        auth_memo_set(e, t->ask.password);
    auth_entry_release(&e);
    return 0;
}

/* Nobody comes in without a password under a name that is somebody's, or that cannot be asked about. */
static int nobody_has(struct turn *t, struct error *err) YIELDS;
static int nobody_has(struct turn *t, struct error *err)
{
    for (size_t i = 0; i < t->methods->n; i++) {
        bool there = false;
        if (t->methods->list[i].backend == &auth_anonymous)
            continue;
        if (exists_by(t, i, &there, err) != 0)
            return -1;
        if (there)
            return err_set(err, ERR_NOT_AUTHORIZED, "the name is an account's");
    }
    return 0;
}

static bool tokens_only(const struct turn *t)
{
    struct arena *a;
    struct access_subject who = {0};
    bool yes = false;

    if (!t->methods->tokens_only.n)
        return false;
    a = arena_new();
    if (jid_make(a, t->ask.user, t->ask.host, STR_NULL, &who.jid))
        yes = access_allowed_name(config_host(t->config, t->ask.host), t->methods->tokens_only, &who);
    arena_release(&a);
    return yes;
}

static bool takes_part(const struct op *o, const struct turn *t, size_t i, bool tokens)
{
    const struct auth_backend *b = t->methods->list[i].backend;

    if (b == &auth_anonymous && !(o->login && t->methods->login_anonymous))
        return false;
    return !tokens || b == &auth_jwt;
}

/* A ban takes the password away where it is in the store; elsewhere it is still good. Clients are told before (c2s_sasl.c). */
static int not_banned(const struct op *o, struct error *err) YIELDS;
static int not_banned(const struct op *o, struct error *err)
{
    struct arena *a;
    struct ban b;
    bool banned = false;
    int rc;

    if (o->login)
        return 0;
    a = arena_new();
    rc = ban_get(a, o->host, o->user, &b, &banned, err);
    arena_release(&a);
    return rc == 0 && banned ? err_set(err, ERR_NOT_AUTHORIZED, "the account is banned") : rc;
}

static int check_in_order(struct op *o, struct turn *t, struct error *err) YIELDS;
static int check_in_order(struct op *o, struct turn *t, struct error *err)
{
    struct error worst = ERROR_INIT;
    bool tokens = tokens_only(t);

    for (size_t i = 0; i < t->methods->n; i++) {
        struct error one = ERROR_INIT;
        if (!takes_part(o, t, i, tokens))
            continue;
        bool stranger = t->methods->list[i].backend == &auth_anonymous;
        if ((!stranger || nobody_has(t, &one) == 0) && check_by(t, i, &one) == 0) {
            o->stranger = stranger;
            return not_banned(o, err);
        }
        remember(&worst, &one);
    }
    return worst.code ? err_set(err, worst.code, "%s", worst.text) : auth_no_account(err);
}

static int check_at_home(void *arg, struct error *err) YIELDS;
static int check_at_home(void *arg, struct error *err)
{
    struct op *o = arg;
    struct turn t;
    int rc;

    if (!turn_begin(&t, o))
        return auth_no_account(err);
    rc = t.methods->only_stored ? auth_internal.check(&t.ask, err) : check_in_order(o, &t, err);
    turn_end(&t);
    return rc;
}

static int check_password(struct op *o, struct error *err) YIELDS;
static int check_password(struct op *o, struct error *err)
{
    /* Beyond the limit nothing fits; what is longer need not travel. */
    if (o->password.n > AUTH_TOKEN_MAX)
        o->password.n = AUTH_TOKEN_MAX + 1;
    return at_home(check_at_home, o, ERR_UNAVAILABLE, err);
}

int auth_check_password(struct str host, struct str user, struct str password, struct error *err)
{
    struct op o = {.host = host, .user = user, .password = password};

    return check_password(&o, err);
}

int auth_check_login(struct str host, struct str user, struct str password, bool *stranger_out, struct error *err)
{
    struct op o = {.host = host, .user = user, .password = password, .login = true};
    int rc = check_password(&o, err);

    *stranger_out = rc == 0 && o.stranger;
    return rc;
}

/* --- SCRAM --- */

static int keys_at_home(void *arg, struct error *err) YIELDS;
static int keys_at_home(void *arg, struct error *err)
{
    struct op *o = arg;
    struct turn t;
    int rc;

    if (!turn_begin(&t, o))
        return auth_no_account(err);
    rc = t.methods->scram ? auth_internal_keys(o->arena, &t.ask, o->hash, &o->keys, err) : auth_no_account(err);
    turn_end(&t);
    return rc;
}

int auth_scram_keys(struct arena *a, struct str host, struct str user, enum scram_hash h, struct scram_keys *out, struct error *err)
{
    struct op o = {.arena = a, .host = host, .user = user, .hash = h};
    int rc = at_home(keys_at_home, &o, ERR_UNAVAILABLE, err);

    if (rc == 0)
        *out = o.keys;
    return rc;
}

/* --- accounts --- */

/* true as soon as one knows the account; an error only when none does. */
static int exists_in_order(struct turn *t, bool *out, struct error *err) YIELDS;
static int exists_in_order(struct turn *t, bool *out, struct error *err)
{
    struct error worst = ERROR_INIT;

    *out = false;
    for (size_t i = 0; i < t->methods->n && !*out; i++) {
        struct error one = ERROR_INIT;
        if (exists_by(t, i, out, &one) != 0)
            remember(&worst, &one);
    }
    return *out || !worst.code ? 0 : err_set(err, worst.code, "%s", worst.text);
}

static int exists_at_home(void *arg, struct error *err) YIELDS;
static int exists_at_home(void *arg, struct error *err)
{
    struct op *o = arg;
    struct turn t;
    int rc;

    o->exists = false;
    if (!turn_begin(&t, o))
        return 0;
    rc = exists_in_order(&t, &o->exists, err);
    turn_end(&t);
    return rc;
}

int auth_exists(struct str host, struct str user, bool *out, struct error *err)
{
    struct op o = {.host = host, .user = user};
    int rc;

    *out = false;
    if (user.n > JID_PART_MAX || host.n > JID_PART_MAX)
        return 0;
    rc = at_home(exists_at_home, &o, ERR_UNAVAILABLE, err);
    *out = rc == 0 && o.exists;
    return rc;
}

static int unchangeable(struct error *err)
{
    return err_set(err, ERR_NOT_ALLOWED, "the accounts of this host are kept elsewhere and cannot be changed from here");
}

/* The first that makes it has it. */
static int add_in_order(struct turn *t, struct error *err) YIELDS;
static int add_in_order(struct turn *t, struct error *err)
{
    struct error worst = ERROR_INIT;
    bool there = false;

    if (t->methods->only_stored)
        return auth_internal.add(&t->ask, err);
    if (exists_in_order(t, &there, err) != 0)
        return -1;
    if (there)
        return err_set(err, ERR_CONFLICT, "the account exists already");
    for (size_t i = 0; i < t->methods->n; i++) {
        struct error one = ERROR_INIT;
        const struct auth_backend *b = turn_to(t, i);
        if (b->add && b->add(&t->ask, &one) == 0)
            return 0;
        if (one.code == ERR_UNCERTAIN) /* it may be there: not a second one elsewhere */
            return err_set(err, one.code, "%s", one.text);
        if (b->add)
            remember(&worst, &one);
    }
    return worst.code ? err_set(err, worst.code, "%s", worst.text) : unchangeable(err);
}

static int register_at_home(void *arg, struct error *err) YIELDS;
static int register_at_home(void *arg, struct error *err)
{
    struct op *o = arg;
    struct turn t;
    int rc;

    if (!turn_begin(&t, o))
        return err_set(err, ERR_NO_HOST, NULL);
    rc = add_in_order(&t, err);
    auth_cache_forget(o->host, o->user);
    turn_end(&t);
    return rc;
}

static int known(const struct op *o, bool there) YIELDS;
static int known(const struct op *o, bool there)
{
    const struct vhost *h = config_host(config_current(), o->host);
    struct arena *a = arena_new();
    struct known_event ev = {.account = jid_join(a, o->user, o->host, STR_NULL), .there = there};

    if (h)
        hook_run_account_known(h->index, &ev);
    arena_release(&a);
    return 0;
}

int auth_register(struct str host, struct str user, struct str password, struct error *err)
{
    struct op o = {.host = host, .user = user, .password = password};
    struct auth_policy p;

    if (!auth_policy_of(host, &p))
        return err_set(err, ERR_NO_HOST, NULL);
    if (auth_password_ok(password, err) != 0)
        return -1;
    if (user.n > JID_PART_MAX)
        return err_set(err, ERR_JID_MALFORMED, "Malformed username");
    int rc = at_home(register_at_home, &o, ERR_UNCERTAIN, err);
    return rc == 0 ? known(&o, true) : rc;
}

enum store_rc auth_forget_tokens(struct str host, struct str user)
{
    struct error err = ERROR_INIT;
    int64_t n = 0;
    enum store_rc rc = fast_forget(host, user);

    if (rc == STORE_OK)
        rc = oauth_token_forget(host, user, &n);
    return n && oauth_clear_cache(&err) != 0 ? STORE_UNAVAILABLE : rc;
}

/*
 * Tokens that were got with a password end with it. The store does so in the transaction that changes its own; this is for
 * passwords that are kept elsewhere and changed through us.
 */
static int forget_tokens(const struct turn *t, struct error *err) YIELDS;
static int forget_tokens(const struct turn *t, struct error *err)
{
    if (t->methods->only_stored || auth_forget_tokens(t->ask.host, t->ask.user) == STORE_OK)
        return 0;
    return err_set(err, ERR_UNCERTAIN, "it was done, but the account's tokens could not be ended");
}

/* Where it is first found; a method that knows the account but cannot change it does not hide one that can. */
static int set_in_order(struct turn *t, struct error *err) YIELDS;
static int set_in_order(struct turn *t, struct error *err)
{
    struct error worst = ERROR_INIT;
    bool some = false;

    for (size_t i = 0; i < t->methods->n; i++) {
        struct error one = ERROR_INIT;
        const struct auth_backend *b = turn_to(t, i);
        some = some || b->set;
        if (!b->set)
            continue;
        if (b->set(&t->ask, &one) == 0)
            return 0;
        if (one.code == ERR_UNCERTAIN)
            return err_set(err, one.code, "%s", one.text);
        remember(&worst, &one);
    }
    return some ? err_set(err, worst.code, "%s", worst.text) : unchangeable(err);
}

static int set_at_home(void *arg, struct error *err) YIELDS;
static int set_at_home(void *arg, struct error *err)
{
    struct op *o = arg;
    struct turn t;
    int rc;

    if (!turn_begin(&t, o))
        return auth_no_account(err);
    rc = set_in_order(&t, err);
    if (rc == 0)
        rc = forget_tokens(&t, err);
    auth_cache_forget(o->host, o->user);
    turn_end(&t);
    return rc;
}

int auth_set_password(struct str host, struct str user, struct str password, struct error *err)
{
    return auth_set_password_with(host, user, password, NULL, err);
}

int auth_set_password_with(struct str host, struct str user, struct str password, const struct private_element *with,
                           struct error *err)
{
    struct op o = {.host = host, .user = user, .password = password, .with = with};

    return auth_password_ok(password, err) == 0 ? at_home(set_at_home, &o, ERR_UNCERTAIN, err) : -1;
}

/* What the store has of it. Where the credentials are elsewhere that is what the account left behind. */
static int remove_stored(struct turn *t, struct error *err) YIELDS;
static int remove_stored(struct turn *t, struct error *err)
{
    return auth_internal.remove(&t->ask, err);
}

/*
 * Everywhere; not there in one place is no failure when it was in another. The store comes last: it takes everything along, which
 * must stay while somebody else still knows the account.
 */
static int remove_in_order(struct turn *t, struct error *err) YIELDS;
static int remove_in_order(struct turn *t, struct error *err)
{
    struct error worst = ERROR_INIT;
    bool some = t->methods->has_store, removed = false;

    for (size_t i = 0; i < t->methods->n; i++) {
        struct error one = ERROR_INIT;
        const struct auth_backend *b = turn_to(t, i);
        if (!b->remove || b == &auth_internal)
            continue;
        some = true;
        if (b->remove(&t->ask, &one) == 0)
            removed = true;
        else
            remember(&worst, &one);
    }
    if (!some)
        return unchangeable(err);
    if (worst.code == ERR_NONE || worst.code == ERR_NOT_FOUND) {
        struct error one = ERROR_INIT;
        if (remove_stored(t, &one) == 0)
            removed = removed || t->methods->has_store;
        else if (t->methods->has_store || one.code != ERR_NOT_FOUND)
            remember(&worst, &one);
    }
    return worst.code == ERR_NONE || (removed && worst.code == ERR_NOT_FOUND) ? 0 : err_set(err, worst.code, "%s", worst.text);
}

static int remove_at_home(void *arg, struct error *err) YIELDS;
static int remove_at_home(void *arg, struct error *err)
{
    struct op *o = arg;
    struct turn t;
    int rc;

    if (!turn_begin(&t, o))
        return auth_no_account(err);
    rc = remove_in_order(&t, err);
    if (rc == 0)
        rc = forget_tokens(&t, err);
    auth_cache_forget(o->host, o->user);
    turn_end(&t);
    return rc;
}

int auth_remove(struct str host, struct str user, struct error *err)
{
    struct op o = {.host = host, .user = user};

    int rc = at_home(remove_at_home, &o, ERR_UNCERTAIN, err);
    return rc == 0 ? known(&o, false) : rc;
}

/* --- all of a host --- */

static int check_host(struct str host, struct error *err)
{
    struct auth_policy p;

    return auth_policy_of(host, &p) ? 0 : err_set(err, ERR_NO_HOST, NULL);
}

int auth_count(struct str host, uint64_t *out, struct error *err)
{
    enum store_rc rc;

    *out = 0;
    if (check_host(host, err) != 0)
        return -1;
    rc = users_count(host, out);
    return rc == STORE_OK ? 0 : store_error(rc, "accounts", err);
}

static void count_all(void *arg) YIELDS;
static void count_all(void *arg)
{
    struct config *c = config_hold(config_current());
    uint64_t n;

    for (size_t i = 0; i < c->host_count && !rt_stopping(); i++)
        users_count(c->hosts[i].name, &n);
    config_release(&c);
}

void auth_count_ahead(void)
{
    fiber_run(count_all, NULL);
}

int auth_list(struct arena *a, struct str host, struct str after, size_t limit, struct str **out, size_t *n_out, struct error *err)
{
    enum store_rc rc;

    *out = NULL;
    *n_out = 0;
    if (check_host(host, err) != 0)
        return -1;
    rc = users_list(a, host, after, limit, out, n_out);
    return rc == STORE_OK ? 0 : store_error(rc, "accounts", err);
}

static int clear_each(void *arg, void *slot, struct error *err)
{
    auth_cache_clear();
    return 0;
}

int auth_clear_cache(struct error *err)
{
    struct arena *a = arena_new();
    void **slots = ARENA_ARRAY(a, void *, shard_count());
    int rc = mail_gather(clear_each, NULL, slots, a, DEADLINE_MS, err);

    arena_release(&a);
    return rc;
}

bool auth_stores_all(struct str host)
{
    struct auth_policy p;

    return auth_policy_of(host, &p) && p.methods->only_stored;
}

bool auth_stores_plain(struct str host)
{
    struct auth_policy p;

    return auth_policy_of(host, &p) && p.forms & AUTH_FORM_PLAIN;
}

bool auth_serves_scram(struct str host, enum scram_hash h)
{
    struct auth_policy p;

    return auth_policy_of(host, &p) && p.methods->scram && p.forms & (AUTH_FORM_PLAIN | AUTH_FORM_SCRAM(h));
}

bool auth_takes_passwords(struct str host)
{
    struct auth_policy p;

    return auth_policy_of(host, &p) && p.methods->passwords;
}

bool auth_passwords_last(struct str host)
{
    struct auth_policy p;

    if (!auth_policy_of(host, &p) || p.methods->login_anonymous)
        return false;
    for (size_t i = 0; i < p.methods->n; i++)
        if (p.methods->list[i].backend == &auth_jwt)
            return false;
    return true;
}

bool auth_serves_anonymous(struct str host)
{
    struct auth_policy p;

    return auth_policy_of(host, &p) && p.methods->sasl_anonymous;
}
