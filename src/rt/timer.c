/*
 * The timer wheel of a shard: five levels of 64 slots, 8 ms a tick; beyond 99 days a timer goes round the last level
 * again. Bitmaps find the next slot, so a sleeping shard wakes only for timers. One libuv timer drives it all and is
 * touched at most once per loop turn. Runs on its shard; suspends never.
 */
#include "rt/inner.h"

#define TICK_SHIFT 3
#define SLOT_BITS 6
#define SLOT_MASK (WHEEL_SLOTS - 1)

static void place(struct wheel *w, struct timer *t)
{
    uint64_t tick = (t->due_ms + (1 << TICK_SHIFT) - 1) >> TICK_SHIFT;
    if (tick < w->cur)
        tick = w->cur;
    uint64_t delta = tick - w->cur;
    if (delta >> (SLOT_BITS * WHEEL_LEVELS)) {
        delta = ((uint64_t)1 << (SLOT_BITS * WHEEL_LEVELS)) - 1;
        tick = w->cur + delta;
    }
    unsigned level = delta ? (63 - (unsigned)__builtin_clzll(delta)) / SLOT_BITS : 0;
    unsigned slot = (unsigned)(tick >> (SLOT_BITS * level)) & SLOT_MASK;
    list_push(&w->slots[level][slot], &t->link);
    w->bits[level] |= (uint64_t)1 << slot;
    if (tick < w->earliest)
        w->earliest = tick;
}

void timer_setup(struct timer *t, void (*fn)(struct timer *t))
{
    list_init(&t->link);
    t->due_ms = 0;
    t->fn = fn;
}

bool timer_armed(const struct timer *t)
{
    return !list_empty(&t->link);
}

void timer_arm(struct timer *t, uint64_t ms)
{
    struct shard *s = rt_me;
    struct wheel *w = &s->wheel;
    uint64_t now = uv_now(&s->loop);
    mailbox_awake(s);
    if (timer_armed(t))
        list_del(&t->link);
    else if (w->count++ == 0)
        w->cur = now >> TICK_SHIFT;
    t->due_ms = ms > UINT64_MAX / 2 ? UINT64_MAX / 2 : now + ms;
    place(w, t);
}

void timer_stop(struct timer *t)
{
    if (!timer_armed(t))
        return;
    list_del(&t->link);
    rt_me->wheel.count--;
}

/* Takes the slot's timers over; they stay armed, so stopping one of them works as ever. */
static void empty_slot(struct wheel *w, unsigned level, unsigned slot, struct list *out)
{
    struct list *l = &w->slots[level][slot];
    list_init(out);
    w->bits[level] &= ~((uint64_t)1 << slot);
    if (list_empty(l))
        return;
    *out = *l;
    out->next->prev = out->prev->next = out;
    list_init(l);
}

/* The tick begins a new round of the lower levels: spread what waits for it above. */
static void cascade(struct wheel *w)
{
    for (unsigned level = 1; level < WHEEL_LEVELS; level++) {
        unsigned slot = (unsigned)(w->cur >> (SLOT_BITS * level)) & SLOT_MASK;
        struct list due;
        empty_slot(w, level, slot, &due);
        while (!list_empty(&due)) {
            struct timer *t = LIST_ENTRY(due.next, struct timer, link);
            list_del(&t->link);
            place(w, t);
        }
        if (slot)
            return;
    }
}

static void run_tick(struct wheel *w)
{
    struct list due;
    if ((w->cur & SLOT_MASK) == 0)
        cascade(w);
    empty_slot(w, 0, (unsigned)w->cur & SLOT_MASK, &due);
    w->cur++;
    while (!list_empty(&due)) {
        struct timer *t = LIST_ENTRY(due.next, struct timer, link);
        list_del(&t->link);
        w->count--;
        t->fn(t);
    }
}

static void advance(struct wheel *w, uint64_t now_tick)
{
    while (w->count && w->cur <= now_tick) {
        unsigned slot = (unsigned)w->cur & SLOT_MASK;
        /* Nothing left in this round: on to the next. */
        if (slot && !(w->bits[0] >> slot)) {
            w->cur = (w->cur | SLOT_MASK) + 1;
            continue;
        }
        run_tick(w);
    }
}

/* First occupied slot of a level at or after `from`, as a distance; -1 when there is none. */
static int next_slot(struct wheel *w, unsigned level, unsigned from)
{
    for (;;) {
        uint64_t bits = w->bits[level];
        if (!bits)
            return -1;
        from &= SLOT_MASK;
        bits = from ? bits >> from | bits << (WHEEL_SLOTS - from) : bits;
        unsigned distance = (unsigned)__builtin_ctzll(bits), slot = (from + distance) & SLOT_MASK;
        if (!list_empty(&w->slots[level][slot]))
            return (int)distance;
        w->bits[level] &= ~((uint64_t)1 << slot);
    }
}

/* The next tick at which something is due or must be spread to lower levels. */
static uint64_t next_tick(struct wheel *w)
{
    uint64_t next = UINT64_MAX;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        uint64_t base = w->cur >> (SLOT_BITS * level);
        /* The slot of the running round has been spread already, unless the round has not begun. */
        if (level && (w->cur & (((uint64_t)1 << (SLOT_BITS * level)) - 1)))
            base++;
        int distance = next_slot(w, level, (unsigned)base);
        if (distance < 0)
            continue;
        uint64_t tick = (base + (unsigned)distance) << (SLOT_BITS * level);
        if (tick < next)
            next = tick;
    }
    return next;
}

static void on_uv_timer(uv_timer_t *uv)
{
    struct shard *s = uv->data;
    struct wheel *w = &s->wheel;
    mailbox_awake(s);
    w->armed = UINT64_MAX;
    w->earliest = 0; /* settle anew */
    advance(w, uv_now(&s->loop) >> TICK_SHIFT);
}

/*
 * A timer that was stopped leaves the libuv timer as it is: the price is one idle wake, and calls that end in time (the
 * rule) never touch it. With nothing armed it then stays off, and the shard sleeps for good.
 */
void wheel_settle(struct shard *s)
{
    struct wheel *w = &s->wheel;
    if (w->earliest >= w->armed)
        return;
    w->earliest = UINT64_MAX;
    uint64_t next = w->count ? next_tick(w) : UINT64_MAX;
    if (next >= w->armed)
        return;
    w->armed = next;
    uint64_t due = next << TICK_SHIFT, now = uv_now(&s->loop);
    uv_timer_start(&w->uv, on_uv_timer, due > now ? due - now : 0, 0);
}

void wheel_init(struct shard *s)
{
    struct wheel *w = &s->wheel;
    w->armed = w->earliest = UINT64_MAX;
    for (unsigned l = 0; l < WHEEL_LEVELS; l++)
        for (unsigned i = 0; i < WHEEL_SLOTS; i++)
            list_init(&w->slots[l][i]);
    uv_timer_init(&s->loop, &w->uv);
    w->uv.data = s;
}
