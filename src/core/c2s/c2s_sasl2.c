/*
 * Extensible SASL profile (XEP-0388) with what goes inline: resuming a session (XEP-0198 §9) and binding (XEP-0386). The exchange
 * itself is that of core/c2s/c2s_sasl.c; here are the other elements around it, and what happens at the home shard, where the
 * stream goes between the proof and <success/>. May suspend.
 */
#include "base/base64.h"
#include "base/log.h"
#include "base/rand.h"
#include "core/account/stranger.h"
#include "core/c2s/c2s_stream.h"
#include "core/c2s/mgmt.h"
#include "core/cookie.h"
#include "core/module/module.h"
#include "xml/writer.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define NS2 "urn:xmpp:sasl:2"
#define NS_BIND2 "urn:xmpp:bind:0"
#define TAG_MAX 64
#define AGENT_MAX 128
#define OWN_PART 20 /* bytes of the resource */

/* Of the login, in its arena. */
struct sasl2 {
    struct xml_el *request;
    struct str data;       /* of the mechanism, for <success/> */
};

static bool is(const struct xml_el *el, const char *name, const char *ns)
{
    return str_eq(el->name, str_of(name)) && str_eq(el->ns_uri, str_of(ns));
}

static struct xml_el *child(const struct xml_el *parent, const char *name, const char *ns)
{
    struct xml_el *el = parent ? xml_first(parent) : NULL;
    while (el && !is(el, name, ns))
        el = xml_next(el);
    return el;
}

static bool loaded(const struct c2s *c, const char *name)
{
    const struct module *m = module_find(str_of(name));
    return m && module_loaded(c2s_vhost(c)->index, m);
}

/* Passwords and tokens in the clear are for whoever insists (option allow_unencrypted_sasl2). */
bool c2s_sasl2_offered(const struct c2s *c)
{
    return conn_is_tls(c->conn) || c2s_listen(c)->plain_sasl2;
}

void c2s_sasl2_features(struct c2s *c, struct buf *b)
{
    unsigned set = c->login->offered;
    if (!c2s_sasl2_offered(c) || !set)
        return;
    const char *sm = c2s_mgmt_options(c) ? "<sm xmlns='urn:xmpp:sm:3'/>" : "";
    buf_add_str(b, S("<authentication xmlns='" NS2 "'>"));
    for (enum sasl_mech m = 0; m < SASL_MECH__COUNT; m++)
        if (set & SASL_MECH_BIT(m))
            buf_printf(b, "<mechanism>%.*s</mechanism>", STR_ARG(sasl_mech_info(m)->name));
    c2s_upgrade_features(c, b);
    buf_add_str(b, S("<inline><bind xmlns='" NS_BIND2 "'><inline>"));
    if (*sm)
        buf_add_str(b, S("<feature var='urn:xmpp:sm:3'/>"));
    if (loaded(c, "mod_carboncopy"))
        buf_add_str(b, S("<feature var='urn:xmpp:carbons:2'/>"));
    if (loaded(c, "mod_client_state"))
        buf_add_str(b, S("<feature var='urn:xmpp:csi:0'/>"));
    buf_printf(b, "</inline></bind>%s", sm);
    c2s_fast_features(c, b);
    buf_add_str(b, S("</inline></authentication>"));
}

/* --- the exchange --- */

bool c2s_sasl2_begin(struct c2s *c, struct xml_el *el)
{
    struct c2s_login *l = c->login;
    if (!is(el, "authenticate", NS2))
        return false;
    l->fast = (struct c2s_fast){0};
    l->v2 = ARENA_NEW(l->arena, struct sasl2);
    l->v2->request = xml_copy(l->arena, el);
    return true;
}

struct xml_el *c2s_sasl2_child(const struct c2s *c, const char *name, const char *ns)
{
    return c->login->v2 ? child(c->login->v2->request, name, ns) : NULL;
}

struct xml_el *c2s_sasl2_initial(const struct c2s *c)
{
    return c2s_sasl2_child(c, "initial-response", NS2);
}

struct str c2s_sasl2_agent(const struct c2s *c)
{
    const struct xml_el *agent = child(c->login->v2->request, "user-agent", NS2);
    struct str id = agent ? xml_attr_get(agent, TOK_id) : STR_NULL;
    return id.n && id.n <= AGENT_MAX ? id : STR_NULL;
}

void c2s_sasl2_challenge(struct c2s *c, struct str data)
{
    struct buf *b = conn_out_begin(c->conn);
    buf_printf(b, "<challenge xmlns='" NS2 "'>%.*s</challenge>", STR_ARG(base64_encode(c->login->arena, data)));
    conn_out_end(c->conn);
}

void c2s_sasl2_failure(struct c2s *c, struct str condition, struct str text)
{
    struct buf *b = conn_out_begin(c->conn);
    c->login->v2 = NULL;
    buf_printf(b, "<failure xmlns='" NS2 "'><%.*s xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", STR_ARG(condition));
    if (text.n) {
        buf_add_str(b, S("<text xml:lang='en'>"));
        xml_escape_text(b, text);
        buf_add_str(b, S("</text>"));
    }
    buf_add_str(b, S("</failure>"));
    conn_out_end(c->conn);
}

void c2s_sasl2_proved(struct c2s *c, struct str data)
{
    if (!c2s_upgrade_begin(c, data))
        c2s_sasl2_complete(c, data);
}

void c2s_sasl2_complete(struct c2s *c, struct str data)
{
    c->login->v2->data = data;
    c2s_fast_proved(c);
    c2s_authenticated(c);
}

/* --- at home --- */

/* Up to what the inline features add. */
static void write_success(const struct c2s *c, struct buf *b, struct str jid)
{
    const struct sasl2 *v = c->login->v2;
    buf_add_str(b, S("<success xmlns='" NS2 "'>"));
    if (v->data.n)
        buf_printf(b, "<additional-data>%.*s</additional-data>", STR_ARG(base64_encode(c->login->arena, v->data)));
    buf_add_str(b, S("<authorization-identifier>"));
    xml_escape_text(b, jid);
    buf_add_str(b, S("</authorization-identifier>"));
    buf_add_str(b, c->login->fast.answer);
}

/*
 * What the server adds to the client's word. For a client that says which one it is (user-agent id, XEP-0388 §2.3) always the
 * same, so that its addresses stay and its forgotten session makes room (XEP-0386 §3.2.1); the id cannot be told from it.
 */
static struct str own_part(struct c2s *c)
{
    struct c2s_login *l = c->login;
    struct str agent = c2s_sasl2_agent(c);
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char random[OWN_PART + 1];
    rand_token(random, OWN_PART);
    if (!agent.n)
        return arena_str(l->arena, str_of(random));
    struct str text = arena_printf(l->arena, "bind2 %.*s@%.*s %.*s", STR_ARG(l->user), STR_ARG(l->host), STR_ARG(agent));
    if (!HMAC(EVP_sha256(), cookie().p ? cookie().p : "", (int)cookie().n, (const unsigned char *)text.p, text.n, md, &n))
        return arena_str(l->arena, str_of(random));
    struct str hex = hex_encode(l->arena, str_n((const char *)md, n));
    return str_n(hex.p, OWN_PART);
}

static struct str resource_for(struct c2s *c, struct xml_el *bind)
{
    struct xml_el *tag = child(bind, "tag", NS_BIND2);
    struct str text = tag ? xml_text_of(c->login->arena, tag) : STR_NULL, word = STR_NULL, own = own_part(c);
    if (text.n > TAG_MAX || (text.n && !jid_resourceprep(c->login->arena, text, &word)))
        word = STR_NULL;
    return word.n ? arena_printf(c->login->arena, "%.*s.%.*s", STR_ARG(word), STR_ARG(own)) : own;
}

/*
 * No stream restart: features come right behind <success/> (XEP-0388 §2.6.1). What the request has enabled is not offered again:
 * a client (xmpp.js) asks for what it is offered, is refused, and gives up the stream management it has.
 */
static void write_bound_features(const struct c2s *c, struct buf *b)
{
    buf_add_str(b, S("<stream:features>"));
    hook_run_stream_features(c->host, &(struct features_event){.host = c->host, .out = b});
    if (!c->session->mgmt)
        c2s_mgmt_features(c, b);
    c2s_csi_features(c, b);
    c2s_roster_features(c, b);
    c2s_limits_feature(c, b);
    buf_add_str(b, S("</stream:features>"));
}

static void enter_known(struct c2s *c, struct xml_el *request, struct str failed) YIELDS;
static void enter(struct c2s *c, struct xml_el *request, struct str failed) YIELDS;
static void enter(struct c2s *c, struct xml_el *request, struct str failed)
{
    struct account *stranger;
    if (!c2s_note_stranger(c, &stranger))
        return;
    enter_known(c, request, failed);
    if (stranger)
        stranger_settle(stranger);
}

static void enter_known(struct c2s *c, struct xml_el *request, struct str failed)
{
    struct buf head = BUF_INIT;
    struct jid full;
    struct xml_el *enable = child(request, "enable", "urn:xmpp:sm:3");
    struct xml_el *inactive = child(request, "inactive", "urn:xmpp:csi:0");
    struct xml_el *carbons = child(request, "enable", "urn:xmpp:carbons:2");
    if (!c2s_bind_resource(c, resource_for(c, request), &full)) {
        c2s_end(c, "policy-violation", S("Access denied by service policy"));
        return;
    }
    c->session->carbons = carbons && loaded(c, "mod_carboncopy"); /* before what may be resumed is written down */
    write_success(c, &head, jid_full(full));
    buf_add_str(&head, failed);
    buf_add_str(&head, S("<bound xmlns='" NS_BIND2 "'>"));
    if (enable)
        c2s_mgmt_enable_inline(c, enable, &head);
    buf_add_str(&head, S("</bound></success>"));
    write_bound_features(c, &head);
    c2s_write(c, buf_str(&head));
    buf_deinit(&head);
    c->state = C2S_BOUND;
    if (inactive)
        c2s_csi(c, inactive);
    c2s_bound(c);
    session_opened(c->session);
}

static void only_authenticated(struct c2s *c, struct str failed)
{
    struct buf head = BUF_INIT;
    struct jid who = jid_join(c->login->arena, c->login->user, c2s_vhost(c)->name, STR_NULL);
    write_success(c, &head, jid_bare(who));
    buf_add_str(&head, failed);
    buf_add_str(&head, S("</success>"));
    c2s_write(c, buf_str(&head));
    buf_deinit(&head);
    c->login->v2 = NULL;
    c2s_send_features(c);
}

/* Resuming comes first; binding is for when that fails (XEP-0198 §9.2). */
static bool resumed(struct c2s *c, struct buf *failed) YIELDS;
static bool resumed(struct c2s *c, struct buf *failed)
{
    struct xml_el *resume = child(c->login->v2->request, "resume", "urn:xmpp:sm:3");
    if (!resume || !c2s_mgmt_options(c))
        return false;
    struct session *s = c2s_mgmt_former(c, resume, failed);
    if (c->state != C2S_BIND)
        return true; /* it ended meanwhile */
    if (!s)
        return false;
    struct buf head = BUF_INIT;
    write_success(c, &head, jid_full(session_jid(s)));
    c2s_mgmt_resume(c, s, buf_str(&head), S("</success>"));
    buf_deinit(&head);
    return true;
}

void c2s_sasl2_finish(struct c2s *c)
{
    struct buf failed = BUF_INIT;
    if (!c2s_still_welcome(c))
        return;
    c2s_fast_issue(c);
    if (c->state != C2S_BIND)
        return; /* it ended meanwhile */
    if (!resumed(c, &failed)) {
        struct xml_el *request = child(c->login->v2->request, "bind", NS_BIND2);
        if (request)
            enter(c, request, buf_str(&failed));
        else
            only_authenticated(c, buf_str(&failed));
    }
    buf_deinit(&failed);
}
