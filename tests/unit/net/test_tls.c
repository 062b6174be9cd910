#include "harness.h"
#include "line_server.h"
#include "base/mem.h"
#include "net/tls_internal.h"
#include "net/tls_record.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static const char *file_default, *file_wild, *file_rsa;

static void install(const char *const *files, size_t n)
{
    struct tls_certs *c = load_certs(files, n);
    tls_certs_install(c);
    tls_certs_release(&c);
}

static int make_files(void **state)
{
    file_default = make_cert("default.pem", "default.test,other.test", "ec");
    file_wild = make_cert("wild.pem", "*.wild.test,xn--bcher-kva.test", "ec");
    file_rsa = make_cert("rsa.pem", "rsa.test,default.test", "rsa");
    install((const char *const[]){file_default, file_wild, file_rsa}, 3);
    return 0;
}

static int drop_files(void **state)
{
    const char *files[] = {file_default, file_wild, file_rsa};
    tls_certs_install(NULL);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        unlink(files[i]);
        free((void *)files[i]);
    }
    drop_cert_dir();
    return 0;
}

static bool openssl_records; /* every case runs with both record layers */
static const char *suites13;  /* of the server; NULL: its own choice */
static bool ask_client_cert;
static unsigned handshake_timeout_ms; /* 0: the default */

static struct tls_ctx *make_ctx(const char *protocols)
{
    struct tls_options opt = {.protocol_options = protocols, .request_client_cert = ask_client_cert,
                              .openssl_records = openssl_records};
    struct tls_ctx *c = server_ctx(&opt);
    if (suites13)
        CHECK(SSL_CTX_set_ciphersuites(c->ssl, suites13) == 1);
    return c;
}

static void with(void (*client)(struct bed *), const char *const *alpn, const char *protocols, bool direct)
{
    line_reset();
    struct bed b = {.client = client};
    b.cfg.name = "test";
    b.cfg.on_accept = line_accept;
    b.cfg.tls = direct;
    b.cfg.default_host = "default.test";
    b.cfg.alpn = alpn;
    b.cfg.handshake_timeout_ms = handshake_timeout_ms;
    if (direct)
        b.cfg.tls_ctx = make_ctx(protocols);
    else
        line_tls_ctx = make_ctx(protocols);
    bed_run(&b);
    if (!direct)
        tls_ctx_delete(&line_tls_ctx);
    assert_int_equal(listener_total(), 0);
}

static void says(SSL *s, const char *cmd, const char *want)
{
    char got[512];
    size_t n = strlen(want);
    tls_put(s, cmd, strlen(cmd));
    size_t k = tls_get(s, got, n);
    if (k != n || memcmp(got, want, n) != 0)
        fprintf(stderr, "expected \"%s\", got \"%.*s\"\n", want, (int)k, got);
    CHECK(k == n && memcmp(got, want, n) == 0);
}

static void hex_line(const unsigned char *p, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        sprintf(out + 2 * i, "%02x", p[i]);
    strcpy(out + 2 * n, "\n");
}

/* Both sides must see the same binding. */
static void bindings(SSL *s, int version)
{
    unsigned char data[64];
    char text[256];
    CHECK(SSL_export_keying_material(s, data, 32, "EXPORTER-Channel-Binding", 24, (const unsigned char *)"", 0, 1) == 1);
    hex_line(data, 32, text);
    says(s, "cb tls-exporter\n", text);
    unsigned n;
    X509 *x = SSL_get1_peer_certificate(s);
    CHECK(x && X509_digest(x, EVP_sha256(), data, &n));
    X509_free(x);
    hex_line(data, n, text);
    says(s, "cb tls-server-end-point\n", text);
    if (version == TLS1_2_VERSION) {
        n = (unsigned)SSL_get_finished(s, data, sizeof(data));
        CHECK(n == 12);
        hex_line(data, n, text);
        says(s, "cb tls-unique\n", text);
    } else {
        says(s, "cb tls-unique\n", "none\n");
    }
    says(s, "cb nonsense\n", "none\n");
}

static void traffic(SSL *s)
{
    static char got[1000000];
    says(s, "echo one\nslow two\necho three\n", "one\ntwo\nthree\n");
    tls_put(s, "big 1000000\n", 12);
    CHECK(tls_get(s, got, 1000000) == 1000000);
    for (size_t i = 0; i < 1000000; i += 777)
        CHECK(got[i] == (char)('a' + i % 26));
    struct buf out = BUF_INIT;
    for (int i = 0; i < 20000; i++)
        buf_printf(&out, "nothing");
    buf_printf(&out, "\n");
    CHECK(out.n > 100000);
    buf_deinit(&out);
    for (int i = 0; i < 20; i++) {
        says(s, "echo before\nmove\necho aft", "before\nmoved ");
        CHECK(tls_get(s, got, 2) == 2);
        says(s, "er\n", "after\n");
    }
}

static void both_client(struct bed *b)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    char want[128];
    for (unsigned i = 0; i < 2; i++) {
        SSL *s = tls_dial(dial(b), versions[i], "default.test", NULL);
        CHECK(s);
        snprintf(want, sizeof(want), "%s cipher sni=default.test alpn=\n", i ? "TLSv1.3" : "TLSv1.2");
        says(s, "who\n", want);
        bindings(s, versions[i]);
        traffic(s);
        bindings(s, versions[i]);
        says(s, "quit\n", "bye\n");
        char c;
        CHECK(SSL_read(s, &c, 1) == 0 && SSL_get_error(s, 0) == SSL_ERROR_ZERO_RETURN);
        tls_bye(s);
    }
    await(&line_stats.closed, 2);
    CHECK(line_stats.tls == 2);
}

static SSL *dial_suite(struct bed *b, const char *suite)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    CHECK(SSL_CTX_set_ciphersuites(ctx, suite) == 1);
    SSL *s = SSL_new(ctx);
    SSL_CTX_free(ctx);
    SSL_set_fd(s, dial(b));
    CHECK(SSL_connect(s) == 1 && strcmp(SSL_get_cipher_name(s), suite) == 0);
    return s;
}

static void suites_client(struct bed *b)
{
    static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"};
    char want[128];
    SSL *all[ARRAY_LEN(suites)];
    for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
        SSL *s = all[i] = dial_suite(b, suites[i]);
        snprintf(want, sizeof(want), "TLSv1.3 cipher sni= alpn=\n");
        says(s, "who\n", want);
        SSL_set_block_padding(s, 256);
        bindings(s, TLS1_3_VERSION);
        traffic(s);
        CHECK(SSL_key_update(s, SSL_KEY_UPDATE_REQUESTED) == 1);
        traffic(s);
    }
    for (int k = 0; k < 50; k++) /* the thread's ciphers change hands */
        for (size_t i = 0; i < ARRAY_LEN(suites); i++)
            says(all[i], "echo turn\n", "turn\n");
    for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
        says(all[i], "quit\n", "bye\n");
        char c;
        CHECK(SSL_read(all[i], &c, 1) == 0 && SSL_get_error(all[i], 0) == SSL_ERROR_ZERO_RETURN);
        tls_bye(all[i]);
    }
}

/* More small records than updates without data may come in a row; each write of the client is a record of its own. */
static void burst_client(struct bed *b)
{
    SSL *s = tls_dial(dial(b), TLS1_3_VERSION, NULL, NULL);
    static char big[200000];
    struct buf want = BUF_INIT;
    char line[32], *got = mem_alloc(100000);
    CHECK(s);
    for (int i = 0; i < 5000; i++) {
        int n = snprintf(line, sizeof(line), "echo %d\n", i);
        tls_put(s, line, (size_t)n);
        buf_add(&want, line + 5, (size_t)n - 5);
    }
    CHECK(tls_get(s, got, want.n) == want.n && memcmp(got, want.p, want.n) == 0);
    memcpy(big, "echo ", 5);
    memset(big + 5, 'y', 20000);
    big[20005] = '\n';
    for (int i = 0; i < 20; i++) {
        tls_put(s, big, 20006);
        CHECK(tls_get(s, got, 20001) == 20001 && got[0] == 'y' && got[20000] == '\n');
    }
    buf_deinit(&want);
    free(got);
    tls_bye(s);
}

static void starttls_client(struct bed *b)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (unsigned i = 0; i < 2; i++) {
        int fd = dial(b);
        put_s(fd, "echo plain\nwho\n");
        expect(fd, "plain\n- - sni= alpn=\n");
        put_s(fd, "tls\necho injected\n"); /* what follows in plain text must never be answered */
        expect(fd, "proceed\n");
        SSL *s = tls_dial(fd, versions[i], NULL, NULL);
        CHECK(s);
        says(s, "who\n", i ? "TLSv1.3 cipher sni= alpn=\n" : "TLSv1.2 cipher sni= alpn=\n");
        bindings(s, versions[i]);
        traffic(s);
        tls_bye(s);
    }
    await(&line_stats.closed, 2);
}

static bool has_name(SSL *s, const char *name)
{
    X509 *x = SSL_get1_peer_certificate(s);
    bool r = x && X509_check_host(x, name, 0, 0, NULL) == 1;
    X509_free(x);
    return r;
}

static void sni_client(struct bed *b)
{
    static const struct {
        const char *sni, *name;
    } cases[] = {
        {"default.test", "default.test"}, {"OTHER.test", "other.test"}, {"a.wild.test", "a.wild.test"},
        {"rsa.test", "rsa.test"}, {"a.b.wild.test", "default.test"}, {"unknown.example", "default.test"},
        {NULL, "default.test"}, {"xn--bcher-kva.test", "xn--bcher-kva.test"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SSL *s = tls_dial(dial(b), 0, cases[i].sni, NULL);
        CHECK(s && has_name(s, cases[i].name));
        tls_bye(s);
    }
    /* one name, two kinds of key: the client's choice of signature decides */
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set1_sigalgs_list(ctx, "RSA-PSS+SHA256");
    SSL *s = SSL_new(ctx);
    SSL_CTX_free(ctx);
    SSL_set_tlsext_host_name(s, "default.test");
    SSL_set_fd(s, dial(b));
    CHECK(SSL_connect(s) == 1 && has_name(s, "rsa.test"));
    bindings(s, TLS1_3_VERSION);
    tls_bye(s);
    await(&line_stats.closed, ARRAY_LEN(cases) + 1);
}

static void reload_client(struct bed *b)
{
    SSL *old = tls_dial(dial(b), 0, "default.test", NULL);
    CHECK(old && has_name(old, "other.test"));
    install((const char *const[]){file_wild}, 1);
    says(old, "echo still\n", "still\n");
    SSL *fresh = tls_dial(dial(b), 0, "default.test", NULL);
    CHECK(fresh && has_name(fresh, "x.wild.test"));
    bindings(old, SSL_version(old));
    tls_bye(old);
    tls_bye(fresh);
    install((const char *const[]){file_default, file_wild, file_rsa}, 3);
    tls_certs_install(NULL);
    CHECK(!tls_dial(dial(b), 0, "default.test", NULL));
    install((const char *const[]){file_default, file_wild, file_rsa}, 3);
}

static void alpn_client(struct bed *b)
{
    SSL *s = tls_dial(dial(b), 0, NULL, "\x0bxmpp-client");
    CHECK(s);
    says(s, "who\n", "TLSv1.3 cipher sni= alpn=xmpp-client\n");
    tls_bye(s);
    s = tls_dial(dial(b), 0, NULL, "\x02h2\x0bxmpp-client");
    CHECK(s);
    tls_bye(s);
    s = tls_dial(dial(b), 0, NULL, NULL);
    CHECK(s);
    says(s, "who\n", "TLSv1.3 cipher sni= alpn=\n");
    tls_bye(s);
    ERR_clear_error();
    int fd = dial(b);
    CHECK(!tls_dial(fd, 0, NULL, "\x02h2"));
    CHECK(ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
    ERR_clear_error();
}

static void refused_client(struct bed *b)
{
    int fd = dial(b);
    char c;
    CHECK(!tls_dial(fd, TLS1_1_VERSION, NULL, NULL));
    fd = dial(b);
    put_s(fd, "GET / HTTP/1.0\r\n\r\n");
    char sink[100];
    get(fd, sink, sizeof(sink));
    close(fd);
    fd = dial(b); /* half-open: nothing ever comes */
    int byte = dial(b); /* or only a byte of a record */
    put(byte, "\x16", 1);
    CHECK(get(fd, &c, 1) == 0);
    close(fd);
    CHECK(get(byte, &c, 1) == 0);
    close(byte);
    await(&line_stats.closed, 4);
    CHECK(strcmp(__atomic_load_n(&line_stats.why, __ATOMIC_RELAXED), "TLS handshake timeout") == 0);
    CHECK(line_stats.tls == 0);
}

static void only_13_client(struct bed *b)
{
    CHECK(!tls_dial(dial(b), TLS1_2_VERSION, NULL, NULL));
    SSL *s = tls_dial(dial(b), 0, NULL, NULL);
    CHECK(s);
    tls_bye(s);
}

static void renegotiation_client(struct bed *b)
{
    SSL *s = tls_dial(dial(b), TLS1_2_VERSION, NULL, NULL);
    CHECK(s);
    says(s, "echo 1\n", "1\n");
    SSL_renegotiate(s);
    char c;
    CHECK(SSL_do_handshake(s) != 1 || SSL_read(s, &c, 1) <= 0);
    SSL_shutdown(s);
    close(SSL_get_fd(s));
    SSL_free(s);
    ERR_clear_error();
    /* key updates are the way of 1.3 and do work, also when the peer asks for ours */
    s = tls_dial(dial(b), TLS1_3_VERSION, NULL, NULL);
    CHECK(s);
    for (int i = 0; i < 50; i++) {
        CHECK(SSL_key_update(s, i % 2 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
        says(s, "echo 2\n", "2\n");
        if (i % 10 == 0) {
            char got[3];
            says(s, "move\n", "moved ");
            tls_get(s, got, 2);
        }
    }
    bindings(s, TLS1_3_VERSION);
    tls_bye(s);
}

/* Records in single bytes; a cut in the middle of a record; a torn record. */
static void bytewise_client(struct bed *b)
{
    int fd = dial(b);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *s = SSL_new(ctx);
    SSL_CTX_free(ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(s, in, out);
    SSL_set_connect_state(s);
    char buf[4096];
    bool sent = false, done = false;
    char got[16];
    size_t have = 0;
    while (!done) {
        SSL_do_handshake(s);
        if (SSL_is_init_finished(s) && !sent) {
            CHECK(SSL_write(s, "echo tiny\n", 10) == 10);
            sent = true;
        }
        int n = BIO_read(out, buf, sizeof(buf));
        for (int i = 0; i < n; i++)
            put(fd, buf + i, 1);
        if (n <= 0 || sent) {
            ssize_t r = recv(fd, buf, sizeof(buf), 0);
            CHECK(r > 0);
            BIO_write(in, buf, (int)r);
        }
        int k = sent ? SSL_read(s, got + have, (int)(sizeof(got) - have)) : 0;
        have += k > 0 ? (size_t)k : 0;
        done = have >= 5;
    }
    CHECK(memcmp(got, "tiny\n", 5) == 0);
    CHECK(SSL_write(s, "echo never\n", 11) == 11);
    int n = BIO_read(out, buf, sizeof(buf));
    put(fd, buf, (size_t)n / 2);
    shutdown(fd, SHUT_WR);
    get(fd, buf, sizeof(buf));
    close(fd);
    SSL_free(s);
    await(&line_stats.closed, 1);

    SSL *t = tls_dial(fd = dial(b), 0, NULL, NULL);
    CHECK(t);
    says(t, "echo x\n", "x\n");
    put(fd, "\x17\x03\x03\x00\x20" "abcdefghijklmnopqrstuvwxyz012345", 37); /* not ours to decrypt */
    char sink[100];
    CHECK(tls_get(t, sink, 1) == 0);
    SSL_free(t);
    close(fd);
    await(&line_stats.closed, 2);
}

/* Many handshakes dropped at every point. */
static void drops_client(struct bed *b)
{
    struct linger l = {.l_onoff = 1};
    for (int i = 0; i < 60; i++) {
        int fd = dial(b);
        SSL *s = i % 3 ? tls_dial(fd, i % 2 ? TLS1_3_VERSION : TLS1_2_VERSION, NULL, NULL) : NULL;
        if (i % 3 == 0)
            put(fd, "\x16\x03\x01\x02\x00\x01", (size_t)(i / 3) % 7);
        if (s && i % 3 == 2)
            tls_put(s, "slow 1\nbig 100000\n", 18);
        if (i % 2)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
        close(fd);
        if (s) {
            SSL_set_quiet_shutdown(s, 1);
            SSL_free(s);
        }
        ERR_clear_error();
    }
    await(&line_stats.closed, 60);
}

static void overflow_client(struct bed *b)
{
    SSL *s = tls_dial(dial(b), 0, NULL, NULL);
    CHECK(s);
    tls_put(s, "big 1000000\nbig 1000000\nbig 9000000\nbig 1000000\n", 48);
    await(&line_stats.closed, 1);
    CHECK(line_stats.overflows == 1);
    close(SSL_get_fd(s));
    SSL_free(s);
    s = tls_dial(dial(b), 0, NULL, NULL);
    CHECK(s);
    tls_put(s, "limit 0\nsendtimeout 100\nbig 20000000\n", 37);
    await(&line_stats.closed, 2);
    CHECK(strcmp(__atomic_load_n(&line_stats.why, __ATOMIC_RELAXED), "send timeout") == 0);
    close(SSL_get_fd(s));
    SSL_free(s);
}

/* --- the borders of RFC 8446 --- */
struct memory_client {
    SSL *s;
    BIO *in, *out;
    int fd;
};

static struct memory_client memory_dial(struct bed *b)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    struct memory_client m = {SSL_new(ctx), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()), dial(b)};
    SSL_CTX_free(ctx);
    SSL_set_bio(m.s, m.in, m.out);
    SSL_set_connect_state(m.s);
    return m;
}

static void memory_send(struct memory_client *m)
{
    char buf[65536];
    int n;
    while ((n = BIO_read(m->out, buf, sizeof(buf))) > 0)
        put(m->fd, buf, (size_t)n);
}

static void memory_receive(struct memory_client *m)
{
    char buf[65536];
    ssize_t n = recv(m->fd, buf, sizeof(buf), 0);
    CHECK(n > 0);
    BIO_write(m->in, buf, (int)n);
}

static void memory_bye(struct memory_client *m)
{
    close(m->fd);
    SSL_free(m->s);
    ERR_clear_error();
}

/* Finished and records of the application in one segment, the last one cut. */
static void coalesced_client(struct bed *b)
{
    struct memory_client m = memory_dial(b);
    char got[200], big[20006];
    size_t have = 0;
    while (!SSL_is_init_finished(m.s)) {
        SSL_do_handshake(m.s);
        if (SSL_is_init_finished(m.s))
            break;
        memory_send(&m);
        memory_receive(&m);
    }
    for (int i = 0; i < 10; i++)
        CHECK(SSL_write(m.s, "echo one\n", 9) == 9);
    memset(big, 'z', sizeof(big));
    memcpy(big, "echo ", 5);
    big[20005] = '\n';
    CHECK(SSL_write(m.s, big, sizeof(big)) == (int)sizeof(big));
    char all[32768];
    int n = BIO_read(m.out, all, sizeof(all));
    CHECK(n > 20000);
    put(m.fd, all, (size_t)n - 1000);
    while (have < 40) {
        memory_receive(&m);
        int k = SSL_read(m.s, got + have, (int)(40 - have));
        have += k > 0 ? (size_t)k : 0;
    }
    CHECK(memcmp(got, "one\none\n", 8) == 0);
    put(m.fd, all + n - 1000, 1000);
    for (have = 0; have < 20001;) {
        int k = SSL_read(m.s, big, sizeof(big));
        have += k > 0 ? (size_t)k : 0;
        if (k <= 0)
            memory_receive(&m);
    }
    memory_bye(&m);
}

/* close_notify ends one direction only (§6.1): what was asked before is answered in full. */
static void half_close_client(struct bed *b)
{
    static char got[3000000];
    char c;
    SSL *s = tls_dial(dial(b), TLS1_3_VERSION, NULL, NULL);
    CHECK(s);
    tls_put(s, "slow x\nbig 3000000\n", 19);
    CHECK(SSL_shutdown(s) == 0);
    CHECK(tls_get(s, got, 2) == 2 && tls_get(s, got, 3000000) == 3000000);
    CHECK(SSL_read(s, &c, 1) == 0 && SSL_get_error(s, 0) == SSL_ERROR_ZERO_RETURN);
    tls_bye(s);
    await(&line_stats.closed, 1);
    CHECK(strcmp(__atomic_load_n(&line_stats.why, __ATOMIC_RELAXED), "peer closed") == 0);
}

/* These bytes behind the handshake end the connection with this alert. */
static void wants_alert(struct bed *b, const char *bytes, size_t n, const char *first, int reason)
{
    SSL *s = tls_dial(dial(b), TLS1_3_VERSION, NULL, NULL);
    char sink[16384];
    int r;
    CHECK(s);
    tls_put(s, first, strlen(first));
    turn(); /* the answer's records are on their way */
    put(SSL_get_fd(s), bytes, n);
    do
        r = SSL_read(s, sink, sizeof(sink));
    while (r > 0);
    CHECK(SSL_get_error(s, r) == SSL_ERROR_SSL && ERR_GET_REASON(ERR_peek_error()) == reason);
    close(SSL_get_fd(s));
    SSL_free(s);
    ERR_clear_error();
}

static void strange_records_client(struct bed *b)
{
    static const char bad[] = "\x17\x03\x03\x00\x20" "abcdefghijklmnopqrstuvwxyz012345";
    wants_alert(b, "\x14\x03\x03\x00\x01\x01", 6, "echo x\n", SSL_R_SSLV3_ALERT_UNEXPECTED_MESSAGE);
    wants_alert(b, bad, 37, "echo x\n", SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
    wants_alert(b, "\x17\x03\x03\x41\x01", 5, "echo x\n", SSL_R_TLSV1_ALERT_RECORD_OVERFLOW);
    if (!openssl_records) /* behind a queue that the socket does not take at once; OpenSSL's alert would end up in the middle */
        wants_alert(b, bad, 37, "limit 0\nbig 12000000\n", SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
    await(&line_stats.closed, openssl_records ? 3 : 4);
}

/* Only data may follow the handshake without end. */
static void update_flood_client(struct bed *b)
{
    SSL *s = tls_dial(dial(b), TLS1_3_VERSION, NULL, NULL);
    char c;
    CHECK(s);
    for (int i = 0; i < 32; i++)
        CHECK(SSL_key_update(s, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(s) == 1);
    says(s, "echo alive\n", "alive\n");
    if (!openssl_records) {
        for (int i = 0; i < 33; i++)
            CHECK(SSL_key_update(s, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(s) == 1);
        CHECK(SSL_read(s, &c, 1) <= 0);
        CHECK(ERR_GET_REASON(ERR_peek_error()) == SSL_R_SSLV3_ALERT_UNEXPECTED_MESSAGE);
    }
    close(SSL_get_fd(s));
    SSL_free(s);
    ERR_clear_error();
}

/* Small devices have small buffers (RFC 6066 §4). */
static void fragment_client(struct bed *b)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (unsigned v = 0; v < 2; v++)
        for (uint8_t code = TLSEXT_max_fragment_length_512; code <= TLSEXT_max_fragment_length_4096; code++) {
            SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
            SSL_CTX_set_min_proto_version(ctx, versions[v]);
            SSL_CTX_set_max_proto_version(ctx, versions[v]);
            CHECK(SSL_CTX_set_tlsext_max_fragment_length(ctx, code) == 1);
            SSL *s = SSL_new(ctx);
            SSL_CTX_free(ctx);
            SSL_set_fd(s, dial(b));
            CHECK(SSL_connect(s) == 1);
            traffic(s);
            tls_bye(s);
        }
}

/* A cipher suite that the own layer does not have stays with OpenSSL. */
static void other_suite_client(struct bed *b)
{
    SSL *s = dial_suite(b, "TLS_AES_128_CCM_SHA256");
    bindings(s, TLS1_3_VERSION);
    traffic(s);
    CHECK(SSL_key_update(s, SSL_KEY_UPDATE_REQUESTED) == 1);
    traffic(s);
    tls_bye(s);
}

static void client_cert_client(struct bed *b)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (unsigned i = 0; i < 4; i++) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_min_proto_version(ctx, versions[i % 2]);
        SSL_CTX_set_max_proto_version(ctx, versions[i % 2]);
        if (i / 2) {
            CHECK(SSL_CTX_use_certificate_file(ctx, file_rsa, SSL_FILETYPE_PEM) == 1);
            CHECK(SSL_CTX_use_PrivateKey_file(ctx, file_rsa, SSL_FILETYPE_PEM) == 1);
        }
        SSL *s = SSL_new(ctx);
        SSL_CTX_free(ctx);
        SSL_set_fd(s, dial(b));
        CHECK(SSL_connect(s) == 1);
        bindings(s, versions[i % 2]);
        traffic(s);
        tls_bye(s);
    }
}

/* The write key is used up again and again. */
static void rekey_client(struct bed *b)
{
    SSL *s = tls_dial(dial(b), TLS1_3_VERSION, NULL, NULL);
    CHECK(s);
    traffic(s);
    traffic(s);
    tls_bye(s);
}

static const char *const xmpp_alpn[] = {"xmpp-client", NULL};
#define CASE(name, alpn, protocols, direct) \
    static void name(void **state) { with(name##_client, alpn, protocols, direct); }
CASE(both, NULL, NULL, true)
CASE(suites, NULL, NULL, true)
CASE(burst, NULL, NULL, true)
CASE(starttls, NULL, NULL, false)
CASE(sni, NULL, NULL, true)
CASE(reload, NULL, NULL, true)
CASE(alpn, xmpp_alpn, NULL, true)
CASE(only_13, NULL, "no_sslv3|no_tlsv1|no_tlsv1_1|no_tlsv1_2|cipher_server_preference", true)
CASE(renegotiation, NULL, NULL, true)
CASE(bytewise, NULL, NULL, true)
CASE(drops, NULL, NULL, true)
CASE(overflow, NULL, NULL, true)
CASE(coalesced, NULL, NULL, true)
CASE(half_close, NULL, NULL, true)
CASE(strange_records, NULL, NULL, true)
CASE(update_flood, NULL, NULL, true)
CASE(fragment, NULL, NULL, true)

static void refused(void **state)
{
    handshake_timeout_ms = 200;
    with(refused_client, xmpp_alpn, NULL, true);
    handshake_timeout_ms = 0;
}

static void other_suite(void **state)
{
    suites13 = "TLS_AES_128_CCM_SHA256";
    with(other_suite_client, NULL, NULL, true);
    suites13 = NULL;
}

static void client_cert(void **state)
{
    ask_client_cert = true;
    with(client_cert_client, NULL, NULL, true);
    ask_client_cert = false;
}

static void rekey(void **state)
{
    uint64_t was = tls_records_per_key;
    tls_records_per_key = 5;
    with(rekey_client, NULL, NULL, true);
    tls_records_per_key = was;
}

static void options(void **state)
{
    struct error err = ERROR_INIT;
    struct tls_options o = {.protocol_options = "no_sslv3|nonsense"};
    assert_null(tls_ctx_new(&o, &err));
    assert_string_equal(err.text, "unknown TLS protocol option nonsense");
    o.protocol_options = "no_tlsv1_2|no_tlsv1_3";
    assert_null(tls_ctx_new(&o, &err));
    o = (struct tls_options){.ciphers = "NOSUCH"};
    assert_null(tls_ctx_new(&o, &err));
    o = (struct tls_options){.cafile = "/nonexistent"};
    assert_null(tls_ctx_new(&o, &err));
    o = (struct tls_options){.dhfile = "/nonexistent"};
    assert_null(tls_ctx_new(&o, &err));
    o = (struct tls_options){.ciphers = "ECDHE-RSA-AES128-GCM-SHA256", .cafile = file_default, .request_client_cert = true};
    struct tls_ctx *c = tls_ctx_new(&o, &err);
    assert_non_null(c);
    tls_ctx_delete(&c);
}

static void count_certs(void *arg, const char *file, struct str names, uint64_t not_after)
{
    unsigned *n = arg;
    assert_true(not_after > 1700000000);
    if (*n == 1)
        assert_true(str_eq(names, S("*.wild.test xn--bcher-kva.test")));
    ++*n;
}

static void certificates(void **state)
{
    struct error err = ERROR_INIT;
    const char *files[] = {file_default, file_wild, file_rsa};
    struct tls_certs *c = load_certs(files, 3);
    unsigned n = 0;
    assert_true(tls_certs_cover(c, S("default.test")) && tls_certs_cover(c, S("Other.Test")));
    assert_true(tls_certs_cover(c, S("x.wild.test")) && tls_certs_cover(c, S("b\xc3\xbc" "cher.test")));
    assert_false(tls_certs_cover(c, S("wild.test")) || tls_certs_cover(c, S("a.b.wild.test")) || tls_certs_cover(c, S("")));
    assert_false(tls_certs_cover(c, S("*.wild.test")) || tls_certs_cover(c, str_n("default.test\0x", 14)));
    tls_certs_each(c, count_certs, &n);
    assert_int_equal(n, 3);
    tls_certs_release(&c);
    assert_null(tls_certs_load((const char *const[]){"/nonexistent"}, 1, &err));
    assert_int_equal(err.code, ERR_IO);
    FILE *f = fopen("junk.pem", "w");
    fputs("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", f);
    fclose(f);
    assert_null(tls_certs_load((const char *const[]){"junk.pem"}, 1, &err));
    f = fopen("junk.pem", "w");
    fclose(f);
    assert_null(tls_certs_load((const char *const[]){"junk.pem"}, 1, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    unlink("junk.pem");
}

/* Ed25519 signs without a separate hash: RFC 5929 leaves the binding undefined. */
static void endpoint_hash(void **state)
{
    const char *files[] = {make_cert("ed.pem", "ed.test", "ed25519"), file_default};
    struct tls_certs *c = load_certs(files, 2);
    const struct tls_cert *found[TLS_KEY_KINDS];
    uint8_t out[EVP_MAX_MD_SIZE];
    assert_int_equal(tls_certs_choose(c, S("ed.test"), false, found), 1);
    assert_int_equal(tls_cert_endpoint(found[0]->leaf, out), 0);
    assert_int_equal(tls_certs_choose(c, S("default.test"), false, found), 1);
    assert_int_equal(tls_cert_endpoint(found[0]->leaf, out), 32);
    assert_int_equal(tls_certs_choose(c, S("nobody.test"), true, found), 1);
    tls_certs_release(&c);
    unlink(files[0]);
    free((void *)files[0]);
}

int main(void)
{
    const struct CMUnitTest both_layers[] = {
        cmocka_unit_test(both), cmocka_unit_test(suites), cmocka_unit_test(burst),
        cmocka_unit_test(starttls), cmocka_unit_test(sni), cmocka_unit_test(reload),
        cmocka_unit_test(alpn), cmocka_unit_test(refused), cmocka_unit_test(only_13), cmocka_unit_test(renegotiation),
        cmocka_unit_test(bytewise), cmocka_unit_test(drops), cmocka_unit_test(overflow),
        cmocka_unit_test(coalesced), cmocka_unit_test(half_close), cmocka_unit_test(strange_records),
        cmocka_unit_test(update_flood), cmocka_unit_test(fragment), cmocka_unit_test(other_suite),
        cmocka_unit_test(client_cert), cmocka_unit_test(rekey),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options), cmocka_unit_test(certificates), cmocka_unit_test(endpoint_hash),
    };
    int failed = cmocka_run_group_tests_name("own record layer", both_layers, make_files, drop_files);
    openssl_records = true;
    failed += cmocka_run_group_tests_name("OpenSSL's record layer", both_layers, make_files, drop_files);
    return failed + cmocka_run_group_tests(tests, make_files, drop_files);
}
