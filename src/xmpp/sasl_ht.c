/* Hashed Token mechanisms; see the header. Any thread, nothing suspends. Leaves out where tokens come from (core/auth/fast.h). */
#include "xmpp/sasl_ht.h"

#include "base/buf.h"
#include "base/secret.h"
#include "base/utf8.h"
#include "xmpp/scram_crypto.h"

static const struct {
    struct str name, binding;
} mechs[HT__COUNT] = {
    [HT_NONE] = {{"HT-SHA-256-NONE", 15}, {NULL, 0}},
    [HT_UNIQ] = {{"HT-SHA-256-UNIQ", 15}, {"tls-unique", 10}},
    [HT_EXPR] = {{"HT-SHA-256-EXPR", 15}, {"tls-exporter", 12}},
    [HT_ENDP] = {{"HT-SHA-256-ENDP", 15}, {"tls-server-end-point", 20}},
};

struct str ht_name(enum ht_mech m)
{
    return mechs[m].name;
}

bool ht_parse(struct str name, enum ht_mech *out)
{
    for (unsigned m = 0; m < HT__COUNT; m++) {
        if (str_eq(name, mechs[m].name)) {
            *out = (enum ht_mech)m;
            return true;
        }
    }
    return false;
}

struct str ht_binding(enum ht_mech m)
{
    return mechs[m].binding;
}

/* initiator-message = authcid NUL initiator-hashed-token; the hash may have NULs of its own. */
bool ht_message_parse(struct str msg, struct ht_message *out)
{
    const char *nul = msg.n ? memchr(msg.p, '\0', msg.n) : NULL;
    if (!nul || nul == msg.p)
        return false;
    struct str authcid = str_n(msg.p, (size_t)(nul - msg.p)), proof = str_n(nul + 1, msg.n - (size_t)(nul - msg.p) - 1);
    if (authcid.n > HT_NAME_MAX || proof.n != HT_DIGEST || !utf8_valid(authcid))
        return false;
    *out = (struct ht_message){authcid, proof};
    return true;
}

void ht_hash(struct str token, bool responder, struct str cb_data, uint8_t out[HT_DIGEST])
{
    struct buf text = BUF_INIT;
    unsigned char md[SCRAM_MAX_DIGEST];
    buf_add_str(&text, responder ? S("Responder") : S("Initiator"));
    if (cb_data.n)
        buf_add_str(&text, cb_data);
    scram_hmac(SCRAM_SHA256, token, buf_str(&text), md);
    memcpy(out, md, HT_DIGEST);
    secret_wipe(md, sizeof(md));
    buf_deinit(&text);
}
