#include "harness.h"
#include "base/mem.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static struct bed *bed;
static pthread_t client_thread;
static struct msg over_msg;
static pthread_mutex_t change_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;

#define PATIENCE_S 20

static void *run_client(void *arg)
{
    bed->client(bed);
    if (bed->l)
        await_count(bed, 0);
    mail_post_foreign(0, &over_msg);
    return NULL;
}

static void stop_all(void *arg)
{
    listener_stop(&bed->l);
    if (bed->before_stop)
        bed->before_stop();
    rt_stop();
}

static void on_over(struct msg *m)
{
    fiber_run(stop_all, NULL);
}

static void start_all(void *arg)
{
    struct error err = ERROR_INIT;
    if (bed->cfg.on_accept) {
        bed->l = listener_start(&bed->cfg, &err);
        if (!bed->l)
            fprintf(stderr, "%s\n", err.text);
        CHECK(bed->l);
    }
    CHECK(pthread_create(&client_thread, NULL, run_client, NULL) == 0);
}

static void on_start(struct msg *m)
{
    fiber_run(start_all, NULL);
}

void bed_run(struct bed *b)
{
    struct error err = ERROR_INIT;
    struct msg start = {.fn = on_start};
    struct rt_config rc = {.shards = b->shards ? b->shards : 2, .pool_threads = 1};
    signal(SIGPIPE, SIG_IGN);
    bed = b;
    over_msg.fn = on_over;
    if (!b->cfg.ip.family && !b->cfg.unix_path)
        CHECK(ip_parse(S("127.0.0.1"), &b->cfg.ip));
    CHECK(rt_start(&rc, NULL, &err) == 0);
    mail_post(0, &start);
    rt_run();
    pthread_join(client_thread, NULL);
}

int dial(const struct bed *b)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval tv = {.tv_sec = 20};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(listener_config(b->l)->port)};
    int on = 1;
    CHECK(fd >= 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* or small writes wait for the server's delayed ACK */
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
    CHECK(connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0);
    return fd;
}

void put(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t r = send(fd, p, n, MSG_NOSIGNAL);
        if (r < 0 && errno == EINTR)
            continue;
        CHECK(r > 0);
        p += r;
        n -= (size_t)r;
    }
}

void put_s(int fd, const char *s)
{
    put(fd, s, strlen(s));
}

size_t get(int fd, char *p, size_t n)
{
    size_t at = 0;
    while (at < n) {
        ssize_t r = recv(fd, p + at, n - at, 0);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            fprintf(stderr, "nothing came after %zu of %zu bytes: %.*s\n", at, n, (int)at, p);
            abort();
        }
        if (r <= 0)
            break;
        at += (size_t)r;
    }
    return at;
}

size_t get_all(int fd, char *p, size_t cap)
{
    return get(fd, p, cap);
}

void expect(int fd, const char *s)
{
    size_t n = strlen(s);
    char *p = mem_alloc(n + 1);
    size_t k = get(fd, p, n);
    if (k != n || memcmp(p, s, n) != 0) {
        fprintf(stderr, "expected \"%s\", got \"%.*s\"\n", s, (int)k, p);
        abort();
    }
    free(p);
}

static struct timespec deadline(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += PATIENCE_S;
    return t;
}

void signal_change(void)
{
    pthread_mutex_lock(&change_lock);
    pthread_cond_broadcast(&change);
    pthread_mutex_unlock(&change_lock);
}

void await(const unsigned *counter, unsigned value)
{
    struct timespec end = deadline();
    int r = 0;
    pthread_mutex_lock(&change_lock);
    while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) != value && r == 0)
        r = pthread_cond_timedwait(&change, &change_lock, &end);
    pthread_mutex_unlock(&change_lock);
    if (r == 0)
        return;
    fprintf(stderr, "waited for %u, still %u\n", value, __atomic_load_n(counter, __ATOMIC_ACQUIRE));
    abort();
}

struct visit {
    struct msg m;
    unsigned *done;
};

static void on_visit(struct msg *m)
{
    struct visit *v = CONTAINER_OF(m, struct visit, m);
    __atomic_add_fetch(v->done, 1, __ATOMIC_RELEASE);
    signal_change();
}

/* Twice: the first message may come through before the sockets of the same wake-up are looked at. */
void turn(void)
{
    struct visit v[8];
    unsigned n = bed->shards ? bed->shards : 2;
    CHECK(n <= ARRAY_LEN(v));
    for (int pass = 0; pass < 2; pass++) {
        unsigned done = 0;
        for (unsigned i = 0; i < n; i++) {
            v[i] = (struct visit){.m.fn = on_visit, .done = &done};
            mail_post_foreign(i, &v[i].m);
        }
        await(&done, n);
    }
}

void await_count(const struct bed *b, unsigned n)
{
    struct timespec end = deadline(), now;
    while (listener_count(b->l) > n) {
        turn();
        clock_gettime(CLOCK_REALTIME, &now);
        CHECK(now.tv_sec < end.tv_sec);
    }
}

void await_standstill(const unsigned *counter)
{
    unsigned was;
    do {
        was = __atomic_load_n(counter, __ATOMIC_ACQUIRE);
        turn();
    } while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) != was);
}

/* --- TLS --- */
static EVP_PKEY *new_key(const char *type)
{
    if (strcmp(type, "rsa") == 0)
        return EVP_RSA_gen(2048);
    if (strcmp(type, "ed25519") == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    return EVP_EC_gen("P-256");
}

static void add_names(X509 *x, const char *names)
{
    char text[1024] = "";
    char list[512];
    snprintf(list, sizeof(list), "%s", names);
    for (char *save = NULL, *n = strtok_r(list, ",", &save); n; n = strtok_r(NULL, ",", &save))
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%sDNS:%s", *text ? "," : "", n);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, text);
    CHECK(e && X509_add_ext(x, e, -1));
    X509_EXTENSION_free(e);
}

static char dir[64];

void drop_cert_dir(void)
{
    rmdir(dir);
    *dir = '\0';
}

const char *make_cert(const char *file, const char *names, const char *key_type)
{
    if (!*dir) {
        snprintf(dir, sizeof(dir), "net-certs-%d", (int)getpid());
        CHECK(mkdir(dir, 0700) == 0);
    }
    char *path = mem_alloc(256);
    snprintf(path, 256, "%s/%s", dir, file);
    EVP_PKEY *key = new_key(key_type);
    X509 *x = X509_new();
    CHECK(key && x);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, key);
    X509_NAME *n = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)file, -1, -1, 0);
    X509_set_issuer_name(x, n);
    add_names(x, names);
    CHECK(X509_sign(x, key, strcmp(key_type, "ed25519") ? EVP_sha256() : NULL));
    FILE *f = fopen(path, "w");
    CHECK(f);
    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    PEM_write_X509(f, x);
    fclose(f);
    X509_free(x);
    EVP_PKEY_free(key);
    return path;
}

struct tls_certs *load_certs(const char *const *files, size_t n)
{
    struct error err = ERROR_INIT;
    struct tls_certs *c = tls_certs_load(files, n, &err);
    if (!c)
        fprintf(stderr, "%s\n", err.text);
    CHECK(c);
    return c;
}

struct tls_ctx *server_ctx(const struct tls_options *opt)
{
    struct error err = ERROR_INIT;
    struct tls_ctx *c = tls_ctx_new(opt, &err);
    if (!c)
        fprintf(stderr, "%s\n", err.text);
    CHECK(c);
    return c;
}

SSL *tls_dial(int fd, int version, const char *sni, const char *alpn_wire)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (version) {
        SSL_CTX_set_min_proto_version(ctx, version);
        SSL_CTX_set_max_proto_version(ctx, version);
    }
    SSL *s = SSL_new(ctx);
    SSL_CTX_free(ctx);
    if (sni)
        SSL_set_tlsext_host_name(s, sni);
    if (alpn_wire)
        SSL_set_alpn_protos(s, (const unsigned char *)alpn_wire, (unsigned)strlen(alpn_wire));
    SSL_set_fd(s, fd);
    if (SSL_connect(s) != 1) {
        SSL_free(s);
        close(fd);
        return NULL;
    }
    return s;
}

void tls_put(SSL *s, const char *p, size_t n)
{
    while (n) {
        int r = SSL_write(s, p, n > 100000 ? 100000 : (int)n);
        CHECK(r > 0);
        p += r;
        n -= (size_t)r;
    }
}

size_t tls_get(SSL *s, char *p, size_t n)
{
    size_t at = 0;
    while (at < n) {
        int r = SSL_read(s, p + at, (int)(n - at));
        if (r <= 0)
            break;
        at += (size_t)r;
    }
    return at;
}

void tls_bye(SSL *s)
{
    int fd = SSL_get_fd(s);
    SSL_shutdown(s);
    SSL_free(s);
    close(fd);
}
