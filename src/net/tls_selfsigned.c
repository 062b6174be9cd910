/* Self-signed certificates; see the header. Blocks on a file; any thread. */
#include "net/tls_selfsigned.h"
#include "base/arena.h"
#include "base/rand.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define VALID_DAYS 3650

static bool names_all(X509 *cert, struct arena *a, const struct str *hosts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (X509_check_host(cert, arena_cstr(a, hosts[i]), hosts[i].n, 0, NULL) != 1)
            return false;
    return X509_cmp_current_time(X509_get0_notAfter(cert)) > 0;
}

static bool is_good_already(const char *path, const struct str *hosts, size_t n)
{
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    struct arena *a = arena_new();
    bool good = cert && names_all(cert, a, hosts, n);
    arena_release(&a);
    X509_free(cert);
    return good;
}

static bool add_names(X509 *cert, struct arena *a, const struct str *hosts, size_t n)
{
    struct str san = STR_NULL;
    for (size_t i = 0; i < n; i++)
        san = arena_printf(a, "%.*s%sDNS:%.*s,DNS:*.%.*s", STR_ARG(san), i ? "," : "", STR_ARG(hosts[i]), STR_ARG(hosts[i]));
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, arena_cstr(a, san));
    bool ok = ext && X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

static bool fill(X509 *cert, EVP_PKEY *key, struct arena *a, const struct str *hosts, size_t n)
{
    X509_NAME *name = X509_get_subject_name(cert);
    size_t cn = hosts[0].n < 64 ? hosts[0].n : 64; /* X.520 limit of a common name */
    return X509_set_version(cert, 2) && ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), rand_u64() >> 1) &&
           X509_gmtime_adj(X509_getm_notBefore(cert), -3600) &&
           X509_gmtime_adj(X509_getm_notAfter(cert), (long)VALID_DAYS * 86400) && X509_set_pubkey(cert, key) &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)hosts[0].p, (int)cn, -1, 0) &&
           X509_set_issuer_name(cert, name) && add_names(cert, a, hosts, n) && X509_sign(cert, key, EVP_sha256());
}

/* Written beside and renamed, so that a crash never leaves half a key. */
static int write_pem(const char *path, struct arena *a, X509 *cert, EVP_PKEY *key, struct error *err)
{
    const char *tmp = arena_cstr(a, arena_printf(a, "%s.new", path));
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f) {
        if (fd >= 0)
            close(fd);
        return err_set(err, ERR_IO, "cannot write %s: %s", tmp, strerror(errno));
    }
    bool ok = PEM_write_X509(f, cert) && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    ok = fclose(f) == 0 && ok;
    if (ok && rename(tmp, path) == 0)
        return 0;
    unlink(tmp);
    return err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
}

int tls_selfsigned_ensure(const char *path, const struct str *hosts, size_t n, struct error *err)
{
    if (n == 0 || is_good_already(path, hosts, n))
        return 0;
    struct arena *a = arena_new();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    int rc = key && cert && fill(cert, key, a, hosts, n) ? write_pem(path, a, cert, key, err)
                                                         : err_set(err, ERR_INTERNAL, "cannot make a self-signed certificate");
    X509_free(cert);
    EVP_PKEY_free(key);
    arena_release(&a);
    return rc;
}
