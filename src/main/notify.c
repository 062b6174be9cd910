/* See the header. */
#include "main/notify.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void say(const char *words)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof to.sun_path)
        return;
    memcpy(to.sun_path, path, strlen(path));
    if (path[0] == '@')
        to.sun_path[0] = 0; /* abstract name */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    /* Somebody who does not read must not hold up a shard: a client would notice. */
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){.tv_usec = 20000}, sizeof(struct timeval));
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    (void)!sendto(fd, words, strlen(words), MSG_NOSIGNAL, (struct sockaddr *)&to, len);
    close(fd);
}

void notify_ready(void)
{
    say("READY=1\nSTATUS=Serving");
}

/* The time lets systemd tell this reload from an older one (sd_notify(3), Type=notify-reload). */
void notify_reloading(void)
{
    char words[96];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(words, sizeof words, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Reloading",
             (unsigned long long)now.tv_sec * 1000000u + (unsigned long long)now.tv_nsec / 1000);
    say(words);
}

void notify_stopping(void)
{
    say("STOPPING=1\nSTATUS=Stopping");
}
