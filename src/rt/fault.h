/*
 * Named fault injection points (rt/fault.def), compiled in when CJ_FAULTS is defined and always answering "no" otherwise.
 * Switched by the environment: CJABBERD_FAULTS="store_busy,write_short=3" (fails the third time and after "=N" only once). While
 * the process runs, by the file that CJABBERD_FAULTS_FILE names: one int64_t for each point in the order of the list, mapped, so
 * that whoever writes a number there is heard at once. N: it fails the Nth time from now, and the number goes down; -1: always.
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
/* When it is hit, the process ends here as by `kill -9`. */
void fault_die(enum fault f);
#else
static inline void fault_init(void) {}
static inline bool fault_hit(enum fault f) { (void)f; return false; }
static inline void fault_die(enum fault f) { (void)f; }
#endif

#endif
