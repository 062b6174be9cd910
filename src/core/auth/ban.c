/*
 * See the header. What is known of a ban and the password that shuts the account out are written together. Where passwords are kept
 * elsewhere the former comes first: from then on the account is shut, whatever fails later, and a second call can see it.
 * Everything suspends.
 */
#include "core/auth/ban.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/secret.h"
#include "core/account/account.h"
#include "core/auth/auth.h"
#include "core/auth/auth_cache.h"
#include "core/auth/ban_details.h"
#include "core/auth/oauth.h"
#include "core/cookie.h"
#include "store/last.h"
#include "store/private.h"
#include "xml/writer.h"

#include <openssl/hmac.h>
#include <time.h>

#define PASSWORD_CHARS 40

static const char *const hash_names[] = {"sha", "sha256", "sha512"};

/* --- the element --- */

static void add(struct arena *a, struct xml_el *el, const char *name, struct str text)
{
    struct xml_el *child = xml_new_text(a, str_of(name), S(BAN_NS));
    xml_append_text(a, child, text);
    xml_append(el, child);
}

/*
 * A seal over the children before it, with the server's own secret: the table is within reach of whoever may write private
 * storage, and the old password comes from there.
 */
static struct str seal(struct arena *a, const struct xml_el *el)
{
    struct buf b = BUF_INIT;
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    for (const struct xml_el *child = xml_first(el); child && !str_eq(child->name, S("hash")); child = xml_next(child))
        xml_write(&b, child, TOK_NONE);
    HMAC(EVP_sha256(), cookie().p ? cookie().p : "", (int)cookie().n, (const unsigned char *)buf_str(&b).p, b.n, md, &n);
    secret_wipe(b.p, b.n);
    buf_deinit(&b);
    return base64_encode(a, str_n((const char *)md, n));
}

static void add_scram(struct arena *a, struct xml_el *el, const struct scram_keys *k)
{
    struct xml_el *child = xml_new_text(a, S("scram"), S(BAN_NS));
    xml_attr_set_text(a, child, S("hash"), str_of(hash_names[k->hash]));
    xml_attr_set_text(a, child, S("iterations"), arena_printf(a, "%u", k->iterations));
    xml_attr_set_text(a, child, S("salt"), base64_encode(a, k->salt));
    xml_attr_set_text(a, child, S("storedkey"), base64_encode(a, k->stored_key));
    xml_attr_set_text(a, child, S("serverkey"), base64_encode(a, k->server_key));
    xml_append(el, child);
}

static void add_creds(struct arena *a, struct xml_el *el, const struct user_creds *c)
{
    if (c->has_plain)
        add(a, el, "password", c->plain);
    for (size_t i = 0; i < ARRAY_LEN(c->scram); i++)
        if (c->scram[i].iterations)
            add_scram(a, el, &c->scram[i]);
}

static bool read_key(struct arena *a, const struct xml_el *el, const char *name, size_t n, struct str *out)
{
    return base64_decode(a, xml_attr_get_text(el, str_of(name)), out) && (!n || out->n == n);
}

static void read_scram(struct arena *a, const struct xml_el *el, struct user_creds *out)
{
    struct scram_keys k = {0};
    int64_t iterations;
    for (enum scram_hash h = 0; h < ARRAY_LEN(hash_names); h++) {
        size_t len = scram_digest_len(h);
        k.hash = h;
        if (str_eq(xml_attr_get_text(el, S("hash")), str_of(hash_names[h])) &&
            str_to_i64(xml_attr_get_text(el, S("iterations")), &iterations) && iterations > 0 && iterations <= 10000000 &&
            read_key(a, el, "salt", 0, &k.salt) && read_key(a, el, "storedkey", len, &k.stored_key) &&
            read_key(a, el, "serverkey", len, &k.server_key)) {
            k.iterations = (unsigned)iterations;
            out->scram[h] = k;
        }
    }
}

static bool read_creds(struct arena *a, const struct xml_el *el, struct user_creds *out)
{
    const struct xml_el *plain = ban_child(el, "password");
    *out = (struct user_creds){.has_plain = plain != NULL, .plain = plain ? xml_text_of(a, plain) : STR_NULL};
    for (const struct xml_el *child = xml_first(el); child; child = xml_next(child))
        if (str_eq(child->name, S("scram")))
            read_scram(a, child, out);
    return plain || out->scram[SCRAM_SHA1].iterations || out->scram[SCRAM_SHA256].iterations || out->scram[SCRAM_SHA512].iterations;
}

/* --- banning --- */

static struct str iso(struct arena *a, int64_t seconds)
{
    struct tm tm;
    time_t t = (time_t)seconds;
    char stamp[64] = "";
    if (gmtime_r(&t, &tm))
        strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &tm);
    return arena_str(a, str_of(stamp));
}

/* When the account was last there: now when it is. */
static int add_last(struct arena *a, struct xml_el *el, struct str host, struct str user, struct error *err) YIELDS;
static int add_last(struct arena *a, struct xml_el *el, struct str host, struct str user, struct error *err)
{
    struct session_info *s;
    size_t n = 0;
    int64_t seconds;
    struct str date = clock_format(a, clock_wall_us(), true), words = S("ONLINE");
    if (account_user_sessions(a, user, host, &s, &n, err) != 0)
        return -1;
    if (!n) {
        enum store_rc rc = last_get(a, host, user, &seconds, &words);
        if (rc == STORE_OK)
            date = iso(a, seconds);
        else if (rc == STORE_NONE)
            words = S("NOT FOUND");
        else
            return store_error(rc, "last activity", err);
    }
    add(a, el, "lastdate", date);
    add(a, el, "lastreason", words);
    return 0;
}

static struct private_element written(struct arena *a, const struct xml_el *el)
{
    struct buf b = BUF_INIT;
    xml_write(&b, el, TOK_NONE);
    struct private_element e = {S(BAN_NS), arena_str(a, buf_str(&b))};
    secret_wipe(b.p, b.n);
    buf_deinit(&b);
    return e;
}

static int keep(struct str host, struct str user, const struct private_element *e, struct error *err) YIELDS;
static int keep(struct str host, struct str user, const struct private_element *e, struct error *err)
{
    enum store_rc rc = private_set(host, user, e, 1);
    return rc == STORE_OK ? 0 : store_error(rc, "ban", err);
}

static int describe(struct arena *a, struct str host, struct str user, struct str reason, struct private_element *out,
                    struct error *err) YIELDS;
static int describe(struct arena *a, struct str host, struct str user, struct str reason, struct private_element *out,
                    struct error *err)
{
    struct user_creds old;
    struct xml_el *el;
    if (ban_load(a, host, user, &el, err) != 0)
        return -1;
    if (el)
        return err_set(err, ERR_CONFLICT, "the account is banned already");
    el = xml_new_text(a, S("banned"), S(BAN_NS));
    add(a, el, "reason", reason);
    enum store_rc rc = users_get(a, host, user, &old);
    if (rc == STORE_OK)
        add_creds(a, el, &old);
    else if (rc != STORE_NONE)
        return store_error(rc, "account", err);
    if (add_last(a, el, host, user, err) != 0)
        return -1;
    add(a, el, "bandate", clock_format(a, clock_wall_us(), true));
    add(a, el, "hash", seal(a, el));
    *out = written(a, el);
    return 0;
}

/* A password that nobody knows; an account that is not there is made, so that nobody makes it. */
static int shut(struct str host, struct str user, const struct private_element *with, struct error *err) YIELDS;
static int shut(struct str host, struct str user, const struct private_element *with, struct error *err)
{
    char password[PASSWORD_CHARS + 1];
    bool stored = auth_stores_all(host), together = with && stored;
    /* Where the password is kept elsewhere: a lifted ban must not give them back. The store forgets them with the password. */
    enum store_rc tokens = stored ? STORE_OK : auth_forget_tokens(host, user);
    if (tokens != STORE_OK)
        return store_error(tokens, "tokens", err);
    rand_token(password, PASSWORD_CHARS);
    int rc = !with || together ? 0 : keep(host, user, with, err);
    if (rc == 0)
        rc = auth_set_password_with(host, user, str_of(password), together ? with : NULL, err);
    if (rc != 0 && err->code == ERR_NOT_FOUND) {
        *err = ERROR_INIT;
        rc = together ? keep(host, user, with, err) : 0;
        if (rc == 0)
            rc = auth_register(host, user, str_of(password), err);
    }
    secret_wipe(password, sizeof(password));
    return rc;
}

static int ban(struct str host, struct str user, struct str reason, const struct private_element *with, struct error *err) YIELDS;
static int ban(struct str host, struct str user, struct str reason, const struct private_element *with, struct error *err)
{
    unsigned kicked;
    int rc = shut(host, user, with, err);
    return rc == 0 ? account_kick(user, host, STR_NULL, KICK_SESSION, reason, &kicked, err) : -1;
}

int ban_lock(struct str host, struct str user, struct str reason, struct error *err)
{
    return ban(host, user, reason, NULL, err);
}

int ban_set(struct str host, struct str user, struct str reason, struct error *err)
{
    struct arena *a = arena_new();
    struct private_element e;
    arena_mark_secret(a);
    int rc = describe(a, host, user, reason, &e, err);
    if (rc == 0)
        rc = ban(host, user, reason, &e, err);
    arena_release(&a);
    return rc;
}

/* --- lifting --- */

/* With what is known of the ban, where both are in the store. */
static int restore(struct arena *a, struct str host, struct str user, const struct xml_el *el, struct error *err) YIELDS;
static int restore(struct arena *a, struct str host, struct str user, const struct xml_el *el, struct error *err)
{
    const struct private_element without = {.ns = S(BAN_NS)};
    struct user_creds old;
    struct auth_policy policy;
    if (!secret_eq(seal(a, el), ban_text(a, el, "hash"))) /* made by ejabberd, on another node, or by hand */
        LOG(WARNING, "ban", NULL, "the ban of %.*s@%.*s does not carry this server's seal", STR_ARG(user), STR_ARG(host));
    if (!read_creds(a, el, &old))
        return 0; /* there was no account before */
    if (old.has_plain && auth_policy_of(host, &policy) && !(policy.forms & AUTH_FORM_PLAIN))
        return auth_set_password_with(host, user, old.plain, &without, err);
    int64_t tokens = 0;
    enum store_rc rc = users_set_with(host, user, &old, &without, &tokens);
    auth_cache_forget(host, user);
    if (rc != STORE_OK && rc != STORE_NONE)
        return store_error(rc, "account", err);
    return tokens ? oauth_clear_cache(err) : 0;
}

static int lift(struct arena *a, struct str host, struct str user, struct error *err) YIELDS;
static int lift(struct arena *a, struct str host, struct str user, struct error *err)
{
    struct xml_el *el;
    if (ban_load(a, host, user, &el, err) != 0)
        return -1;
    if (!el)
        return err_set(err, ERR_NOT_FOUND, "the account is not banned");
    if (restore(a, host, user, el, err) != 0)
        return -1;
    enum store_rc rc = private_remove(host, user, S(BAN_NS)); /* what was not written together */
    return rc == STORE_OK || rc == STORE_NONE ? 0 : store_error(rc, "ban", err);
}

int ban_lift(struct str host, struct str user, struct error *err)
{
    struct arena *a = arena_new();
    arena_mark_secret(a);
    int rc = lift(a, host, user, err);
    arena_release(&a);
    return rc;
}
