/* Classes of bytes in addresses, shared by jid.c and jid_prep.c; private to them. */
#ifndef XMPP_JID_CLASS_H
#define XMPP_JID_CLASS_H

#include "xmpp/jid.h"

enum {
    JC_BAD_NODE = 1,  /* prohibited in a localpart: RFC 6122 §A.5 */
    JC_BAD_HOST = 2,  /* prohibited in a domainpart */
    JC_BAD_RES = 4,   /* prohibited in a resourcepart: RFC 6122 §B.5 */
    JC_UPPER = 8,     /* A-Z */
    JC_HIGH = 16,     /* part of a longer character */
    JC_SEP = 32,      /* @ and / */
    JC_DOT = 64
};

extern const uint8_t jid_class[256];

static inline unsigned jid_classes(struct str s)
{
    unsigned acc = 0;
    for (size_t i = 0; i < s.n; i++)
        acc |= jid_class[(uint8_t)s.p[i]];
    return acc;
}

/* Lower case of A-Z, the only letters that case folding changes in ASCII. */
static inline void jid_lower(char *dst, const char *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = jid_class[(uint8_t)src[i]] & JC_UPPER ? (char)(src[i] | 0x20) : src[i];
}

/* No empty label, which includes a dot at either end. */
bool jid_labels_ok(struct str host);

#endif
