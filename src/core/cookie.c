/*
 * The cluster secret; see the header. Written once at start on the main thread, read by any thread afterwards; suspends
 * never. Leaves out: changing it while the server runs.
 */
#include "core/cookie.h"

#include "base/log.h"
#include "base/rand.h"
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define LETTERS 32 /* 4.7 bits each */

static char secret[COOKIE_MAX + 1];

struct str cookie(void)
{
    return secret[0] ? str_of(secret) : STR_NULL;
}

bool cookie_fits(struct str given)
{
    return secret[0] && secret_eq(given, cookie());
}

static int failed(struct error *err, const char *what, const char *path)
{
    return err_set(err, ERR_IO, "cannot %s %s: %s", what, path, strerror(errno));
}

/* Letters only, as people know it: it is copied by hand and by scripts. */
static void invent(void)
{
    for (size_t i = 0; i < LETTERS;) {
        uint8_t b;
        rand_bytes(&b, 1);
        if (b < 26 * 9) /* no letter more often than another */
            secret[i++] = (char)('A' + b % 26);
    }
}

/* Under another name first, so that a crash leaves no half of it. */
static int make_file(const char *dir, const char *path, struct error *err)
{
    char fresh[4096];
    snprintf(fresh, sizeof fresh, "%s/" COOKIE_FILE ".new", dir);
    invent();
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return failed(err, "write", fresh);
    bool ok = fchmod(fd, 0600) == 0 && write(fd, secret, LETTERS) == LETTERS && fsync(fd) == 0;
    if (!ok)
        failed(err, "write", fresh);
    close(fd);
    if (ok && rename(fresh, path) == 0)
        return 0;
    if (ok)
        failed(err, "rename", fresh);
    unlink(fresh);
    secret_wipe(secret, sizeof secret);
    return -1;
}

static int check(const char *path, struct error *err)
{
    for (const char *p = secret; *p; p++)
        if (*p <= ' ' || *p > '~')
            return err_set(err, ERR_CONFIG, "%s: the cluster secret must be one printable word", path);
    if (!secret[0])
        return err_set(err, ERR_CONFIG, "%s: the cluster secret is empty; remove the file to get a new one", path);
    return 0;
}

/* Others may have read it already, so the change is told. */
static void tighten(int fd, const char *path)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && st.st_mode & 077 && fchmod(fd, 0600) == 0)
        LOG(WARNING, "server", NULL, "%s could be read by others; it is the owner's alone now", path);
}

static int read_file(int fd, const char *path, struct error *err)
{
    char text[COOKIE_MAX + 2];
    ssize_t n = read(fd, text, sizeof text);
    if (n < 0)
        return failed(err, "read", path);
    struct str word = str_trim(str_n(text, (size_t)n));
    if (word.n > COOKIE_MAX || n == (ssize_t)sizeof text)
        return err_set(err, ERR_CONFIG, "%s: the cluster secret has at most %d bytes", path, COOKIE_MAX);
    memcpy(secret, word.p, word.n);
    secret[word.n] = '\0';
    secret_wipe(text, sizeof text);
    return check(path, err);
}

int cookie_start(const char *spool_dir, struct error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/" COOKIE_FILE, spool_dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? make_file(spool_dir, path, err) : failed(err, "read", path);
    int rc = read_file(fd, path, err);
    if (rc == 0)
        tighten(fd, path);
    close(fd);
    return rc;
}
