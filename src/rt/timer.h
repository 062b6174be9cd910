/*
 * Timers of a shard: a hierarchical wheel behind one libuv timer, so that a timer costs its five words, arming is O(1)
 * and no close callback is needed. Resolution about 10 ms. Callbacks run on the loop, not on a fiber.
 */
#ifndef RT_TIMER_H
#define RT_TIMER_H

#include "base/list.h"
#include <stdint.h>

struct timer {
    struct list link;
    uint64_t due_ms;
    void (*fn)(struct timer *t);
};

/* Before first use. */
void timer_setup(struct timer *t, void (*fn)(struct timer *t));
/* Arms or re-arms, in milliseconds from now; runs once. Only on the shard that owns it. */
void timer_arm(struct timer *t, uint64_t ms);
void timer_stop(struct timer *t);
bool timer_armed(const struct timer *t);

#endif
