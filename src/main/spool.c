/* See the header. The lock is the kernel's (flock), so a crash leaves none behind. */
#include "main/spool.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int lock_fd = -1;
static char pid_path[4096];

int spool_lock(const char *dir, const char *log_file, struct error *err)
{
    if (mkdir(dir, 0750) != 0 && errno != EEXIST)
        return err_set(err, ERR_IO, "cannot make the spool folder %s: %s", dir, strerror(errno));
    snprintf(pid_path, sizeof pid_path, "%s/cjabberd.pid", dir);
    lock_fd = open(pid_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (lock_fd < 0)
        return err_set(err, ERR_IO, "cannot write %s: %s", pid_path, strerror(errno));
    if (flock(lock_fd, LOCK_EX | LOCK_NB) != 0) {
        close(lock_fd);
        lock_fd = -1;
        return err_set(err, ERR_CONFLICT, "the spool folder %s is in use by another server", dir);
    }
    char text[4200];
    int n = snprintf(text, sizeof text, "%ld\n%s%s", (long)getpid(), log_file ? log_file : "", log_file ? "\n" : "");
    if (ftruncate(lock_fd, 0) != 0 || write(lock_fd, text, (size_t)n) != n)
        return err_set(err, ERR_IO, "cannot write %s: %s", pid_path, strerror(errno));
    return 0;
}

void spool_unlock(void)
{
    if (lock_fd < 0)
        return;
    unlink(pid_path);
    close(lock_fd);
    lock_fd = -1;
}
