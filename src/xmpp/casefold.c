/* Case folding with libidn's tables; ASCII without them. Pure. */
#include "xmpp/casefold.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <stringprep.h>

static const Stringprep_profile fold_profile[] = {
    {STRINGPREP_MAP_TABLE, 0, stringprep_rfc3454_B_2, 0},
    {STRINGPREP_NFKC, 0, NULL, 0},
    {0},
};

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
    struct str out = in;
    char *buf;

    if (utf8_is_ascii(in))
        return fold_ascii(a, in);
    if (!utf8_valid(in) || memchr(in.p, 0, in.n))
        return in;
    buf = mem_alloc(room);
    memcpy(buf, in.p, in.n);
    buf[in.n] = 0;
    if (stringprep(buf, room, 0, fold_profile) == STRINGPREP_OK)
        out = arena_str(a, str_of(buf));
    free(buf);
    return out;
}
