/* Becomes another program under limits; see the header. One thread, nothing is started yet. */
#include "main/limited.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int limit(int what, rlim_t n)
{
    struct rlimit r = {n, n};
    struct rlimit now;
    if (getrlimit(what, &now) == 0 && now.rlim_max < n) /* a lower one is there already and stays */
        return 0;
    return setrlimit(what, &r);
}

int limited_run(char **argv)
{
    char *end;
    unsigned long long bytes = argv[0] ? strtoull(argv[0], &end, 10) : 0;
    if (bytes == 0 || *end || !argv[1]) {
        fprintf(stderr, "cjabberd: --limited needs a number of bytes and a program\n");
        return LIMITED_WRONG;
    }
    if (limit(RLIMIT_CORE, 0) != 0 || limit(RLIMIT_FSIZE, bytes) != 0 || limit(RLIMIT_AS, bytes) != 0) {
        fprintf(stderr, "cjabberd: cannot limit memory to %llu bytes: %s\n", bytes, strerror(errno));
        return LIMITED_WRONG;
    }
    execvp(argv[1], argv + 1);
    int e = errno;
    if (e != ENOENT)
        fprintf(stderr, "cjabberd: cannot run %s: %s\n", argv[1], strerror(e));
    _exit(e == ENOENT ? LIMITED_NOT_FOUND : LIMITED_WRONG); /* what runs at the end of a program may want memory */
}
