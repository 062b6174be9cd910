/* The log as it grows, like tail -F: rotation and truncation are followed. Wakes by inotify, and now and then without it. */
#include "ctl.h"

#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_MS 100 /* how often `ended` is asked */
#define FIRST_LINES 10
#define TAIL_BYTES 8192

static void copy_new(int fd)
{
    char buf[16384];
    for (ssize_t n; (n = read(fd, buf, sizeof(buf))) > 0;)
        write_out(STDOUT_FILENO, buf, (size_t)n);
}

/* The file under this name is another one now. */
static bool replaced(int fd, const char *path)
{
    struct stat here, there;
    return fstat(fd, &here) == 0 && stat(path, &there) == 0 && (here.st_ino != there.st_ino || here.st_dev != there.st_dev);
}

static void rewind_truncated(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && lseek(fd, 0, SEEK_CUR) > st.st_size)
        lseek(fd, 0, SEEK_SET);
}

static int watch_folder(const char *path)
{
    char folder[4096];
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    snprintf(folder, sizeof(folder), "%s", path);
    if (fd >= 0)
        inotify_add_watch(fd, dirname(folder), IN_MODIFY | IN_CREATE | IN_MOVED_TO);
    return fd;
}

static void wait_change(int watch)
{
    char events[4096];
    struct pollfd p = {watch, POLLIN, 0};
    if (poll(&p, watch >= 0, LOOK_MS) > 0 && read(watch, events, sizeof(events)) < 0)
        rest_ms(LOOK_MS);
}

static void seek_last_lines(int fd)
{
    char text[TAIL_BYTES];
    off_t end = lseek(fd, 0, SEEK_END), from = end > TAIL_BYTES ? end - TAIL_BYTES : 0;
    ssize_t n = pread(fd, text, (size_t)(end - from), from);
    if (n > 0)
        lseek(fd, from + (last_lines(text, (size_t)n, FIRST_LINES) - text), SEEK_SET);
}

int follow_file(const char *path, bool (*ended)(void *arg), void *arg)
{
    int watch = watch_folder(path), fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        seek_last_lines(fd);
    for (bool last = false; !last;) {
        last = ended(arg); /* asked before reading: what was written until then is shown */
        if (fd >= 0) {
            rewind_truncated(fd);
            copy_new(fd);
        }
        if (fd < 0 || replaced(fd, path)) {
            if (fd >= 0) {
                copy_new(fd);
                close(fd);
            }
            fd = open(path, O_RDONLY | O_CLOEXEC);
            if (fd >= 0)
                copy_new(fd);
        }
        if (!last)
            wait_change(watch);
    }
    if (fd >= 0)
        close(fd);
    if (watch >= 0)
        close(watch);
    return EXIT_DONE;
}
