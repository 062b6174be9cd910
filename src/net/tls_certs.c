/*
 * Certificates: loading PEM files, matching keys, building chains, choosing by name. A set is frozen once loaded; the
 * installed one is swapped under a mutex, and handshakes that chose from the old set keep their own references.
 * Any thread; suspends never. Leaves out: revocation, OCSP stapling, SRV names.
 */
#include "base/log.h"
#include "base/mem.h"
#include "net/tls_internal.h"

#include <ctype.h>
#include <idna.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>

struct name_entry {
    char *name; /* lower case, "*.example.org" for wildcards */
    unsigned cert;
};

struct tls_certs {
    unsigned refs;
    struct tls_cert *certs;
    size_t n;
    struct name_entry *names; /* sorted by name, then by certificate */
    size_t name_count;
};

/* What the files hold, before keys and chains are matched. */
struct pem_pool {
    struct {
        X509 *x;
        size_t file;
    } *certs;
    EVP_PKEY **keys;
    size_t cert_count, key_count;
};

static struct tls_certs *installed;
static pthread_mutex_t installed_lock = PTHREAD_MUTEX_INITIALIZER;

/* No prompt on a terminal: an encrypted key is an error. */
static int no_password(char *p, int size, int rw, void *arg)
{
    return -1;
}

static int load_file(struct pem_pool *pool, const char *file, size_t file_no, struct error *err)
{
    BIO *bio = BIO_new_file(file, "r");
    if (!bio) {
        ERR_clear_error();
        return err_set(err, ERR_IO, "cannot read certificate file %s", file);
    }
    STACK_OF(X509_INFO) *items = PEM_X509_INFO_read_bio(bio, NULL, no_password, NULL);
    BIO_free(bio);
    if (!items || sk_X509_INFO_num(items) == 0) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        err_set(err, ERR_CONFIG, "%s: %s", file, items || !reason ? "no certificate or key in PEM format" : reason);
        sk_X509_INFO_pop_free(items, X509_INFO_free);
        ERR_clear_error();
        return -1;
    }
    for (int i = 0; i < sk_X509_INFO_num(items); i++) {
        X509_INFO *it = sk_X509_INFO_value(items, i);
        if (it->x509) {
            pool->certs = mem_realloc(pool->certs, (pool->cert_count + 1) * sizeof(*pool->certs));
            pool->certs[pool->cert_count].x = it->x509;
            pool->certs[pool->cert_count++].file = file_no;
            it->x509 = NULL;
        }
        if (it->x_pkey && it->x_pkey->dec_pkey) {
            pool->keys = mem_realloc(pool->keys, (pool->key_count + 1) * sizeof(*pool->keys));
            EVP_PKEY_up_ref(it->x_pkey->dec_pkey);
            pool->keys[pool->key_count++] = it->x_pkey->dec_pkey;
        }
    }
    sk_X509_INFO_pop_free(items, X509_INFO_free);
    ERR_clear_error();
    return 0;
}

static void pool_deinit(struct pem_pool *pool)
{
    for (size_t i = 0; i < pool->cert_count; i++)
        X509_free(pool->certs[i].x);
    for (size_t i = 0; i < pool->key_count; i++)
        EVP_PKEY_free(pool->keys[i]);
    free(pool->certs);
    free(pool->keys);
}

/* The issuer from the same file first: two files may carry different intermediates of one name. */
static X509 *find_issuer(const struct pem_pool *pool, X509 *x, size_t file)
{
    for (int other = 0; other < 2; other++)
        for (size_t i = 0; i < pool->cert_count; i++)
            if ((pool->certs[i].file != file) == other && pool->certs[i].x != x &&
                X509_check_issued(pool->certs[i].x, x) == X509_V_OK)
                return pool->certs[i].x;
    return NULL;
}

#define CHAIN_MAX 10

static STACK_OF(X509) *build_chain(const struct pem_pool *pool, X509 *leaf, size_t file)
{
    STACK_OF(X509) *chain = NULL;
    X509 *x = leaf;
    for (int depth = 0; depth < CHAIN_MAX; depth++) {
        if (X509_check_issued(x, x) == X509_V_OK)
            break;
        X509 *up = find_issuer(pool, x, file);
        if (!up || X509_check_issued(up, up) == X509_V_OK) /* clients have the root themselves */
            break;
        if (!chain)
            chain = sk_X509_new_null();
        X509_up_ref(up);
        sk_X509_push(chain, up);
        x = up;
    }
    return chain;
}

static void add_name(struct tls_certs *set, const char *p, size_t n)
{
    if (!n || n > 255 || memchr(p, '\0', n))
        return;
    for (size_t i = 0; i < n; i++)
        if (p[i] == ' ' || (unsigned char)p[i] < 0x21)
            return;
    set->names = mem_realloc(set->names, (set->name_count + 1) * sizeof(*set->names));
    char *name = mem_alloc(n + 1);
    for (size_t i = 0; i < n; i++)
        name[i] = (char)tolower((unsigned char)p[i]);
    name[n] = '\0';
    set->names[set->name_count++] = (struct name_entry){name, (unsigned)set->n};
}

/* id-on-xmppAddr (RFC 6120 §13.7.1.4) */
static void add_xmpp_addr(struct tls_certs *set, const OTHERNAME *other)
{
    char oid[64];
    if (OBJ_obj2txt(oid, sizeof(oid), other->type_id, 1) <= 0 || strcmp(oid, "1.3.6.1.5.5.7.8.5") != 0)
        return;
    if (other->value && other->value->type == V_ASN1_UTF8STRING)
        add_name(set, (const char *)ASN1_STRING_get0_data(other->value->value.utf8string),
                 (size_t)ASN1_STRING_length(other->value->value.utf8string));
}

static bool add_alt_names(struct tls_certs *set, X509 *x)
{
    bool dns = false;
    GENERAL_NAMES *alt = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(alt); i++) {
        GENERAL_NAME *g = sk_GENERAL_NAME_value(alt, i);
        if (g->type == GEN_DNS) {
            add_name(set, (const char *)ASN1_STRING_get0_data(g->d.dNSName), (size_t)ASN1_STRING_length(g->d.dNSName));
            dns = true;
        } else if (g->type == GEN_OTHERNAME) {
            add_xmpp_addr(set, g->d.otherName);
        }
    }
    GENERAL_NAMES_free(alt);
    return dns;
}

/* The subject's common name counts only without dNSNames (RFC 6125 §6.4.4). */
static void add_names(struct tls_certs *set, X509 *x)
{
    char cn[256];
    if (add_alt_names(set, x))
        return;
    int n = X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, cn, sizeof(cn));
    if (n > 0)
        add_name(set, cn, (size_t)n);
}

static char *join_names(const struct tls_certs *set, size_t from)
{
    size_t n = 1;
    for (size_t i = from; i < set->name_count; i++)
        n += strlen(set->names[i].name) + 1;
    char *out = mem_zalloc(n);
    for (size_t i = from; i < set->name_count; i++) {
        if (i > from)
            strcat(out, " ");
        strcat(out, set->names[i].name);
    }
    return out;
}

/* MD5 and SHA-1 are replaced by SHA-256; a signature without a single hash (Ed25519) has no such binding. */
size_t tls_cert_endpoint(X509 *leaf, uint8_t out[EVP_MAX_MD_SIZE])
{
    int md_nid = NID_undef, pkey_nid = NID_undef, bits = 0;
    uint32_t flags = 0;
    if (!X509_get_signature_info(leaf, &md_nid, &pkey_nid, &bits, &flags) || md_nid == NID_undef)
        return 0;
    if (md_nid == NID_md5 || md_nid == NID_sha1)
        md_nid = NID_sha256;
    unsigned len = 0;
    const EVP_MD *md = EVP_get_digestbynid(md_nid);
    return md && X509_digest(leaf, md, out, &len) == 1 ? len : 0;
}

static uint64_t not_after(const X509 *x)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) != 1)
        return 0;
    time_t t = timegm(&tm);
    return t > 0 ? (uint64_t)t : 0;
}

static void add_cert(struct tls_certs *set, const struct pem_pool *pool, size_t i, EVP_PKEY *key, const char *file)
{
    X509 *x = pool->certs[i].x;
    size_t names_from = set->name_count;
    set->certs = mem_realloc(set->certs, (set->n + 1) * sizeof(*set->certs));
    struct tls_cert *c = &set->certs[set->n];
    *c = (struct tls_cert){.leaf = x, .key = key, .key_type = EVP_PKEY_get_base_id(key), .not_after_s = not_after(x)};
    X509_up_ref(x);
    EVP_PKEY_up_ref(key);
    c->chain = build_chain(pool, x, pool->certs[i].file);
    size_t len = strlen(file) + 1;
    c->file = memcpy(mem_alloc(len), file, len);
    add_names(set, x);
    c->names = join_names(set, names_from);
    set->n++;
}

static int cmp_names(const void *a, const void *b)
{
    const struct name_entry *x = a, *y = b;
    int d = strcmp(x->name, y->name);
    return d ? d : (x->cert > y->cert) - (x->cert < y->cert);
}

static EVP_PKEY *key_of(const struct pem_pool *pool, X509 *x)
{
    EVP_PKEY *pub = X509_get0_pubkey(x);
    for (size_t i = 0; pub && i < pool->key_count; i++)
        if (EVP_PKEY_eq(pub, pool->keys[i]) == 1)
            return pool->keys[i];
    return NULL;
}

struct tls_certs *tls_certs_load(const char *const *files, size_t n, struct error *err)
{
    struct pem_pool pool = {0};
    struct tls_certs *set = MEM_NEW(struct tls_certs);
    set->refs = 1;
    for (size_t i = 0; i < n; i++)
        if (load_file(&pool, files[i], i, err) < 0)
            goto fail;
    for (size_t i = 0; i < pool.cert_count; i++) {
        EVP_PKEY *key = key_of(&pool, pool.certs[i].x);
        if (key)
            add_cert(set, &pool, i, key, files[pool.certs[i].file]);
    }
    ERR_clear_error();
    if (n && !set->n) {
        err_set(err, ERR_CONFIG, "none of the certificates in %s%s has its private key", files[0],
                n > 1 ? " and the other files" : "");
        goto fail;
    }
    if (set->name_count)
        qsort(set->names, set->name_count, sizeof(*set->names), cmp_names);
    pool_deinit(&pool);
    return set;
fail:
    pool_deinit(&pool);
    tls_certs_release(&set);
    return NULL;
}

struct tls_certs *tls_certs_hold(struct tls_certs *c)
{
    __atomic_fetch_add(&c->refs, 1, __ATOMIC_RELAXED);
    return c;
}

void tls_certs_release(struct tls_certs **cp)
{
    struct tls_certs *c = *cp;
    *cp = NULL;
    if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
        return;
    for (size_t i = 0; i < c->n; i++) {
        X509_free(c->certs[i].leaf);
        sk_X509_pop_free(c->certs[i].chain, X509_free);
        EVP_PKEY_free(c->certs[i].key);
        free(c->certs[i].file);
        free(c->certs[i].names);
    }
    for (size_t i = 0; i < c->name_count; i++)
        free(c->names[i].name);
    free(c->names);
    free(c->certs);
    free(c);
}

void tls_certs_install(struct tls_certs *c)
{
    if (c)
        tls_certs_hold(c);
    pthread_mutex_lock(&installed_lock);
    struct tls_certs *old = installed;
    installed = c;
    pthread_mutex_unlock(&installed_lock);
    tls_certs_release(&old);
}

struct tls_certs *tls_certs_current(void)
{
    pthread_mutex_lock(&installed_lock);
    struct tls_certs *c = installed ? tls_certs_hold(installed) : NULL;
    pthread_mutex_unlock(&installed_lock);
    return c;
}

static unsigned collect(const struct tls_certs *c, const char *name, const struct tls_cert *out[TLS_KEY_KINDS], unsigned have)
{
    size_t lo = 0, hi = c->name_count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(c->names[mid].name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < c->name_count && strcmp(c->names[lo].name, name) == 0 && have < TLS_KEY_KINDS; lo++) {
        const struct tls_cert *cert = &c->certs[c->names[lo].cert];
        bool known = false;
        for (unsigned i = 0; i < have; i++)
            known |= out[i]->key_type == cert->key_type;
        if (!known)
            out[have++] = cert;
    }
    return have;
}

/* Lower case A-label form in out; false: cannot be a host name. */
static bool canonical_host(struct str host, char out[256])
{
    char tmp[256];
    if (!host.n || host.n >= sizeof(tmp) || memchr(host.p, '\0', host.n))
        return false;
    bool ascii = true;
    for (size_t i = 0; i < host.n; i++) {
        ascii &= (unsigned char)host.p[i] < 0x80;
        tmp[i] = (char)tolower((unsigned char)host.p[i]);
    }
    tmp[host.n] = '\0';
    if (ascii) {
        memcpy(out, tmp, host.n + 1);
    } else {
        char *a = NULL;
        if (idna_to_ascii_8z(tmp, &a, 0) != IDNA_SUCCESS || strlen(a) >= 256) {
            free(a);
            return false;
        }
        strcpy(out, a);
        free(a);
    }
    size_t n = strlen(out);
    if (n && out[n - 1] == '.') /* the root dot names the same host */
        out[--n] = '\0';
    return n > 0 && out[0] != '*';
}

unsigned tls_certs_choose(const struct tls_certs *c, struct str host, bool fallback, const struct tls_cert *out[TLS_KEY_KINDS])
{
    char name[256], wild[258];
    unsigned n = 0;
    if (canonical_host(host, name)) {
        n = collect(c, name, out, 0);
        char *dot = strchr(name, '.');
        if (!n && dot && dot[1]) { /* RFC 6125 §6.4.3: the whole leftmost label */
            snprintf(wild, sizeof(wild), "*%s", dot);
            n = collect(c, wild, out, 0);
        }
    }
    if (!n && fallback && c->n)
        out[n++] = &c->certs[0];
    return n;
}

bool tls_certs_cover(const struct tls_certs *c, struct str host)
{
    const struct tls_cert *found[TLS_KEY_KINDS];
    return tls_certs_choose(c, host, false, found) > 0;
}

void tls_certs_each(const struct tls_certs *c,
                    void (*fn)(void *arg, const char *file, struct str names, uint64_t not_after_s), void *arg)
{
    for (size_t i = 0; i < c->n; i++)
        fn(arg, c->certs[i].file, str_of(c->certs[i].names), c->certs[i].not_after_s);
}
