/*
 * Named fault injection points (rt/fault.def), compiled in when CJ_FAULTS is defined and always answering "no" otherwise.
 * Switched by the environment: CJABBERD_FAULTS="sqlite_busy,write_eio=3" (fails the third time and after "=N" only once).
 */
#ifndef RT_FAULT_H
#define RT_FAULT_H

#include <stdbool.h>

enum fault {
#define FAULT(name, sentence) FAULT_##name,
#include "rt/fault.def"
#undef FAULT
    FAULT__COUNT
};

#ifdef CJ_FAULTS
void fault_init(void);
bool fault_hit(enum fault f);
#else
static inline void fault_init(void) {}
static inline bool fault_hit(enum fault f) { (void)f; return false; }
#endif

#endif
