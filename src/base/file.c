/* See the header. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(int fd, struct str bytes)
{
    while (bytes.n) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        bytes = str_n(bytes.p + n, bytes.n - (size_t)n);
    }
    return 0;
}

static int fill(int fd, struct str bytes, mode_t mode)
{
    int rc = write_all(fd, bytes) == 0 && fchmod(fd, mode) == 0 && fsync(fd) == 0 ? 0 : -1;
    int error = errno;
    if (close(fd) < 0 && rc == 0)
        return -1;
    errno = error;
    return rc;
}

int file_replace(const char *path, struct str bytes, mode_t mode, struct error *err)
{
    char temp[PATH_MAX];
    struct stat st;
    if ((size_t)snprintf(temp, sizeof(temp), "%s.XXXXXX", path) >= sizeof(temp))
        return err_set(err, ERR_IO, "%s: the path is too long", path);
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) /* renaming over a device would take it away */
        return err_set(err, ERR_IO, "%s: not a regular file", path);
    int fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0)
        return err_set(err, ERR_IO, "%s: %m", path);
    if (fill(fd, bytes, mode) == 0 && rename(temp, path) == 0)
        return 0;
    err_set(err, ERR_IO, "%s: %m", path);
    unlink(temp);
    return -1;
}
