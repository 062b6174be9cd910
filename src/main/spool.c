/* See the header. The lock is the kernel's (flock), so a crash leaves none behind. */
#include "main/spool.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_TRIES 20
#define LOCK_REST_US 5000

static int lock_fd = -1;
static char pid_path[4096];

/* 1: locked; 0: another server's; -1: errno. */
static int try_lock(void)
{
    struct stat st;
    lock_fd = open(pid_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (lock_fd < 0)
        return -1;
    /* the file may have been another server's until now, which removed it when it ended: then the lock is on nothing */
    if (flock(lock_fd, LOCK_EX | LOCK_NB) == 0 && fstat(lock_fd, &st) == 0 && st.st_nlink > 0)
        return 1;
    close(lock_fd);
    lock_fd = -1;
    return 0;
}

/* cjabberdctl looks whether the lock is held by taking a shared one for a moment; that is not another server. */
static int open_locked(void)
{
    int got = try_lock();
    for (int i = 0; got == 0 && i < LOCK_TRIES; i++) {
        usleep(LOCK_REST_US);
        got = try_lock();
    }
    return got;
}

int spool_lock(const char *dir, const char *log_file, struct error *err)
{
    if (mkdir(dir, 0750) != 0 && errno != EEXIST)
        return err_set(err, ERR_IO, "cannot make the spool folder %s: %s", dir, strerror(errno));
    snprintf(pid_path, sizeof pid_path, "%s/cjabberd.pid", dir);
    int got = open_locked();
    if (got < 0)
        return err_set(err, ERR_IO, "cannot write %s: %s", pid_path, strerror(errno));
    if (got == 0)
        return err_set(err, ERR_CONFLICT, "the spool folder %s is in use by another server", dir);
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
