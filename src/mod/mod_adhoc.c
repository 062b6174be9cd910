/*
 * Ad-Hoc Commands, XEP-0050: lists and answers commands below the server's address for the modules that offer them
 * (mod/api/adhoc.h), and keeps their sessions. Runs on the fiber of the IQ; the commands may suspend it. Accounts have none.
 */
#include "mod/api/adhoc.h"

#include "base/clock.h"
#include "mod/api/adhoc_session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

extern const struct adhoc_commands *const __start_cj_adhoc_commands[] __attribute__((weak));
extern const struct adhoc_commands *const __stop_cj_adhoc_commands[] __attribute__((weak));

static const char denied[] = "Access denied by service policy";
static const char nobodys[] = "No hook has processed this command";

/* --- for those who offer commands --- */

enum adhoc_outcome adhoc_stage(struct adhoc_call *c, unsigned stage, bool goes_on, bool completes)
{
    c->next_stage = stage;
    c->goes_on = goes_on;
    c->completes = completes;
    return ADHOC_STAGE;
}

void adhoc_note(struct adhoc_call *c, const char *type, struct str text)
{
    struct xml_el *note = xml_add_leaf(c->arena, c->command, TOK_note, dataform_clean(c->arena, text));
    xml_attr_set(c->arena, note, TOK_type, str_of(type));
}

static struct str format(struct arena *a, const char *fmt, va_list ap)
{
    char text[1024];
    int n = vsnprintf(text, sizeof text, fmt, ap);
    return dataform_clean(a, str_n(text, n < (int)sizeof text ? (size_t)n : sizeof text - 1));
}

enum adhoc_outcome adhoc_fail(struct adhoc_call *c, enum err_code code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    c->code = code;
    c->text = !fmt ? str_of(err_info(code)->text) : *fmt ? format(c->arena, fmt, ap) : STR_NULL;
    va_end(ap);
    return ADHOC_FAILED;
}

enum adhoc_outcome adhoc_bad_payload(struct adhoc_call *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    c->code = ERR_BAD_REQUEST;
    c->condition = "bad-payload";
    c->text = format(c->arena, fmt, ap);
    va_end(ap);
    return ADHOC_FAILED;
}

enum adhoc_outcome adhoc_forbidden(struct adhoc_call *c)
{
    return adhoc_fail(c, ERR_FORBIDDEN, "%s", denied);
}

/* --- who offers commands --- */

static int by_module(const void *a, const void *b)
{
    return strcmp((*(const struct adhoc_commands *const *)a)->module, (*(const struct adhoc_commands *const *)b)->module);
}

static const struct adhoc_commands **providers(struct arena *a, unsigned host, size_t *n_out)
{
    const struct config *c = config_current();
    size_t max = (size_t)(__stop_cj_adhoc_commands - __start_cj_adhoc_commands), n = 0;
    const struct adhoc_commands **sorted = ARENA_ARRAY(a, const struct adhoc_commands *, max + 1);
    for (const struct adhoc_commands *const *p = __start_cj_adhoc_commands; p < __stop_cj_adhoc_commands; p++)
        if (*p && config_module(&c->hosts[host], str_of((*p)->module))) /* a sanitizer may pad the section */
            sorted[n++] = *p;
    qsort(sorted, n, sizeof(*sorted), by_module);
    *n_out = n;
    return sorted;
}

/* --- the request --- */

enum wish { WISH_DEFAULT, WISH_NEXT, WISH_PREV, WISH_COMPLETE, WISH_CANCEL, WISH_NONE };

struct request {
    struct iq *iq;
    enum wish wish;
    struct str id;      /* of the session, absent: none */
    struct str node;
    bool has_form;
    struct dataform form;
};

static void refuse(struct iq *iq, enum err_code code, const char *condition, struct str text)
{
    struct stanza *e = stanza_error(iq->stanza, code, text);
    if (!e)
        return;
    struct xml_el *error = xml_child(e->el, TOK_error, TOK_NS_CLIENT);
    if (condition && error)
        xml_append(error, xml_new_text(e->arena, str_of(condition), token_str(TOK_NS_COMMANDS)));
    iq_result(iq, e);
}

static bool read_wish(struct str word, enum wish *out)
{
    static const struct {
        struct str word;
        enum wish wish;
    } words[] = {{{"execute", 7}, WISH_DEFAULT}, {{"next", 4}, WISH_NEXT}, {{"prev", 4}, WISH_PREV},
                 {{"complete", 8}, WISH_COMPLETE}, {{"cancel", 6}, WISH_CANCEL}};
    *out = WISH_DEFAULT;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(words[i].word, word)) {
            *out = words[i].wish;
            return true;
        }
    return !word.p;
}

static bool read_request(struct iq *iq, struct request *r)
{
    *r = (struct request){.iq = iq, .id = xml_attr_get(iq->child, TOK_sessionid), .node = xml_attr_get(iq->child, TOK_node)};
    struct xml_el *x = xml_child(iq->child, TOK_x, TOK_NS_DATA);
    const char *why = NULL;
    if (iq->stanza->type != ST_SET || iq->child->tok != TOK_command || !r->node.p) {
        refuse(iq, ERR_BAD_REQUEST, NULL, STR_NULL);
    } else if (!read_wish(xml_attr_get(iq->child, TOK_action), &r->wish)) {
        refuse(iq, ERR_BAD_REQUEST, "malformed-action",
               S("Bad value of attribute 'action' in tag <command/> qualified by namespace "
                 "'http://jabber.org/protocol/commands'"));
    } else if (x && (why = dataform_read(iq->arena, x, &r->form))) {
        refuse(iq, ERR_BAD_REQUEST, "bad-payload", str_of(why));
    } else {
        r->has_form = x && r->form.type == DATAFORM_SUBMIT;
        if (x && r->form.type == DATAFORM_CANCEL)
            r->wish = WISH_CANCEL;
        return true;
    }
    return false;
}

/* --- the answer --- */

static struct xml_el *start_answer(struct stanza *r, const struct request *q, const char *status)
{
    struct xml_el *command = xml_add(r->arena, r->el, TOK_command, TOK_NS_COMMANDS);
    xml_attr_set_ns(r->arena, command, TOK_NS_XML, TOK_lang, S("en"));
    xml_attr_set(r->arena, command, TOK_node, arena_str(r->arena, q->node));
    if (status)
        xml_attr_set(r->arena, command, TOK_status, str_of(status));
    return command;
}

static void add_actions(struct adhoc_call *c)
{
    struct xml_el *actions = xml_child(c->command, TOK_actions, TOK_NS_COMMANDS);
    xml_attr_set(c->arena, actions, TOK_execute, c->completes ? S("complete") : S("next"));
    if (c->next_stage > 1)
        xml_add(c->arena, actions, TOK_prev, TOK_NONE);
    if (c->goes_on)
        xml_add(c->arena, actions, TOK_next, TOK_NONE);
    if (c->completes)
        xml_add(c->arena, actions, TOK_complete, TOK_NONE);
}

/* Sessions are made late, and found again: commands suspend. */
static struct adhoc_session *session_for(const struct request *q)
{
    struct adhoc_session *s;
    uint64_t now = clock_mono_ms();
    if (q->id.p && adhoc_session_find(q->id, q->iq->stanza->from, q->iq->host, q->node, now, &s) == ADHOC_FOUND)
        return s;
    return adhoc_session_new(q->iq->stanza->from, q->iq->host, q->node, now);
}

static void answer_stage(const struct request *q, struct adhoc_call *c, struct stanza *r)
{
    struct adhoc_session *s = session_for(q);
    adhoc_session_keep(&s, c->form, clock_mono_ms());
    s->stage = c->next_stage;
    s->goes_on = c->goes_on;
    s->completes = c->completes;
    xml_attr_set(c->arena, c->command, TOK_sessionid, arena_str(c->arena, str_of(s->id)));
    xml_attr_set(c->arena, c->command, TOK_status, S("executing"));
    add_actions(c);
    iq_result(q->iq, r);
}

static void end_session(const struct request *q)
{
    struct adhoc_session *s;
    if (q->id.p &&
        adhoc_session_find(q->id, q->iq->stanza->from, q->iq->host, q->node, clock_mono_ms(), &s) == ADHOC_FOUND)
        adhoc_session_end(&s);
}

static void answer_done(const struct request *q, struct adhoc_call *c, struct stanza *r)
{
    char id[ADHOC_ID_CHARS + 1];
    struct adhoc_session *s = session_for(q);
    memcpy(id, s->id, sizeof id);
    adhoc_session_end(&s);
    xml_remove(c->command, xml_child(c->command, TOK_actions, TOK_NS_COMMANDS));
    xml_attr_set(c->arena, c->command, TOK_sessionid, arena_str(c->arena, str_of(id)));
    xml_attr_set(c->arena, c->command, TOK_status, S("completed"));
    iq_result(q->iq, r);
}

static void answer_canceled(const struct request *q)
{
    struct stanza *r = iq_result_new(q->iq);
    struct xml_el *command = start_answer(r, q, "canceled");
    if (q->id.p)
        xml_attr_set(r->arena, command, TOK_sessionid, arena_str(r->arena, q->id));
    end_session(q);
    iq_result(q->iq, r);
}

/* --- the way through --- */

static enum adhoc_outcome run_command(struct adhoc_call *c, unsigned host) YIELDS;
static enum adhoc_outcome run_command(struct adhoc_call *c, unsigned host)
{
    if (str_eq(c->node, S("ping"))) {
        xml_add_leaf(c->arena, c->command, TOK_note, S("Pong"));
        return ADHOC_DONE;
    }
    size_t n;
    const struct adhoc_commands **p = providers(c->arena, host, &n);
    for (size_t i = 0; i < n; i++) {
        enum adhoc_outcome o = p[i]->run(c);
        if (o != ADHOC_NOT_MINE)
            return o;
    }
    return adhoc_fail(c, ERR_NOT_FOUND, "%s", nobodys);
}

static void work(const struct request *q, struct adhoc_call *c) YIELDS;
static void work(const struct request *q, struct adhoc_call *c)
{
    struct stanza *r = iq_result_new(q->iq);
    c->request = q->iq->stanza;
    c->host = q->iq->host;
    c->from = q->iq->stanza->from;
    c->node = q->node;
    c->arena = r->arena;
    c->command = start_answer(r, q, NULL);
    xml_add(r->arena, c->command, TOK_actions, TOK_NONE); /* comes first; goes when there is nothing to choose */
    switch (run_command(c, q->iq->host)) {
    case ADHOC_STAGE:
        answer_stage(q, c, r);
        return;
    case ADHOC_DONE:
        answer_done(q, c, r);
        return;
    default:
        break;
    }
    /* a form that can be put right does not end the session */
    if (!c->condition)
        end_session(q);
    refuse(q->iq, c->code, c->condition, c->text);
    stanza_end(&r);
}

/* Without a session: a start; or, from clients that know the form by heart, its answer at once. COMPAT(ejabberd). */
static bool plan_new(const struct request *q, struct adhoc_call *c)
{
    if (q->wish == WISH_PREV || (q->wish == WISH_NEXT && !q->has_form)) {
        refuse(q->iq, ERR_BAD_REQUEST, "bad-action", S("There is no session yet"));
        return false;
    }
    if (!q->has_form)
        return true;
    c->action = q->wish == WISH_NEXT ? ADHOC_NEXT : ADHOC_COMPLETE;
    c->stage = 1;
    c->form = &q->form;
    return true;
}

static bool plan_next(const struct request *q, struct adhoc_call *c, const struct adhoc_session *s)
{
    enum wish wish = q->wish == WISH_DEFAULT ? (s->completes ? WISH_COMPLETE : WISH_NEXT) : q->wish;
    struct dataform *form = ARENA_NEW(q->iq->arena, struct dataform), earlier;
    bool possible = wish == WISH_COMPLETE ? s->completes : wish == WISH_NEXT ? s->goes_on : s->stage > 1;
    if (!possible) {
        refuse(q->iq, ERR_BAD_REQUEST, "bad-action", S("This stage of the command does not allow this action"));
        return false;
    }
    /* the session may be gone when the command needs its answers: they are copied */
    struct arena *a = q->iq->arena;
    adhoc_copy_form(a, &s->form, &earlier);
    adhoc_merge(a, &earlier, q->has_form ? &q->form : &(struct dataform){.type = DATAFORM_SUBMIT}, form);
    c->action = wish == WISH_COMPLETE ? ADHOC_COMPLETE : wish == WISH_NEXT ? ADHOC_NEXT : ADHOC_PREV;
    c->stage = s->stage;
    c->form = form;
    return true;
}

static bool find_session(const struct request *q, struct adhoc_session **out)
{
    enum adhoc_found found = adhoc_session_find(q->id, q->iq->stanza->from, q->iq->host, q->node, clock_mono_ms(), out);
    if (found == ADHOC_UNKNOWN)
        refuse(q->iq, ERR_BAD_REQUEST, "bad-sessionid", S("There is no such session"));
    else if (found == ADHOC_OVER)
        refuse(q->iq, ERR_NOT_ALLOWED, "session-expired", S("The session is over"));
    return found == ADHOC_FOUND;
}

static void on_command(struct iq *iq) YIELDS;
static void on_command(struct iq *iq)
{
    struct request q;
    struct adhoc_call c = {0};
    struct adhoc_session *s = NULL;
    arena_mark_secret(iq->arena);
    if (!read_request(iq, &q) || (q.id.p && !find_session(&q, &s)))
        return;
    if (q.wish == WISH_CANCEL)
        answer_canceled(&q);
    else if (s ? plan_next(&q, &c, s) : plan_new(&q, &c))
        work(&q, &c);
}

static void on_account_command(struct iq *iq)
{
    if (jid_bare_eq(iq->stanza->from, iq->stanza->to))
        refuse(iq, ERR_NOT_FOUND, NULL, str_of(nobodys));
    else
        iq_error(iq, ERR_NO_SERVICE, NULL);
}

/* --- discovery --- */

static enum disco_found list_commands(struct disco_ask *ask) YIELDS;
static enum disco_found list_commands(struct disco_ask *ask)
{
    size_t n;
    const struct adhoc_commands **p = providers(ask->arena, ask->host, &n);
    for (size_t i = 0; i < n; i++)
        p[i]->list(ask);
    disco_add_item(ask, jid_host(ask->request->to), S("ping"), S("Ping"));
    return DISCO_ANSWERED;
}

static enum disco_found on_items(struct disco_ask *ask) YIELDS;
static enum disco_found on_items(struct disco_ask *ask)
{
    if (str_eq(ask->node, token_str(TOK_NS_COMMANDS)))
        return list_commands(ask);
    if (str_eq(ask->node, S("ping")))
        return DISCO_ANSWERED;
    const struct config *cfg = config_current();
    const struct options *o = ask->host < cfg->host_count ? config_module(&cfg->hosts[ask->host], S("mod_adhoc")) : NULL;
    if (!ask->node.n && o && opt_bool(o, "report_commands_node"))
        disco_add_item(ask, jid_host(ask->request->to), token_str(TOK_NS_COMMANDS), S("Commands"));
    return DISCO_NOT_MINE;
}

static enum disco_found on_info(struct disco_ask *ask)
{
    if (str_eq(ask->node, token_str(TOK_NS_COMMANDS))) {
        disco_add_identity(ask, "automation", "command-list", S("Commands"));
    } else if (str_eq(ask->node, S("ping"))) {
        disco_add_identity(ask, "automation", "command-node", S("Ping"));
        disco_add_feature(ask, "http://jabber.org/protocol/commands");
    } else {
        return DISCO_NOT_MINE;
    }
    return DISCO_ANSWERED;
}

static const char *const features[] = {"http://jabber.org/protocol/commands", NULL};
static const struct iq_entry iqs[] = {{IQ_TO_SERVER, TOK_NS_COMMANDS, true, on_command},
                                      {IQ_TO_ACCOUNT, TOK_NS_COMMANDS, false, on_account_command},
                                      {0}};

DISCO_NODES(adhoc_nodes) = {"mod_adhoc", on_info, on_items};

MODULE(mod_adhoc) = {
    .name = "mod_adhoc", .xep = "XEP-0050 1.3.0", .features = features, .account_features = features, .iqs = iqs,
    .stop = adhoc_sessions_drop};
