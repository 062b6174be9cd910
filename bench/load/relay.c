/* The bare relay: the least a server can do for a chat message. One thread, one epoll set; what is readable on one
 * socket of a pair is received once and sent once to the other. No framing, no parsing, no addressing.
 *
 * A connection's first line, "pair K", names its pair; when both are there, each gets "ok". With "echo" it is
 * its own partner. */
#include "load.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_FD 65536
#define MAX_PAIRS (MAX_FD / 2)

static int partner[MAX_FD]; /* by descriptor; 0: no pair yet (0 is never a socket here) */
static int first_of[MAX_PAIRS];
static int set_fd;

static int listen_on_loopback(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(opt.port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || inet_pton(AF_INET, opt.host, &at.sin_addr) != 1)
        die("cannot listen on %s", opt.host);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4096) != 0)
        die("port %u: %s", opt.port, strerror(errno));
    return fd;
}

static void watch(int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(set_fd, EPOLL_CTL_ADD, fd, &e) != 0)
        die("epoll_ctl: %s", strerror(errno));
}

static void admit(int listener)
{
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (fd >= MAX_FD)
        die("too many connections");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(fd);
}

static void drop(int fd)
{
    if (partner[fd])
        partner[partner[fd]] = 0;
    partner[fd] = 0;
    for (int i = 0; i < MAX_PAIRS; i++)
        if (first_of[i] == fd)
            first_of[i] = 0;
    close(fd);
}

static void join_pair(int fd, char *line, ssize_t len)
{
    line[len] = 0;
    long k = len > 5 && line[len - 1] == '\n' && strncmp(line, "pair ", 5) == 0 ? atol(line + 5) : -1;
    if (k < 0 || k >= MAX_PAIRS) {
        drop(fd);
        return;
    }
    int other = first_of[k];
    if (!other) {
        first_of[k] = fd;
        return;
    }
    first_of[k] = 0;
    partner[fd] = other;
    partner[other] = fd;
    if (send(fd, "ok\n", 3, MSG_NOSIGNAL) != 3 || send(other, "ok\n", 3, MSG_NOSIGNAL) != 3)
        drop(fd);
}

static void greet(int fd, char *line, ssize_t len)
{
    if (len != 5 || memcmp(line, "echo\n", 5) != 0) {
        join_pair(fd, line, len);
        return;
    }
    partner[fd] = fd;
    if (send(fd, "ok\n", 3, MSG_NOSIGNAL) != 3)
        drop(fd);
}

static void pass_on(int fd)
{
    static char buf[65537];
    ssize_t n = recv(fd, buf, sizeof buf - 1, 0);
    if (n <= 0) {
        drop(fd);
        return;
    }
    if (!partner[fd]) {
        greet(fd, buf, n);
        return;
    }
    if (send(partner[fd], buf, (size_t)n, MSG_NOSIGNAL) != n)
        drop(fd);
}

int relay_main(void)
{
    struct epoll_event events[512];
    int listener = listen_on_loopback();
    set_fd = epoll_create1(EPOLL_CLOEXEC);
    watch(listener);
    for (;;) {
        int n = epoll_wait(set_fd, events, 512, -1);
        if (n < 0 && errno != EINTR)
            die("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < n; i++)
            if (events[i].data.fd == listener)
                admit(listener);
            else
                pass_on(events[i].data.fd);
    }
}
