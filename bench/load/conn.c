/* The epoll set and its connections: non-blocking sockets, TLS 1.3 by OpenSSL where asked for.
 *
 * All connections share one read buffer; only an incomplete rest is copied aside. TLS is pinned to 1.3, one cipher and
 * one group, without session reuse, so that every handshake is a full one and every server does the same work. */
#include "load.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define READ_SIZE (256 * 1024)
#define OUT_LIMIT (4 * 1024 * 1024)
#define LEFT_LIMIT (READ_SIZE / 2)

static int epoll_fd;
static SSL_CTX *tls_context;
static char read_buffer[READ_SIZE];

static void tls_init(void)
{
    tls_context = SSL_CTX_new(TLS_client_method());
    if (!tls_context || !SSL_CTX_set_min_proto_version(tls_context, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(tls_context, "TLS_AES_256_GCM_SHA384") ||
        !SSL_CTX_set1_groups_list(tls_context, "X25519"))
        die("TLS cannot be set up");
    SSL_CTX_set_session_cache_mode(tls_context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(tls_context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(tls_context, 1); /* one recv for header and body of a record */
}

void loop_init(void)
{
    signal(SIGPIPE, SIG_IGN);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        die("epoll: %s", strerror(errno));
    if (opt.tls != TLS_NONE)
        tls_init();
}

static void watch(struct conn *c, int op, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll_fd, op, c->fd, &e) != 0)
        die("epoll_ctl: %s", strerror(errno));
}

static void want_write(struct conn *c, bool want)
{
    if (c->want_write == want)
        return;
    c->want_write = want;
    watch(c, EPOLL_CTL_MOD, want ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void conn_close(struct conn *c)
{
    if (c->fd < 0)
        return;
    if (c->ssl) {
        SSL_shutdown(c->ssl);
        SSL_free(c->ssl);
        ERR_clear_error();
    }
    close(c->fd);
    free(c->left);
    free(c->out);
    c->fd = -1;
    c->ssl = NULL;
    c->left = c->out = NULL;
    c->left_len = c->out_len = 0;
    c->connecting = c->handshaking = c->want_write = false;
}

static void closed_by_peer(struct conn *c)
{
    conn_close(c);
    c->on_close(c);
}

static void handshake(struct conn *c)
{
    int n = SSL_do_handshake(c->ssl);
    if (n == 1) {
        c->handshaking = false;
        want_write(c, false);
        c->on_open(c);
        return;
    }
    int error = SSL_get_error(c->ssl, n);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        want_write(c, error == SSL_ERROR_WANT_WRITE);
        return;
    }
    ERR_print_errors_fp(stderr);
    closed_by_peer(c);
}

void conn_starttls(struct conn *c)
{
    c->ssl = SSL_new(tls_context);
    if (!c->ssl || !SSL_set_fd(c->ssl, c->fd) || !SSL_set_tlsext_host_name(c->ssl, opt.domain))
        die("TLS cannot be started");
    SSL_set_connect_state(c->ssl);
    c->handshaking = true;
}

static void connected(struct conn *c)
{
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error) {
        closed_by_peer(c);
        return;
    }
    c->connecting = false;
    want_write(c, false);
    if (c->ssl)
        handshake(c);
    else
        c->on_open(c);
}

void conn_open(struct conn *c, enum tls_mode tls)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(opt.port)};
    int one = 1;
    if (inet_pton(AF_INET, opt.host, &to.sin_addr) != 1)
        die("not an IPv4 address: %s", opt.host);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (tls == TLS_DIRECT) {
        conn_starttls(c);
        SSL_set_alpn_protos(c->ssl, (const unsigned char *)"\013xmpp-client", 12);
    }
    c->connecting = c->want_write = true;
    watch(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS)
        closed_by_peer(c);
}

/* Bytes read; 0: nothing now; -1: closed. */
static ssize_t read_some(struct conn *c, char *to, size_t size)
{
    if (!c->ssl) {
        ssize_t n = recv(c->fd, to, size, 0);
        return n > 0 ? n : n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
    }
    int n = SSL_read(c->ssl, to, (int)size);
    if (n > 0)
        return n;
    int error = SSL_get_error(c->ssl, n);
    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static void keep_rest(struct conn *c, const char *rest, size_t len)
{
    free(c->left);
    c->left = NULL;
    c->left_len = len;
    if (len == 0)
        return;
    if (len > LEFT_LIMIT)
        die("a stanza of more than %d bytes", LEFT_LIMIT);
    c->left = malloc(len);
    if (!c->left)
        die("out of memory");
    memcpy(c->left, rest, len);
}

static void readable(struct conn *c)
{
    for (;;) {
        size_t have = c->left_len;
        if (have)
            memcpy(read_buffer, c->left, have);
        ssize_t n = read_some(c, read_buffer + have, READ_SIZE - have);
        if (n < 0)
            closed_by_peer(c);
        if (n <= 0)
            return;
        bool more = c->ssl || (size_t)n == READ_SIZE - have;
        size_t used = c->on_data(c, read_buffer, have + (size_t)n);
        if (c->fd < 0)
            return;
        if (have || used < have + (size_t)n)
            keep_rest(c, read_buffer + used, have + (size_t)n - used);
        if (c->handshaking)
            handshake(c);
        if (!more || c->fd < 0 || c->handshaking)
            return;
    }
}

static ssize_t write_some(struct conn *c, const char *buf, size_t len)
{
    if (!c->ssl) {
        ssize_t n = send(c->fd, buf, len, MSG_NOSIGNAL);
        return n >= 0 ? n : errno == EAGAIN || errno == EINTR ? 0 : -1;
    }
    int n = SSL_write(c->ssl, buf, (int)len);
    if (n > 0)
        return n;
    int error = SSL_get_error(c->ssl, n);
    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static void keep_unsent(struct conn *c, const char *buf, size_t len)
{
    if (c->out_len + len > OUT_LIMIT)
        die("the server does not read: %zu bytes unsent", c->out_len);
    c->out = realloc(c->out, c->out_len + len);
    if (!c->out)
        die("out of memory");
    memcpy(c->out + c->out_len, buf, len);
    c->out_len += len;
    want_write(c, true);
}

/* A failed write is left to the next read, which sees the end of the connection. */
void conn_send(struct conn *c, const char *buf, size_t len)
{
    if (c->fd < 0)
        return;
    if (c->out_len == 0) {
        ssize_t n = write_some(c, buf, len);
        if (n < 0)
            return;
        buf += n;
        len -= (size_t)n;
    }
    if (len)
        keep_unsent(c, buf, len);
}

static void writable(struct conn *c)
{
    ssize_t n = c->out_len ? write_some(c, c->out, c->out_len) : 0;
    if (n < 0)
        return;
    c->out_len -= (size_t)n;
    memmove(c->out, c->out + n, c->out_len);
    if (c->out_len == 0)
        want_write(c, false);
}

static void serve(struct conn *c, uint32_t events)
{
    if (c->fd < 0)
        return;
    if (c->connecting) {
        connected(c);
        return;
    }
    if (c->handshaking) {
        handshake(c);
        return;
    }
    if (events & EPOLLOUT)
        writable(c);
    if (events & ~(uint32_t)EPOLLOUT)
        readable(c);
}

void loop_turn(uint64_t timeout_ns)
{
    struct epoll_event events[512];
    struct timespec t = {.tv_sec = (time_t)(timeout_ns / 1000000000u), .tv_nsec = (long)(timeout_ns % 1000000000u)};
    int n = epoll_pwait2(epoll_fd, events, 512, &t, NULL);
    for (int i = 0; i < n; i++)
        serve(events[i].data.ptr, events[i].events);
}

bool loop_until(const bool *done, uint64_t deadline)
{
    while (!*done) {
        uint64_t now = now_ns();
        if (now >= deadline)
            return false;
        loop_turn(deadline - now);
    }
    return true;
}

const char *conn_tls_version(const struct conn *c)
{
    return c->ssl ? SSL_get_version(c->ssl) : "none";
}

const char *conn_tls_cipher(const struct conn *c)
{
    return c->ssl ? SSL_get_cipher_name(c->ssl) : "none";
}
