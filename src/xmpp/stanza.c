/*
 * Stanzas: reading kind, type and id off an element, new ones, results and error replies (RFC 6120 §8).
 * A stanza owns its arena and runs where its owner runs; nothing suspends. Leaves out addresses of incoming stanzas
 * (the stream decides about them), routing and writing.
 */
#include "xmpp/stanza.h"

static const struct str type_words[] = {
    [ST_NORMAL] = {NULL, 0},
    [ST_CHAT] = {"chat", 4},
    [ST_GROUPCHAT] = {"groupchat", 9},
    [ST_HEADLINE] = {"headline", 8},
    [ST_ERROR] = {"error", 5},
    [ST_AVAILABLE] = {NULL, 0},
    [ST_UNAVAILABLE] = {"unavailable", 11},
    [ST_SUBSCRIBE] = {"subscribe", 9},
    [ST_SUBSCRIBED] = {"subscribed", 10},
    [ST_UNSUBSCRIBE] = {"unsubscribe", 11},
    [ST_UNSUBSCRIBED] = {"unsubscribed", 12},
    [ST_PROBE] = {"probe", 5},
    [ST_GET] = {"get", 3},
    [ST_SET] = {"set", 3},
    [ST_RESULT] = {"result", 6},
    [ST_INVALID] = {NULL, 0},
};

static const enum token kind_names[] = {
    [STANZA_MESSAGE] = TOK_message, [STANZA_PRESENCE] = TOK_presence, [STANZA_IQ] = TOK_iq};

struct str stanza_type_str(enum stanza_type t)
{
    return type_words[t];
}

static enum stanza_type find_word(struct str word, enum stanza_type first, enum stanza_type last)
{
    for (unsigned t = first; t <= (unsigned)last; t++)
        if (word.n && str_eq(word, type_words[t]))
            return (enum stanza_type)t;
    return ST_INVALID;
}

static enum stanza_type read_type(enum stanza_kind kind, struct str word)
{
    enum stanza_type t;
    if (str_eq(word, type_words[ST_ERROR]))
        return ST_ERROR;
    switch (kind) {
    case STANZA_MESSAGE:
        /* RFC 6121 §5.2.2: an unknown type counts as normal. */
        t = find_word(word, ST_CHAT, ST_HEADLINE);
        return t == ST_INVALID ? ST_NORMAL : t;
    case STANZA_PRESENCE:
        /* COMPAT(ejabberd): the default may be spelled out. */
        if (!word.p || str_eq(word, S("available")))
            return ST_AVAILABLE;
        return find_word(word, ST_UNAVAILABLE, ST_PROBE);
    case STANZA_IQ:
        return find_word(word, ST_GET, ST_RESULT);
    }
    return ST_INVALID;
}

struct stanza *stanza_of(struct arena *a, struct xml_el *el)
{
    enum stanza_kind kind;
    if (el->ns != TOK_NS_CLIENT)
        return NULL;
    switch (el->tok) {
    case TOK_message: kind = STANZA_MESSAGE; break;
    case TOK_presence: kind = STANZA_PRESENCE; break;
    case TOK_iq: kind = STANZA_IQ; break;
    default: return NULL;
    }
    struct stanza *s = ARENA_NEW(a, struct stanza);
    s->arena = a;
    s->el = el;
    s->kind = kind;
    s->type = read_type(kind, xml_attr_get(el, TOK_type));
    s->id = xml_attr_get(el, TOK_id);
    return s;
}

static void set_address(struct stanza *s, enum token name, struct jid j)
{
    xml_attr_set(s->arena, s->el, name, jid_present(j) ? jid_full(j) : STR_NULL);
}

void stanza_stamp(struct stanza *s)
{
    set_address(s, TOK_to, s->to);
    set_address(s, TOK_from, s->from);
}

struct stanza *stanza_new(enum stanza_kind kind, enum stanza_type type, struct jid from, struct jid to)
{
    struct arena *a = arena_new();
    struct stanza *s = ARENA_NEW(a, struct stanza);
    s->arena = a;
    s->el = xml_new(a, kind_names[kind], TOK_NS_CLIENT);
    s->kind = kind;
    s->type = type;
    s->from = jid_copy(a, from);
    s->to = jid_copy(a, to);
    stanza_stamp(s);
    xml_attr_set(a, s->el, TOK_type, stanza_type_str(type));
    return s;
}

/*
 * Without `to` the sender's own account was addressed (RFC 6120 §10.3) and answers. An address that could not be
 * prepared is not in the stanza but still on the element: COMPAT(ejabberd): it is sent back as it came.
 */
static struct stanza *reply(const struct stanza *s, enum stanza_type type)
{
    struct jid from = jid_present(s->to) ? s->to : jid_to_bare(s->from);
    struct str raw = jid_present(s->to) ? STR_NULL : xml_attr_get(s->el, TOK_to);
    struct stanza *r = stanza_new(s->kind, type, raw.p ? JID_NULL : from, s->from);
    if (raw.p)
        xml_attr_set(r->arena, r->el, TOK_from, arena_str(r->arena, raw));
    if (s->id.p) {
        r->id = arena_str(r->arena, s->id);
        xml_attr_set(r->arena, r->el, TOK_id, r->id);
    }
    return r;
}

struct stanza *stanza_result(const struct stanza *iq)
{
    return reply(iq, ST_RESULT);
}

/* An <error/> that a client put into an ordinary stanza stays out: the reply has one, and it is ours. */
static bool travels_back(const struct xml_el *child)
{
    return child->tok != TOK_error || child->ns != TOK_NS_CLIENT;
}

static void copy_children(struct stanza *r, const struct stanza *s)
{
    for (const struct xml_el *c = xml_first(s->el); c; c = xml_next(c))
        if (travels_back(c))
            xml_append(r->el, xml_copy(r->arena, c));
}

static void set_lang(struct arena *a, struct xml_el *el, struct str lang)
{
    struct xml_attr *attr = ARENA_NEW(a, struct xml_attr);
    attr->name = token_str(TOK_lang);
    attr->value = lang;
    attr->tok = TOK_lang;
    attr->ns = TOK_NS_XML;
    attr->ns_uri = token_str(TOK_NS_XML);
    attr->next = el->attrs;
    el->attrs = attr;
}

struct stanza *stanza_error_words(const struct stanza *s, struct str type, struct str condition, struct str text)
{
    /* RFC 6120 §8.3.1: an error is never answered by an error; §8.2.3: a result is not answered at all. */
    if (s->type == ST_ERROR || s->type == ST_RESULT)
        return NULL;
    struct stanza *r = reply(s, ST_ERROR);
    struct arena *a = r->arena;
    copy_children(r, s);
    struct xml_el *error = xml_add(a, r->el, TOK_error, TOK_NONE);
    xml_attr_set(a, error, TOK_type, arena_str(a, type));
    xml_append(error, xml_new_text(a, arena_str(a, condition), token_str(TOK_NS_STANZAS)));
    if (text.p) {
        struct xml_el *words = xml_add(a, error, TOK_text, TOK_NS_STANZAS);
        set_lang(a, words, S("en"));
        xml_append_text(a, words, arena_str(a, text));
    }
    return r;
}

struct stanza *stanza_error(const struct stanza *s, enum err_code code, struct str text)
{
    const struct err_info *info = err_info(code);
    return stanza_error_words(s, str_of(info->stanza_type), str_of(info->stanza_cond), text);
}

void stanza_follow(struct stanza *copy, const struct stanza *s)
{
    if (!s->cause)
        return;
    copy->cause = s->cause;
    copy->cause_n = s->cause_n;
    arena_on_release(copy->arena, arena_drop, arena_hold(s->arena));
}

struct stanza *stanza_copy(const struct stanza *s, struct jid to)
{
    struct arena *a = arena_new();
    struct stanza *copy = ARENA_NEW(a, struct stanza);
    *copy = (struct stanza){.arena = a, .el = xml_copy(a, s->el), .kind = s->kind, .type = s->type,
                            .from = jid_copy(a, s->from), .to = jid_copy(a, to), .id = arena_str(a, s->id)};
    return copy;
}

void stanza_end(struct stanza **s)
{
    if (!*s)
        return;
    /* The stanza lies in the arena that goes. */
    struct arena *a = (*s)->arena;
    *s = NULL;
    arena_release(&a);
}

static bool claims(struct stanza *s, const struct xml_el *id, struct jid by)
{
    struct str text = xml_attr_get(id, TOK_by);
    struct jid j;
    return str_eq(text, jid_full(by)) || (text.n && jid_parse(s->arena, text, &j) && jid_eq(j, by));
}

void stanza_id_strip(struct stanza *s, struct jid by)
{
    for (struct xml_el *el = xml_first(s->el), *next; el; el = next) {
        next = xml_next(el);
        if (el->tok == TOK_stanza_id && el->ns == TOK_NS_SID && claims(s, el, by))
            xml_remove(s->el, el);
    }
}

/* --- what nobody may send --- */

static struct str attr_flaw(struct stanza *s, const char *attr, bool missing)
{
    return arena_printf(s->arena, "%s attribute '%s' in tag <%.*s/> qualified by namespace 'jabber:client'",
                        missing ? "Missing" : "Bad value of", attr, STR_ARG(s->el->name));
}

struct str stanza_bad_attr(struct stanza *s, const char *attr)
{
    return attr_flaw(s, attr, false);
}

static bool show_ok(struct str show)
{
    static const char *const words[] = {"away", "chat", "dnd", "xa"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(show, str_of(words[i])))
            return true;
    return false;
}

/* RFC 6121 §4.7.2: show has four words, priority is an integer. */
static struct str presence_flaw(struct stanza *s)
{
    struct xml_el *show = xml_child(s->el, TOK_show, TOK_NS_CLIENT);
    struct xml_el *prio = xml_child(s->el, TOK_priority, TOK_NS_CLIENT);
    int64_t n;
    const char *bad = NULL;
    if (show && !show_ok(xml_text_of(s->arena, show)))
        bad = "show";
    else if (prio && !str_to_i64(str_trim(xml_text_of(s->arena, prio)), &n))
        bad = "priority";
    return bad ? arena_printf(s->arena, "Bad value of cdata in tag <%s/> qualified by namespace 'jabber:client'", bad) : STR_NULL;
}

struct str stanza_flaw(struct stanza *s)
{
    if (s->kind == STANZA_IQ && !xml_attr_get(s->el, TOK_type).p)
        return attr_flaw(s, "type", true);
    if (s->type == ST_INVALID)
        return attr_flaw(s, "type", false);
    if (s->kind == STANZA_IQ && !s->id.p)
        return attr_flaw(s, "id", true);
    return s->kind == STANZA_PRESENCE ? presence_flaw(s) : STR_NULL;
}
