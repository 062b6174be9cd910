/*
 * In-Band Registration, XEP-0077: new accounts for clients that have not logged in yet (hook early_stanza), another password and
 * removal for those that have. Who may is said by `access`, `access_from`, `access_remove`, `ip_access`; how often by the top-level
 * option registration_timeout, counted on the shard the address belongs to. Handlers suspend. There are no captchas: where they
 * are demanded (captcha_protected), nobody gets in without having logged in.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "core/account/account.h"
#include "core/account/session.h"
#include "core/auth/auth.h"
#include "core/config/access.h"
#include "core/module/module.h"
#include "core/router.h"
#include "core/server.h"
#include "mod/api/ip_table.h"
#include "rt/mailbox.h"
#include "xmpp/dataform.h"

#define DEADLINE_MS 5000

static const char denied[] = "Access denied by service policy";
static const char instructions[] = "Choose a username and password to register with this server";

static struct module mod_register;
static _Thread_local struct ip_table recent;
static _Thread_local unsigned hosts; /* where this is loaded */

/* A request, whichever way it came. */
struct request {
    unsigned host;
    struct ip ip;          /* family 0: of a session, whose address does not matter */
    struct jid from;       /* JID_NULL: nobody is logged in */
    const struct stanza *stanza;
    struct xml_el *query;
    struct arena *arena;   /* of the request */
    enum err_code code;    /* ERR_NONE: done */
    const char *text;
    bool removed;          /* the account of `from` */
};

static bool refuse(struct request *r, enum err_code code, const char *text)
{
    r->code = code;
    r->text = text;
    return false;
}

static const struct vhost *host_of(const struct request *r)
{
    return &config_current()->hosts[r->host];
}

/* --- what is allowed --- */

static bool ip_may(const struct request *r, const struct options *o)
{
    struct access_subject who = {.jid = r->from, .ip = r->ip};
    return !r->ip.family || access_allowed(host_of(r), opt_node(o, "ip_access"), &who);
}

/* Option allow_modules: whose registrations are wanted; this one is among them unless the list says otherwise. */
static bool module_may(const struct options *o)
{
    const struct str *names;
    size_t n = opt_list(o, "allow_modules", &names);
    for (size_t i = 0; i < n; i++)
        if (str_eq(names[i], S("all")) || str_eq(names[i], S("mod_register")))
            return true;
    return n == 0;
}

static double log_2(double x)
{
    double whole = 0, part = 0;
    for (; x >= 2; x /= 2)
        whole++;
    for (double bit = 0.5; bit > 0.0001; bit /= 2) {
        x *= x;
        if (x >= 2) {
            x /= 2;
            part += bit;
        }
    }
    return whole + part;
}

/* Bits of a password drawn from the characters of its kinds, what option password_strength is measured in. */
static double entropy(struct str password)
{
    double set = 0;
    bool lower = false, upper = false, digit = false, sign = false, other = false;
    size_t n = 0;
    for (size_t i = 0; i < password.n; i++) {
        unsigned char ch = (unsigned char)password.p[i];
        if ((ch & 0xc0) == 0x80)
            continue;
        n++;
        lower |= ch >= 'a' && ch <= 'z';
        upper |= ch >= 'A' && ch <= 'Z';
        digit |= ch >= '0' && ch <= '9';
        other |= ch >= 0x80;
        sign |= ch < 0x80 && !((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z') && !(ch >= '0' && ch <= '9');
    }
    set = (lower ? 26 : 0) + (upper ? 26 : 0) + (digit ? 10 : 0) + (sign ? 33 : 0) + (other ? 128 : 0);
    return set > 0 ? (double)n * log_2(set) : 0;
}

static bool strong_enough(struct request *r, const struct options *o, struct str password)
{
    if (entropy(password) * 1000 >= (double)opt_int(o, "password_strength"))
        return true;
    return refuse(r, ERR_NOT_ACCEPTABLE, "The password is too weak");
}

struct visit {
    struct ip ip;
    uint64_t wait_ms;
    bool too_soon;
};

static int visit_at_home(void *arg, struct error *err)
{
    struct visit *v = arg;
    uint64_t now = clock_mono_ms();
    (void)err;
    v->too_soon = ip_table_find(&recent, &v->ip, now) != NULL;
    if (!v->too_soon)
        ip_table_keep(&recent, &v->ip, now, now + v->wait_ms);
    return 0;
}

/* Notes the visit of an address, unless it was here a moment ago. */
static bool often_enough(struct request *r) YIELDS;
static bool often_enough(struct request *r)
{
    int64_t wait = opt_int(config_current()->global, "registration_timeout");
    if (wait == OPT_INFINITY || wait <= 0 || !r->ip.family)
        return true;
    struct arena *a = arena_new();
    struct visit *v = ARENA_NEW(a, struct visit);
    struct error err = ERROR_INIT;
    *v = (struct visit){.ip = ip_table_network(r->ip), .wait_ms = (uint64_t)wait};
    bool ok = mail_call(ip_table_home(&v->ip), visit_at_home, v, a, DEADLINE_MS, &err) == 0;
    bool too_soon = ok && v->too_soon;
    arena_release(&a);
    if (!ok)
        return refuse(r, ERR_UNAVAILABLE, NULL);
    return too_soon ? refuse(r, ERR_TOO_OFTEN, "Users are not allowed to register accounts so quickly") : true;
}

/* --- messages about it --- */

static void send_message(struct jid from, struct jid to, struct str subject, struct str body)
{
    struct stanza *m = stanza_new(STANZA_MESSAGE, ST_NORMAL, from, to);
    if (subject.n)
        xml_add_leaf(m->arena, m->el, TOK_subject, dataform_clean(m->arena, subject));
    xml_add_leaf(m->arena, m->el, TOK_body, dataform_clean(m->arena, body));
    stanza_stamp(m);
    router_route(&m);
}

static struct str welcome_word(const struct yaml *node, struct str key)
{
    const struct yaml *v = node ? yaml_get(node, key) : NULL;
    return v && v->kind == YAML_SCALAR ? v->text : STR_NULL;
}

static void tell_everybody(const struct request *r, struct jid account)
{
    const struct options *o = module_options(r->host, &mod_register);
    const struct str *watchers;
    struct jid server = jid_join(r->arena, STR_NULL, host_of(r)->name, STR_NULL), to;
    char ip[IP_TEXT_MAX];
    LOG(INFO, "register", NULL, "account %.*s registered from %s", STR_ARG(jid_bare(account)),
        config_log_ip(host_of(r), &r->ip, ip));
    if (!o)
        return;
    const struct yaml *welcome = opt_node(o, "welcome_message");
    struct str subject = welcome_word(welcome, S("subject")), body = welcome_word(welcome, S("body"));
    if (subject.n || body.n)
        send_message(server, account, subject, body);
    size_t n = opt_list(o, "registration_watchers", &watchers);
    struct str words = arena_printf(r->arena, "[%.*s] The account %.*s was registered from %s.",
                                    STR_ARG(clock_format(r->arena, clock_wall_us(), false)), STR_ARG(jid_bare(account)), ip);
    for (size_t i = 0; i < n; i++)
        if (jid_parse(r->arena, watchers[i], &to))
            send_message(server, to, STR_NULL, words);
}

/* --- what is asked for --- */

/* A field of the query, or of a form in it (XEP-0077 §4). */
static struct str field(struct request *r, enum token name)
{
    struct xml_el *el = xml_child(r->query, name, TOK_NS_REGISTER), *x = xml_child(r->query, TOK_x, TOK_NS_DATA);
    struct dataform form;
    if (el)
        return xml_text_of(r->arena, el);
    bool submitted = x && !dataform_read(r->arena, x, &form) && form.type == DATAFORM_SUBMIT;
    return submitted ? dataform_value(&form, token_str(name)) : STR_NULL;
}

/* COMPAT(ejabberd): in these words, and for another password of the own account in those. */
static bool refuse_password(struct request *r)
{
    return refuse(r, jid_present(r->from) ? ERR_NOT_ALLOWED : ERR_NOT_ACCEPTABLE, "The password contains unacceptable characters");
}

static bool from_store(struct request *r, const struct error *err)
{
    switch (err->code) {
    case ERR_CONFLICT: return refuse(r, ERR_CONFLICT, "User already exists");
    case ERR_NOT_ACCEPTABLE: return refuse_password(r);
    case ERR_JID_MALFORMED: return refuse(r, ERR_JID_MALFORMED, "Malformed username");
    case ERR_NOT_FOUND: return refuse(r, ERR_NOT_FOUND, NULL);
    case ERR_NOT_ALLOWED: return refuse(r, ERR_NOT_ALLOWED, NULL);
    default: return refuse(r, ERR_UNAVAILABLE, "Database failure");
    }
}

static bool register_account(struct request *r, struct str user, struct str password) YIELDS;
static bool register_account(struct request *r, struct str user, struct str password)
{
    const struct options *o = module_options(r->host, &mod_register);
    struct jid account = jid_join(r->arena, user, host_of(r)->name, STR_NULL);
    struct access_subject who = {.jid = account, .ip = r->ip}, sender = {.jid = r->from, .ip = r->ip};
    struct error err = ERROR_INIT;
    bool there;
    if (!module_may(o) || !ip_may(r, o) || !access_allowed(host_of(r), opt_node(o, "access"), &who) ||
        (jid_present(r->from) && !access_allowed(host_of(r), opt_node(o, "access_from"), &sender)))
        return refuse(r, ERR_FORBIDDEN, denied);
    if (!password.n)
        return refuse_password(r);
    if (!strong_enough(r, o, password))
        return false;
    /* A name that is taken does not use up the visit: the client asks for another one. */
    if (auth_exists(jid_host(account), user, &there, &err) != 0)
        return from_store(r, &err);
    if (there)
        return refuse(r, ERR_CONFLICT, "User already exists");
    if (!often_enough(r))
        return false;
    if (auth_register(jid_host(account), user, password, &err) != 0)
        return from_store(r, &err);
    tell_everybody(r, account);
    return true;
}

static bool change_password(struct request *r, struct str password) YIELDS;
static bool change_password(struct request *r, struct str password)
{
    const struct options *o = module_options(r->host, &mod_register);
    struct error err = ERROR_INIT;
    if (!password.n)
        return refuse_password(r);
    if (!strong_enough(r, o, password))
        return false;
    if (auth_set_password(jid_host(r->from), jid_user(r->from), password, &err) != 0)
        return from_store(r, &err);
    LOG(INFO, "register", NULL, "%.*s changed its password", STR_ARG(jid_bare(r->from)));
    return true;
}

/* XEP-0077 §3.2: everything of the account goes; nobody can come back once the password is gone. */
static bool remove_account(struct request *r) YIELDS;
static bool remove_account(struct request *r)
{
    const struct options *o = module_options(r->host, &mod_register);
    struct access_subject who = {.jid = r->from, .ip = r->ip};
    struct error err = ERROR_INIT;
    if (!access_allowed(host_of(r), opt_node(o, "access_remove"), &who))
        return refuse(r, ERR_FORBIDDEN, denied);
    if (auth_remove(jid_host(r->from), jid_user(r->from), &err) != 0)
        return from_store(r, &err);
    LOG(INFO, "register", NULL, "%.*s removed its account", STR_ARG(jid_bare(r->from)));
    r->removed = true;
    return true;
}

static bool is_own_host(const struct request *r)
{
    return jid_present(r->from) && str_eq(jid_host(r->from), host_of(r)->name);
}

/* §3.2: with something beside it, it may be meant otherwise. */
static bool remove_asked(struct request *r) YIELDS;
static bool remove_asked(struct request *r)
{
    if (!is_own_host(r))
        return refuse(r, ERR_FORBIDDEN, denied);
    if (xml_next(xml_first(r->query)))
        return refuse(r, ERR_BAD_REQUEST, "<remove/> must be the only element of the query");
    return remove_account(r);
}

static bool change(struct request *r) YIELDS;
static bool change(struct request *r)
{
    struct str name = field(r, TOK_username), password = field(r, TOK_password), user;
    bool elsewhere = jid_present(r->stanza->to) && r->stanza->to.user_len && !jid_bare_eq(r->from, r->stanza->to);
    if (elsewhere)
        return refuse(r, ERR_FORBIDDEN, denied);
    if (xml_child(r->query, TOK_remove, TOK_NS_REGISTER))
        return remove_asked(r);
    if (!name.p || !password.p) /* §3.1 for who is new, §3.3 for who is not */
        return refuse(r, jid_present(r->from) ? ERR_BAD_REQUEST : ERR_NOT_ACCEPTABLE,
                      name.p ? "Missing <password/> element" : "Missing <username/> element");
    if (!jid_nodeprep(r->arena, name, &user) || !user.n || user.n > JID_PART_MAX)
        return refuse(r, ERR_JID_MALFORMED, "Malformed username");
    if (is_own_host(r) && str_eq(user, jid_user(r->from)))
        return change_password(r, password);
    return register_account(r, user, password);
}

/* The fields a client may fill in; what it has already when it is logged in (XEP-0077 §3.1). */
static void describe(const struct request *r, struct stanza *answer)
{
    struct arena *a = answer->arena;
    const struct options *o = module_options(r->host, &mod_register);
    struct str url = opt_str(o, "redirect_url");
    struct xml_el *q = xml_add(a, answer->el, TOK_query, TOK_NS_REGISTER);
    if (is_own_host(r)) {
        xml_add_leaf(a, q, TOK_username, arena_str(a, jid_user(r->from)));
        xml_add(a, q, TOK_registered, TOK_NONE);
        xml_add(a, q, TOK_password, TOK_NONE);
    } else if (!url.n) {
        xml_add(a, q, TOK_username, TOK_NONE);
        xml_add(a, q, TOK_password, TOK_NONE);
    }
    xml_add_leaf(a, q, TOK_instructions, url.n ? arena_printf(a, "To register, visit %.*s", STR_ARG(url)) : str_of(instructions));
    if (url.n) { /* §5 */
        struct xml_el *oob = xml_new_text(a, S("x"), S("jabber:x:oob")), *link = xml_new_text(a, S("url"), S("jabber:x:oob"));
        xml_append_text(a, link, arena_str(a, url));
        xml_append(oob, link);
        xml_append(q, oob);
    }
}

/* --- the two ways --- */

/* What cannot be asked must not be taken for answered. */
static bool captcha_is_solved(struct request *r, const struct options *o)
{
    if (!opt_bool(o, "captcha_protected"))
        return true;
    LOG_LIMITED(WARNING, "register", NULL, "a registration was refused: captcha_protected is set, and there are no captchas");
    return refuse(r, ERR_INTERNAL, "Unable to generate a CAPTCHA");
}

static void end_sessions(struct account *a, void *arg) YIELDS;
static void end_sessions(struct account *a, void *arg)
{
    struct jid j = account_jid(a);
    struct error err = ERROR_INIT;
    unsigned kicked;
    if (account_kick(jid_user(j), jid_host(j), STR_NULL, KICK_REMOVED, STR_NULL, &kicked, &err) < 0)
        LOG(WARNING, "register", NULL, "sessions of a removed account go on: %s", err.text);
}

static void on_iq(struct iq *iq) YIELDS;
static void on_iq(struct iq *iq)
{
    struct request r = {.host = iq->host, .from = iq->stanza->from, .stanza = iq->stanza, .query = iq->child, .arena = iq->arena};
    if (iq->stanza->type == ST_GET) {
        struct stanza *answer = iq_result_new(iq);
        describe(&r, answer);
        iq_result(iq, answer);
        return;
    }
    arena_mark_secret(iq->arena);
    if (!change(&r)) {
        iq_error(iq, r.code, r.text);
        return;
    }
    iq_result_empty(iq);
    struct account *a = r.removed ? account_find(jid_user(r.from), jid_host(r.from)) : NULL;
    if (a)
        account_in_turn(a, end_sessions, NULL); /* behind the answer, which waits behind what contacts say to it */
}

static enum hook_verdict on_early(struct early_event *e) YIELDS;
static enum hook_verdict on_early(struct early_event *e)
{
    struct stanza *s = e->stanza;
    struct xml_el *query = xml_child(s->el, TOK_query, TOK_NS_REGISTER);
    if (s->kind != STANZA_IQ || (s->type != ST_GET && s->type != ST_SET) || !query || !s->id.p)
        return HOOK_PASS;
    struct request r = {.host = e->host, .ip = e->ip, .stanza = s, .query = query, .arena = s->arena};
    const struct options *o = module_options(e->host, &mod_register);
    arena_mark_secret(s->arena);
    if (!ip_may(&r, o) || !module_may(o))
        refuse(&r, ERR_FORBIDDEN, denied);
    else if (captcha_is_solved(&r, o) && s->type == ST_SET)
        change(&r);
    if (r.code) {
        e->answer = stanza_error(s, r.code, str_of(r.text));
        return HOOK_STOP;
    }
    e->answer = stanza_result(s);
    if (s->type == ST_GET)
        describe(&r, e->answer);
    return HOOK_STOP;
}

static const char *const features[] = {"jabber:iq:register", NULL};
static const struct iq_entry iqs[] = {
    {IQ_TO_SERVER, TOK_NS_REGISTER, true, on_iq}, {IQ_TO_ACCOUNT, TOK_NS_REGISTER, true, on_iq}, {0}};
static void on_start(unsigned host)
{
    (void)host;
    hosts++;
}

static void on_stop(unsigned host)
{
    (void)host;
    if (--hosts == 0)
        ip_table_clear(&recent);
}

static const struct hook_entry hooks[] = {ON(early_stanza, ANSWER, on_early), {0}};

MODULE(mod_register) = {.name = "mod_register", .xep = "XEP-0077 2.4", .features = features, .iqs = iqs, .hooks = hooks,
    .start = on_start, .stop = on_stop};
