/* Copies and replacement of folders; see the header. Keeps nothing. */
#include "core/module/contrib_files.h"

#include "core/module/contrib_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 2000
#define BYTES_MAX (64u << 20)
#define DEPTH_MAX 8

struct copying {
    struct error *err;
    unsigned files;
    uint64_t bytes;
};

static int failed(struct error *err, const char *what, const char *path)
{
    return err_set(err, ERR_IO, "cannot %s %s: %s", what, path, strerror(errno));
}

static int copy_bytes(struct copying *c, int in, int out, const char *to)
{
    char part[65536];
    ssize_t n;
    while ((n = read(in, part, sizeof(part))) > 0) {
        c->bytes += (uint64_t)n;
        if (c->bytes > BYTES_MAX)
            return err_set(c->err, ERR_CONFIG, "the sources have more than %u MiB", BYTES_MAX >> 20);
        if (write(out, part, (size_t)n) != n)
            return failed(c->err, "write", to);
    }
    return n == 0 ? 0 : failed(c->err, "read for", to);
}

static int copy_one(struct copying *c, const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc = -1;
    if (in < 0)
        return failed(c->err, "open", from);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (out < 0)
        failed(c->err, "create", to);
    else
        rc = copy_bytes(c, in, out, to);
    if (rc == 0 && fsync(out) != 0)
        rc = failed(c->err, "write", to);
    if (out >= 0)
        close(out);
    close(in);
    return rc;
}

static int copy_folder(struct copying *c, const char *from, const char *to, unsigned depth);

static int copy_entry(struct copying *c, const char *from, const char *to, const char *name, unsigned depth)
{
    char a[CONTRIB_PATH_MAX], b[CONTRIB_PATH_MAX];
    struct stat st;
    if (contrib_path(a, from, name, NULL) != 0 || contrib_path(b, to, name, NULL) != 0)
        return err_set(c->err, ERR_CONFIG, "a path in %s is too long", from);
    if (lstat(a, &st) != 0)
        return failed(c->err, "read", a);
    if (S_ISDIR(st.st_mode))
        return copy_folder(c, a, b, depth + 1);
    if (!S_ISREG(st.st_mode))
        return 0;
    if (++c->files > FILES_MAX)
        return err_set(c->err, ERR_CONFIG, "the sources have more than %d files", FILES_MAX);
    return copy_one(c, a, b);
}

static int copy_folder(struct copying *c, const char *from, const char *to, unsigned depth)
{
    DIR *d = depth > DEPTH_MAX ? NULL : opendir(from);
    if (depth > DEPTH_MAX)
        return err_set(c->err, ERR_CONFIG, "folders of the sources are more than %d deep", DEPTH_MAX);
    if (!d)
        return failed(c->err, "open", from);
    int rc = mkdir(to, 0750) == 0 ? 0 : failed(c->err, "create", to);
    struct dirent *e;
    while (rc == 0 && (e = readdir(d)) != NULL)
        if (e->d_name[0] != '.')
            rc = copy_entry(c, from, to, e->d_name, depth);
    closedir(d);
    return rc;
}

int tree_copy(const char *from, const char *to, struct error *err)
{
    struct copying c = {.err = err};
    return copy_folder(&c, from, to, 0);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)at;
    return kind == FTW_DP ? rmdir(path) : unlink(path);
}

int tree_remove(const char *path)
{
    return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT ? 0 : -1;
}

static void sync_folder(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

static void sync_parent(const char *path)
{
    char dir[CONTRIB_PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    sync_folder(dir);
}

int tree_replace(const char *ready, const char *there, struct error *err)
{
    sync_folder(ready);
    if (renameat2(AT_FDCWD, ready, AT_FDCWD, there, RENAME_EXCHANGE) == 0) {
        sync_parent(there);
        tree_remove(ready); /* now the old one */
        return 0;
    }
    if (errno != ENOENT || rename(ready, there) != 0)
        return failed(err, "replace", there);
    sync_parent(there);
    return 0;
}

int folder_make(const char *path, struct error *err)
{
    char part[CONTRIB_PATH_MAX];
    size_t n = strlen(path);
    if (n >= sizeof(part))
        return err_set(err, ERR_IO, "the path %s is too long", path);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        snprintf(part, sizeof(part), "%.*s", (int)i, path);
        if (mkdir(part, 0750) != 0 && errno != EEXIST)
            return failed(err, "create the folder", part);
    }
    return 0;
}
