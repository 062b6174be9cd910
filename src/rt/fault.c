/*
 * Fault injection: which points fail is read once from the environment. Compiled in with the build option `faults`
 * only. Any thread; suspends never.
 */
#include "rt/fault.h"

#ifdef CJ_FAULTS

#include "base/attrs.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

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

void fault_init(void)
{
    struct str rest = str_of(getenv("CJABBERD_FAULTS")), part;
    for (size_t i = 0; i < ARRAY_LEN(points); i++)
        points[i].mode = MODE_OFF;
    while (str_split(&rest, ',', &part)) {
        part = str_trim(part);
        if (part.n)
            switch_on(part);
    }
}

bool fault_hit(enum fault f)
{
    struct point *p = &points[f];
    if (p->mode != MODE_ONCE)
        return p->mode == MODE_ALWAYS;
    return __atomic_fetch_sub(&p->left, 1, __ATOMIC_RELAXED) == 1;
}

#else

/* An empty file is not C. */
typedef int fault_nothing;

#endif
