/* Waiting messages: what is kept and how it looks; see the header. Any thread. */
#include "mod/api/offline_rules.h"
#include "base/clock.h"
#include "xml/stream.h"
#include "xml/writer.h"

#define DELAY_WORDS "Offline Storage"

/* --- what is kept --- */

static bool has_body(const struct stanza *s)
{
    const struct xml_el *body = xml_child(s->el, TOK_body, TOK_NS_CLIENT);
    return body && body->children;
}

/* Chat states and what surrounds them: with nothing else in it a message is of use only now (XEP-0160 §3, XEP-0085 §5.5). */
static bool momentary(const struct xml_el *el)
{
    return el->ns == TOK_NS_CHATSTATES || el->ns == TOK_NS_HINTS || el->ns == TOK_NS_SID || el->ns == TOK_NS_DELAY ||
           el->ns == TOK_NS_CARBONS || (el->ns == TOK_NS_CLIENT && (el->tok == TOK_thread || el->tok == TOK_body));
}

static bool only_momentary(const struct stanza *s)
{
    for (const struct xml_el *el = xml_first(s->el); el; el = xml_next(el))
        if (!momentary(el))
            return false;
    return true;
}

bool offline_wants(const struct stanza *s, enum offline_empty empty, bool groupchat)
{
    if (s->type != ST_NORMAL && s->type != ST_CHAT && !(s->type == ST_GROUPCHAT && groupchat))
        return false;
    if (xml_child(s->el, TOK_no_store, TOK_NS_HINTS))
        return false;
    if (has_body(s) || xml_child(s->el, TOK_store, TOK_NS_HINTS))
        return true;
    return empty == OFFLINE_EMPTY_ALWAYS || (empty == OFFLINE_EMPTY_UNLESS_CHAT_STATE && !only_momentary(s));
}

/* --- to the store --- */

static void add_delay(struct arena *a, struct xml_el *el, struct str host, struct str stamp)
{
    struct xml_el *d = xml_add(a, el, TOK_delay, TOK_NS_DELAY);
    xml_attr_set(a, d, TOK_from, host);
    xml_attr_set(a, d, TOK_stamp, stamp);
    xml_append_text(a, d, S(DELAY_WORDS));
}

static struct xml_el *own_delay(const struct xml_el *el, struct str host)
{
    for (struct xml_el *d = xml_first(el); d; d = xml_next(d))
        if (d->tok == TOK_delay && d->ns == TOK_NS_DELAY && str_eq(xml_attr_get(d, TOK_from), host))
            return d;
    return NULL;
}

void offline_write(struct buf *out, const struct stanza *s, struct str host, uint64_t wall_us)
{
    struct arena *a = arena_new();
    struct xml_el *el = xml_copy(a, s->el);
    if (!own_delay(el, host))
        add_delay(a, el, host, clock_format(a, wall_us, true));
    xml_write_addressed(out, el, TOK_NONE, jid_full(s->from), jid_full(s->to));
    arena_release(&a);
}

/* --- from the store --- */

/* XEP-0023: how long its sender wants it to live; false: for ever. */
static bool lifetime(const struct xml_el *el, struct xml_el **x_out, int64_t *seconds_out)
{
    *x_out = xml_child(el, TOK_x, TOK_NS_EXPIRE);
    return *x_out && str_to_i64(xml_attr_get(*x_out, TOK_seconds), seconds_out) && *seconds_out >= 0;
}

static bool over(const struct xml_el *el, int64_t age, struct xml_el **x_out, int64_t *left_out)
{
    int64_t seconds;
    *left_out = 0;
    if (!lifetime(el, x_out, &seconds)) {
        *x_out = NULL;
        return false;
    }
    *left_out = seconds - (age > 0 ? age : 0);
    return *left_out <= 0;
}

static struct stanza *parse(struct arena *a, struct str xml)
{
    const char *why;
    struct xml_el *el = xml_parse(a, xml, TOK_NS_CLIENT, &why);
    struct stanza *s = el ? stanza_of(a, el) : NULL;
    return s && s->kind == STANZA_MESSAGE ? s : NULL;
}

static bool read_addresses(struct stanza *s, struct jid owner)
{
    struct str to = xml_attr_get(s->el, TOK_to), from = xml_attr_get(s->el, TOK_from);
    if (!jid_parse(s->arena, from, &s->from))
        return false;
    if (!to.n || !jid_parse(s->arena, to, &s->to))
        s->to = jid_copy(s->arena, owner);
    return true;
}

static struct stanza *ready(struct stanza *s, const struct spool_message *m, struct jid owner, int64_t now_s, bool *broken_out)
{
    struct xml_el *x;
    int64_t left;
    if (over(s->el, now_s - m->stored_s, &x, &left))
        return NULL;
    if (!read_addresses(s, owner)) {
        *broken_out = true;
        return NULL;
    }
    if (x)
        xml_attr_set(s->arena, x, TOK_seconds, arena_printf(s->arena, "%lld", (long long)left));
    if (!own_delay(s->el, jid_host(owner)))
        add_delay(s->arena, s->el, arena_str(s->arena, jid_host(owner)),
                  clock_format(s->arena, (uint64_t)(m->stored_s > 0 ? m->stored_s : 0) * 1000000, false));
    return s;
}

struct stanza *offline_read(const struct spool_message *m, struct jid owner, int64_t now_s, bool *broken_out)
{
    struct arena *a = arena_new();
    struct stanza *s = parse(a, arena_str(a, m->xml));
    *broken_out = !s;
    s = s ? ready(s, m, owner, now_s, broken_out) : NULL;
    if (!s)
        arena_release(&a);
    return s;
}

bool offline_expired(const struct spool_message *m, int64_t now_s)
{
    struct arena *a = arena_new();
    struct stanza *s = parse(a, m->xml);
    struct xml_el *x;
    int64_t left;
    bool is = s && over(s->el, now_s - m->stored_s, &x, &left);
    arena_release(&a);
    return is;
}
