/* A crew of fibers that take the next number when they have done with one. Suspends: fiber_each. */
#include "rt/fiber_each.h"

#include "rt/fiber.h"

#define IN_A_ROW 16 /* of those that did not wait; then others of the loop have their turn */

struct crew {
    void (*one)(size_t i, void *arg) YIELDS;
    void *arg;
    size_t next, n;
    unsigned at_work;
    struct fiber *waiting;
};

static void work(void *arg) YIELDS;
static void work(void *arg)
{
    struct crew *c = arg;
    for (unsigned in_a_row = 1; c->next < c->n; in_a_row++) {
        c->one(c->next++, c->arg);
        if (in_a_row % IN_A_ROW == 0)
            fiber_sleep(0);
    }
    if (--c->at_work == 0 && c->waiting)
        fiber_wake(c->waiting);
}

void fiber_each(size_t n, unsigned at_once, void (*fn)(size_t i, void *arg) YIELDS, void *arg)
{
    struct crew c = {.one = fn, .arg = arg, .n = n};
    while (c.at_work < at_once && c.next < n) {
        c.at_work++;
        fiber_run(work, &c);
    }
    if (c.at_work) {
        c.waiting = fiber_self();
        fiber_suspend("each");
    }
}
