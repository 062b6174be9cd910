/* Case folding with libidn's tables; ASCII without them. Pure. */
#include "xmpp/casefold.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <stringprep.h>

/* The library tells how long table B.2 is only inside a profile that uses it. */
static void fold_profile(Stringprep_profile out[3])
{
    const Stringprep_profile *p = stringprep_nameprep;

    memset(out, 0, 3 * sizeof(*out));
    while (p->operation && p->table != stringprep_rfc3454_B_2)
        p++;
    out[0] = *p;
    /* Unassigned characters too: nothing is refused here. */
    out[0].flags = 0;
    out[1].operation = STRINGPREP_NFKC;
}

static struct str fold_ascii(struct arena *a, struct str in)
{
    struct str out = arena_str(a, in);

    for (size_t i = 0; i < out.n; i++)
        if (out.p[i] >= 'A' && out.p[i] <= 'Z')
            ((char *)out.p)[i] = (char)(out.p[i] + 32);
    return out;
}

/* One character becomes at most 18 (U+FDFA): 11 bytes for each one. */
#define GROWTH 12

struct str casefold(struct arena *a, struct str in)
{
    size_t room = in.n * GROWTH + 1;
    Stringprep_profile fold[3];
    struct str out = in;
    char *buf;

    if (utf8_is_ascii(in))
        return fold_ascii(a, in);
    if (!utf8_valid(in) || memchr(in.p, 0, in.n))
        return in;
    buf = mem_alloc(room);
    memcpy(buf, in.p, in.n);
    buf[in.n] = 0;
    fold_profile(fold);
    if (stringprep(buf, room, 0, fold) == STRINGPREP_OK)
        out = arena_str(a, str_of(buf));
    free(buf);
    return out;
}
