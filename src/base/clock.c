/* Clocks and the date format of XEP-0082. Any thread; suspends never. */
#include "base/clock.h"

#include <time.h>

static uint64_t now_us(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_mono_us(void)
{
    return now_us(CLOCK_MONOTONIC);
}

uint64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

uint64_t clock_wall_us(void)
{
    return now_us(CLOCK_REALTIME);
}

struct str clock_format(struct arena *a, uint64_t wall_us, bool micros)
{
    time_t s = (time_t)(wall_us / 1000000);
    struct tm tm;
    gmtime_r(&s, &tm);
    char date[64];
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    if (micros)
        return arena_printf(a, "%s.%06uZ", date, (unsigned)(wall_us % 1000000));
    return arena_printf(a, "%sZ", date);
}
