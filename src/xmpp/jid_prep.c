/*
 * Preparation of the parts of an address: nodeprep and resourceprep (RFC 6122 appendices A and B), nameprep (RFC 3491)
 * and SASLprep (RFC 4013). ASCII is decided by a table, everything else by libidn, with unassigned code points refused
 * ("stored strings", RFC 3454 §7). Pure functions, any thread, nothing suspends. Hosts are not turned into A-labels:
 * that belongs to whoever asks the DNS.
 */
#include "xmpp/jid.h"

#include "base/secret.h"
#include "base/utf8.h"
#include "xmpp/jid_class.h"

#include <stringprep.h>

#define JC_BAD (JC_BAD_NODE | JC_BAD_HOST | JC_BAD_RES)

/*
 * Hosts are looser than a domain name, for the sake of addresses that are already stored (COMPAT(ejabberd)): ports,
 * underscores and IP literals pass. White space, controls and whatever has a meaning in XML, shells or paths does not.
 */
const uint8_t jid_class[256] = {
    [0 ... 0x1f] = JC_BAD,
    [' '] = JC_BAD_NODE | JC_BAD_HOST,
    ['"'] = JC_BAD_NODE | JC_BAD_HOST,
    ['&'] = JC_BAD_NODE | JC_BAD_HOST,
    ['\''] = JC_BAD_NODE | JC_BAD_HOST,
    ['.'] = JC_DOT,
    ['/'] = JC_BAD_NODE | JC_BAD_HOST | JC_SEP,
    [':'] = JC_BAD_NODE,
    ['<'] = JC_BAD_NODE | JC_BAD_HOST,
    ['>'] = JC_BAD_NODE | JC_BAD_HOST,
    ['@'] = JC_BAD_NODE | JC_BAD_HOST | JC_SEP,
    ['A' ... 'Z'] = JC_UPPER,
    ['\\'] = JC_BAD_HOST,
    [0x7f] = JC_BAD,
    [0x80 ... 0xff] = JC_HIGH,
};

bool jid_labels_ok(struct str host)
{
    if (host.n == 0 || host.p[0] == '.' || host.p[host.n - 1] == '.')
        return false;
    unsigned pairs = 0;
    for (size_t i = 1; i < host.n; i++)
        pairs |= (unsigned)(host.p[i] == '.') & (unsigned)(host.p[i - 1] == '.');
    return pairs == 0;
}

static bool run_profile(char buf[JID_PART_MAX + 1], const Stringprep_profile *profile)
{
    return stringprep(buf, JID_PART_MAX + 1, STRINGPREP_NO_UNASSIGNED, profile) == STRINGPREP_OK;
}

/* Input that is not plain ASCII. Empty results are refused: a part cannot vanish. */
static bool prep_unicode(struct arena *a, struct str in, const Stringprep_profile *profile, struct str *out)
{
    char once[JID_PART_MAX + 1], twice[JID_PART_MAX + 1];
    if (in.n > JID_PART_MAX || memchr(in.p, '\0', in.n) || !utf8_valid(in))
        return false;
    memcpy(once, in.p, in.n);
    once[in.n] = '\0';
    bool ok = run_profile(once, profile) && once[0];
    if (ok) {
        /*
         * An address that changes when prepared again would have two homes, and stringprep does not promise that
         * mapping, normalising and mapping again end up in the same place.
         */
        memcpy(twice, once, sizeof(twice));
        ok = run_profile(twice, profile) && strcmp(once, twice) == 0;
        secret_wipe(twice, sizeof(twice));
    }
    if (ok)
        *out = arena_str(a, str_of(once));
    secret_wipe(once, sizeof(once));
    return ok;
}

static bool lower_ascii(struct arena *a, struct str in, unsigned classes, struct str *out)
{
    *out = in;
    if (classes & JC_UPPER) {
        char *p = arena_alloc(a, in.n);
        jid_lower(p, in.p, in.n);
        out->p = p;
    }
    return true;
}

bool jid_nodeprep(struct arena *a, struct str in, struct str *out)
{
    unsigned classes = jid_classes(in);
    if (UNLIKELY(classes & JC_HIGH))
        return prep_unicode(a, in, stringprep_xmpp_nodeprep, out) && !(jid_classes(*out) & JC_BAD_NODE);
    return in.n <= JID_PART_MAX && !(classes & JC_BAD_NODE) && lower_ascii(a, in, classes, out);
}

/* RFC 7622 §3.2: one final dot is no part of the address, and goes before anything else is done. */
static struct str without_final_dot(struct str host)
{
    if (host.n && host.p[host.n - 1] == '.')
        host.n--;
    return host;
}

bool jid_nameprep(struct arena *a, struct str in, struct str *out)
{
    struct str host = without_final_dot(in);
    unsigned classes = jid_classes(host);
    if (host.n == 0 || host.n > JID_PART_MAX)
        return false;
    if (UNLIKELY(classes & JC_HIGH)) {
        /* Compatibility forms turn into ASCII here (U+FF20 into @, U+2100 into a/c), so the result is judged again. */
        if (!prep_unicode(a, host, stringprep_nameprep, out))
            return false;
        if (host.n == in.n)
            *out = without_final_dot(*out);
        return !(jid_classes(*out) & JC_BAD_HOST) && jid_labels_ok(*out);
    }
    return !(classes & JC_BAD_HOST) && jid_labels_ok(host) && lower_ascii(a, host, classes, out);
}

bool jid_resourceprep(struct arena *a, struct str in, struct str *out)
{
    unsigned classes = jid_classes(in);
    if (UNLIKELY(classes & JC_HIGH))
        return prep_unicode(a, in, stringprep_xmpp_resourceprep, out);
    *out = in;
    return in.n <= JID_PART_MAX && !(classes & JC_BAD_RES);
}

bool jid_saslprep(struct arena *a, struct str in, struct str *out)
{
    unsigned classes = jid_classes(in);
    if (classes & JC_HIGH)
        return prep_unicode(a, in, stringprep_saslprep, out);
    /* The ASCII that SASLprep prohibits is the control characters, as in a resource. */
    *out = in;
    return in.n <= JID_PART_MAX && !(classes & JC_BAD_RES);
}
