/*
 * Fibers: code that waits reads like code that does not. A fiber lives and dies on the shard that started it.
 * Starting one costs a stack switch on a ready stack; a fresh stack is taken only after a suspension. Stacks are mapped
 * with a guard page, pooled per shard, and announced to ASan, TSan and valgrind.
 */
#ifndef RT_FIBER_H
#define RT_FIBER_H

#include "base/attrs.h"
#include <stdbool.h>
#include <stdint.h>

struct fiber;
typedef void (*fiber_fn)(void *arg);

/*
 * Runs fn(arg) at once on a fiber of this shard; returns when fn has ended (true) or first suspended (false).
 * May be called from the loop or from a fiber (the caller then continues after the new one ended or suspended).
 */
bool fiber_run(fiber_fn fn, void *arg);
/* NULL when on the bare loop. */
struct fiber *fiber_self(void);

/* Suspends until fiber_wake. The reason is a literal, shown in diagnostics ("sql", "call"). */
void fiber_suspend(const char *reason) YIELDS;
/* Makes a suspended fiber ready; it runs later in this loop turn. Only on its own shard, exactly once per suspension. */
void fiber_wake(struct fiber *f);
/* At least so long (resolution about 10 ms); 0 lets the others run first. */
void fiber_sleep(unsigned ms) YIELDS;

/* Between these two a suspension aborts (all builds): for table walks and hook runs that promise atomicity. Nests. */
void fiber_no_yield_begin(void);
void fiber_no_yield_end(void);

/* Number of fibers alive on this shard, and how many stacks are kept. */
unsigned fiber_count(void);
unsigned fiber_stacks(void);
/* Fiber turns on this shard that lasted longer than 20 ms (they are logged too). */
uint64_t fiber_slow_turns(void);
/* Gives idle pooled stacks back to the system. */
void fiber_trim(void);

#endif
