/*
 * The server's side of one SCRAM exchange (RFC 5802 §5 to §7). Cheap: two HMACs and a hash per login, no PBKDF2.
 * Runs on the thread of the connection; nothing suspends. Keys and channel binding data are the caller's.
 * Grammar is taken literally; unknown extensions after the known attributes are ignored, mandatory ones (m=) refused.
 */
#include "base/base64.h"
#include "base/rand.h"
#include "base/secret.h"
#include "base/utf8.h"
#include "xmpp/scram_crypto.h"

#define NONCE_BYTES 18

/* Takes "<name>=value" off the front of *rest, value up to the next comma; false when something else is there. */
static bool take_attr(struct str *rest, char name, struct str *value_out)
{
    if (!rest->p || rest->n < 2 || rest->p[0] != name || rest->p[1] != '=')
        return false;
    struct str part;
    str_split(rest, ',', &part);
    *value_out = str_n(part.p + 2, part.n - 2);
    return true;
}

static bool is_alpha(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* attr-val = ALPHA "=" value, value not empty. "m" asks to fail when not understood (RFC 5802 §5.1). */
static bool extension_ok(struct str part)
{
    return part.n >= 3 && is_alpha(part.p[0]) && part.p[0] != 'm' && part.p[1] == '=';
}

static bool extensions_ok(struct str rest)
{
    struct str part;
    while (str_split(&rest, ',', &part))
        if (!extension_ok(part))
            return false;
    return true;
}

/* c-nonce = 1*(%x21-2B / %x2D-7E) */
static bool nonce_ok(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x21 || s.p[i] > 0x7e || s.p[i] == ',')
            return false;
    return s.n > 0 && s.n <= SCRAM_MAX_NONCE;
}

/* saslname: "=2C" and "=3D" stand for comma and equals sign, any other "=" is an error. */
static bool unescape_name(struct arena *a, struct str in, struct str *out)
{
    if (in.n == 0)
        return false;
    if (str_find(in, '=') < 0) {
        *out = in;
        return true;
    }
    char *text = arena_alloc(a, in.n), *p = text;
    for (size_t i = 0; i < in.n;) {
        if (in.p[i] != '=') {
            *p++ = in.p[i++];
            continue;
        }
        struct str code = str_n(in.p + i, in.n - i);
        if (str_starts(code, S("=2C")))
            *p++ = ',';
        else if (str_starts(code, S("=3D")))
            *p++ = '=';
        else
            return false;
        i += 3;
    }
    *out = str_n(text, (size_t)(p - text));
    return true;
}

static bool cb_name_ok(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!is_alpha(c) && !(c >= '0' && c <= '9') && c != '.' && c != '-')
            return false;
    }
    return s.n > 0;
}

/* gs2-cbind-flag (RFC 5802 §6, §7). */
static enum scram_rc read_cb_flag(struct scram_server *s, struct str flag)
{
    if (str_starts(flag, S("p="))) {
        s->cb_type = str_n(flag.p + 2, flag.n - 2);
        return s->plus && cb_name_ok(s->cb_type) ? SCRAM_OK : SCRAM_MALFORMED;
    }
    s->cb_type = STR_NULL;
    if (s->plus)
        return SCRAM_MALFORMED;
    if (str_eq(flag, S("n")))
        return SCRAM_OK;
    if (!str_eq(flag, S("y")))
        return SCRAM_MALFORMED;
    /* The client could bind and believes that we cannot: somebody removed -PLUS from our list. */
    return s->plus_offered ? SCRAM_CB_MISMATCH : SCRAM_OK;
}

/* [authzid]: "a=" saslname, or nothing */
static bool read_authzid(struct arena *a, struct str in, struct str *out)
{
    *out = STR_NULL;
    return in.n == 0 || (str_starts(in, S("a=")) && unescape_name(a, str_n(in.p + 2, in.n - 2), out));
}

/* client-first-message-bare */
static bool read_bare(struct arena *a, struct scram_server *s)
{
    struct str rest = s->client_first_bare, name, nonce;
    if (!take_attr(&rest, 'n', &name) || !unescape_name(a, name, &s->username))
        return false;
    if (!take_attr(&rest, 'r', &nonce) || !nonce_ok(nonce) || !extensions_ok(rest))
        return false;
    s->nonce = nonce;
    return true;
}

static bool text_ok(struct str msg)
{
    return msg.n && msg.n <= SCRAM_MAX_MESSAGE && !memchr(msg.p, '\0', msg.n) && utf8_valid(msg);
}

enum scram_rc scram_server_first(struct arena *a, struct scram_server *s, struct str client_first)
{
    if (!text_ok(client_first))
        return SCRAM_MALFORMED;
    struct str msg = arena_str(a, client_first), rest = msg, flag, authzid;
    str_split(&rest, ',', &flag);
    if (!rest.p)
        return SCRAM_MALFORMED;
    str_split(&rest, ',', &authzid);
    if (!rest.p)
        return SCRAM_MALFORMED;
    s->gs2 = str_n(msg.p, (size_t)(rest.p - msg.p));
    s->client_first_bare = rest;
    if (!read_authzid(a, authzid, &s->authzid) || !read_bare(a, s))
        return SCRAM_MALFORMED;
    return read_cb_flag(s, flag);
}

struct str scram_server_challenge(struct arena *a, struct scram_server *s, const struct scram_keys *keys,
                                  const char *nonce_tail)
{
    struct str tail = str_of(nonce_tail);
    if (!nonce_tail) {
        unsigned char bytes[NONCE_BYTES];
        rand_bytes(bytes, sizeof(bytes));
        tail = base64_encode(a, str_n((const char *)bytes, sizeof(bytes)));
    }
    s->keys = keys;
    s->nonce = arena_printf(a, "%.*s%.*s", STR_ARG(s->nonce), STR_ARG(tail));
    struct str salt = base64_encode(a, keys->salt);
    /* An extension (RFC 5802 §5.1): whoever does not know it passes over it. */
    s->server_first = arena_printf(a, "r=%.*s,s=%.*s,i=%u%s%.*s", STR_ARG(s->nonce), STR_ARG(salt), keys->iterations,
                                   s->ssdp.n ? ",h=" : "", STR_ARG(s->ssdp));
    return s->server_first;
}

struct final {
    struct str cbind, proof; /* decoded */
    struct str nonce, without_proof;
};

static bool is_proof(struct str part)
{
    return part.n >= 2 && part.p[0] == 'p' && part.p[1] == '=';
}

/* client-final-message = channel-binding "," nonce ["," extensions] "," proof */
static bool read_final(struct arena *a, struct str msg, struct final *f)
{
    struct str rest = msg, value, part;
    if (!text_ok(msg) || !take_attr(&rest, 'c', &value) || !base64_decode(a, value, &f->cbind))
        return false;
    if (!take_attr(&rest, 'r', &f->nonce))
        return false;
    while (str_split(&rest, ',', &part)) {
        if (!is_proof(part)) {
            if (!extension_ok(part))
                return false;
            continue;
        }
        f->without_proof = str_n(msg.p, (size_t)(part.p - msg.p) - 1);
        return !rest.p && part.n > 2 && base64_decode(a, str_n(part.p + 2, part.n - 2), &f->proof);
    }
    return false;
}

/* c= repeats the gs2 header and the binding data as the client saw them (RFC 5802 §6). */
static bool binding_ok(struct arena *a, const struct scram_server *s, struct str cbind)
{
    struct str data = s->plus ? s->cb_data : STR_NULL;
    /* A type that the caller has no data for would bind to nothing. */
    if (s->plus && data.n == 0)
        return false;
    char *want = arena_alloc(a, s->gs2.n + data.n);
    memcpy(want, s->gs2.p, s->gs2.n);
    if (data.n)
        memcpy(want + s->gs2.n, data.p, data.n);
    return secret_eq(str_n(want, s->gs2.n + data.n), cbind);
}

/* H(ClientProof XOR HMAC(StoredKey, AuthMessage)) is StoredKey exactly when the client knows the password. */
static bool proof_ok(const struct scram_server *s, struct str auth_message, struct str proof)
{
    unsigned char sig[SCRAM_MAX_DIGEST], hash[SCRAM_MAX_DIGEST];
    size_t n = scram_digest_len(s->keys->hash);
    if (proof.n != n || s->keys->stored_key.n != n || s->keys->server_key.n != n)
        return false;
    scram_hmac(s->keys->hash, s->keys->stored_key, auth_message, sig);
    for (size_t i = 0; i < n; i++)
        sig[i] ^= (unsigned char)proof.p[i];
    scram_h(s->keys->hash, str_n((const char *)sig, n), hash);
    bool same = secret_eq(str_n((const char *)hash, n), s->keys->stored_key);
    /* With the client key anybody could log in as this account. */
    secret_wipe(sig, sizeof(sig));
    secret_wipe(hash, sizeof(hash));
    return same;
}

enum scram_rc scram_server_final(struct arena *a, struct scram_server *s, struct str client_final, struct str *out)
{
    struct final f;
    *out = STR_NULL;
    if (!s->keys || s->keys->hash != s->hash || !read_final(a, client_final, &f))
        return SCRAM_MALFORMED;
    if (!secret_eq(f.nonce, s->nonce))
        return SCRAM_NOT_AUTHORIZED;
    if (!binding_ok(a, s, f.cbind))
        return SCRAM_CB_MISMATCH;
    struct str auth_message = arena_printf(a, "%.*s,%.*s,%.*s", STR_ARG(s->client_first_bare), STR_ARG(s->server_first),
                                           STR_ARG(f.without_proof));
    if (!proof_ok(s, auth_message, f.proof))
        return SCRAM_NOT_AUTHORIZED;
    unsigned char sig[SCRAM_MAX_DIGEST];
    scram_hmac(s->keys->hash, s->keys->server_key, auth_message, sig);
    struct str v = base64_encode(a, str_n((const char *)sig, scram_digest_len(s->keys->hash)));
    secret_wipe(sig, sizeof(sig));
    *out = arena_printf(a, "v=%.*s", STR_ARG(v));
    return SCRAM_OK;
}
