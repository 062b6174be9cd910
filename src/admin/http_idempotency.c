/* Idempotency keys of the HTTP API; see the header. Everything public suspends. */
#include "admin/http_idempotency.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/secret.h"
#include "core/config/access.h"
#include "rt/pool.h"
#include "store/api_reply.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>

#define RUN_CHARS 16
#define KEY_BYTES 32
#define IV_BYTES 12
#define TAG_BYTES 16
#define SEALED_MAX (1 << 20) /* what is kept is far smaller; a table that somebody wrote in need not be */
#define NAME_HERE (256 * 1024) /* larger requests are hashed on a blocking thread */
#define FINISH_TRIES 3 /* the call was carried out: its answer should not get lost to somebody's lock */

static char run_name[RUN_CHARS + 1];
static pthread_once_t run_once = PTHREAD_ONCE_INIT;

static void name_run(void)
{
    rand_token(run_name, RUN_CHARS);
}

static struct str this_run(void)
{
    pthread_once(&run_once, name_run);
    return str_n(run_name, RUN_CHARS);
}

/* --- names of keys and requests --- */

static void hmac_raw(struct str key, struct str text, unsigned char out[KEY_BYTES])
{
    unsigned n = 0;
    if (!HMAC(EVP_sha256(), key.p, (int)key.n, (const unsigned char *)text.p, text.n, out, &n) || n != KEY_BYTES)
        abort(); /* out of memory */
}

static struct str hmac(struct arena *a, struct str key, struct str text)
{
    unsigned char out[KEY_BYTES];
    hmac_raw(key, text, out);
    return hex_encode(a, str_n((char *)out, KEY_BYTES));
}

/* The account, or the address of whoever is none. */
static void add_caller(struct buf *b, const struct api_caller *caller)
{
    char ip[IP_TEXT_MAX];
    bool known = jid_present(caller->who.jid);
    buf_add_str(b, known ? S("jid ") : S("ip "));
    buf_add_str(b, known ? jid_bare(caller->who.jid) : str_of(ip_print(&caller->who.ip, ip)));
}

/* Without the key nobody can tell which passwords the request had in it. */
static struct str name_key(struct cmd_call *c, struct str key)
{
    struct buf b = BUF_INIT;
    buf_add_str(&b, S("key of "));
    add_caller(&b, c->caller);
    struct str id = hmac(c->arena, key, buf_str(&b));
    buf_deinit(&b);
    return id;
}

static struct str name_request(const struct answer *an, struct cmd_call *c, struct str key)
{
    struct buf b = BUF_INIT;
    buf_reserve(&b, 1024 + 3 * (an->r->body.n + an->r->query.n)); /* growing would leave copies that nobody wipes */
    buf_printf(&b, "%s v%u %d %zu %u %zu:", c->cmd->name.p, c->version, an->lines, an->page.limit, an->page.given,
               an->page.after.n);
    buf_add_str(&b, an->page.after);
    for (unsigned i = 0; i < c->shape->arg_count; i++)
        value_key(&b, &c->shape->args[i], &c->args[i]);
    struct str request = hmac(c->arena, key, buf_str(&b));
    secret_wipe(b.p, b.n);
    buf_deinit(&b);
    return request;
}

struct naming {
    const struct answer *an;
    struct cmd_call *c;
    struct str key, request;
};

static void name_on_thread(void *arg, void *state)
{
    struct naming *n = arg;
    (void)state;
    n->request = name_request(n->an, n->c, n->key);
}

static struct str name_any_request(const struct answer *an, struct cmd_call *c, struct str key) YIELDS;
static struct str name_any_request(const struct answer *an, struct cmd_call *c, struct str key)
{
    struct naming n = {.an = an, .c = c, .key = key};
    if (an->r->body.n > NAME_HERE)
        pool_run(pool_general(), name_on_thread, &n);
    else
        n.request = name_request(an, c, key);
    return n.request;
}

/* --- sealing: answers may have tokens in them --- */

/* IV, text, tag: AES-256-GCM under a key made of the client's; the text belongs to the entry `id`. */
static EVP_CIPHER_CTX *sealer(struct str key, struct str id, const unsigned char *iv, int encrypt)
{
    unsigned char secret[KEY_BYTES];
    int n;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    hmac_raw(key, S("seal of the answer"), secret);
    if (!ctx || !EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, secret, iv, encrypt) ||
        !EVP_CipherUpdate(ctx, NULL, &n, (const unsigned char *)id.p, (int)id.n))
        abort(); /* out of memory */
    secret_wipe(secret, sizeof(secret));
    return ctx;
}

static struct str seal(struct arena *a, struct str key, struct str id, struct str text)
{
    unsigned char *p = arena_alloc(a, IV_BYTES + text.n + TAG_BYTES);
    int n;
    rand_bytes(p, IV_BYTES);
    EVP_CIPHER_CTX *ctx = sealer(key, id, p, 1);
    if (!EVP_CipherUpdate(ctx, p + IV_BYTES, &n, (const unsigned char *)text.p, (int)text.n) ||
        !EVP_CipherFinal_ex(ctx, p + IV_BYTES + text.n, &n) ||
        !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, p + IV_BYTES + text.n))
        abort(); /* out of memory */
    EVP_CIPHER_CTX_free(ctx);
    return base64_encode(a, str_n((char *)p, IV_BYTES + text.n + TAG_BYTES));
}

/* false: it was changed. */
static bool unseal(struct arena *a, struct str key, struct str id, struct str sealed, struct str *out)
{
    struct str b;
    int n;
    if (!base64_decode(a, sealed, &b) || b.n < IV_BYTES + TAG_BYTES || b.n > SEALED_MAX)
        return false;
    const unsigned char *p = (const unsigned char *)b.p;
    size_t len = b.n - IV_BYTES - TAG_BYTES;
    unsigned char tag[TAG_BYTES], *text = arena_alloc(a, len + 1);
    memcpy(tag, p + b.n - TAG_BYTES, TAG_BYTES);
    EVP_CIPHER_CTX *ctx = sealer(key, id, p, 0);
    bool ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) &&
              EVP_CipherUpdate(ctx, text, &n, p + IV_BYTES, (int)len) && EVP_CipherFinal_ex(ctx, text + len, &n) > 0;
    EVP_CIPHER_CTX_free(ctx);
    *out = str_n((char *)text, len);
    return ok;
}

/* --- answers that are kept --- */

static struct str headers_text(struct arena *a, const struct answer *an)
{
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < an->header_count; i++)
        if (!str_eq(an->headers[i].name, S("X-Request-Id")))
            buf_printf(&b, "%.*s: %.*s\n", STR_ARG(an->headers[i].name), STR_ARG(an->headers[i].value));
    struct str text = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return text;
}

static bool replay(struct answer *an, const struct idempotency *k, const struct api_reply *r)
{
    struct str rest, body, line;
    if (!unseal(an->r->arena, k->key, k->id, r->headers, &rest) || !unseal(an->r->arena, k->key, k->id, r->body, &body))
        return false;
    an->status = r->status;
    an->type = arena_str(an->r->arena, r->type);
    buf_add_str(&an->out, body);
    while (str_split(&rest, '\n', &line)) {
        ptrdiff_t colon = str_find(line, ':');
        if (colon > 0)
            answer_header(an, arena_str(an->r->arena, str_n(line.p, (size_t)colon)),
                          arena_str(an->r->arena, str_trim(str_n(line.p + colon + 1, line.n - (size_t)colon - 1))));
    }
    answer_header(an, S("Idempotent-Replayed"), S("true"));
    return true;
}

static void refuse(struct cmd_call *c, enum err_code code, const char *text)
{
    cmd_fail_as(c, code, FAIL_REASON, QUOTE_TEXT, "error", "%s", text);
}

static enum idempotency_verdict known_key(struct answer *an, struct cmd_call *c, const struct idempotency *k,
                                          const struct api_reply *r)
{
    const struct api_reply *mine = k->mine;
    if (!secret_eq(r->request, mine->request)) {
        refuse(c, ERR_KEY_REUSED, "This Idempotency-Key was used for another call");
    } else if (!r->status && str_eq(r->run, mine->run)) {
        answer_header(an, S("Retry-After"), S("1"));
        refuse(c, ERR_CONFLICT, "The call with this Idempotency-Key is still being carried out, or its answer could not be kept");
    } else if (!r->status) {
        refuse(c, ERR_CONFLICT, "The call with this Idempotency-Key was interrupted by the end of the server: it may or may not "
                                "have been carried out");
    } else if (!r->type.n) {
        cmd_fail_as(c, ERR_CONFLICT, FAIL_REASON, QUOTE_TEXT, "error",
                    "The call with this Idempotency-Key was carried out and answered with status %d; the answer was too large to "
                    "be kept", r->status);
    } else if (!replay(an, k, r)) {
        refuse(c, ERR_CONFLICT, "The call with this Idempotency-Key was carried out; the answer that was kept is damaged");
    } else {
        return IDEMPOTENCY_REPLAY;
    }
    return IDEMPOTENCY_FAILED;
}

/* --- a call --- */

static bool key_ok(struct str key)
{
    for (size_t i = 0; i < key.n; i++)
        if (key.p[i] < 0x21 || key.p[i] > 0x7e)
            return false;
    return key.n > 0 && key.n <= IDEMPOTENCY_KEY_MAX;
}

enum idempotency_verdict idempotency_begin(struct answer *an, struct cmd_call *c, struct idempotency *k)
{
    struct str key = http_header(an->r, S("Idempotency-Key"));
    struct api_reply found;
    struct error err = ERROR_INIT;
    k->id = STR_NULL;
    if (!key.p || (c->cmd->d->flags & (CMD_READS | CMD_ENDS)) || c->dry_run || !c->cmd->d->run)
        return IDEMPOTENCY_RUN;
    if (!key_ok(key)) {
        cmd_fail(c, ERR_BAD_REQUEST, "Idempotency-Key: expected 1 to %d visible ASCII characters", IDEMPOTENCY_KEY_MAX);
        return IDEMPOTENCY_FAILED;
    }
    k->mine = ARENA_NEW(an->r->arena, struct api_reply);
    *k->mine = (struct api_reply){.request = arena_str(an->r->arena, name_any_request(an, c, key)), .run = this_run()};
    k->id = arena_str(an->r->arena, name_key(c, key));
    k->key = key;
    int64_t now = (int64_t)clock_wall_s();
    enum store_rc rc = api_reply_claim(c->arena, k->id, k->mine, now, now - IDEMPOTENCY_SECONDS, IDEMPOTENCY_COUNT, &found);
    if (rc == STORE_OK) {
        an->kept = true;
        return IDEMPOTENCY_RUN;
    }
    if (rc == STORE_CONFLICT)
        return known_key(an, c, k, &found);
    if (rc == STORE_UNCERTAIN)
        api_reply_drop(k->id);
    store_error(rc, "Idempotency-Key", &err);
    cmd_fail_error(c, &err);
    return IDEMPOTENCY_FAILED;
}

void idempotency_finish(struct answer *an, const struct cmd_call *c, struct idempotency *k)
{
    enum store_rc rc = STORE_UNAVAILABLE;
    if (!k->id.p)
        return;
    if (c->failure.code == ERR_UNAVAILABLE) { /* nothing was done: it may be tried again under this key */
        rc = api_reply_drop(k->id);
    } else {
        struct api_reply *r = k->mine;
        bool fits = an->out.n <= IDEMPOTENCY_BODY_MAX;
        r->status = an->status;
        r->type = fits ? an->type : S("");
        r->headers = seal(an->r->arena, k->key, k->id, headers_text(an->r->arena, an));
        r->body = fits ? seal(an->r->arena, k->key, k->id, buf_str(&an->out)) : S("");
        for (unsigned i = 0; i < FINISH_TRIES && (rc == STORE_UNAVAILABLE || rc == STORE_UNCERTAIN); i++)
            rc = api_reply_finish(k->id, r);
    }
    struct log_ctx ctx = {.request_id = an->r->id};
    if (rc != STORE_OK)
        LOG_LIMITED(WARNING, "api", &ctx, "%s: its Idempotency-Key will be refused, because the answer could not be kept",
                    c->cmd->name.p);
}
