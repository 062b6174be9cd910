/*
 * Private XML Storage, XEP-0049: elements that a client keeps on the server, one per namespace, for the account's owner only.
 * What the server itself keeps there (bans of accounts) is out of the client's reach. Handlers suspend for the store.
 */
#include "mod/api/private.h"

#include "base/buf.h"
#include "core/auth/ban.h"
#include "core/module/module.h"
#include "store/private.h"
#include "xml/stream.h"
#include "xml/writer.h"

#define ELEMENTS_MAX 64 /* in one request */

static const char no_data[] = "No private data found in this query";

enum store_rc private_save(struct str host, struct str user, struct xml_el *const *els, size_t n)
{
    struct private_element list[ELEMENTS_MAX];
    struct arena *a = arena_new();
    for (size_t i = 0; i < n; i++) {
        struct buf text = BUF_INIT;
        xml_write(&text, els[i], TOK_NS_CLIENT);
        /* An element of the stream's own namespace, or of none, has to say so to be read back the same. */
        list[i] = (struct private_element){els[i]->ns_uri, arena_str(a, buf_str(&text))};
        buf_deinit(&text);
    }
    enum store_rc rc = private_set(host, user, list, n);
    arena_release(&a);
    return rc;
}

enum store_rc private_load(struct arena *a, struct str host, struct str user, const struct xml_el *wanted, struct xml_el **out)
{
    struct str text;
    const char *why;
    enum store_rc rc = private_get(a, host, user, wanted->ns_uri, &text);
    if (rc == STORE_NONE) {
        *out = xml_new_text(a, arena_str(a, wanted->name), arena_str(a, wanted->ns_uri)); /* XEP-0049 §3.2: as it was asked for */
        return STORE_OK;
    }
    *out = rc == STORE_OK ? xml_parse(a, text, TOK_NS_CLIENT, &why) : NULL;
    return rc == STORE_OK && !*out ? STORE_UNAVAILABLE : rc;
}

/* Elements of the request; 0: refused. XEP-0049 §3.3: each has a namespace of its own. */
static size_t read_elements(struct iq *iq, struct xml_el **out)
{
    size_t n = 0;
    const char *why = NULL;
    for (struct xml_el *el = xml_first(iq->child); el && !why; el = xml_next(el)) {
        if (n == ELEMENTS_MAX)
            why = "Too many elements in this query";
        else if (!el->ns_uri.n || el->ns == TOK_NS_PRIVATE)
            why = no_data;
        else
            out[n++] = el;
    }
    if (!n && !why)
        why = no_data;
    if (why)
        iq_error(iq, ERR_BAD_REQUEST, why);
    return why ? 0 : n;
}

static bool refuse_reserved(struct iq *iq, struct xml_el *const *els, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(els[i]->ns_uri, S(BAN_NS))) {
            iq_error(iq, ERR_FORBIDDEN, "This namespace belongs to the server");
            return true;
        }
    return false;
}

static void change(struct iq *iq, struct xml_el *const *els, size_t n) YIELDS;
static void change(struct iq *iq, struct xml_el *const *els, size_t n)
{
    struct jid j = iq->stanza->to;
    if (private_save(jid_host(j), jid_user(j), els, n) == STORE_OK)
        iq_result_empty(iq);
    else
        iq_error(iq, ERR_UNAVAILABLE, "Database failure");
}

static void answer(struct iq *iq, struct xml_el *const *els, size_t n) YIELDS;
static void answer(struct iq *iq, struct xml_el *const *els, size_t n)
{
    struct stanza *r = iq_result_new(iq);
    struct xml_el *query = xml_add(r->arena, r->el, TOK_query, TOK_NS_PRIVATE), *el;
    struct jid j = iq->stanza->to;
    for (size_t i = 0; i < n; i++) {
        if (private_load(r->arena, jid_host(j), jid_user(j), els[i], &el) != STORE_OK) {
            stanza_end(&r);
            iq_error(iq, ERR_UNAVAILABLE, "Database failure");
            return;
        }
        xml_append(query, el);
    }
    iq_result(iq, r);
}

static void on_account(struct iq *iq) YIELDS;
static void on_account(struct iq *iq)
{
    struct xml_el *els[ELEMENTS_MAX];
    if (!jid_bare_eq(iq->stanza->from, iq->stanza->to)) {
        iq_error(iq, ERR_FORBIDDEN, "Query to another users is forbidden");
        return;
    }
    size_t n = read_elements(iq, els);
    if (!n || refuse_reserved(iq, els, n))
        return;
    if (iq->stanza->type == ST_SET)
        change(iq, els, n);
    else
        answer(iq, els, n);
}

static const struct iq_entry iqs[] = {{IQ_TO_ACCOUNT, TOK_NS_PRIVATE, true, on_account}, {0}};

MODULE(mod_private) = {.name = "mod_private", .xep = "XEP-0049 1.2", .iqs = iqs};
