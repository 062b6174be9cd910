/* Judges one stream of numbered messages: which are missing, late or doubled. */
#include "load.h"

#include <stdlib.h>

void seqcheck_init(struct seqcheck *s, uint64_t limit)
{
    *s = (struct seqcheck){.limit = limit, .bits = calloc(limit / 8 + 1, 1)};
    if (!s->bits)
        die("out of memory");
}

void seqcheck_deinit(struct seqcheck *s)
{
    free(s->bits);
    s->bits = NULL;
}

void seqcheck_saw(struct seqcheck *s, uint64_t number)
{
    if (number >= s->limit) {
        s->invalid++;
        return;
    }
    uint8_t bit = (uint8_t)(1u << (number & 7));
    if (s->bits[number >> 3] & bit) {
        s->duplicates++;
        return;
    }
    s->bits[number >> 3] |= bit;
    s->seen++;
    if (number < s->next)
        s->disorder++;
    else
        s->next = number + 1;
}
