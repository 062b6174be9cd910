/*
 * Types of options, as a small notation the table is written in:
 *   bool str str1 (not empty) word int(lo,hi) (a bound may be left out) num (>= 0, fractions) inf (infinity, unlimited)
 *   time (seconds, or text with a unit; milliseconds inside) octal {a,b} (one of these words)
 *   domain host (may contain @HOST@) jid url ip ip4 ip6 net (address or network) file dir regexp lang any
 *   access shaper (name of a rule, or a rule in place)
 *   list(T) uniq(T) (no entry twice) uniq1(T) (nor empty) some(T) (one, or a list)
 *   map(K,V) opts(name:T,...) T|T
 */
#ifndef CORE_OPTION_TYPE_H
#define CORE_OPTION_TYPE_H

#include "core/config/option.h"

struct type_subject {
    const char *option;
    const char *of; /* "listener ejabberd_c2s"; NULL: top level */
    bool secret;    /* the value is not shown in messages */
};

/*
 * Checks y against the type and converts it. 0, or -1 with err set:
 * "FILE:LINE:COLUMN: option 'OPTION' of OF must be WORDS, got X". The result lives in the arena.
 */
int type_check(struct arena *a, const char *type, const struct type_subject *subject, struct yaml *y,
               struct opt_value *out, struct error *err);
/* Is the notation well formed? For the test of the table. */
bool type_valid(const char *type);
/* "a positive integer or 'infinity'" */
void type_words(struct buf *out, const char *type);

#endif
