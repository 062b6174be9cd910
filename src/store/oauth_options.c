/*
 * The column `options` of oauth_client: base64 of [{secret, <<"...">>}] or [{redirect_uri, <<"...">>}] in Erlang's external
 * term format (erts, "External Term Format"). Any thread, suspends never. Other keys are skipped when their values are texts.
 */
#include "store/oauth.h"

#include "base/base64.h"
#include "base/buf.h"
#include "base/secret.h"

enum {
    TERM_VERSION = 131, TERM_ATOM = 100, TERM_SMALL_ATOM = 115, TERM_UTF8_ATOM = 118, TERM_SMALL_UTF8_ATOM = 119,
    TERM_TUPLE = 104, TERM_NIL = 106, TERM_STRING = 107, TERM_LIST = 108, TERM_BINARY = 109
};

static void put_number(struct buf *b, size_t n, unsigned bytes)
{
    while (bytes--)
        buf_add_c(b, (char)(n >> bytes * 8 & 0xff));
}

static void put_pair(struct buf *b, struct str key, struct str value)
{
    buf_add_c(b, (char)TERM_TUPLE);
    buf_add_c(b, 2);
    buf_add_c(b, (char)TERM_ATOM);
    put_number(b, key.n, 2);
    buf_add_str(b, key);
    buf_add_c(b, (char)TERM_BINARY);
    put_number(b, value.n, 4);
    buf_add_str(b, value);
}

struct str oauth_client_options(struct arena *a, const struct oauth_client *c)
{
    struct buf b = BUF_INIT;
    bool implicit = c->grant == OAUTH_GRANT_IMPLICIT;

    buf_add_c(&b, (char)TERM_VERSION);
    buf_add_c(&b, (char)TERM_LIST);
    put_number(&b, 1, 4);
    put_pair(&b, implicit ? S("redirect_uri") : S("secret"), implicit ? c->redirect_uri : c->secret);
    buf_add_c(&b, (char)TERM_NIL);
    struct str text = base64_encode(a, buf_str(&b));
    secret_wipe(b.p, b.n);
    buf_deinit(&b);
    return text;
}

/* What is left of the term; `bad` once something did not fit. */
struct term {
    const unsigned char *p;
    size_t n;
    bool bad;
};

static size_t number(struct term *t, unsigned bytes)
{
    size_t v = 0;

    if (t->n < bytes) {
        t->bad = true;
        t->n = 0;
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | t->p[i];
    t->p += bytes;
    t->n -= bytes;
    return v;
}

static struct str bytes(struct term *t, size_t n)
{
    struct str s = str_n((const char *)t->p, n);

    if (t->n < n) {
        t->bad = true;
        return STR_NULL;
    }
    t->p += n;
    t->n -= n;
    return s;
}

/* Atoms and texts alike. */
static struct str word(struct term *t)
{
    switch (number(t, 1)) {
    case TERM_ATOM:
    case TERM_UTF8_ATOM:
    case TERM_STRING:
        return bytes(t, number(t, 2));
    case TERM_SMALL_ATOM:
    case TERM_SMALL_UTF8_ATOM:
        return bytes(t, number(t, 1));
    case TERM_BINARY:
        return bytes(t, number(t, 4));
    case TERM_NIL: /* an empty string is an empty list */
        return S("");
    default:
        t->bad = true;
        return STR_NULL;
    }
}

static void take_pair(struct arena *a, struct term *t, struct oauth_client *c)
{
    struct str key, value;

    t->bad = t->bad || number(t, 1) != TERM_TUPLE || number(t, 1) != 2;
    key = word(t);
    value = word(t);
    if (t->bad)
        return;
    if (str_eq(key, S("secret")))
        c->secret = arena_str(a, value);
    else if (str_eq(key, S("redirect_uri")))
        c->redirect_uri = arena_str(a, value);
}

bool oauth_client_read_options(struct arena *a, struct str options, struct oauth_client *c)
{
    struct str raw;
    struct term t;
    size_t pairs;

    if (!base64_decode(a, options, &raw))
        return false;
    t = (struct term){.p = (const unsigned char *)raw.p, .n = raw.n};
    if (number(&t, 1) != TERM_VERSION)
        return false;
    switch (number(&t, 1)) {
    case TERM_NIL:
        return !t.bad && t.n == 0;
    case TERM_LIST:
        break;
    default:
        return false;
    }
    pairs = number(&t, 4);
    while (pairs-- && !t.bad)
        take_pair(a, &t, c);
    return !t.bad && number(&t, 1) == TERM_NIL && !t.bad && t.n == 0;
}
