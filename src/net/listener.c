/*
 * Listening sockets and the counts of connections. A listener has one socket per shard (SO_REUSEPORT); each is used by
 * its shard's loop only. The counts are the exception to "shards share nothing": a total and a number per address are
 * limits of the process, so they are atomics and a table in stripes with a lock each, touched at accept and at the end
 * of a connection only. Start and stop suspend; the rest is loop code.
 */
#include "net/listener.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "net/conn_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ACCEPT_BATCH 64
#define ACCEPT_PAUSE_MS 100
#define START_DEADLINE_MS 10000
#define BACKLOG_DEFAULT 128
#define IP_STRIPES 64

/* The socket of one shard. */
struct socket {
    uv_poll_t poll;
    struct timer resume;
    struct listener *l;
    int fd, reserve; /* reserve: a descriptor to give up when there are none left */
};

struct listener {
    struct listener_config cfg;
    char *name, *unix_path, *default_host;
    char **alpn;
    unsigned refs;  /* one for the starter, one per socket and connection; atomic */
    unsigned count; /* atomic */
    bool bound;     /* the file of the local socket is ours */
    struct socket *sockets[SHARD_MAX];
};

static unsigned total, total_limit; /* atomic */

/* --- connections per address --- */
struct ip_count {
    struct map_node node;
    struct listener *l;
    struct ip ip;
    unsigned n;
};

struct ip_key {
    const struct listener *l;
    const struct ip *ip;
};

static struct {
    pthread_mutex_t lock;
    struct map map;
} stripes[IP_STRIPES] = {[0 ... IP_STRIPES - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}};

static bool same_ip(const struct map_node *node, const void *key)
{
    const struct ip_count *c = CONTAINER_OF(node, struct ip_count, node);
    const struct ip_key *k = key;
    return c->l == k->l && ip_eq(&c->ip, k->ip);
}

/* One IPv6 customer has a /64 at least: its addresses count as one. */
static struct ip counted_as(const struct ip *ip)
{
    struct ip r = *ip;
    if (r.family == 6)
        memset(r.b + 8, 0, 8);
    return r;
}

static uint64_t ip_hash(const struct listener *l, const struct ip *ip)
{
    return hash_bytes(ip, sizeof(*ip)) ^ hash_bytes(&l, sizeof(l));
}

static bool ip_add(struct listener *l, const struct ip *peer, unsigned limit)
{
    struct ip ip = counted_as(peer);
    uint64_t h = ip_hash(l, &ip);
    struct ip_key key = {l, &ip};
    unsigned s = h >> 58;
    bool ok = true;
    pthread_mutex_lock(&stripes[s].lock);
    struct map_node *node = map_find(&stripes[s].map, h, same_ip, &key);
    struct ip_count *c = node ? CONTAINER_OF(node, struct ip_count, node) : NULL;
    if (!c) {
        c = MEM_NEW(struct ip_count);
        c->l = l;
        c->ip = ip;
        map_add(&stripes[s].map, &c->node, h);
    }
    if (c->n >= limit)
        ok = false;
    else
        c->n++;
    pthread_mutex_unlock(&stripes[s].lock);
    return ok;
}

static void ip_sub(struct listener *l, const struct ip *peer)
{
    struct ip ip = counted_as(peer);
    uint64_t h = ip_hash(l, &ip);
    struct ip_key key = {l, &ip};
    unsigned s = h >> 58;
    pthread_mutex_lock(&stripes[s].lock);
    struct map_node *node = map_find(&stripes[s].map, h, same_ip, &key);
    struct ip_count *c = node ? CONTAINER_OF(node, struct ip_count, node) : NULL;
    if (c && --c->n == 0) {
        map_del(&stripes[s].map, &c->node);
        if (!stripes[s].map.count)
            map_deinit(&stripes[s].map);
        free(c);
    }
    pthread_mutex_unlock(&stripes[s].lock);
}

bool listener_enter_ip(struct listener *l, const struct ip *ip)
{
    return !l->cfg.max_per_ip || !ip->family || ip_add(l, ip, l->cfg.max_per_ip);
}

static bool enter(struct listener *l)
{
    unsigned limit = __atomic_load_n(&total_limit, __ATOMIC_RELAXED);
    unsigned mine = __atomic_add_fetch(&l->count, 1, __ATOMIC_RELAXED);
    unsigned all = __atomic_add_fetch(&total, 1, __ATOMIC_RELAXED);
    if ((!l->cfg.max_connections || mine <= l->cfg.max_connections) && (!limit || all <= limit))
        return true;
    listener_leave(l, true, NULL);
    return false;
}

void listener_leave(struct listener *l, bool counted, const struct ip *ip)
{
    if (counted) {
        __atomic_sub_fetch(&l->count, 1, __ATOMIC_RELAXED);
        __atomic_sub_fetch(&total, 1, __ATOMIC_RELAXED);
    }
    if (ip && l->cfg.max_per_ip && ip->family)
        ip_sub(l, ip);
}

unsigned listener_count(const struct listener *l)
{
    return __atomic_load_n(&l->count, __ATOMIC_RELAXED);
}

void listener_set_total_limit(unsigned max_connections)
{
    __atomic_store_n(&total_limit, max_connections, __ATOMIC_RELAXED);
}

unsigned listener_total(void)
{
    return __atomic_load_n(&total, __ATOMIC_RELAXED);
}

/* --- life --- */
static char *copy(const char *s)
{
    if (!s)
        return NULL;
    size_t n = strlen(s) + 1;
    return memcpy(mem_alloc(n), s, n);
}

static struct listener *listener_new(const struct listener_config *cfg)
{
    struct listener *l = MEM_NEW(struct listener);
    l->cfg = *cfg;
    l->refs = 1;
    l->cfg.name = l->name = copy(cfg->name ? cfg->name : "listener");
    l->cfg.unix_path = l->unix_path = copy(cfg->unix_path);
    l->cfg.default_host = l->default_host = copy(cfg->default_host);
    if (cfg->alpn) {
        size_t n = 0;
        while (cfg->alpn[n])
            n++;
        l->alpn = mem_zalloc((n + 1) * sizeof(*l->alpn));
        for (size_t i = 0; i < n; i++)
            l->alpn[i] = copy(cfg->alpn[i]);
        l->cfg.alpn = (const char *const *)l->alpn;
    }
    return l;
}

void listener_hold(struct listener *l)
{
    __atomic_fetch_add(&l->refs, 1, __ATOMIC_RELAXED);
}

void listener_release(struct listener *l)
{
    if (__atomic_sub_fetch(&l->refs, 1, __ATOMIC_ACQ_REL))
        return;
    tls_ctx_delete(&l->cfg.tls_ctx);
    for (char **a = l->alpn; a && *a; a++)
        free(*a);
    free(l->alpn);
    free(l->name);
    free(l->unix_path);
    free(l->default_host);
    arena_release(&l->cfg.arena);
    free(l);
}

const struct listener_config *listener_config(const struct listener *l)
{
    return &l->cfg;
}

void *listener_app(const struct listener *l)
{
    return l->cfg.app;
}

/* --- accepting --- */
static void on_acceptable(uv_poll_t *h, int status, int events);

static void on_resume(struct timer *t)
{
    struct socket *s = CONTAINER_OF(t, struct socket, resume);
    if (s->reserve < 0)
        s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    uv_poll_start(&s->poll, UV_READABLE, on_acceptable);
}

/*
 * No descriptors left: the reserve makes room to accept and drop one, so that its client is not left hanging, then
 * accepting pauses: a level-triggered poll would spin.
 */
static void out_of_descriptors(struct socket *s, int e)
{
    LOG_LIMITED(CRITICAL, "net", NULL, "%s: cannot accept connections: %s", s->l->name, strerror(e));
    if (s->reserve >= 0) {
        close(s->reserve);
        int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            close(fd);
        s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    uv_poll_stop(&s->poll);
    timer_arm(&s->resume, ACCEPT_PAUSE_MS);
}

static void refuse(struct socket *s, int fd, const struct ip *ip, const char *why)
{
    char text[IP_TEXT_MAX];
    LOG_LIMITED(WARNING, "net", NULL, "%s: connection from %s refused: %s", s->l->name, ip_print_log(ip, log_hides(), text), why);
    close(fd);
}

static void admit(struct socket *s, int fd, const struct ip *ip, uint16_t port)
{
    struct listener *l = s->l;
    bool behind_proxy = l->cfg.use_proxy_protocol; /* then the address to count comes with the header */
    if (!enter(l)) {
        refuse(s, fd, ip, "too many connections");
        return;
    }
    if (!behind_proxy && !listener_enter_ip(l, ip)) {
        listener_leave(l, true, NULL);
        refuse(s, fd, ip, "too many connections from this address");
        return;
    }
    struct conn *c = conn_new(fd, ip, port, l);
    if (!c) {
        listener_leave(l, true, behind_proxy ? NULL : ip);
        refuse(s, fd, ip, "no memory");
        return;
    }
    listener_hold(l);
    c->counted = true;
    c->counted_ip = !behind_proxy;
    if (l->cfg.send_timeout_ms)
        conn_set_send_timeout(c, l->cfg.send_timeout_ms);
    l->cfg.on_accept(c);
    conn_begin(c);
}

static void on_acceptable(uv_poll_t *h, int status, int events)
{
    struct socket *s = h->data;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct sockaddr_storage sa;
        socklen_t len = sizeof(sa);
        struct ip ip = {0};
        uint16_t port = 0;
        sa.ss_family = AF_UNSPEC;
        int fd = accept4(s->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            if (!s->l->cfg.unix_path)
                ip_from_sockaddr((const struct sockaddr *)&sa, &ip, &port);
            admit(s, fd, &ip, port);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            out_of_descriptors(s, errno);
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (errno != EINTR && errno != ECONNABORTED && errno != EPROTO && errno != EPERM) {
            LOG_LIMITED(ERROR, "net", NULL, "%s: accept: %s", s->l->name, strerror(errno));
            uv_poll_stop(&s->poll);
            timer_arm(&s->resume, ACCEPT_PAUSE_MS);
            return;
        }
    }
}

/* --- sockets --- */
static int fail_fd(int fd, const struct listener_config *cfg, const char *what, struct error *err)
{
    int e = errno;
    if (fd >= 0)
        close(fd);
    return err_set(err, ERR_IO, "%s: %s: %s", cfg->name ? cfg->name : "listener", what, strerror(e));
}

static socklen_t address(const struct listener_config *cfg, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (cfg->ip.family == 6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(cfg->port);
        memcpy(&in6->sin6_addr, cfg->ip.b, 16);
        return sizeof(*in6);
    }
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    in->sin_family = AF_INET;
    in->sin_port = htons(cfg->port);
    memcpy(&in->sin_addr, cfg->ip.b, 4);
    return sizeof(*in);
}

static int tcp_bind(const struct listener_config *cfg, bool share, struct error *err)
{
    static const uint8_t any[16];
    int on = 1, off = 0;
    struct sockaddr_storage sa;
    socklen_t len = address(cfg, &sa);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail_fd(fd, cfg, "socket", err);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0)
        return fail_fd(fd, cfg, "SO_REUSEPORT", err);
    /* Accepted sockets inherit both on Linux: two system calls less for each connection. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    if (cfg->ip.family == 6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, memcmp(cfg->ip.b, any, 16) == 0 ? &off : &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&sa, len) != 0)
        return fail_fd(fd, cfg, "bind", err);
    return fd;
}

/* A file left behind by a process that is gone is in the way; one that answers is somebody's. */
static bool stale(const struct sockaddr_un *sa)
{
    struct stat st;
    if (lstat(sa->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool dead = fd >= 0 && connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) != 0 && errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return dead;
}

static int unix_bind(const struct listener_config *cfg, struct error *err)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    if (strlen(cfg->unix_path) >= sizeof(sa.sun_path))
        return err_set(err, ERR_CONFIG, "%s: the path of the socket is too long", cfg->unix_path);
    strcpy(sa.sun_path, cfg->unix_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail_fd(fd, cfg, "socket", err);
    int r = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
    if (r != 0 && errno == EADDRINUSE && stale(&sa)) {
        unlink(sa.sun_path);
        r = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
    }
    if (r != 0)
        return fail_fd(fd, cfg, "bind", err);
    /* Nobody connects before listen(), so there is no moment with the wrong mode. */
    if (chmod(sa.sun_path, cfg->unix_mode ? cfg->unix_mode : 0600) != 0)
        return fail_fd(fd, cfg, "chmod", err);
    return fd;
}

static void on_socket_closed(uv_handle_t *h)
{
    struct socket *s = h->data;
    listener_release(s->l);
    free(s);
}

static int open_socket(struct listener *l, struct error *err)
{
    int fd = l->unix_path ? unix_bind(&l->cfg, err) : tcp_bind(&l->cfg, true, err);
    if (fd < 0)
        return -1;
    if (l->unix_path)
        l->bound = true;
    if (listen(fd, l->cfg.backlog > 0 ? l->cfg.backlog : BACKLOG_DEFAULT) != 0)
        return fail_fd(fd, &l->cfg, "listen", err);
    struct socket *s = MEM_NEW(struct socket);
    s->l = l;
    s->fd = fd;
    if (uv_poll_init(shard_loop(), &s->poll, fd) != 0) {
        free(s);
        return fail_fd(fd, &l->cfg, "poll", err);
    }
    s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    s->poll.data = s;
    timer_setup(&s->resume, on_resume);
    listener_hold(l);
    l->sockets[shard_self()] = s;
    uv_poll_start(&s->poll, UV_READABLE, on_acceptable);
    return 0;
}

static int open_on_shard(void *arg, void *slot, struct error *err)
{
    struct listener *l = *(struct listener **)arg;
    return l->unix_path && shard_self() != 0 ? 0 : open_socket(l, err);
}

static int close_on_shard(void *arg, void *slot, struct error *err)
{
    struct listener *l = *(struct listener **)arg;
    struct socket *s = l->sockets[shard_self()];
    if (!s)
        return 0;
    l->sockets[shard_self()] = NULL;
    timer_stop(&s->resume);
    uv_poll_stop(&s->poll);
    close(s->fd);
    if (s->reserve >= 0)
        close(s->reserve);
    uv_close((uv_handle_t *)&s->poll, on_socket_closed);
    return 0;
}

static int on_all_shards(struct listener *l, int (*fn)(void *arg, void *slot, struct error *err), struct error *err) YIELDS;

static int on_all_shards(struct listener *l, int (*fn)(void *arg, void *slot, struct error *err), struct error *err)
{
    struct arena *a = arena_new();
    void **slots = ARENA_ARRAY(a, void *, shard_count());
    struct listener **arg = ARENA_NEW(a, struct listener *);
    *arg = l;
    int r = mail_gather(fn, arg, slots, a, START_DEADLINE_MS, err);
    arena_release(&a);
    return r;
}

/*
 * With SO_REUSEPORT a second server of the same user would silently take half of the connections, so the address is
 * tried without it first. This also finds the number when port 0 asks for any.
 */
static int probe(struct listener *l, struct error *err)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct ip ip;
    int fd = tcp_bind(&l->cfg, false, err);
    if (fd < 0)
        return -1;
    if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0)
        ip_from_sockaddr((const struct sockaddr *)&sa, &ip, &l->cfg.port);
    close(fd);
    return 0;
}

struct listener *listener_start(const struct listener_config *cfg, struct error *err)
{
    struct listener *l = listener_new(cfg);
    if (!l->unix_path && probe(l, err) < 0) {
        listener_release(l);
        return NULL;
    }
    if (on_all_shards(l, open_on_shard, err) < 0) {
        listener_stop(&l);
        return NULL;
    }
    return l;
}

void listener_stop(struct listener **lp)
{
    struct listener *l = *lp;
    *lp = NULL;
    if (!l)
        return;
    on_all_shards(l, close_on_shard, NULL);
    if (l->unix_path && l->bound)
        unlink(l->unix_path);
    listener_release(l);
}
