/*
 * Flexible retrieval of waiting messages, XEP-0013: the owner's session asks how many there are and for their headers (the disco
 * node of the XEP, below the account), views, fetches and removes them. Nothing is removed unless asked for. Ids of messages are
 * the store's row numbers, COMPAT(ejabberd) with SQL. Runs on the account's home; suspends.
 */
#include "base/clock.h"
#include "mod/api/disco.h"
#include "mod/api/offline_parts.h"
#include "mod/api/offline_rules.h"
#include "xmpp/dataform.h"
#include <stdio.h>

#define NODE "http://jabber.org/protocol/offline"
#define ITEMS_MAX 1000                 /* of one request */
#define OUTPUT_HIGH (256 * 1024)       /* a client that reads slowly holds no more */
#define HEADERS_BYTES_MAX (2u << 20)   /* of one answer */

static bool is_owner(const struct stanza *s)
{
    return jid_bare_eq(s->from, s->to);
}

/* §2.2: whoever asks is not flooded any more. NULL: the question does not come from a session. */
static struct session *take_over(const struct stanza *s)
{
    struct account *a = account_find(jid_user(s->from), jid_host(s->from));
    struct session *x = a ? session_find(a, jid_res(s->from)) : NULL;
    if (x)
        x->keeps_offline = true;
    return x;
}

/* --- disco --- */

static enum disco_found on_info(struct disco_ask *ask) YIELDS;
static enum disco_found on_info(struct disco_ask *ask)
{
    const struct stanza *s = ask->request;
    uint64_t n;
    if (!str_eq(ask->node, S(NODE)))
        return DISCO_NOT_MINE;
    take_over(s);
    if (spool_count(jid_host(s->from), jid_user(s->from), &n) != STORE_OK)
        return disco_refuse(ask, ERR_UNAVAILABLE, "Database failure");
    disco_add_identity(ask, "automation", "message-list", STR_NULL);
    disco_add_feature(ask, NODE);
    struct xml_el *x = dataform_new(ask->arena, ask->query, DATAFORM_RESULT);
    dataform_form_type(ask->arena, x, S(NODE));
    dataform_add_value(ask->arena, dataform_add(ask->arena, x, STR_NULL, S("number_of_messages"), STR_NULL),
                       arena_printf(ask->arena, "%llu", (unsigned long long)n));
    return DISCO_ANSWERED;
}

static bool add_header(const struct spool_message *m, void *arg) YIELDS;
static bool add_header(const struct spool_message *m, void *arg)
{
    struct disco_ask *ask = arg;
    struct jid owner = jid_to_bare(ask->request->from);
    char id[24];
    bool broken;
    struct stanza *s = offline_read(m, owner, (int64_t)clock_wall_s(), &broken);
    if (!s)
        return true;
    snprintf(id, sizeof id, "%lld", (long long)m->id);
    disco_add_item(ask, jid_bare(owner), str_of(id), jid_full(s->from));
    stanza_end(&s);
    return arena_size(ask->arena) < HEADERS_BYTES_MAX;
}

static enum disco_found on_items(struct disco_ask *ask) YIELDS;
static enum disco_found on_items(struct disco_ask *ask)
{
    const struct stanza *s = ask->request;
    if (!str_eq(ask->node, S(NODE)))
        return DISCO_NOT_MINE;
    take_over(s);
    enum store_rc rc = spool_each(jid_host(s->from), jid_user(s->from), 0, add_header, ask);
    return rc == STORE_OK || rc == STORE_NONE ? DISCO_ANSWERED : disco_refuse(ask, ERR_UNAVAILABLE, "Database failure");
}

DISCO_NODES(offline_nodes) = {.module = "mod_offline", .account_info = on_info, .account_items = on_items};

/* --- reading --- */

struct fetch {
    struct offline_receiver to;
    bool gone;
};

static bool send_one(const struct spool_message *m, void *arg) YIELDS;
static bool send_one(const struct spool_message *m, void *arg)
{
    struct fetch *f = arg;
    bool broken;
    struct session *x = offline_receiver_find(&f->to);
    struct stanza *s = x ? offline_read(m, jid_to_bare(f->to.jid), (int64_t)clock_wall_s(), &broken) : NULL;
    if (s) {
        struct xml_el *item = xml_add(s->arena, xml_add(s->arena, s->el, TOK_offline, TOK_NS_OFFLINE), TOK_item, TOK_NONE);
        xml_attr_set(s->arena, item, TOK_node, arena_printf(s->arena, "%lld", (long long)m->id));
        session_send(x, s);
        stanza_end(&s);
    }
    f->gone = !x || !session_drain(x, OUTPUT_HIGH);
    return !f->gone;
}

/* The answer of a request that read the store. */
static void finish(struct iq *iq, enum store_rc rc)
{
    if (rc == STORE_OK)
        iq_result_empty(iq);
    else if (rc == STORE_NONE)
        iq_error(iq, ERR_NOT_FOUND, NULL);
    else
        iq_error(iq, ERR_UNAVAILABLE, "Database failure");
}

static bool begin_fetch(struct iq *iq, struct fetch *f)
{
    struct session *x = take_over(iq->stanza);
    *f = (struct fetch){0};
    if (x)
        offline_receiver_init(&f->to, iq->arena, x);
    else
        iq_error(iq, ERR_NO_RECIPIENT, "User session not found");
    return x != NULL;
}

static void fetch_all(struct iq *iq) YIELDS;
static void fetch_all(struct iq *iq)
{
    struct fetch f;
    if (!begin_fetch(iq, &f))
        return;
    enum store_rc rc = spool_each(jid_host(f.to.jid), jid_user(f.to.jid), 0, send_one, &f);
    finish(iq, rc == STORE_NONE ? STORE_OK : rc); /* as recorded: an empty queue is no error */
}

/* --- some of them --- */

/* The ids of the items with this action; -1: there are others, or what is no id (*code_out says which). */
static int read_ids(struct iq *iq, struct str action, int64_t ids[ITEMS_MAX], size_t *n_out)
{
    size_t n = 0;
    for (struct xml_el *el = xml_first(iq->child); el; el = xml_next(el)) {
        if (el->tok != TOK_item || el->ns != TOK_NS_OFFLINE || !str_eq(xml_attr_get(el, TOK_action), action) || n == ITEMS_MAX) {
            iq_error(iq, ERR_BAD_REQUEST, NULL);
            return -1;
        }
        if (!str_to_i64(xml_attr_get(el, TOK_node), &ids[n++])) {
            iq_error(iq, ERR_NOT_FOUND, NULL);
            return -1;
        }
    }
    *n_out = n;
    if (n == 0)
        iq_error(iq, ERR_BAD_REQUEST, NULL);
    return n ? 0 : -1;
}

static void view(struct iq *iq, const int64_t *ids, size_t n) YIELDS;
static void view(struct iq *iq, const int64_t *ids, size_t n)
{
    struct fetch f;
    enum store_rc rc = STORE_OK;
    if (!begin_fetch(iq, &f))
        return;
    for (size_t i = 0; i < n && rc == STORE_OK && !f.gone; i++) {
        struct arena *a = arena_new();
        struct spool_message m;
        rc = spool_get(a, jid_host(f.to.jid), jid_user(f.to.jid), ids[i], &m);
        if (rc == STORE_OK)
            send_one(&m, &f);
        arena_release(&a);
    }
    finish(iq, rc);
}

static void on_get(struct iq *iq) YIELDS;
static void on_get(struct iq *iq)
{
    int64_t *ids = ARENA_ARRAY(iq->arena, int64_t, ITEMS_MAX);
    size_t n;
    if (xml_child(iq->child, TOK_fetch, TOK_NS_OFFLINE))
        fetch_all(iq);
    else if (read_ids(iq, S("view"), ids, &n) == 0)
        view(iq, ids, n);
}

static void on_set(struct iq *iq) YIELDS;
static void on_set(struct iq *iq)
{
    struct str host = jid_host(iq->stanza->from), user = jid_user(iq->stanza->from);
    int64_t *ids = ARENA_ARRAY(iq->arena, int64_t, ITEMS_MAX);
    uint64_t removed;
    size_t n;
    if (xml_child(iq->child, TOK_purge, TOK_NS_OFFLINE)) {
        enum store_rc rc = spool_remove_all(host, user, &removed);
        finish(iq, rc == STORE_NONE ? STORE_OK : rc);
    } else if (read_ids(iq, S("remove"), ids, &n) == 0) {
        enum store_rc rc = spool_remove(host, user, ids, n, &removed);
        finish(iq, rc == STORE_OK && removed < n ? STORE_NONE : rc);
    }
}

void offline_on_iq(struct iq *iq)
{
    if (!is_owner(iq->stanza))
        iq_error(iq, ERR_FORBIDDEN, NULL);
    else if (iq->child->tok != TOK_offline)
        iq_error(iq, ERR_BAD_REQUEST, NULL);
    else if (iq->stanza->type == ST_GET)
        on_get(iq);
    else
        on_set(iq);
}
