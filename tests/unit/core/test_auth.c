/*
 * Accounts and passwords on two shards over a real store, with a configuration made here. Reads of the store and PBKDF2 are
 * counted by wrapping them.
 */
#include "../store/harness.h"

#include "base/rand.h"
#include "core/account/session.h"
#include "core/account/subscribe.h"
#include "core/auth/auth.h"
#include "core/auth/auth_cache.h"
#include "core/config/access.h"
#include "core/config/config.h"
#include "store/account.h"
#include "xmpp/jid.h"

#define HOST S("a.example")
#define OTHER S("b.example")

/* --- the configuration --- */

struct options {
    const char *format, *hash;
    const struct str *types;
    size_t type_count;
    bool use_cache, missed;
    int64_t size, life_ms;
};

static struct options options = {.format = "plain", .hash = "sha", .use_cache = true, .missed = true, .size = 1000,
                                 .life_ms = 3600000};
static struct vhost hosts[] = {{.name = {"a.example", 9}, .index = 0, .options = &options},
                               {.name = {"b.example", 9}, .index = 1, .options = &options}};
/* Two of them, so that putting another in force shows. */
static struct config configs[2] = {{.global = &options, .hosts = hosts, .host_count = 2},
                                   {.global = &options, .hosts = hosts, .host_count = 2}};
static unsigned in_force;
static int held;

bool opt_bool(const struct options *o, const char *name)
{
    return strcmp(name, "auth_use_cache") == 0 ? o->use_cache : o->missed;
}

int64_t opt_int(const struct options *o, const char *name)
{
    return strcmp(name, "auth_cache_size") == 0 ? o->size : o->life_ms;
}

struct str opt_str(const struct options *o, const char *name)
{
    return str_of(strcmp(name, "auth_scram_hash") == 0 ? o->hash : o->format);
}

size_t opt_list(const struct options *o, const char *name, const struct str **out)
{
    *out = o->types;
    return o->type_count;
}

struct config *config_hold(const struct config *c)
{
    __atomic_add_fetch(&held, 1, __ATOMIC_RELAXED);
    return (struct config *)(uintptr_t)c;
}

void config_release(struct config **c)
{
    __atomic_sub_fetch(&held, 1, __ATOMIC_RELAXED);
    *c = NULL;
}

const struct config *config_current(void)
{
    return &configs[__atomic_load_n(&in_force, __ATOMIC_ACQUIRE)];
}

const struct vhost *config_host(const struct config *c, struct str host)
{
    for (size_t i = 0; i < c->host_count; i++)
        if (str_eq(c->hosts[i].name, host))
            return &c->hosts[i];
    return NULL;
}

/* What only other methods than the store need; none of them is configured here. */

bool access_allowed_name(const struct vhost *h, struct str rule, const struct access_subject *who)
{
    abort();
}

struct account *account_find(struct str user, struct str host)
{
    abort();
}

bool opt_is_set(const struct options *o, const char *name)
{
    abort();
}

const struct yaml *opt_node(const struct options *o, const char *name)
{
    abort();
}

/* Nobody is online, nobody has contacts. */
enum store_rc account_erase(struct str host, struct str user, int64_t *tokens_out)
{
    return account_remove(host, user, tokens_out);
}

enum hook_verdict hook_run_account_known(unsigned host, struct known_event *event)
{
    return HOOK_PASS;
}

/* --- what is counted, and held up --- */

static unsigned reads, derivations;
static struct fiber *held_reader; /* on the test's shard */
static bool hold_next_read;
static struct latch read_held;

enum store_rc __real_users_get(struct arena *a, struct str host, struct str user, struct user_creds *out);
enum store_rc __wrap_users_get(struct arena *a, struct str host, struct str user, struct user_creds *out);
bool __real_scram_check_password(const struct scram_keys *k, struct str password);
bool __wrap_scram_check_password(const struct scram_keys *k, struct str password);
int __real_scram_derive(struct arena *a, enum scram_hash h, struct str password, struct str salt, unsigned iterations,
                        struct scram_keys *out, struct error *err);
int __wrap_scram_derive(struct arena *a, enum scram_hash h, struct str password, struct str salt, unsigned iterations,
                        struct scram_keys *out, struct error *err);

enum store_rc __wrap_users_get(struct arena *a, struct str host, struct str user, struct user_creds *out)
{
    enum store_rc rc = __real_users_get(a, host, user, out);

    __atomic_add_fetch(&reads, 1, __ATOMIC_RELAXED);
    if (shard_self() == 0 && hold_next_read) {
        hold_next_read = false;
        held_reader = fiber_self();
        latch_up(&read_held);
        fiber_suspend("test");
    }
    return rc;
}

bool __wrap_scram_check_password(const struct scram_keys *k, struct str password)
{
    __atomic_add_fetch(&derivations, 1, __ATOMIC_RELAXED);
    return __real_scram_check_password(k, password);
}

int __wrap_scram_derive(struct arena *a, enum scram_hash h, struct str password, struct str salt, unsigned iterations,
                        struct scram_keys *out, struct error *err)
{
    __atomic_add_fetch(&derivations, 1, __ATOMIC_RELAXED);
    return __real_scram_derive(a, h, password, salt, iterations, out, err);
}

static unsigned taken(unsigned *counter)
{
    return __atomic_exchange_n(counter, 0, __ATOMIC_RELAXED);
}

static void set_options(const char *format, const char *hash, const struct str *types, size_t n)
{
    options.format = format;
    options.hash = hash;
    options.types = types;
    options.type_count = n;
    __atomic_store_n(&in_force, !in_force, __ATOMIC_RELEASE);
}

/* A name whose home is the given shard. */
static struct str name_on(struct arena *a, unsigned shard, const char *prefix)
{
    for (int i = 0;; i++) {
        struct str name = arena_printf(a, "%s%d", prefix, i);
        if (shard_of(jid_home_hash_parts(name, HOST)) == shard)
            return name;
    }
}

static enum err_code check(struct str user, struct str password)
{
    struct error err = ERROR_INIT;

    CHECK_INT(auth_check_password(HOST, user, password, &err) == 0, err.code == ERR_NONE);
    return err.code;
}

#define CHECK_ERR(call, wanted)                   \
    do {                                          \
        struct error err = ERROR_INIT;            \
        CHECK_INT((call), (wanted) ? -1 : 0);     \
        CHECK_INT(err.code, (wanted));            \
    } while (0)

/* --- bodies --- */

static void life_of_account(struct arena *a, struct str user)
{
    uint64_t n;
    bool is;
    int64_t seconds;
    struct str status;

    CHECK_INT(check(user, S("one")), ERR_NOT_FOUND);
    CHECK_ERR(auth_set_password(HOST, user, S("one"), &err), ERR_NOT_FOUND);
    CHECK_ERR(auth_remove(HOST, user, &err), ERR_NOT_FOUND);
    CHECK_ERR(auth_register(HOST, user, S("one"), &err), ERR_NONE);
    CHECK_ERR(auth_register(HOST, user, S("two"), &err), ERR_CONFLICT);
    CHECK_INT(check(user, S("one")), ERR_NONE);
    CHECK_INT(check(user, S("One")), ERR_NOT_AUTHORIZED);
    CHECK_INT(check(user, S("")), ERR_NOT_AUTHORIZED);
    CHECK_INT(check(user, S("one\0")), ERR_NOT_AUTHORIZED);
    CHECK_ERR(auth_exists(HOST, user, &is, &err), ERR_NONE);
    CHECK(is);
    CHECK_INT(last_get(a, HOST, user, &seconds, &status), STORE_OK);
    CHECK_STR(status, S("Registered but didn't login"));
    CHECK_ERR(auth_set_password(HOST, user, S("gr\xc3\xb6\xc3\x9f" "e"), &err), ERR_NONE);
    CHECK_INT(check(user, S("one")), ERR_NOT_AUTHORIZED);
    CHECK_INT(check(user, S("gr\xc3\xb6\xc3\x9f" "e")), ERR_NONE);
    /* The same in another normal form (RFC 4013). */
    CHECK_INT(check(user, S("gro\xcc\x88\xc3\x9f" "e")), ERR_NONE);
    CHECK_ERR(auth_count(HOST, &n, &err), ERR_NONE);
    CHECK_INT(n, 1);
    CHECK_ERR(auth_remove(HOST, user, &err), ERR_NONE);
    CHECK_INT(check(user, S("gr\xc3\xb6\xc3\x9f" "e")), ERR_NOT_FOUND);
    CHECK_ERR(auth_exists(HOST, user, &is, &err), ERR_NONE);
    CHECK(!is);
    CHECK_INT(last_get(a, HOST, user, &seconds, &status), STORE_NONE);
}

static void in_both_homes(void *arg)
{
    struct arena *a = arena_new();

    life_of_account(a, name_on(a, 0, "ann"));
    life_of_account(a, name_on(a, 1, "ann"));
    /* The empty name is an account like others. */
    life_of_account(a, S(""));
    arena_release(&a);
}

static void refusals(void *arg)
{
    static char longer[AUTH_PASSWORD_MAX + 2], longest[JID_PART_MAX + 2];
    struct arena *a = arena_new();
    struct str *names;
    uint64_t n;
    size_t count;
    bool is = true;

    memset(longer, 'p', sizeof(longer));
    memset(longest, 'u', sizeof(longest));
    CHECK_ERR(auth_register(S("no.example"), S("ann"), S("x"), &err), ERR_NO_HOST);
    CHECK_ERR(auth_register(HOST, S("ann"), S(""), &err), ERR_NOT_ACCEPTABLE);
    CHECK_ERR(auth_register(HOST, S("ann"), S("a\0b"), &err), ERR_NOT_ACCEPTABLE);
    CHECK_ERR(auth_register(HOST, S("ann"), S("\xff"), &err), ERR_NOT_ACCEPTABLE);
    /* Unassigned in Unicode 3.2, which RFC 4013 is about. */
    CHECK_ERR(auth_register(HOST, S("ann"), S("\xf0\x9f\x98\x80"), &err), ERR_NOT_ACCEPTABLE);
    CHECK_ERR(auth_register(HOST, S("ann"), str_n(longer, AUTH_PASSWORD_MAX + 1), &err), ERR_NOT_ACCEPTABLE);
    CHECK_ERR(auth_register(HOST, S("ann"), str_n(longer, AUTH_PASSWORD_MAX), &err), ERR_NONE);
    CHECK_INT(check(S("ann"), str_n(longer, AUTH_PASSWORD_MAX)), ERR_NONE);
    CHECK_INT(check(S("ann"), str_n(longer, AUTH_PASSWORD_MAX + 1)), ERR_NOT_AUTHORIZED);
    CHECK_ERR(auth_register(HOST, str_n(longest, JID_PART_MAX + 1), S("x"), &err), ERR_JID_MALFORMED);
    CHECK_ERR(auth_register(HOST, S("a\0b"), S("x"), &err), ERR_NOT_ACCEPTABLE);
    CHECK_ERR(auth_check_password(S("no.example"), S("ann"), S("x"), &err), ERR_NOT_FOUND);
    CHECK_ERR(auth_check_password(HOST, str_n(longest, JID_PART_MAX + 1), S("x"), &err), ERR_NOT_FOUND);
    CHECK_ERR(auth_set_password(HOST, S("ann"), S(""), &err), ERR_NOT_ACCEPTABLE);
    CHECK_ERR(auth_set_password(S("no.example"), S("ann"), S("x"), &err), ERR_NOT_FOUND);
    CHECK_ERR(auth_remove(S("no.example"), S("ann"), &err), ERR_NOT_FOUND);
    CHECK_ERR(auth_exists(S("no.example"), S("ann"), &is, &err), ERR_NONE);
    CHECK(!is);
    CHECK_ERR(auth_count(S("no.example"), &n, &err), ERR_NO_HOST);
    CHECK_ERR(auth_list(a, S("no.example"), STR_NULL, 0, &names, &count, &err), ERR_NO_HOST);
    CHECK(!auth_stores_plain(S("no.example")));
    arena_release(&a);
}

static void keys_fit(struct arena *a, struct str user, enum scram_hash h, struct str password)
{
    struct scram_keys k = {0};
    struct error err = ERROR_INIT;

    CHECK_INT(auth_scram_keys(a, HOST, user, h, &k, &err), 0);
    CHECK_INT(k.hash, h);
    CHECK_INT(k.iterations, SCRAM_DEFAULT_ITERATIONS);
    CHECK_INT(k.salt.n, SCRAM_SALT_LEN);
    CHECK(__real_scram_check_password(&k, password));
}

static void stored_form(struct arena *a, struct str user, const char *format, const char *hash, enum scram_hash h)
{
    struct user_creds c = {0};
    struct scram_keys k;

    set_options(format, hash, NULL, 0);
    CHECK_ERR(auth_register(HOST, user, S("secret"), &err), ERR_NONE);
    CHECK_INT(__real_users_get(a, HOST, user, &c), STORE_OK);
    CHECK_INT(c.has_plain, auth_stores_plain(HOST));
    for (int i = SCRAM_SHA1; i <= SCRAM_SHA512; i++)
        CHECK_INT(auth_serves_scram(HOST, (enum scram_hash)i), c.has_plain || i == (int)h);
    for (int i = SCRAM_SHA1; i <= SCRAM_SHA512; i++)
        CHECK_INT(c.scram[i].iterations, !c.has_plain && i == (int)h ? SCRAM_DEFAULT_ITERATIONS : 0);
    for (int i = SCRAM_SHA1; i <= SCRAM_SHA512; i++) {
        if (c.has_plain || i == (int)h)
            keys_fit(a, user, (enum scram_hash)i, S("secret"));
        else
            CHECK_ERR(auth_scram_keys(a, HOST, user, (enum scram_hash)i, &k, &err), ERR_NOT_FOUND);
    }
    CHECK_INT(check(user, S("secret")), ERR_NONE);
    CHECK_INT(check(user, S("wrong")), ERR_NOT_AUTHORIZED);
    CHECK_ERR(auth_remove(HOST, user, &err), ERR_NONE);
}

static void forms(void *arg)
{
    static const struct str types[] = {{"plain", 5}, {"scram_sha512", 12}};
    struct arena *a = arena_new();
    struct user_creds c = {0};

    for (unsigned shard = 0; shard < 2; shard++) {
        struct str user = name_on(a, shard, "bob");
        stored_form(a, user, "plain", "sha", SCRAM_SHA1);
        stored_form(a, user, "scram", "sha", SCRAM_SHA1);
        stored_form(a, user, "scram", "sha256", SCRAM_SHA256);
        stored_form(a, user, "scram", "sha512", SCRAM_SHA512);
    }
    set_options("scram", "sha", types, 2);
    CHECK_ERR(auth_register(HOST, S("multi"), S("secret"), &err), ERR_NONE);
    CHECK_INT(__real_users_get(a, HOST, S("multi"), &c), STORE_OK);
    CHECK(c.has_plain && c.scram[SCRAM_SHA512].iterations && !c.scram[SCRAM_SHA1].iterations);
    keys_fit(a, S("multi"), SCRAM_SHA1, S("secret"));
    /* An account keeps its form until its password is set anew. */
    set_options("scram", "sha256", NULL, 0);
    CHECK_INT(check(S("multi"), S("secret")), ERR_NONE);
    CHECK_ERR(auth_set_password(HOST, S("multi"), S("other"), &err), ERR_NONE);
    CHECK_INT(__real_users_get(a, HOST, S("multi"), &c), STORE_OK);
    CHECK(!c.has_plain && c.scram[SCRAM_SHA256].iterations && !c.scram[SCRAM_SHA512].iterations);
    arena_release(&a);
}

/* PBKDF2 is paid once for a password that is sent again and again, always for wrong ones, and for names nobody has. */
static void memo(void *arg)
{
    struct arena *a = arena_new();
    struct str user = name_on(a, 0, "carol");

    set_options("scram", "sha256", NULL, 0);
    CHECK_ERR(auth_register(HOST, user, S("secret"), &err), ERR_NONE);
    taken(&derivations);
    for (int i = 0; i < 5; i++)
        CHECK_INT(check(user, S("secret")), ERR_NONE);
    CHECK_INT(taken(&derivations), 1);
    for (int i = 0; i < 3; i++)
        CHECK_INT(check(user, S("Secret")), ERR_NOT_AUTHORIZED);
    CHECK_INT(taken(&derivations), 3);
    CHECK_INT(check(user, S("secret")), ERR_NONE);
    CHECK_INT(taken(&derivations), 0);
    CHECK_INT(check(name_on(a, 0, "nobody"), S("x")), ERR_NOT_FOUND);
    CHECK_INT(check(name_on(a, 0, "nobody"), S("x")), ERR_NOT_FOUND);
    CHECK_INT(taken(&derivations), 2);
    CHECK_ERR(auth_set_password(HOST, user, S("new"), &err), ERR_NONE);
    taken(&derivations);
    CHECK_INT(check(user, S("secret")), ERR_NOT_AUTHORIZED);
    CHECK_INT(check(user, S("new")), ERR_NONE);
    CHECK_INT(taken(&derivations), 2);
    CHECK_ERR(auth_clear_cache(&err), ERR_NONE);
    CHECK_INT(check(user, S("new")), ERR_NONE);
    CHECK_INT(taken(&derivations), 1);
    arena_release(&a);
}

/* Stored in plain: keys are derived for the first exchange and stay the same afterwards; nobody's names cost the same. */
static void derived_once(void *arg)
{
    struct arena *a = arena_new();
    struct str user = name_on(a, 0, "dave");
    struct scram_keys first, k;

    set_options("plain", "sha", NULL, 0);
    CHECK_ERR(auth_register(HOST, user, S("secret"), &err), ERR_NONE);
    taken(&derivations);
    CHECK_ERR(auth_scram_keys(a, HOST, user, SCRAM_SHA256, &first, &err), ERR_NONE);
    for (int i = 0; i < 3; i++) {
        CHECK_ERR(auth_scram_keys(a, HOST, user, SCRAM_SHA256, &k, &err), ERR_NONE);
        CHECK_STR(k.salt, first.salt);
        CHECK_STR(k.stored_key, first.stored_key);
    }
    CHECK_INT(taken(&derivations), 1);
    for (int i = 0; i < 3; i++)
        CHECK_ERR(auth_scram_keys(a, HOST, name_on(a, 0, "nobody"), SCRAM_SHA256, &k, &err), ERR_NOT_FOUND);
    CHECK_INT(taken(&derivations), 1);
    /* The password check goes on with the plain form. */
    CHECK_INT(check(user, S("secret")), ERR_NONE);
    CHECK_INT(taken(&derivations), 0);
    arena_release(&a);
}

static int count_each(void *arg, void *slot, struct error *err)
{
    *(size_t *)slot = auth_cache_count();
    return 0;
}

static size_t cached(size_t *largest)
{
    struct arena *a = arena_new();
    void *slots[2] = {ARENA_NEW(a, size_t), ARENA_NEW(a, size_t)};
    size_t n[2];

    CHECK_ERR(mail_gather(count_each, NULL, slots, a, 5000, &err), ERR_NONE);
    for (int i = 0; i < 2; i++)
        n[i] = *(size_t *)slots[i];
    arena_release(&a);
    if (largest)
        *largest = n[0] > n[1] ? n[0] : n[1];
    return n[0] + n[1];
}

static void bounds(void *arg)
{
    struct arena *a = arena_new();
    size_t largest;
    bool is;

    options.size = 16;
    set_options("plain", "sha", NULL, 0);
    CHECK_ERR(auth_register(HOST, S("kept"), S("x"), &err), ERR_NONE);
    CHECK_INT(check(S("kept"), S("x")), ERR_NONE);
    taken(&reads);
    /* Guessed names push each other out, not accounts. */
    for (int i = 0; i < 200; i++)
        CHECK_ERR(auth_exists(HOST, arena_printf(a, "guess%d", i), &is, &err), ERR_NONE);
    CHECK_INT(taken(&reads), 200);
    CHECK_INT(check(S("kept"), S("x")), ERR_NONE);
    CHECK_INT(taken(&reads), 0);
    CHECK(cached(&largest) <= 2 * (8 + 2 + 16)); /* a share of 8 each, and room for an uneven spread */
    CHECK(largest <= 8 + 2 + 16);
    for (int i = 0; i < 100; i++)
        CHECK_ERR(auth_register(HOST, arena_printf(a, "real%d", i), S("x"), &err), ERR_NONE);
    for (int i = 0; i < 100; i++)
        CHECK_INT(check(arena_printf(a, "real%d", i), S("x")), ERR_NONE);
    cached(&largest);
    CHECK_INT(largest, 8 + 2 + 16);
    CHECK_ERR(auth_clear_cache(&err), ERR_NONE);
    CHECK_INT(cached(NULL), 0);
    options.size = 1000;
    arena_release(&a);
}

static void cache_options(void *arg)
{
    bool is;

    set_options("plain", "sha", NULL, 0);
    CHECK_ERR(auth_register(HOST, S("ann"), S("x"), &err), ERR_NONE);
    options.use_cache = false;
    set_options("plain", "sha", NULL, 0);
    CHECK_ERR(auth_clear_cache(&err), ERR_NONE);
    taken(&reads);
    for (int i = 0; i < 3; i++)
        CHECK_INT(check(S("ann"), S("x")), ERR_NONE);
    CHECK_INT(taken(&reads), 3);
    CHECK_INT(cached(NULL), 0);
    options.use_cache = true;
    options.missed = false;
    set_options("plain", "sha", NULL, 0);
    for (int i = 0; i < 3; i++)
        CHECK_ERR(auth_exists(HOST, S("nobody"), &is, &err), ERR_NONE);
    CHECK_INT(taken(&reads), 3);
    for (int i = 0; i < 3; i++)
        CHECK_INT(check(S("ann"), S("x")), ERR_NONE);
    CHECK_INT(taken(&reads), 1);
    options.missed = true;
    options.life_ms = 0;
    set_options("plain", "sha", NULL, 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(check(S("ann"), S("x")), ERR_NONE);
    CHECK_INT(taken(&reads), 3);
    options.life_ms = 3600000;
    set_options("plain", "sha", NULL, 0);
}

static unsigned fits;
static struct latch asked;
static struct str shared_user;

static void check_fiber(void *arg)
{
    fits += auth_check_password(HOST, shared_user, *(struct str *)arg, NULL) == 0;
    latch_up(&asked);
}

static void single_flight(void *arg)
{
    struct arena *a = arena_new();
    struct str right = S("secret"), wrong = S("wrong");

    shared_user = name_on(a, 0, "eve");
    set_options("plain", "sha", NULL, 0);
    CHECK_ERR(auth_register(HOST, shared_user, S("secret"), &err), ERR_NONE);
    taken(&reads);
    fits = 0;
    asked = (struct latch){0};
    for (int i = 0; i < 20; i++)
        fiber_run(check_fiber, i % 4 ? &right : &wrong);
    latch_wait(&asked, 20);
    CHECK_INT(taken(&reads), 1);
    CHECK_INT(fits, 15);
    arena_release(&a);
}

/* What was read before a password was changed must not be believed afterwards. */
static void read_across_write(void *arg)
{
    struct arena *a = arena_new();
    struct str old = S("old");

    shared_user = name_on(a, 0, "frank");
    set_options("plain", "sha", NULL, 0);
    CHECK_ERR(auth_register(HOST, shared_user, old, &err), ERR_NONE);
    hold_next_read = true;
    read_held = (struct latch){0};
    fits = 0;
    asked = (struct latch){0};
    fiber_run(check_fiber, &old);
    latch_wait(&read_held, 1);
    options.use_cache = false; /* the write's own look must not wait for the reader that is held */
    set_options("plain", "sha", NULL, 0);
    CHECK_ERR(auth_set_password(HOST, shared_user, S("new"), &err), ERR_NONE);
    options.use_cache = true;
    set_options("plain", "sha", NULL, 0);
    CHECK_INT(check(shared_user, S("new")), ERR_NONE);
    fiber_wake(held_reader);
    latch_wait(&asked, 1);
    CHECK_INT(fits, 1); /* it asked before the change */
    CHECK_INT(check(shared_user, old), ERR_NOT_AUTHORIZED);
    CHECK_INT(check(shared_user, S("new")), ERR_NONE);
    held_reader = NULL;
    arena_release(&a);
}

static struct latch busy_ended;

/* Everybody at the same few accounts, from both shards' point of view: for the sanitizers. */
static void busy_fiber(void *arg)
{
    struct arena *a = arena_new();
    struct scram_keys k;
    bool is;

    for (int i = 0; i < 60; i++) {
        struct str user = arena_printf(a, "busy%d", (int)(rand_u64() % 5));
        switch (rand_u64() % 7) {
        case 0:
            auth_register(HOST, user, S("secret"), NULL);
            break;
        case 1:
            auth_remove(HOST, user, NULL);
            break;
        case 2:
            auth_set_password(HOST, user, S("secret"), NULL);
            break;
        case 3:
            auth_scram_keys(a, HOST, user, SCRAM_SHA256, &k, NULL);
            break;
        case 4:
            auth_exists(HOST, user, &is, NULL);
            break;
        case 5:
            auth_clear_cache(NULL);
            break;
        default:
            auth_check_password(HOST, user, S("secret"), NULL);
        }
    }
    latch_up(&busy_ended);
    arena_release(&a);
}

static void busy(void *arg)
{
    options.size = 4;
    set_options("scram", "sha", NULL, 0);
    busy_ended = (struct latch){0};
    for (int i = 0; i < 16; i++)
        fiber_run(busy_fiber, NULL);
    latch_wait(&busy_ended, 16);
    options.size = 1000;
}

/* --- frame --- */

static int stop_each(void *arg, void *slot, struct error *err)
{
    auth_shard_stop();
    return 0;
}

static int start_each(void *arg, void *slot, struct error *err)
{
    auth_shard_start();
    return 0;
}

static void framed(void *arg)
{
    struct arena *a = arena_new();
    void *slots[2] = {NULL, NULL};
    void (*body)(void *) = *(void (**)(void *))arg;

    CHECK_ERR(mail_gather(start_each, NULL, slots, a, 5000, &err), ERR_NONE);
    body(NULL);
    CHECK_ERR(mail_gather(stop_each, NULL, slots, a, 5000, &err), ERR_NONE);
    arena_release(&a);
}

static void run(void (*body)(void *))
{
    set_options("plain", "sha", NULL, 0);
    start_store(true);
    run_on_fiber(2, framed, &body);
    store_stop();
    CHECK_INT(held, 0);
}

#define TEST(body)                       \
    static void test_##body(void **state) \
    {                                    \
        run(body);                       \
    }

TEST(in_both_homes)
TEST(refusals)
TEST(forms)
TEST(memo)
TEST(derived_once)
TEST(bounds)
TEST(cache_options)
TEST(single_flight)
TEST(read_across_write)
TEST(busy)

#define ENTRY(body) cmocka_unit_test_setup_teardown(test_##body, dir_setup, dir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENTRY(in_both_homes), ENTRY(refusals), ENTRY(forms),         ENTRY(memo),              ENTRY(derived_once),
        ENTRY(bounds),        ENTRY(cache_options), ENTRY(single_flight), ENTRY(read_across_write), ENTRY(busy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
