/*
 * Certificates of clients; see the header. Verification is OpenSSL's with the purpose of a TLS client; here is only what it is
 * given. Any thread that owns the connection; nothing suspends. Leaves out: asking anybody over the network whether a certificate
 * was revoked (OCSP).
 */
#include "net/tls_peer.h"

#include "base/mem.h"
#include "net/conn_internal.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#define DEPTH_MAX 8 /* each certificate of a chain is a signature to check */
#define XMPP_ADDR_OID "1.3.6.1.5.5.7.8.5"

struct tls_trust {
    X509_STORE *store;
};

static bool has_lists(X509_STORE *store)
{
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(store);
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++)
        if (X509_OBJECT_get_type(sk_X509_OBJECT_value(all, i)) == X509_LU_CRL)
            return true;
    return false;
}

struct tls_trust *tls_trust_load(const char *file, struct error *err)
{
    struct tls_trust *t = MEM_NEW(struct tls_trust);
    t->store = X509_STORE_new();
    if (!t->store)
        abort(); /* memory only */
    if (X509_STORE_load_file(t->store, file) != 1) {
        err_set(err, ERR_CONFIG, "cannot read certificate authorities from %s", file);
        tls_trust_delete(&t);
    } else if (has_lists(t->store)) {
        X509_STORE_set_flags(t->store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    }
    ERR_clear_error();
    return t;
}

void tls_trust_delete(struct tls_trust **tp)
{
    if (!*tp)
        return;
    X509_STORE_free((*tp)->store);
    free(*tp);
    *tp = NULL;
}

/* An authority that has no list in the file revoked nothing that we know of; a list that is out of date fails. */
static int on_verify(int ok, X509_STORE_CTX *x)
{
    if (!ok && X509_STORE_CTX_get_error(x) == X509_V_ERR_UNABLE_TO_GET_CRL) {
        X509_STORE_CTX_set_error(x, X509_V_OK);
        return 1;
    }
    return ok;
}

static int verify(X509_STORE_CTX *x, const char **why_out)
{
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(x);
    X509_VERIFY_PARAM_set_depth(param, DEPTH_MAX);
    X509_VERIFY_PARAM_set_auth_level(param, 2); /* 112 bits: RSA of 2048, no SHA-1 signatures (RFC 7525 §4.3) */
    X509_STORE_CTX_set_default(x, "ssl_client");
    X509_STORE_CTX_set_verify_cb(x, on_verify);
    if (X509_verify_cert(x) == 1)
        return 0;
    *why_out = X509_verify_cert_error_string(X509_STORE_CTX_get_error(x));
    return -1;
}

int tls_peer_verify(const struct conn *c, const struct tls_trust *t, const char **why_out)
{
    const struct tls_peer *peer = c->tls ? tls_conn_peer(c->tls) : NULL;
    X509_STORE_CTX *x;
    int rc = -1;
    *why_out = NULL;
    if (!peer)
        return -1;
    *why_out = "no memory";
    x = X509_STORE_CTX_new();
    if (x && X509_STORE_CTX_init(x, t->store, peer->leaf, peer->chain) == 1)
        rc = verify(x, why_out);
    X509_STORE_CTX_free(x);
    ERR_clear_error();
    return rc;
}

static struct str xmpp_address(const GENERAL_NAME *name, const ASN1_OBJECT *oid, struct arena *a)
{
    const ASN1_UTF8STRING *s;
    if (name->type != GEN_OTHERNAME || OBJ_cmp(name->d.otherName->type_id, oid) != 0 ||
        name->d.otherName->value->type != V_ASN1_UTF8STRING)
        return STR_NULL;
    s = name->d.otherName->value->value.utf8string;
    return arena_str(a, str_n((const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)));
}

size_t tls_cert_addresses(const X509 *leaf, struct arena *a, struct str *out)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    ASN1_OBJECT *oid = OBJ_txt2obj(XMPP_ADDR_OID, 1);
    size_t n = 0;
    for (int i = 0; oid && i < sk_GENERAL_NAME_num(names) && n < TLS_PEER_ADDRESSES_MAX; i++) {
        out[n] = xmpp_address(sk_GENERAL_NAME_value(names, i), oid, a);
        n += out[n].n > 0;
    }
    ASN1_OBJECT_free(oid);
    GENERAL_NAMES_free(names);
    ERR_clear_error();
    return n;
}

size_t tls_peer_addresses(const struct conn *c, struct arena *a, struct str out[TLS_PEER_ADDRESSES_MAX])
{
    const struct tls_peer *peer = c->tls ? tls_conn_peer(c->tls) : NULL;
    return peer ? tls_cert_addresses(peer->leaf, a, out) : 0;
}
