/*
 * Server contexts: one per listener, made from its options. The certificate is chosen in each handshake from the set
 * installed then. Any thread; suspends never. Leaves out session resumption: streams live long, ticket keys that never
 * change would cost forward secrecy with TLS 1.2, and a session kept for a ticket costs idle memory.
 */
#include "net/tls.h"
#include "base/mem.h"
#include "net/tls_internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>

#define DEFAULT_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES256:ECDHE+AES128:!aNULL:!eNULL:!PSK:!MD5:!3DES"
/* What sets the options when the configuration has none. */
#define DEFAULT_PROTOCOLS "no_sslv3|cipher_server_preference|no_compression"

static const struct {
    const char *name;
    uint64_t bits;
} option_words[] = {
    /* ejabberd's words; what OpenSSL 3 no longer has is accepted and means nothing */
    {"no_sslv2", 0},
    {"no_sslv3", SSL_OP_NO_SSLv3},
    {"no_tlsv1", SSL_OP_NO_TLSv1},
    {"no_tlsv1_1", SSL_OP_NO_TLSv1_1},
    {"no_tlsv1_2", SSL_OP_NO_TLSv1_2},
    {"no_tlsv1_3", SSL_OP_NO_TLSv1_3},
    {"cipher_server_preference", SSL_OP_CIPHER_SERVER_PREFERENCE},
    {"no_compression", SSL_OP_NO_COMPRESSION},
    {"no_ticket", SSL_OP_NO_TICKET},
    {"no_query_mtu", SSL_OP_NO_QUERY_MTU},
    {"cookie_exchange", SSL_OP_COOKIE_EXCHANGE},
    {"no_session_resumption_on_renegotiation", SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION},
    {"no_renegotiation", SSL_OP_NO_RENEGOTIATION},
    {"allow_unsafe_legacy_renegotiation", 0}, /* renegotiation is refused altogether */
    {"all", 0}, {"dont_insert_empty_fragments", SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS}, {"legacy_server_connect", 0},
    {"microsoft_big_sslv3_buffer", 0}, {"microsoft_sess_id_bug", 0}, {"msie_sslv2_rsa_padding", 0},
    {"netscape_ca_dn_bug", 0}, {"netscape_challenge_bug", 0}, {"netscape_demo_cipher_change_bug", 0},
    {"netscape_reuse_cipher_change_bug", 0}, {"ssleay_080_client_dh_bug", 0}, {"sslref2_reuse_cert_type_bug", 0},
    {"tls_block_padding_bug", 0}, {"tls_d5_bug", 0}, {"tls_rollback_bug", SSL_OP_TLS_ROLLBACK_BUG}, {"ephemeral_rsa", 0},
    {"pkcs1_check_1", 0}, {"pkcs1_check_2", 0}, {"single_dh_use", SSL_OP_SINGLE_DH_USE},
    {"single_ecdh_use", SSL_OP_SINGLE_ECDH_USE}, {"cryptopro_tlsext_bug", SSL_OP_CRYPTOPRO_TLSEXT_BUG},
};

static int parse_protocols(const char *text, uint64_t *bits_out, struct error *err)
{
    struct str rest = str_of(text), word;
    *bits_out = 0;
    while (rest.p && str_split(&rest, '|', &word)) {
        size_t i;
        word = str_trim(word);
        if (!word.n)
            continue;
        for (i = 0; i < ARRAY_LEN(option_words); i++)
            if (str_eq(word, str_of(option_words[i].name)))
                break;
        if (i == ARRAY_LEN(option_words))
            return err_set(err, ERR_CONFIG, "unknown TLS protocol option %.*s", STR_ARG(word));
        *bits_out |= option_words[i].bits;
    }
    return 0;
}

/* Of a client certificate only possession is asked here; whether it may log in is the login's question (net/tls_peer.h). */
static int accept_any_client_cert(X509_STORE_CTX *store, void *arg)
{
    return 1;
}

static int load_dh(SSL_CTX *ssl, const char *file, struct error *err)
{
    BIO *bio = BIO_new_file(file, "r");
    EVP_PKEY *dh = bio ? PEM_read_bio_Parameters(bio, NULL) : NULL;
    BIO_free(bio);
    if (!dh || SSL_CTX_set0_tmp_dh_pkey(ssl, dh) != 1) {
        EVP_PKEY_free(dh);
        return err_set(err, ERR_CONFIG, "cannot use DH parameters of %s", file);
    }
    return 0;
}

static int configure(SSL_CTX *ssl, const struct tls_options *opt, struct error *err)
{
    uint64_t bits;
    if (parse_protocols(opt->protocol_options ? opt->protocol_options : DEFAULT_PROTOCOLS, &bits, err) < 0)
        return -1;
    if ((bits & SSL_OP_NO_TLSv1_2) && (bits & SSL_OP_NO_TLSv1_3))
        return err_set(err, ERR_CONFIG, "TLS protocol options leave no protocol version");
    bits |= SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_PRIORITIZE_CHACHA;
    SSL_CTX_set_options(ssl, bits);
    SSL_CTX_clear_options(ssl, SSL_OP_LEGACY_SERVER_CONNECT);
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ssl, 0);
    SSL_CTX_set_max_cert_list(ssl, 32 * 1024);
    if (SSL_CTX_set_cipher_list(ssl, opt->ciphers ? opt->ciphers : DEFAULT_CIPHERS) != 1)
        return err_set(err, ERR_CONFIG, "no usable cipher in \"%s\"", opt->ciphers ? opt->ciphers : DEFAULT_CIPHERS);
    SSL_CTX_set1_groups_list(ssl, "X25519:P-256:P-384:P-521");
    if (opt->dhfile) {
        if (load_dh(ssl, opt->dhfile, err) < 0)
            return -1;
    } else {
        SSL_CTX_set_dh_auto(ssl, 1);
    }
    if (opt->cafile && SSL_CTX_load_verify_locations(ssl, opt->cafile, NULL) != 1)
        return err_set(err, ERR_CONFIG, "cannot read certificate authorities from %s", opt->cafile);
    if (opt->request_client_cert) {
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, NULL);
        SSL_CTX_set_cert_verify_callback(ssl, accept_any_client_cert, NULL);
    }
    return 0;
}

struct tls_ctx *tls_ctx_new(const struct tls_options *opt, struct error *err)
{
    struct tls_ctx *c = MEM_NEW(struct tls_ctx);
    c->ssl = SSL_CTX_new(TLS_server_method());
    if (!c->ssl) {
        err_set(err, ERR_INTERNAL, "OpenSSL cannot make a context");
        tls_ctx_delete(&c);
    } else if (configure(c->ssl, opt, err) < 0) {
        tls_ctx_delete(&c);
    } else {
        tls_conn_setup_ctx(c->ssl, !opt->openssl_records);
    }
    ERR_clear_error();
    return c;
}

void tls_ctx_delete(struct tls_ctx **cp)
{
    if (!*cp)
        return;
    SSL_CTX_free((*cp)->ssl);
    free(*cp);
    *cp = NULL;
}
