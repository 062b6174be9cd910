/*
 * Fault injection: which points fail is read once from the environment, or at any time from a mapped file. Compiled in with the
 * build option `faults` only. Any thread; suspends never.
 */
#include "rt/fault.h"

#ifdef CJ_FAULTS

#include "base/attrs.h"
#include "base/str.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum mode { MODE_OFF, MODE_ALWAYS, MODE_ONCE };

static struct point {
    const char *name;
    enum mode mode;
    int64_t left; /* MODE_ONCE: hits until it fails; atomic */
} points[] = {
#define FAULT(name, sentence) {#name, MODE_OFF, 0},
#include "rt/fault.def"
#undef FAULT
};

static int64_t *armed; /* the file; atomic */

/* A misspelt fault would make a test pass for nothing. */
static void refuse(struct str part)
{
    fprintf(stderr, "CJABBERD_FAULTS: not understood: %.*s\n", STR_ARG(part));
    exit(2);
}

static void switch_on(struct str part)
{
    struct str name = part;
    ptrdiff_t at = str_find(part, '=');
    int64_t count = 0;
    if (at >= 0) {
        name.n = (size_t)at;
        if (!str_to_i64(str_n(part.p + at + 1, part.n - (size_t)at - 1), &count) || count < 1)
            refuse(part);
    }
    for (size_t i = 0; i < ARRAY_LEN(points); i++)
        if (str_eq(name, str_of(points[i].name))) {
            points[i].mode = count ? MODE_ONCE : MODE_ALWAYS;
            points[i].left = count;
            return;
        }
    refuse(part);
}

/* Of another version the numbers would be those of other points. */
static void map_file(const char *name)
{
    struct stat st;
    int fd = open(name, O_RDWR | O_CLOEXEC);
    bool fits = fd >= 0 && fstat(fd, &st) == 0 && st.st_size == FAULT__COUNT * (off_t)sizeof *armed;
    void *p = fits ? mmap(NULL, FAULT__COUNT * sizeof *armed, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (p == MAP_FAILED) {
        fprintf(stderr, "CJABBERD_FAULTS_FILE: %s is no file of %d numbers\n", name, (int)FAULT__COUNT);
        exit(2);
    }
    close(fd);
    armed = p;
}

void fault_init(void)
{
    struct str rest = str_of(getenv("CJABBERD_FAULTS")), part;
    const char *file = getenv("CJABBERD_FAULTS_FILE");
    if (file)
        map_file(file);
    for (size_t i = 0; i < ARRAY_LEN(points); i++)
        points[i].mode = MODE_OFF;
    while (str_split(&rest, ',', &part)) {
        part = str_trim(part);
        if (part.n)
            switch_on(part);
    }
}

static bool hit_armed(enum fault f)
{
    int64_t n = armed ? __atomic_load_n(&armed[f], __ATOMIC_RELAXED) : 0;
    while (n > 0 && !__atomic_compare_exchange_n(&armed[f], &n, n - 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
    return n == 1 || n < 0;
}

bool fault_hit(enum fault f)
{
    struct point *p = &points[f];
    if (hit_armed(f))
        return true;
    if (p->mode != MODE_ONCE)
        return p->mode == MODE_ALWAYS;
    return __atomic_fetch_sub(&p->left, 1, __ATOMIC_RELAXED) == 1;
}

void fault_die(enum fault f)
{
    if (fault_hit(f))
        kill(getpid(), SIGKILL);
}

#else

/* An empty file is not C. */
typedef int fault_nothing;

#endif
