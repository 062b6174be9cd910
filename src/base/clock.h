/* Time. Monotonic values are for waiting and ages, wall values for what people see. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/arena.h"

uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
/* Since the epoch. */
uint64_t clock_wall_us(void);
static inline uint64_t clock_wall_s(void) { return clock_wall_us() / 1000000; }
/* "2026-01-31T12:34:56Z" and with six decimals, UTC (XEP-0082). */
struct str clock_format(struct arena *a, uint64_t wall_us, bool micros);

#endif
