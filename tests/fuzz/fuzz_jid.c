/*
 * Addresses from arbitrary bytes. What is accepted must be a fixed point, in its limits, cut where its parts say, and
 * the same whichever way it is made; escaping must be undone by unescaping.
 */
#include "base/utf8.h"
#include "xmpp/jid.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define CHECK(cond)  \
    do {             \
        if (!(cond)) \
            abort(); \
    } while (0)

static void check_address(struct arena *a, struct jid j)
{
    struct jid again, made;
    struct str user = jid_user(j), host = jid_host(j), res = jid_res(j);
    CHECK(utf8_valid(jid_full(j)) && !memchr(j.s, '\0', jid_full(j).n));
    CHECK(host.n > 0 && host.n <= JID_PART_MAX && user.n <= JID_PART_MAX && res.n <= JID_PART_MAX);
    CHECK(str_find(user, '@') < 0 && str_find(user, '/') < 0 && str_find(host, '@') < 0 && str_find(host, '/') < 0);
    CHECK(jid_parse(a, jid_full(j), &again) && jid_eq(j, again));
    CHECK(jid_make(a, user, host, res, &made) && jid_eq(j, made));
    CHECK(jid_parse(a, jid_bare(j), &again) && jid_bare_eq(j, again) && jid_is_bare(again));
    CHECK(jid_home_hash(j) == jid_home_hash_parts(user, host));
}

static void check_part(struct arena *a, struct str in, bool (*prep)(struct arena *a, struct str in, struct str *out))
{
    struct str once, twice;
    if (!prep(a, in, &once))
        return;
    CHECK(once.n <= JID_PART_MAX && utf8_valid(once));
    CHECK(prep(a, once, &twice) && str_eq(once, twice));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena *a = arena_new();
    struct str in = str_n((const char *)data, n), escaped;
    struct jid j;
    if (jid_parse(a, in, &j))
        check_address(a, j);
    else
        CHECK(!jid_present(j));
    check_part(a, in, jid_nodeprep);
    check_part(a, in, jid_nameprep);
    check_part(a, in, jid_resourceprep);
    check_part(a, in, jid_saslprep);
    escaped = jid_escape_node(a, in);
    if (escaped.p)
        CHECK(str_eq(jid_unescape_node(a, escaped), in));
    CHECK(jid_unescape_node(a, in).n <= in.n);
    arena_release(&a);
    return 0;
}
