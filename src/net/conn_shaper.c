/*
 * Shaping of input: a token bucket; when it is overdrawn reading pauses for as long as the debt takes. Loop code of the
 * connection's shard; suspends never.
 */
#include "base/mem.h"
#include "net/conn_internal.h"

#include <stdlib.h>

#define SHAPED_READ_MIN 512

void shaper_drop(struct conn *c)
{
    if (c->shaper)
        timer_stop(&c->shaper->timer);
    free(c->shaper);
    c->shaper = NULL;
}

static void shaper_refill(struct shaper *s)
{
    uint64_t now = shard_now_ms(), passed = now - s->filled_ms;
    if (passed > 3600000)
        passed = 3600000;
    uint64_t gain = s->rate * passed / 1000;
    if (!gain)
        return; /* keep the fraction of a byte */
    s->filled_ms = now;
    s->tokens += (int64_t)gain;
    if (s->tokens > (int64_t)s->burst)
        s->tokens = (int64_t)s->burst;
}

static void on_shaper_timer(struct timer *t)
{
    struct shaper *s = CONTAINER_OF(t, struct shaper, timer);
    s->conn->throttled = false;
    s->conn->read_due = true;
    conn_schedule(s->conn);
}

void shaper_spend(struct conn *c, size_t n)
{
    struct shaper *s = c->shaper;
    shaper_refill(s);
    s->tokens -= (int64_t)n;
    if (s->tokens >= 0)
        return;
    uint64_t wait = ((uint64_t)-s->tokens * 1000 + s->rate - 1) / s->rate;
    c->throttled = true;
    timer_arm(&s->timer, wait ? wait : 1);
}

size_t shaper_room(struct conn *c, size_t room)
{
    if (!c->shaper)
        return room;
    shaper_refill(c->shaper);
    size_t most = c->shaper->tokens > SHAPED_READ_MIN ? (size_t)c->shaper->tokens : SHAPED_READ_MIN;
    return room < most ? room : most;
}

#define SHAPER_MAX ((uint64_t)1 << 40) /* keeps the products far from overflow */

void conn_set_shaper(struct conn *c, uint64_t rate, uint64_t burst)
{
    if (c->state == CONN_DEAD || c->state == CONN_LINGER)
        return;
    if (!rate) {
        shaper_drop(c);
        if (c->throttled) {
            c->throttled = false;
            c->read_due = true;
            conn_schedule(c);
        }
        return;
    }
    struct shaper *s = c->shaper;
    if (!s) {
        s = c->shaper = MEM_NEW(struct shaper);
        timer_setup(&s->timer, on_shaper_timer);
        s->conn = c;
    }
    s->rate = rate < SHAPER_MAX ? rate : SHAPER_MAX;
    s->burst = burst ? burst : s->rate;
    if (s->burst > SHAPER_MAX)
        s->burst = SHAPER_MAX;
    if (!c->throttled) {
        s->tokens = (int64_t)s->burst;
        s->filled_ms = shard_now_ms();
    }
}
