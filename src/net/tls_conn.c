/*
 * TLS of one connection: OpenSSL's handshake, then TLS 1.3 goes on with the keys alone (net/tls_record.h) and TLS 1.2
 * with OpenSSL. One BIO per thread is shared by all its connections: it moves bytes between the
 * connection's descriptor and OpenSSL, and reads the socket in large pieces, so a wake-up costs one recv however many
 * records have come. Runs on the connection's shard, on the loop or a fiber; suspends never.
 * Which connection the BIO and the callbacks serve is a thread variable set around each call into OpenSSL.
 */
#include "base/mem.h"
#include "base/secret.h"
#include "net/net_shard.h"
#include "net/tls_internal.h"
#include "net/tls_record.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Needed until the handshake is over. */
struct handshake {
    const char *const *alpn;
    char *default_host;
    uint8_t secret[2][TLS_SECRET_MAX]; /* of the client's and of our traffic */
    size_t secret_n[2];
};

struct tls_conn {
    SSL *ssl;                 /* NULL once the keys have taken over */
    struct tls_keys *keys;
    struct handshake *hs;
    struct in_buf *cipher_in; /* bytes of the socket that are not decrypted yet */
    uint32_t plain_at, plain_n; /* decrypted ones in cipher_in that nobody has taken yet */
    char *sni, *alpn;
    X509 *leaf;               /* the certificate shown; TLS 1.3 */
    struct tls_peer *peer;    /* the client's; NULL: none, or forgotten */
    const char *version, *cipher;
    uint8_t exporter[32];     /* RFC 9266; TLS 1.3 */
    uint8_t alert;            /* to be sent at the end */
    bool drained;   /* the socket had less than asked for: asking again would only return EAGAIN */
    bool eof, failed;
    uint8_t late;   /* enum tls_io that came behind the bytes returned last */
    const char *late_why;
};

static __thread struct {
    BIO *bio;
    struct tls_conn *conn;
    int fd;
} cur;

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

/* --- the socket --- */
/* Room behind what is there; a rest that waited in a buffer of its size moves to a full one. */
static struct in_buf *make_room(struct tls_conn *t)
{
    struct in_buf *b = t->cipher_in;
    if (b && b->cap == IN_BUF_SIZE) {
        memmove(b->p, b->p + b->off, b->n - b->off);
        b->n -= b->off;
        b->off = 0;
        return b;
    }
    struct in_buf *full = in_buf_take();
    if (b) {
        full->n = b->n - b->off;
        memcpy(full->p, b->p + b->off, full->n);
        in_buf_give(&t->cipher_in);
    }
    return t->cipher_in = full;
}

static bool refill(struct tls_conn *t, int fd)
{
    struct in_buf *b = make_room(t);
    size_t room = b->cap - b->n;
    ssize_t r;
    do {
        r = recv(fd, b->p + b->n, room, 0);
    } while (r < 0 && errno == EINTR);
    if (r > 0) {
        t->drained = (size_t)r < room;
        b->n += (uint32_t)r;
        return true;
    }
    if (r == 0)
        t->eof = true;
    else if (errno == EAGAIN || errno == EWOULDBLOCK)
        t->drained = true;
    else
        t->failed = true;
    if (!b->n)
        in_buf_give(&t->cipher_in);
    return false;
}

/* --- BIO --- */
static int bio_read(BIO *bio, char *out, size_t n, size_t *got)
{
    struct tls_conn *t = cur.conn;
    BIO_clear_retry_flags(bio);
    *got = 0;
    if (!t->cipher_in) {
        if (t->eof || t->failed)
            return 0;
        if (t->drained || !refill(t, cur.fd)) {
            if (!t->eof && !t->failed)
                BIO_set_retry_read(bio);
            return 0;
        }
    }
    struct in_buf *b = t->cipher_in;
    size_t k = b->n - b->off < n ? b->n - b->off : n;
    memcpy(out, b->p + b->off, k);
    b->off += (uint32_t)k;
    if (b->off == b->n)
        in_buf_give(&t->cipher_in);
    *got = k;
    return 1;
}

static int bio_write(BIO *bio, const char *p, size_t n, size_t *done)
{
    ssize_t r;
    BIO_clear_retry_flags(bio);
    do {
        r = send(cur.fd, p, n, MSG_NOSIGNAL);
    } while (r < 0 && errno == EINTR);
    *done = r > 0 ? (size_t)r : 0;
    if (r < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            BIO_set_retry_write(bio);
        else
            cur.conn->failed = true;
        return 0;
    }
    return 1;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    return cmd == BIO_CTRL_FLUSH || cmd == BIO_CTRL_PUSH || cmd == BIO_CTRL_POP ? 1 : 0;
}

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "shard socket");
    if (!method)
        abort();
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
}

static void drop_thread_bio(void)
{
    BIO_free(cur.bio);
    cur.bio = NULL;
}

/*
 * OpenSSL pushes a buffering BIO onto the write side during a handshake and pops it afterwards; that links the shared
 * BIO backwards to the last of them, a link that nothing follows.
 */
static BIO *thread_bio(void)
{
    if (!cur.bio) {
        pthread_once(&method_once, make_method);
        cur.bio = BIO_new(method);
        if (!cur.bio)
            abort();
        BIO_set_init(cur.bio, 1);
        net_shard_on_exit(drop_thread_bio);
    }
    return cur.bio;
}

static void enter(struct tls_conn *t, int fd)
{
    cur.conn = t;
    cur.fd = fd;
    ERR_clear_error();
}

/* --- callbacks of the handshake --- */
static unsigned choose(const struct tls_certs *set, struct tls_conn *t, const struct tls_cert **found)
{
    const char *sni = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
    unsigned n = sni ? tls_certs_choose(set, str_of(sni), false, found) : 0;
    return n ? n : tls_certs_choose(set, str_of(t->hs->default_host), true, found);
}

static int on_cert(SSL *ssl, void *arg)
{
    const struct tls_cert *found[TLS_KEY_KINDS];
    struct tls_certs *set = tls_certs_current();
    unsigned used = 0;
    unsigned n = set ? choose(set, cur.conn, found) : 0;
    for (unsigned i = 0; i < n; i++)
        used += SSL_use_cert_and_key(ssl, found[i]->leaf, found[i]->key, found[i]->chain, 1) == 1;
    tls_certs_release(&set);
    return used > 0;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len, void *arg)
{
    const char *const *mine = cur.conn->hs->alpn;
    if (!mine || !*mine)
        return SSL_TLSEXT_ERR_NOACK;
    for (; *mine; mine++) {
        size_t want = strlen(*mine);
        for (unsigned i = 0; i < in_len; i += 1u + in[i])
            if (in[i] == want && i + 1u + in[i] <= in_len && memcmp(in + i + 1, *mine, want) == 0) {
                *out = in + i + 1;
                *out_len = in[i];
                return SSL_TLSEXT_ERR_OK;
            }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 §3.2: no_application_protocol */
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * "LABEL client-random secret", the last two in hex: the one public way to the traffic secrets. They stay in the handshake's
 * memory and are wiped with it; nothing writes such lines anywhere.
 */
static void on_key_log(const SSL *ssl, const char *line)
{
    static const char *const labels[2] = {"CLIENT_TRAFFIC_SECRET_0 ", "SERVER_TRAFFIC_SECRET_0 "};
    struct handshake *hs = cur.conn->hs;
    for (unsigned i = 0; i < 2; i++) {
        const char *hex = strrchr(line, ' ');
        if (!hs || !hex || strncmp(line, labels[i], strlen(labels[i])) != 0)
            continue;
        size_t n = 0;
        for (hex++; n < TLS_SECRET_MAX && hex_digit(hex[0]) >= 0 && hex_digit(hex[1]) >= 0; hex += 2)
            hs->secret[i][n++] = (uint8_t)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
        hs->secret_n[i] = *hex ? 0 : n;
    }
}

void tls_conn_setup_ctx(SSL_CTX *ssl, bool own_records)
{
    if (own_records)
        SSL_CTX_set_keylog_callback(ssl, on_key_log);
    SSL_CTX_set_cert_cb(ssl, on_cert, NULL);
    SSL_CTX_set_alpn_select_cb(ssl, on_alpn, NULL);
}

/* --- life --- */
static char *copy_str(const char *p, size_t n)
{
    char *s = mem_alloc(n + 1);
    memcpy(s, p, n);
    s[n] = '\0';
    return s;
}

static void handshake_free(struct tls_conn *t)
{
    if (!t->hs)
        return;
    free(t->hs->default_host);
    secret_wipe(t->hs, sizeof(*t->hs));
    free(t->hs);
    t->hs = NULL;
}

struct tls_conn *tls_conn_new(struct tls_ctx *ctx, struct str default_host, const char *const *alpn)
{
    struct tls_conn *t = MEM_NEW(struct tls_conn);
    t->ssl = SSL_new(ctx->ssl);
    if (!t->ssl)
        abort(); /* memory only */
    t->hs = MEM_NEW(struct handshake);
    t->hs->alpn = alpn;
    t->hs->default_host = copy_str(default_host.p ? default_host.p : "", default_host.n);
    SSL_set_accept_state(t->ssl);
    tls_conn_attach(t);
    return t;
}

void tls_conn_attach(struct tls_conn *t)
{
    if (!t->ssl)
        return;
    BIO *bio = thread_bio();
    BIO_up_ref(bio);
    SSL_set0_rbio(t->ssl, bio);
    BIO_up_ref(bio);
    SSL_set0_wbio(t->ssl, bio);
}

static void ssl_free(struct tls_conn *t)
{
    enter(t, -1);
    SSL_free(t->ssl);
    t->ssl = NULL;
    cur.conn = NULL;
}

void tls_conn_delete(struct tls_conn **tp)
{
    struct tls_conn *t = *tp;
    *tp = NULL;
    if (!t)
        return;
    if (t->ssl)
        ssl_free(t);
    handshake_free(t);
    tls_keys_delete(&t->keys);
    X509_free(t->leaf);
    tls_conn_forget_peer(t);
    in_buf_give(&t->cipher_in);
    secret_wipe(t->exporter, sizeof(t->exporter));
    free(t->sni);
    free(t->alpn);
    free(t);
}

/* --- input and output --- */
static enum tls_io result(struct tls_conn *t, int r, const char **why)
{
    switch (SSL_get_error(t->ssl, r)) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_EOF;
    default:
        break;
    }
    if (t->failed) {
        *why = "connection reset";
        return TLS_FAIL;
    }
    /* A missing close_notify is common; XMPP and HTTP say themselves where they end. */
    bool eof = t->eof && !t->cipher_in;
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    if (eof) {
        t->failed = true;
        ERR_clear_error();
        return TLS_EOF;
    }
    t->failed = true;
    *why = reason ? reason : "TLS error";
    ERR_clear_error();
    return TLS_FAIL;
}

static const char exporter_label[] = "EXPORTER-Channel-Binding"; /* RFC 9266 §4.2 */

static bool export_binding(SSL *ssl, unsigned char out[32])
{
    return SSL_export_keying_material(ssl, out, 32, exporter_label, sizeof(exporter_label) - 1, (const unsigned char *)"",
                                      0, 1) == 1;
}

/*
 * No record has been sent or read with the new keys yet, because there are no session tickets: both counts begin at zero.
 * Bytes behind the client's Finished are in cipher_in, because OpenSSL asks for one record at a time; should it hold some
 * all the same, or know a cipher suite that is not ours, the connection stays with it.
 */
static void take_over(struct tls_conn *t)
{
    const SSL_CIPHER *suite = SSL_get_current_cipher(t->ssl);
    struct handshake *hs = t->hs;
    unsigned code = SSL_SESSION_get_max_fragment_length(SSL_get0_session(t->ssl)); /* 1 to 4: 512 to 4096 bytes */
    if (SSL_version(t->ssl) != TLS1_3_VERSION || !suite || !hs->secret_n[0] || hs->secret_n[0] != hs->secret_n[1] ||
        SSL_has_pending(t->ssl))
        return;
    t->keys = tls_keys_new(SSL_CIPHER_get_protocol_id(suite), hs->secret[0], hs->secret[1], hs->secret_n[0]);
    if (!t->keys)
        return;
    if (code >= TLSEXT_max_fragment_length_512 && code <= TLSEXT_max_fragment_length_4096)
        tls_keys_set_fragment(t->keys, (uint16_t)(256 << code));
    if (!export_binding(t->ssl, t->exporter))
        abort(); /* cannot fail after a handshake */
    t->leaf = SSL_get_certificate(t->ssl);
    if (t->leaf)
        X509_up_ref(t->leaf);
    ssl_free(t);
}

/* OpenSSL's object, which has it otherwise, may be gone before the login asks. */
static void keep_peer(struct tls_conn *t)
{
    X509 *leaf = SSL_get1_peer_certificate(t->ssl);
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(t->ssl);
    if (!leaf)
        return;
    t->peer = MEM_NEW(struct tls_peer);
    t->peer->leaf = leaf;
    t->peer->chain = chain ? X509_chain_up_ref(chain) : NULL;
}

static void finish_handshake(struct tls_conn *t)
{
    const unsigned char *alpn;
    unsigned alpn_len;
    const char *sni = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
    if (sni)
        t->sni = copy_str(sni, strlen(sni));
    SSL_get0_alpn_selected(t->ssl, &alpn, &alpn_len);
    if (alpn_len)
        t->alpn = copy_str((const char *)alpn, alpn_len);
    t->version = SSL_get_version(t->ssl);
    t->cipher = SSL_get_cipher_name(t->ssl);
    keep_peer(t);
    take_over(t);
    handshake_free(t);
}

enum tls_io tls_conn_handshake(struct tls_conn *t, int fd, const char **why_out)
{
    enter(t, fd);
    int r = SSL_do_handshake(t->ssl);
    if (r != 1)
        return result(t, r, why_out);
    finish_handshake(t);
    return TLS_OK;
}

void tls_conn_readable(struct tls_conn *t)
{
    t->drained = false;
}

static enum tls_io read_openssl(struct tls_conn *t, int fd, char *p, size_t cap, size_t *got_out, const char **why_out)
{
    enter(t, fd);
    while (*got_out < cap) {
        size_t k = 0;
        int r = SSL_read_ex(t->ssl, p + *got_out, cap - *got_out, &k);
        if (r != 1)
            return result(t, r, why_out);
        *got_out += k;
        if (!t->cipher_in && t->drained && !SSL_pending(t->ssl))
            break;
    }
    return TLS_OK;
}

static void give_if_used(struct tls_conn *t)
{
    if (t->cipher_in && !t->plain_n && t->cipher_in->off == t->cipher_in->n)
        in_buf_give(&t->cipher_in);
}

static size_t take_plain(struct tls_conn *t, char *p, size_t cap)
{
    size_t k = t->plain_n < cap ? t->plain_n : cap;
    memcpy(p, t->cipher_in->p + t->plain_at, k);
    t->plain_at += (uint32_t)k;
    t->plain_n -= (uint32_t)k;
    give_if_used(t);
    return k;
}

/* The next record of cipher_in. TLS_WANT_READ: it is not complete. */
static enum tls_io open_record(struct tls_conn *t, const char **why_out)
{
    struct in_buf *b = t->cipher_in;
    size_t used;
    struct str plain = STR_NULL;
    enum tls_alert alert = TLS_ALERT_INTERNAL_ERROR;
    enum tls_open o = b ? tls_keys_open(t->keys, (uint8_t *)b->p + b->off, b->n - b->off, &used, &plain, &alert) : TLS_OPEN_MORE;
    if (o == TLS_OPEN_MORE)
        return TLS_WANT_READ;
    if (o == TLS_OPEN_CLOSED)
        return TLS_EOF;
    if (o == TLS_OPEN_ALERT || o == TLS_OPEN_FAIL) {
        t->failed = true;
        t->alert = o == TLS_OPEN_FAIL ? (uint8_t)alert : 0;
        *why_out = o == TLS_OPEN_FAIL ? "malformed TLS record" : "TLS alert of the peer";
        return TLS_FAIL;
    }
    b->off += (uint32_t)used;
    if (o == TLS_OPEN_DATA) {
        t->plain_at = (uint32_t)(plain.p - b->p);
        t->plain_n = (uint32_t)plain.n;
    }
    give_if_used(t);
    return TLS_OK;
}

/* A cut-off record waits in a buffer of its size: idle connections and slow senders own no full one. */
static void settle(struct tls_conn *t)
{
    struct in_buf *b = t->cipher_in;
    if (!b || t->plain_n || b->cap != IN_BUF_SIZE || b->n - b->off >= IN_BUF_SIZE / 2)
        return;
    t->cipher_in = in_buf_small(b->p + b->off, b->n - b->off);
    in_buf_give(&b);
}

static enum tls_io read_records(struct tls_conn *t, int fd, char *p, size_t cap, size_t *got_out, const char **why_out)
{
    while (*got_out < cap) {
        if (t->plain_n) {
            *got_out += take_plain(t, p + *got_out, cap - *got_out);
            continue;
        }
        enum tls_io r = open_record(t, why_out);
        if (r == TLS_OK)
            continue;
        if (r != TLS_WANT_READ)
            return r;
        if (!t->drained && refill(t, fd))
            continue;
        settle(t);
        if (t->failed)
            *why_out = "connection reset";
        return t->failed ? TLS_FAIL : t->eof ? TLS_EOF : TLS_WANT_READ;
    }
    return TLS_OK;
}

enum tls_io tls_conn_read(struct tls_conn *t, int fd, char *p, size_t cap, size_t *got_out, const char **why_out)
{
    *got_out = 0;
    if (t->late) {
        *why_out = t->late_why;
        return t->late;
    }
    enum tls_io r = t->keys ? read_records(t, fd, p, cap, got_out, why_out) : read_openssl(t, fd, p, cap, got_out, why_out);
    if (r == TLS_EOF || r == TLS_FAIL) {
        t->late = (uint8_t)r;
        t->late_why = *why_out;
    }
    return *got_out ? TLS_OK : r;
}

bool tls_conn_seals(const struct tls_conn *t)
{
    return t->keys != NULL;
}

void tls_conn_seal(struct tls_conn *t, const char *p, size_t n, struct buf *out)
{
    tls_keys_seal(t->keys, TLS_CONTENT_DATA, p, n, out);
}

enum tls_io tls_conn_write(struct tls_conn *t, int fd, const char *p, size_t n, size_t *done_out, const char **why_out)
{
    *done_out = 0;
    enter(t, fd);
    int r = SSL_write_ex(t->ssl, p, n, done_out);
    return r == 1 ? TLS_OK : result(t, r, why_out);
}

bool tls_conn_pending(const struct tls_conn *t)
{
    const struct in_buf *b = t->cipher_in;
    if (t->late || t->plain_n || (t->ssl && (b || SSL_pending(t->ssl) > 0)))
        return true;
    return b && tls_keys_complete((const uint8_t *)b->p + b->off, b->n - b->off);
}

void tls_conn_shutdown(struct tls_conn *t, int fd)
{
    if (t->keys) {
        struct buf b = BUF_INIT;
        if (!t->failed || t->alert)
            tls_keys_seal_alert(t->keys, t->alert, &b);
        if (b.n && send(fd, b.p, b.n, MSG_NOSIGNAL) < 0)
            t->failed = true;
        buf_deinit(&b);
        return;
    }
    if (t->failed || !SSL_is_init_finished(t->ssl))
        return;
    enter(t, fd);
    SSL_shutdown(t->ssl);
    ERR_clear_error();
}

/* --- what is known about it --- */
static bool exporter(struct tls_conn *t, struct arena *a, struct str *out)
{
    unsigned char *p = arena_alloc(a, 32);
    *out = str_n((const char *)p, 32);
    if (t->keys) {
        memcpy(p, t->exporter, 32);
        return true;
    }
    /* Without the extended master secret a TLS 1.2 exporter does not bind to one connection. */
    if (SSL_version(t->ssl) < TLS1_3_VERSION && SSL_get_extms_support(t->ssl) != 1)
        return false;
    return export_binding(t->ssl, p);
}

/* RFC 5929 §3.1: the first Finished of the handshake; without resumption that is the client's. */
static bool unique(struct tls_conn *t, struct arena *a, struct str *out)
{
    if (t->keys || SSL_version(t->ssl) >= TLS1_3_VERSION || SSL_session_reused(t->ssl))
        return false;
    char *p = arena_alloc(a, EVP_MAX_MD_SIZE);
    size_t n = SSL_get_peer_finished(t->ssl, p, EVP_MAX_MD_SIZE);
    if (!n || n > EVP_MAX_MD_SIZE)
        return false;
    *out = str_n(p, n);
    return true;
}

bool tls_conn_binding(struct tls_conn *t, struct str type, struct arena *a, struct str *out)
{
    if (!t->version)
        return false;
    if (t->ssl)
        enter(t, -1);
    if (str_eq(type, S("tls-exporter")))
        return exporter(t, a, out);
    if (str_eq(type, S("tls-unique")))
        return unique(t, a, out);
    X509 *leaf = t->keys ? t->leaf : SSL_get_certificate(t->ssl);
    if (!str_eq(type, S("tls-server-end-point")) || !leaf)
        return false;
    uint8_t *p = arena_alloc(a, EVP_MAX_MD_SIZE);
    size_t n = tls_cert_endpoint(leaf, p);
    *out = str_n((const char *)p, n);
    return n > 0;
}

const struct tls_peer *tls_conn_peer(const struct tls_conn *t)
{
    return t->peer;
}

void tls_conn_forget_peer(struct tls_conn *t)
{
    if (!t->peer)
        return;
    X509_free(t->peer->leaf);
    sk_X509_pop_free(t->peer->chain, X509_free);
    free(t->peer);
    t->peer = NULL;
}

struct str tls_conn_sni(const struct tls_conn *t)
{
    return str_of(t->sni);
}

struct str tls_conn_alpn(const struct tls_conn *t)
{
    return str_of(t->alpn);
}

const char *tls_conn_version(const struct tls_conn *t)
{
    return t->version;
}

const char *tls_conn_cipher(const struct tls_conn *t)
{
    return t->cipher;
}
