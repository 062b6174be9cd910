/*
 * Client state indication on client streams (XEP-0352): while the client says that nobody looks at it, presence, chat states and
 * PEP events wait, only the newest of each sender, and go out in order of arrival when somebody looks again, when there are too
 * many, or before something that matters from the same sender. Home shard; nothing suspends. Memory only while inactive.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "core/c2s/c2s_stream.h"
#include "core/c2s/mgmt.h"
#include "core/module/module.h"
#include <stdlib.h>

#define ITEMS_MAX 256
#define BYTES_MAX (256u << 10)

enum csi_kind { CSI_MATTERS, CSI_PRESENCE, CSI_CHAT_STATE, CSI_PEP };

struct csi {
    struct list items; /* oldest first */
    uint32_t n, bytes;
    bool presence, chat_states, pep; /* what waits, by the options */
};

struct csi_item {
    struct list link;
    uint8_t kind, stanza_kind;
    uint32_t from_n, bare_n, node_n, xml_n;
    char data[]; /* from, node, xml */
};

static struct str item_xml(const struct csi_item *i)
{
    return str_n(i->data + i->from_n + i->node_n, i->xml_n);
}

/* --- what can wait --- */

static const struct xml_el *forwarded(const struct stanza *s)
{
    const struct xml_el *copy = xml_child(s->el, TOK_received, TOK_NS_CARBONS);
    if (!copy)
        copy = xml_child(s->el, TOK_sent, TOK_NS_CARBONS);
    const struct xml_el *f = copy ? xml_child(copy, TOK_forwarded, TOK_NS_FORWARD) : NULL;
    return f ? xml_child(f, TOK_message, TOK_NS_CLIENT) : NULL;
}

/* A chat state and nothing that a person would read: XEP-0085 §5.3 allows a thread beside it. */
static bool only_chat_state(const struct xml_el *message)
{
    bool state = false;
    for (const struct xml_el *el = xml_first(message); el; el = xml_next(el)) {
        if (el->ns == TOK_NS_CHATSTATES)
            state = true;
        else if (el->ns != TOK_NS_HINTS && el->ns != TOK_NS_DELAY && el->ns != TOK_NS_SID &&
                 !(el->ns == TOK_NS_CLIENT && str_eq(el->name, S("thread"))))
            return false;
    }
    return state;
}

/* XEP-0163: an event of an account, not of a service. The node goes out. */
static bool pep_event(const struct stanza *s, struct str *node_out)
{
    const struct xml_el *event = xml_first(s->el);
    if (!event || !str_eq(event->name, S("event")) || !str_eq(event->ns_uri, S("http://jabber.org/protocol/pubsub#event")) ||
        !jid_is_bare(s->from) || !s->from.user_len)
        return false;
    const struct xml_el *items = xml_first(event);
    if (!items || xml_next(items) || !str_eq(items->name, S("items")))
        return false;
    *node_out = xml_attr_get(items, TOK_node);
    return true;
}

static enum csi_kind classify(const struct csi *q, const struct stanza *s, struct str *node_out)
{
    *node_out = STR_NULL;
    if (s->kind == STANZA_PRESENCE)
        return q->presence && (s->type == ST_AVAILABLE || s->type == ST_UNAVAILABLE) ? CSI_PRESENCE : CSI_MATTERS;
    if (s->kind != STANZA_MESSAGE || s->type == ST_ERROR)
        return CSI_MATTERS;
    const struct xml_el *inner = forwarded(s);
    if (q->chat_states && only_chat_state(inner ? inner : s->el)) {
        /* Copies all come from the own account: what tells them apart is who wrote. */
        *node_out = inner ? xml_attr_get(inner, TOK_from) : STR_NULL;
        return CSI_CHAT_STATE;
    }
    return q->pep && pep_event(s, node_out) ? CSI_PEP : CSI_MATTERS;
}

/* --- the queue --- */

static void take_out(struct csi *q, struct csi_item *i)
{
    list_del(&i->link);
    q->n--;
    q->bytes -= i->xml_n;
}

static void deliver(struct c2s *c, struct csi *q, struct csi_item *i)
{
    take_out(q, i);
    struct buf *b = conn_out_begin(c->conn);
    size_t at = b->n;
    buf_add_str(b, item_xml(i));
    if (c->session->mgmt)
        c2s_mgmt_sent(c, i->stanza_kind, NULL, b, at);
    conn_out_end(c->conn);
    free(i);
}

static void deliver_all(struct c2s *c)
{
    struct csi *q = c->csi;
    LIST_EACH_SAFE(it, &q->items)
        deliver(c, q, LIST_ENTRY(it, struct csi_item, link));
}

static void deliver_of(struct c2s *c, struct str bare)
{
    struct csi *q = c->csi;
    LIST_EACH_SAFE(it, &q->items) {
        struct csi_item *i = LIST_ENTRY(it, struct csi_item, link);
        if (str_eq(str_n(i->data, i->bare_n), bare))
            deliver(c, q, i);
    }
}

static void drop_older(struct csi *q, enum csi_kind kind, struct str from, struct str node)
{
    LIST_EACH_SAFE(it, &q->items) {
        struct csi_item *i = LIST_ENTRY(it, struct csi_item, link);
        if (i->kind == kind && str_eq(str_n(i->data, i->from_n), from) && str_eq(str_n(i->data + i->from_n, i->node_n), node)) {
            take_out(q, i);
            free(i);
        }
    }
}

/* Seen later, it has to say when it was (XEP-0203). */
static void write_delayed(const struct c2s *c, const struct stanza *s, struct buf *out)
{
    struct arena *a = arena_new();
    struct stanza copy = *s;
    copy.el = xml_copy(a, s->el);
    if (!xml_child(s->el, TOK_delay, TOK_NS_DELAY)) {
        struct xml_el *d = xml_add(a, copy.el, TOK_delay, TOK_NS_DELAY);
        xml_attr_set(a, d, TOK_from, jid_host(session_jid(c->session)));
        xml_attr_set(a, d, TOK_stamp, clock_format(a, clock_wall_us(), false));
    }
    session_write(c->session, &copy, out);
    arena_release(&a);
}

static void keep(struct c2s *c, const struct stanza *s, enum csi_kind kind, struct str node)
{
    struct csi *q = c->csi;
    struct str from = jid_full(s->from);
    struct buf b = BUF_INIT;
    write_delayed(c, s, &b);
    struct csi_item *i = mem_alloc(sizeof *i + from.n + node.n + b.n);
    *i = (struct csi_item){.kind = (uint8_t)kind, .stanza_kind = (uint8_t)s->kind, .from_n = (uint32_t)from.n,
                           .bare_n = (uint32_t)jid_bare(s->from).n, .node_n = (uint32_t)node.n, .xml_n = (uint32_t)b.n};
    memcpy(i->data, from.p, from.n);
    if (node.n)
        memcpy(i->data + from.n, node.p, node.n);
    memcpy(i->data + from.n + node.n, b.p, b.n);
    list_push(&q->items, &i->link);
    q->n++;
    q->bytes += i->xml_n;
    buf_deinit(&b);
}

bool c2s_csi_keeps(struct c2s *c, const struct stanza *s)
{
    struct str node;
    enum csi_kind kind = classify(c->csi, s, &node);
    /* What comes from the account itself is the client's own doing. */
    if (kind == CSI_MATTERS || (kind == CSI_PRESENCE && jid_eq(s->from, session_jid(c->session)))) {
        deliver_of(c, jid_bare(s->from));
        return false;
    }
    drop_older(c->csi, kind, jid_full(s->from), node);
    keep(c, s, kind, node);
    if (c->csi->n > ITEMS_MAX || c->csi->bytes > BYTES_MAX)
        deliver_all(c);
    return true;
}

void c2s_csi_free(struct c2s *c)
{
    struct csi *q = c->csi;
    if (!q)
        return;
    LIST_EACH_SAFE(it, &q->items)
        free(LIST_ENTRY(it, struct csi_item, link));
    free(q);
    c->csi = NULL;
}

/* The stream is lost: what waited belongs to what the client has not got (XEP-0352 §5: a resumed stream is active). */
void c2s_csi_to_mgmt(struct c2s *c, struct mgmt *m)
{
    struct csi *q = c->csi;
    if (q)
        LIST_EACH(it, &q->items) {
            const struct csi_item *i = LIST_ENTRY(it, struct csi_item, link);
            mgmt_append(m, i->stanza_kind, item_xml(i), (uint32_t)clock_wall_s(), NULL);
        }
    c2s_csi_free(c);
}

/* --- elements --- */

static const struct options *options_of(const struct c2s *c)
{
    const struct vhost *h = c2s_vhost(c);
    const struct module *m = module_find(S("mod_client_state"));
    return h && m && module_loaded(h->index, m) ? module_options(h->index, m) : NULL;
}

void c2s_csi(struct c2s *c, const struct xml_el *el)
{
    const struct options *o = options_of(c);
    if (c->state != C2S_BOUND || !c->session)
        return;
    if (el->tok == TOK_active && c->csi) {
        deliver_all(c);
        c2s_csi_free(c);
    } else if (el->tok == TOK_inactive && !c->csi && o) {
        c->csi = MEM_NEW(struct csi);
        list_init(&c->csi->items);
        c->csi->presence = opt_bool(o, "queue_presence");
        c->csi->chat_states = opt_bool(o, "queue_chat_states");
        c->csi->pep = opt_bool(o, "queue_pep");
    }
}

void c2s_csi_features(const struct c2s *c, struct buf *b)
{
    if (options_of(c))
        buf_add_str(b, S("<csi xmlns='urn:xmpp:csi:0'/>"));
}
