/*
 * Client streams over real sockets: a whole server of two shards with its store, the client on a thread of its own. What the
 * wire shows in ordinary use is in tests/e2e; here is what needs a hand inside: ends while something waits, reloads under way,
 * hooks that end streams, readers that do not read.
 */
#include "../store/harness.h"

#include "base/base64.h"
#include "base/utf8.h"
#include "core/account/session_table.h"
#include "core/auth/auth.h"
#include "core/c2s/c2s_stream.h"
#include "core/listeners.h"
#include "core/module/module.h"
#include "core/server_start.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/time.h>

#define PORT 21000

/* --- the server --- */

static char own_ip[32];
static void (*client)(void);
static pthread_t client_thread;
static struct server_env env;

/* An address nobody else binds: listeners share ports (SO_REUSEPORT). */
static void write_config(const char *hosts, const char *more)
{
    FILE *f = fopen(env.config_file, "w");
    CHECK(f);
    fprintf(f, "hosts: [%s]\nauth_password_format: plain\nloglevel: none\nlisten:\n  -\n    port: %d\n    ip: \"%s\"\n"
               "    module: ejabberd_c2s\n    max_stanza_size: 262144\nmodules:\n  mod_ping: {}\n  mod_time: {}\n  mod_disco: {}\n"
               "  mod_version: {}\n  mod_last: {}\n%s", hosts, PORT, own_ip, more);
    fclose(f);
}

static void *run_client(void *arg)
{
    client();
    server_end(SERVER_STOP);
    return NULL;
}

static int started(struct error *err)
{
    CHECK(pthread_create(&client_thread, NULL, run_client, NULL) == 0);
    return 0;
}

static void nothing(void)
{
}

static void with_server(const char *hosts, const char *more, void (*fn)(void))
{
    static const struct server_hooks hooks = {started, nothing, nothing, nothing, nothing, nothing};
    static char file[160];
    struct error err = ERROR_INIT;
    struct rt_config rc = {.shards = 2, .pool_threads = 1, .on_stop = server_shard_stop};
    pid_t pid = getpid();

    snprintf(own_ip, sizeof(own_ip), "127.%d.%d.%d", 200 + (pid >> 16 & 15), pid >> 8 & 255, pid & 255);
    snprintf(file, sizeof(file), "%s", in_dir("ejabberd.yml"));
    env = (struct server_env){.config_file = file, .spool_dir = test_dir, .log_dir = test_dir};
    client = fn;
    unlink(in_dir("db.sqlite"));
    write_config(hosts, more);
    module_registry_start();
    struct config *c = server_load_config(&env, &err);
    if (!c)
        fprintf(stderr, "%s\n", err.text);
    CHECK(c);
    start_store(true);
    server_start(&env, c, &hooks);
    CHECK(rt_start(&rc, server_shard_start, &err) == 0);
    if (server_run(&err) != 0)
        fprintf(stderr, "%s\n", err.text);
    CHECK(err.code == ERR_NONE);
    pthread_join(client_thread, NULL);
    store_stop();
    config_release(&c);
}

/* --- the client's hand inside --- */

struct task {
    struct msg m;
    void (*fn)(void *arg);
    void *arg;
    sem_t done;
};

static void task_fiber(void *arg)
{
    struct task *t = arg;
    t->fn(t->arg);
    sem_post(&t->done);
}

static void on_task(struct msg *m)
{
    fiber_run(task_fiber, CONTAINER_OF(m, struct task, m));
}

/* fn(arg) on a fiber of that shard; the client waits. */
static void inside(unsigned shard, void (*fn)(void *arg), void *arg)
{
    struct task t = {.m.fn = on_task, .fn = fn, .arg = arg};
    sem_init(&t.done, 0, 0);
    mail_post_foreign(shard, &t.m);
    while (sem_wait(&t.done) != 0)
        CHECK(errno == EINTR);
    sem_destroy(&t.done);
}

static void do_register(void *arg)
{
    struct error err = ERROR_INIT;
    const char *const *who = arg;
    if (auth_register(str_of(who[1]), str_of(who[0]), S("secret"), &err) != 0 && err.code != ERR_CONFLICT)
        CHECK(!err.text[0]);
}

static void add_user(const char *user, const char *host)
{
    const char *who[] = {user, host};
    inside(0, do_register, who);
}

static void do_reload(void *arg)
{
    struct error err = ERROR_INIT;
    if (server_reload(&err) != 0)
        fprintf(stderr, "%s\n", err.text);
    CHECK(err.code == ERR_NONE);
}

static void reload(const char *hosts, const char *more)
{
    write_config(hosts, more);
    inside(0, do_reload, NULL);
}

/* --- the wire --- */

struct wire {
    int fd;
    size_t n;
    char buf[1 << 18];
    char seen[1 << 18]; /* what the last `until` went past, its words included */
};

static struct wire *wire_open(void)
{
    struct wire *w = calloc(1, sizeof(*w));
    struct timeval tv = {.tv_sec = 20};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    inet_pton(AF_INET, own_ip, &in.sin_addr);
    w->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    setsockopt(w->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
    CHECK(connect(w->fd, (struct sockaddr *)&in, sizeof(in)) == 0);
    return w;
}

static void wire_close(struct wire *w)
{
    close(w->fd);
    free(w);
}

static void put(struct wire *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void put(struct wire *w, const char *fmt, ...)
{
    static char text[1 << 18];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    for (int at = 0; at < n;) {
        ssize_t r = send(w->fd, text + at, (size_t)(n - at), MSG_NOSIGNAL);
        CHECK(r > 0);
        at += (int)r;
    }
}

/* false: the stream is over. */
static bool more(struct wire *w)
{
    CHECK(w->n < sizeof(w->buf) - 1);
    ssize_t r = recv(w->fd, w->buf + w->n, sizeof(w->buf) - 1 - w->n, 0);
    if (r < 0 && errno != ECONNRESET) {
        fprintf(stderr, "nothing more after: %s\n", w->buf);
        abort();
    }
    w->n += r > 0 ? (size_t)r : 0;
    w->buf[w->n] = 0;
    return r > 0;
}

/* Reads past these words; what came before them is in w->seen. */
static const char *until(struct wire *w, const char *words)
{
    char *p;
    while (!(p = strstr(w->buf, words)))
        if (!more(w)) {
            fprintf(stderr, "ended without \"%s\": %s\n", words, w->buf);
            abort();
        }
    size_t used = (size_t)(p - w->buf) + strlen(words);
    memcpy(w->seen, w->buf, used);
    w->seen[used] = 0;
    memmove(w->buf, w->buf + used, w->n - used + 1);
    w->n -= used;
    return w->seen;
}

static const char *to_the_end(struct wire *w)
{
    while (more(w))
        ;
    return w->buf;
}

static bool has(const char *text, const char *words)
{
    if (!strstr(text, words))
        fprintf(stderr, "no \"%s\" in: %s\n", words, text);
    return strstr(text, words) != NULL;
}

/* What came so far is all there is: a request and its answer. */
static const char *so_far(struct wire *w)
{
    put(w, "<iq type='get' id='sync'><ping xmlns='urn:xmpp:ping'/></iq>");
    until(w, "id='sync'/>");
    return w->seen;
}

static void header(struct wire *w, const char *host)
{
    put(w, "<?xml version='1.0'?><stream:stream to='%s' version='1.0' xmlns='jabber:client' "
           "xmlns:stream='http://etherx.jabber.org/streams'>", host);
}

static const char *encoded(const char *bytes, size_t n)
{
    static char text[2048];
    struct arena *a = arena_new();
    struct str s = base64_encode(a, str_n(bytes, n));
    snprintf(text, sizeof(text), "%.*s", STR_ARG(s));
    arena_release(&a);
    return text;
}

static void send_plain(struct wire *w, const char *user, const char *password)
{
    char raw[256];
    int n = snprintf(raw, sizeof(raw), "%c%s%c%s", 0, user, 0, password);
    put(w, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>", encoded(raw, (size_t)n));
}

/* A first message of ann's; nothing here ever finishes it. */
static void send_scram(struct wire *w)
{
    put(w, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>%s</auth>", encoded("n,,n=ann,r=abcdefgh", 19));
}

static struct wire *authenticated(const char *user, const char *host)
{
    struct wire *w = wire_open();
    header(w, host);
    until(w, "</stream:features>");
    send_plain(w, user, "secret");
    until(w, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    header(w, host);
    until(w, "</stream:features>");
    return w;
}

static void ask_bind(struct wire *w, const char *resource)
{
    put(w, "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>%s</resource></bind></iq>", resource);
}

static struct wire *login(const char *user, const char *host, const char *resource)
{
    struct wire *w = authenticated(user, host);
    char jid[128];
    ask_bind(w, resource);
    snprintf(jid, sizeof(jid), "<jid>%s@%s/%s</jid>", user, host, resource);
    until(w, jid);
    until(w, "</iq>");
    return w;
}

static struct wire *online(const char *user, const char *host, const char *resource)
{
    struct wire *w = login(user, host, resource);
    put(w, "<presence/>");
    so_far(w);
    return w;
}

/* --- things that are held up until the client says so --- */

static struct {
    bool reads, moves; /* hold the next one */
    struct fiber *fiber;
    unsigned shard;
    sem_t held;
} hold;

static void hold_here(void)
{
    hold.fiber = fiber_self();
    hold.shard = shard_self();
    sem_post(&hold.held);
    fiber_suspend("test");
}

static void await_held(void)
{
    while (sem_wait(&hold.held) != 0)
        CHECK(errno == EINTR);
}

static void do_let_go(void *arg)
{
    fiber_wake(hold.fiber);
    fiber_sleep(0);
}

static void let_go(void)
{
    inside(hold.shard, do_let_go, NULL);
}

enum store_rc __real_users_get(struct arena *a, struct str host, struct str user, struct user_creds *out);
enum store_rc __wrap_users_get(struct arena *a, struct str host, struct str user, struct user_creds *out);
enum store_rc __wrap_users_get(struct arena *a, struct str host, struct str user, struct user_creds *out)
{
    enum store_rc rc = __real_users_get(a, host, user, out);
    if (__atomic_exchange_n(&hold.reads, false, __ATOMIC_ACQ_REL))
        hold_here();
    return rc;
}

static void (*real_arrived)(struct conn *c);
static struct config *arrive_under;

void __real_conn_move(struct conn *c, unsigned shard, void (*arrived)(struct conn *c));
void __wrap_conn_move(struct conn *c, unsigned shard, void (*arrived)(struct conn *c));

/* The reload has reached this shard already, the one the stream left has not had it. */
static void arrived_after_reload(struct conn *c)
{
    config_install(arrive_under);
    module_apply_config(arrive_under);
    account_config_changed(arrive_under);
    real_arrived(c);
}

void __wrap_conn_move(struct conn *c, unsigned shard, void (*arrived)(struct conn *c))
{
    real_arrived = arrived;
    __real_conn_move(c, shard, __atomic_exchange_n(&hold.moves, false, __ATOMIC_ACQ_REL) ? arrived_after_reload : arrived);
}

/* A module of the test's own: a handler that waits, and hooks that end streams. */

static bool timer_was_armed;

static void on_hold(struct iq *iq)
{
    struct account *a = account_find(jid_user(iq->stanza->from), jid_host(iq->stanza->from));
    timer_was_armed = timer_armed(&session_find(a, jid_res(iq->stanza->from))->owner->timer);
    hold_here();
    iq_result_empty(iq);
}

static bool doomed(struct session *s, const char *resource)
{
    return str_eq(jid_res(session_jid(s)), str_of(resource));
}

static enum hook_verdict end_on_sent(struct stanza_event *e)
{
    if (doomed(e->session, "sent"))
        c2s_end(e->session->owner, "policy-violation", S("hook"));
    return HOOK_PASS;
}

static enum hook_verdict end_on_opened(struct session_event *e)
{
    if (doomed(e->session, "opened"))
        c2s_end(e->session->owner, "policy-violation", S("hook"));
    return HOOK_PASS;
}

static enum hook_verdict end_on_presence(struct presence_event *e)
{
    if (doomed(e->session, "presence") && e->session->owner)
        c2s_end(e->session->owner, "policy-violation", S("hook"));
    return HOOK_PASS;
}

/* Asks for what is just being ended. */
static enum hook_verdict write_on_closed(struct session_event *e)
{
    struct stanza *p = stanza_new(STANZA_MESSAGE, ST_NORMAL, session_jid(e->session), session_jid(e->session));
    session_send(e->session, p);
    c2s_end(e->session->owner, "policy-violation", S("twice"));
    stanza_end(&p);
    return HOOK_PASS;
}

static const struct iq_entry iqs[] = {{IQ_TO_ACCOUNT, TOK_NONE, true, on_hold, "test:hold"}, {0}};
static const struct hook_entry hooks[] = {ON(stanza_sent, FILTER, end_on_sent), ON(session_opened, STATE, end_on_opened),
                                          ON(session_presence, FANOUT, end_on_presence),
                                          ON(session_closed, STATE, write_on_closed), {0}};
MODULE(test_module) = {.name = "test_hand", .core = true, .iqs = iqs, .hooks = hooks};

/* --- tests --- */

/* Every module of src/mod answers, the first conversation of a client. */
static void conversation(void)
{
    static const struct { const char *to, *type, *child, *words; } rows[] = {
        {"a.example", "get", "<ping xmlns='urn:xmpp:ping'/>", "type='result'"},
        {"ann@a.example", "get", "<ping xmlns='urn:xmpp:ping'/>", "type='result'"},
        {"a.example", "set", "<ping xmlns='urn:xmpp:ping'/>", "<bad-request "},
        {"a.example", "get", "<time xmlns='urn:xmpp:time'/>", "<utc>20"},
        {"a.example", "set", "<time xmlns='urn:xmpp:time'/>", "<not-allowed "},
        {"ann@a.example", "get", "<time xmlns='urn:xmpp:time'/>", "<service-unavailable "},
        {"a.example", "get", "<query xmlns='jabber:iq:version'/>", "<name>cjabberd</name>"},
        {"a.example", "set", "<query xmlns='jabber:iq:version'/>", "<not-allowed "},
        {"a.example", "get", "<query xmlns='jabber:iq:last'/>", " seconds='"},
        {"a.example", "set", "<query xmlns='jabber:iq:last'/>", "<not-allowed "},
        {"ann@a.example", "get", "<query xmlns='jabber:iq:last'/>", " seconds='0'"},
        {"bob@a.example", "get", "<query xmlns='jabber:iq:last'/>", "<subscription-required "},
        {"a.example", "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>", "<feature var='urn:xmpp:ping'/>"},
        {"a.example", "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>", "category='server'"},
        {"a.example", "get", "<query xmlns='http://jabber.org/protocol/disco#info' node='x'/>", "<item-not-found "},
        {"a.example", "set", "<query xmlns='http://jabber.org/protocol/disco#info'/>", "<not-allowed "},
        {"ann@a.example", "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>", "category='account'"},
        {"bob@a.example", "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>", "<subscription-required "},
        {"a.example", "get", "<query xmlns='http://jabber.org/protocol/disco#items'/>", "type='result'"},
        {"bob@a.example", "get", "<query xmlns='http://jabber.org/protocol/disco#items'/>", "<subscription-required "},
        {"a.example", "set", "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>", "type='result'"},
    };
    add_user("ann", "a.example");
    struct wire *w = online("ann", "a.example", "r");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        put(w, "<iq type='%s' id='q' to='%s'>%s</iq>", rows[i].type, rows[i].to, rows[i].child);
        CHECK(has(so_far(w), rows[i].words));
    }
    put(w, "</stream:stream>");
    CHECK(has(to_the_end(w), "</stream:stream>"));
    wire_close(w);
}

static void first_conversation(void **state)
{
    with_server("a.example", "", conversation);
}

/* --- login --- */

/* Exchanges that are begun and never finished are tries too: each leaves something in memory. */
static void unfinished(void)
{
    add_user("ann", "a.example");
    struct wire *w = wire_open();
    header(w, "a.example");
    until(w, "</stream:features>");
    for (unsigned i = 0; i < 20; i++)
        send_scram(w);
    const char *all = to_the_end(w);
    unsigned challenges = 0;
    for (const char *p = all; (p = strstr(p, "<challenge ")); p++)
        challenges++;
    CHECK_INT(challenges, 5);
    CHECK(has(all, "<policy-violation "));
    wire_close(w);

    w = wire_open();
    header(w, "a.example");
    until(w, "</stream:features>");
    for (unsigned i = 0; i < 20; i++)
        put(w, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>");
    CHECK(has(to_the_end(w), "<policy-violation "));
    wire_close(w);

    /* an initial response that was asked for (RFC 4422 §3.3), after one exchange given up */
    w = wire_open();
    header(w, "a.example");
    until(w, "</stream:features>");
    send_scram(w);
    until(w, "</challenge>");
    put(w, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>");
    until(w, "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    put(w, "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%s</response>", encoded("\0ann\0secret", 11));
    until(w, "<success ");
    wire_close(w);
}

static void unfinished_exchanges(void **state)
{
    with_server("a.example", "", unfinished);
}

/* The host goes, or the time is up, while the password is being looked up. */
static void ended_while_checking(void)
{
    add_user("ann", "c.example");
    for (unsigned i = 0; i < 2; i++) { /* PLAIN, SCRAM */
        struct wire *w = wire_open();
        header(w, "c.example");
        until(w, "</stream:features>");
        __atomic_store_n(&hold.reads, true, __ATOMIC_RELEASE);
        if (i)
            send_scram(w);
        else
            send_plain(w, "ann", "secret");
        await_held();
        reload("a.example", "auth_use_cache: false\n");
        until(w, "<host-gone ");
        let_go();
        const char *rest = to_the_end(w);
        CHECK(has(rest, "</stream:stream>") && !strstr(rest, "<success") && !strstr(rest, "<challenge"));
        wire_close(w);
        reload("a.example, b.example, c.example", "auth_use_cache: false\n");
    }
    struct wire *w = login("ann", "c.example", "r");
    wire_close(w);
}

static void host_goes_during_login(void **state)
{
    with_server("a.example, b.example, c.example", "auth_use_cache: false\n", ended_while_checking);
}

/* A stream on its way home meets a new numbering of the hosts: it stays with the host whose password it knew. */
static void renumbered(void)
{
    struct error err = ERROR_INIT;
    add_user("ann", "b.example");
    write_config("c.example, a.example, b.example", "");
    struct config *c = arrive_under = server_load_config(&env, &err);
    CHECK(c);
    __atomic_store_n(&hold.moves, true, __ATOMIC_RELEASE);
    struct wire *w = wire_open();
    header(w, "b.example");
    until(w, "</stream:features>");
    send_plain(w, "ann", "secret");
    until(w, "<success ");
    header(w, "a.example"); /* its old number */
    CHECK(has(to_the_end(w), "<host-unknown "));
    wire_close(w);
    inside(0, do_reload, NULL);

    w = wire_open();
    write_config("a.example, b.example, c.example", "");
    config_release(&c);
    c = arrive_under = server_load_config(&env, &err);
    CHECK(c);
    header(w, "b.example");
    until(w, "</stream:features>");
    __atomic_store_n(&hold.moves, true, __ATOMIC_RELEASE);
    send_plain(w, "ann", "secret");
    until(w, "<success ");
    header(w, "b.example");
    ask_bind(w, "r");
    until(w, "<jid>ann@b.example/r</jid>");
    wire_close(w);
    inside(0, do_reload, NULL);

    /* and ends when its host is not there at all */
    w = wire_open();
    write_config("a.example", "");
    config_release(&c);
    c = arrive_under = server_load_config(&env, &err);
    header(w, "b.example");
    until(w, "</stream:features>");
    __atomic_store_n(&hold.moves, true, __ATOMIC_RELEASE);
    send_plain(w, "ann", "secret");
    until(w, "<success ");
    CHECK(has(to_the_end(w), "<host-gone "));
    wire_close(w);
    inside(0, do_reload, NULL);
    config_release(&c);
}

static void reload_during_a_move(void **state)
{
    with_server("a.example, b.example", "", renumbered);
}

/* --- bound streams and reloads --- */

static void do_count(void *arg)
{
    struct error err = ERROR_INIT;
    CHECK(account_count_sessions(STR_NULL, arg, &err) == 0);
}

static uint64_t sessions(void)
{
    uint64_t n = 77;
    inside(0, do_count, &n);
    return n;
}

static void hosts_come_and_go(void)
{
    add_user("ann", "a.example");
    add_user("bob", "b.example");
    struct wire *ann = online("ann", "a.example", "r"), *bob = online("bob", "b.example", "r");
    struct wire *bob2 = online("bob", "b.example", "r2");
    CHECK_INT(sessions(), 3);
    reload("c.example, b.example, a.example", "");
    so_far(ann);
    put(ann, "<message to='bob@b.example/r'><body>1</body></message>");
    until(bob, "<body>1</body>");
    reload("a.example", "");
    CHECK(has(to_the_end(bob), "<host-gone "));
    CHECK(has(to_the_end(bob2), "<host-gone "));
    CHECK_INT(sessions(), 1);
    put(ann, "<message id='m' to='bob@b.example/r'><body>2</body></message>");
    until(ann, "<remote-server-not-found ");
    /* while the host was going its modules were still there: the last activity was kept */
    reload("a.example, b.example", "");
    struct wire *again = online("bob", "b.example", "r3");
    wire_close(ann);
    wire_close(bob);
    wire_close(bob2);
    wire_close(again);
}

static void do_last(void *arg)
{
    struct arena *a = arena_new();
    int64_t when;
    struct str words;
    CHECK_INT(last_get(a, S("b.example"), S("bob"), &when, &words), STORE_OK);
    CHECK(str_starts(words, S("Stream closed by local host")));
    arena_release(&a);
}

static void hosts_go_with_memory(void)
{
    add_user("bob", "b.example");
    struct wire *bob = online("bob", "b.example", "r");
    reload("a.example", "");
    CHECK(has(to_the_end(bob), "<host-gone "));
    inside(0, do_last, NULL);
    wire_close(bob);
}

static void reloads(void **state)
{
    with_server("a.example, b.example", "", hosts_come_and_go);
    with_server("a.example, b.example", "", hosts_go_with_memory);
}

/* --- resources --- */

static void conflicts(void)
{
    add_user("ann", "a.example");
    add_user("ann", "b.example");
    add_user("ann", "c.example");
    struct wire *one = online("ann", "a.example", "r"), *other = online("ann", "a.example", "other");
    struct wire *two = login("ann", "a.example", "r");
    CHECK(has(to_the_end(one), "<conflict "));
    until(other, "from='ann@a.example/r' type='unavailable'");
    until(other, "Replaced by new connection (conflict)");
    so_far(two);

    struct wire *kept = login("ann", "b.example", "r"), *late = authenticated("ann", "b.example");
    ask_bind(late, "r");
    until(late, "<conflict ");
    until(late, "</iq>");
    ask_bind(late, "r2"); /* and may try another */
    until(late, "<jid>ann@b.example/r2</jid>");
    so_far(kept);

    struct wire *first = login("ann", "c.example", "r"), *second = authenticated("ann", "c.example");
    ask_bind(second, "r");
    until(second, "<jid>ann@c.example/");
    CHECK(strncmp(second->buf, "r<", 2) != 0);
    so_far(first);

    struct wire *all[] = {one, other, two, kept, late, first, second};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        wire_close(all[i]);
}

static void resource_conflicts(void **state)
{
    with_server("a.example, b.example, c.example",
                "host_config:\n  b.example:\n    resource_conflict: closenew\n  c.example:\n    resource_conflict: setresource\n",
                conflicts);
}

static void too_many(void)
{
    add_user("ann", "a.example");
    struct wire *w[4];
    for (unsigned i = 0; i < 4; i++) {
        char r[8];
        snprintf(r, sizeof(r), "r%u", i);
        w[i] = online("ann", "a.example", r);
    }
    /* the oldest make room */
    CHECK(has(to_the_end(w[0]), "<conflict "));
    CHECK(has(to_the_end(w[1]), "<conflict "));
    so_far(w[2]);
    so_far(w[3]);
    CHECK_INT(sessions(), 2);
    for (unsigned i = 0; i < 4; i++)
        wire_close(w[i]);
}

static void session_limit(void **state)
{
    with_server("a.example", "shaper_rules:\n  max_user_sessions: 2\n", too_many);
}

/* --- ends --- */

static char kick_reason[2000];

static void do_kick(void *arg)
{
    struct error err = ERROR_INIT;
    unsigned n;
    CHECK(account_kick(S("ann"), S("a.example"), str_of(arg), KICK_SESSION, str_of(kick_reason), &n, &err) == 0);
    CHECK_INT(n, 1);
}

/* The reason goes into other clients' streams: whatever an administrator writes must leave them whole. */
static void reasons(void)
{
    add_user("ann", "a.example");
    struct wire *watcher = online("ann", "a.example", "watcher");
    for (unsigned cut = 0; cut < 3; cut++) {
        struct wire *w = online("ann", "a.example", "r");
        memset(kick_reason, 'x', cut);
        for (size_t i = cut; i + 2 < sizeof(kick_reason); i += 2)
            memcpy(kick_reason + i, "\xc3\xa4", 3);
        inside(0, do_kick, (void *)(uintptr_t)"r");
        CHECK(has(to_the_end(w), "<conflict "));
        until(watcher, "type='unavailable'><status>");
        const char *text = until(watcher, "</status>");
        CHECK(utf8_valid(str_of(text)));
        wire_close(w);
    }
    snprintf(kick_reason, sizeof(kick_reason), "a\x01<b>\x7f\xff\xef\xbf\xbf&");
    struct wire *w = online("ann", "a.example", "r");
    inside(0, do_kick, (void *)(uintptr_t)"r");
    CHECK(has(to_the_end(w), ">a?&lt;b&gt;\x7f??&amp;</text>"));
    until(watcher, "local host: a?&lt;b&gt;\x7f??&amp; (conflict)</status>");
    so_far(watcher);
    wire_close(w);
    wire_close(watcher);
}

static void kick_reasons(void **state)
{
    with_server("a.example", "", reasons);
}

static void in_hooks(void)
{
    add_user("ann", "a.example");
    struct wire *watcher = online("ann", "a.example", "watcher");
    struct wire *w = authenticated("ann", "a.example");
    ask_bind(w, "opened");
    CHECK(has(to_the_end(w), "<policy-violation "));
    wire_close(w);

    static const char *const stanzas[] = {"<presence/>", "<message to='ann@a.example/watcher'/>", "<presence to='ann@a.example'/>",
                                          "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>"};
    for (size_t i = 0; i < ARRAY_LEN(stanzas); i++) {
        w = login("ann", "a.example", "sent");
        put(w, "%s%s", stanzas[i], stanzas[i]);
        CHECK(has(to_the_end(w), "<policy-violation "));
        wire_close(w);
    }
    w = login("ann", "a.example", "presence");
    put(w, "<presence/><presence/>");
    CHECK(has(to_the_end(w), "<policy-violation "));
    wire_close(w);
    so_far(watcher);
    CHECK_INT(sessions(), 1);
    wire_close(watcher);
}

static void ended_by_hooks(void **state)
{
    with_server("a.example", "", in_hooks);
}

/* The stream ends while its stanza waits: the answer goes nowhere, nothing behind it is done. */
static void while_waiting(void)
{
    add_user("ann", "a.example");
    struct wire *watcher = online("ann", "a.example", "watcher");
    struct wire *w = login("ann", "a.example", "r");
    put(w, "<iq type='get' id='1'><query xmlns='test:hold'/></iq>"
           "<message to='ann@a.example/watcher'><body>after</body></message>");
    await_held();
    snprintf(kick_reason, sizeof(kick_reason), "enough");
    inside(0, do_kick, (void *)(uintptr_t)"r");
    until(w, "<conflict ");
    let_go();
    CHECK(!strstr(to_the_end(w), "result"));
    CHECK(!strstr(so_far(watcher), "after"));
    wire_close(w);

    /* what is behind one that waits comes after it, and its client is not held for a stall */
    w = login("ann", "a.example", "r");
    put(w, "<iq type='get' id='1'><que");
    so_far(watcher);
    put(w, "ry xmlns='test:hold'/></iq><message to='ann@a.example/watcher'><body>after</body></message>");
    await_held();
    CHECK(!timer_was_armed);
    CHECK(!strstr(so_far(watcher), "after"));
    let_go();
    until(w, "type='result' id='1'");
    until(watcher, "<body>after</body>");
    wire_close(w);

    /* the client is gone */
    w = login("ann", "a.example", "r");
    put(w, "<iq type='get' id='1'><query xmlns='test:hold'/></iq>");
    await_held();
    wire_close(w);
    so_far(watcher);
    let_go();
    so_far(watcher);
    wire_close(watcher);
}

static void ended_while_a_stanza_waits(void **state)
{
    with_server("a.example", "", while_waiting);
}

/* Two resources of one priority, one does not read: it is closed in the middle of deliveries, the other misses nothing. */
static void slow_reader(void)
{
    static char body[16001];
    add_user("ann", "a.example");
    add_user("bob", "a.example");
    memset(body, 'b', sizeof(body) - 1);
    struct wire *deaf = online("ann", "a.example", "deaf"), *keen = online("ann", "a.example", "keen");
    struct wire *bob = login("bob", "a.example", "r");
    unsigned i = 0;
    bool gone = false;
    for (; i < 5000 && !gone; i++) {
        char end[64];
        put(bob, "<message to='ann@a.example' type='chat'><body>%s</body><thread>t%u</thread></message>", body, i);
        snprintf(end, sizeof(end), "<thread>t%u</thread></message>", i);
        gone = strstr(until(keen, end), "does not read") != NULL;
    }
    if (!gone)
        until(keen, "does not read");
    put(bob, "<message to='ann@a.example' type='chat'><body>last</body></message>");
    until(keen, "<body>last</body>");
    so_far(bob);
    CHECK_INT(sessions(), 2);
    wire_close(deaf);
    wire_close(keen);
    wire_close(bob);
}

static void reader_that_does_not_read(void **state)
{
    with_server("a.example", "", slow_reader);
}

/* --- a stanza from inside --- */

static enum err_code injected(const char *text)
{
    struct error err = ERROR_INIT;
    struct arena *a = arena_new();
    const char *why;
    struct xml_el *el = xml_parse(a, str_of(text), TOK_NS_CLIENT, &why);
    struct stanza *s = stanza_of(a, el);
    CHECK_INT(account_inject(S("ann"), S("a.example"), S("r"), &s, &err) == 0, err.code == ERR_NONE);
    CHECK(!s);
    return err.code;
}

static void do_inject(void *arg)
{
    CHECK_INT(injected(arg), ERR_NONE);
}

/* The client has sent nothing: it is neither told nor thrown out. */
static void refuse_injection(void *arg)
{
    CHECK_INT(injected(arg), ERR_BAD_REQUEST);
}

static void injections(void)
{
    add_user("ann", "a.example");
    struct wire *watcher = online("ann", "a.example", "watcher"), *w = login("ann", "a.example", "r");
    inside(0, do_inject, (void *)(uintptr_t)"<message to='ann@a.example/watcher'><body>in</body></message>");
    CHECK(has(until(watcher, "<body>in</body>"), "from='ann@a.example/r'"));
    inside(1, do_inject, (void *)(uintptr_t)"<iq type='get' id='1' to='a.example'><ping xmlns='urn:xmpp:ping'/></iq>");
    until(w, "type='result' id='1'");
    inside(0, refuse_injection, (void *)(uintptr_t)"<iq type='get' to='a.example'><ping xmlns='urn:xmpp:ping'/></iq>");
    inside(1, refuse_injection, (void *)(uintptr_t)"<message from='bob@a.example'/>");
    inside(0, refuse_injection, (void *)(uintptr_t)"<message to='@'/>");
    inside(1, do_inject, (void *)(uintptr_t)"<iq type='get' id='2' to='a.example'><ping xmlns='urn:xmpp:ping'/></iq>");
    const char *said = until(w, "id='2'");
    CHECK(!has(said, "<bad-request ") && !has(said, "<invalid-from ") && !has(said, "<jid-malformed "));
    wire_close(w);
    wire_close(watcher);
}

static void injected_stanzas(void **state)
{
    with_server("a.example", "", injections);
}

/* --- the end --- */

static struct wire *left[3];

static void leave_open(void)
{
    add_user("ann", "a.example");
    left[0] = online("ann", "a.example", "r");
    left[1] = authenticated("ann", "a.example");
    left[2] = wire_open();
    header(left[2], "a.example");
    until(left[2], "</stream:features>");
}

static void shutdown_says_so(void **state)
{
    with_server("a.example", "", leave_open);
    for (size_t i = 0; i < ARRAY_LEN(left); i++) {
        CHECK(has(to_the_end(left[i]), "<system-shutdown "));
        wire_close(left[i]);
    }
}

static int all_setup(void **state)
{
    sem_init(&hold.held, 0, 0);
    return dir_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_conversation),
        cmocka_unit_test(unfinished_exchanges),
        cmocka_unit_test(host_goes_during_login),
        cmocka_unit_test(reload_during_a_move),
        cmocka_unit_test(reloads),
        cmocka_unit_test(resource_conflicts),
        cmocka_unit_test(session_limit),
        cmocka_unit_test(kick_reasons),
        cmocka_unit_test(ended_by_hooks),
        cmocka_unit_test(ended_while_a_stanza_waits),
        cmocka_unit_test(reader_that_does_not_read),
        cmocka_unit_test(injected_stanzas),
        cmocka_unit_test(shutdown_says_so),
    };
    return cmocka_run_group_tests(tests, all_setup, dir_teardown);
}
