/* One XMPP client: from connect to its own presence echoed back (RFC 6120 §4 to §7, RFC 6121 §4.2), and the crowd of
 * them. Each step waits for the answer to the one before, as clients do; nothing is pipelined.
 *
 * With PROTO_RELAY the login is the relay's one line instead. */
#include "load.h"

#include <stdlib.h>
#include <string.h>

#define RESOURCE "bench"
#define SASL_NS "urn:ietf:params:xml:ns:xmpp-sasl"
#define SM_NS "urn:xmpp:sm:3"

static struct {
    struct client *clients;
    long n, next, ready, open;
    bool all_ready, all_closed;
    bool probing, probe_failed;
    uint64_t deadline;
} crowd;

static void start(struct client *c);

static bool has(const char *s, size_t len, const char *what)
{
    return memmem(s, len, what, strlen(what)) != NULL;
}

static bool starts(const char *s, size_t len, const char *what)
{
    size_t n = strlen(what);
    return len >= n && memcmp(s, what, n) == 0;
}

static void client_fail(struct client *c, const char *why, const char *stanza, size_t len)
{
    static const char *const steps[] = {"idle", "connect", "features", "starttls", "challenge", "success", "bind",
        "session", "roster", "presence", "enable", "resume", "ready", "closing"};
    if (!crowd.probing)
        die("client %ld, step %s: %s: %.*s", c->index, steps[c->state], why, (int)(len > 400 ? 400 : len), stanza);
    crowd.probe_failed = crowd.all_ready = true;
    c->state = CLIENT_IDLE;
    conn_close(&c->conn);
}

static void send_text(struct client *c, const char *text)
{
    conn_send(&c->conn, text, strlen(text));
}

void client_send(struct client *c, const char *text)
{
    send_text(c, text);
}

static void send_resume(struct client *c)
{
    char text[400];
    snprintf(text, sizeof text, "<resume xmlns='" SM_NS "' previd='%s' h='%u'/>", c->session_id, c->handled);
    c->state = CLIENT_RESUME;
    send_text(c, text);
}

static void open_stream(struct client *c)
{
    char text[512];
    snprintf(text, sizeof text, "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
        "xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='%s'>", opt.domain);
    c->in_stream = false;
    c->state = CLIENT_FEATURES;
    send_text(c, text);
}

static void on_open(struct conn *conn)
{
    struct client *c = (struct client *)conn;
    char line[64];
    if (opt.proto == PROTO_XMPP) {
        open_stream(c);
        return;
    }
    if (opt.echo)
        snprintf(line, sizeof line, "echo\n");
    else
        snprintf(line, sizeof line, "pair %ld\n", c->index / 2);
    c->state = CLIENT_PRESENCE;
    send_text(c, line);
}

static void become_ready(struct client *c)
{
    c->state = CLIENT_READY;
    crowd.ready++;
    if (crowd.next < crowd.n)
        start(&crowd.clients[crowd.next++]);
    if (crowd.ready == crowd.n)
        crowd.all_ready = true;
}

static void send_auth(struct client *c)
{
    char user[128], first[400], encoded[600], text[800];
    size_t len;
    snprintf(user, sizeof user, "%s%ld", opt.prefix, c->index);
    if (opt.mech == MECH_PLAIN) {
        size_t user_len = strlen(user), pw_len = strlen(opt.password);
        if (user_len + pw_len + 2 > sizeof first)
            die("password too long");
        first[0] = 0;
        memcpy(first + 1, user, user_len + 1);
        memcpy(first + user_len + 2, opt.password, pw_len);
        len = user_len + pw_len + 2;
    } else {
        if (scram_first(&c->scram, user, NULL, first, sizeof first) != 0)
            die("SCRAM cannot be started");
        len = strlen(first);
    }
    base64_encode(first, len, encoded);
    snprintf(text, sizeof text, "<auth xmlns='" SASL_NS "' mechanism='%s'>%s</auth>",
        opt.mech == MECH_PLAIN ? "PLAIN" : "SCRAM-SHA-1", encoded);
    c->state = opt.mech == MECH_PLAIN ? CLIENT_SUCCESS : CLIENT_CHALLENGE;
    send_text(c, text);
}

static void on_features(struct client *c, const char *s, size_t len)
{
    if (!starts(s, len, "<stream:features")) {
        client_fail(c, "features expected", s, len);
    } else if (c->authenticated && c->resumes) {
        send_resume(c);
    } else if (c->authenticated) {
        c->needs_session = has(s, len, "<session") && !has(s, len, "<optional");
        c->state = CLIENT_BIND;
        send_text(c, "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" RESOURCE
                     "</resource></bind></iq>");
    } else if (opt.tls == TLS_STARTTLS && !c->conn.ssl) {
        c->state = CLIENT_PROCEED;
        send_text(c, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    } else if (!has(s, len, opt.mech == MECH_PLAIN ? ">PLAIN<" : ">SCRAM-SHA-1<")) {
        client_fail(c, "mechanism not offered", s, len);
    } else {
        send_auth(c);
    }
}

/* Base64 between the tags of s, decoded into text; false when there is none. */
static bool sasl_text(const char *s, size_t len, char *text, size_t size)
{
    char encoded[1024];
    if (!text_between(s, len, ">", "<", encoded, sizeof encoded) || strlen(encoded) >= size)
        return false;
    ssize_t n = base64_decode(encoded, strlen(encoded), text);
    if (n < 0)
        return false;
    text[n] = 0;
    return true;
}

static void on_challenge(struct client *c, const char *s, size_t len)
{
    char challenge[1024], answer[600], encoded[900], text[1024];
    if (!starts(s, len, "<challenge") || !sasl_text(s, len, challenge, sizeof challenge) ||
        scram_final(&c->scram, &c->account->keys, opt.password, challenge, answer, sizeof answer) != 0) {
        client_fail(c, "usable challenge expected", s, len);
        return;
    }
    base64_encode(answer, strlen(answer), encoded);
    snprintf(text, sizeof text, "<response xmlns='" SASL_NS "'>%s</response>", encoded);
    c->state = CLIENT_SUCCESS;
    send_text(c, text);
}

static void on_success(struct client *c, const char *s, size_t len)
{
    char last[1024];
    if (!starts(s, len, "<success")) {
        client_fail(c, "success expected", s, len);
        return;
    }
    if (opt.mech == MECH_SCRAM_SHA1 &&
        (!sasl_text(s, len, last, sizeof last) || scram_verify(&c->scram, last) != 0)) {
        client_fail(c, "the server did not prove itself", s, len);
        return;
    }
    c->authenticated = true;
    open_stream(c);
}

static void send_presence(struct client *c)
{
    c->state = CLIENT_PRESENCE;
    send_text(c, "<presence/>");
}

/* Bound, with a session: the roster, if asked for, then the presence. */
static void go_online(struct client *c)
{
    if (!c->gets_roster) {
        send_presence(c);
        return;
    }
    c->state = CLIENT_ROSTER;
    send_text(c, "<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>");
}

static void on_roster(struct client *c, const char *s, size_t len)
{
    long items = 0;
    const char *end = s + len;
    for (const char *p = s; (p = memmem(p, (size_t)(end - p), "<item ", 6)); p += 6)
        items++;
    if (items != opt.contacts)
        client_fail(c, "another number of contacts expected", s, len);
    send_presence(c);
}

/* `from` and not only somewhere: a contact's presence may carry the address as its `to`. */
static bool is_own_presence(struct client *c, const char *s, size_t len)
{
    char from[128];
    return starts(s, len, "<presence") && attribute(s, len, " from=", from, sizeof from) && strcmp(from, c->jid) == 0;
}

static void on_online(struct client *c)
{
    if (!c->manages) {
        become_ready(c);
        return;
    }
    c->state = CLIENT_ENABLE;
    send_text(c, "<enable xmlns='" SM_NS "' resume='true'/>");
}

static void on_enabled(struct client *c, const char *s, size_t len)
{
    if (!starts(s, len, "<enabled") || !attribute(s, len, " id=", c->session_id, sizeof c->session_id)) {
        client_fail(c, "enabled expected", s, len);
        return;
    }
    c->handled = c->sent = 0;
    become_ready(c);
}

/* The server must have everything that it took before the cut. */
static void on_resumed(struct client *c, const char *s, size_t len)
{
    char h[16];
    if (!starts(s, len, "<resumed") || !attribute(s, len, " h=", h, sizeof h) || strtoul(h, NULL, 10) != c->sent) {
        client_fail(c, "resumed expected, with everything that was sent", s, len);
        return;
    }
    become_ready(c);
}

static void on_bound(struct client *c, const char *s, size_t len)
{
    if (!has(s, len, "result") || !text_between(s, len, "<jid>", "</jid>", c->jid, sizeof c->jid)) {
        client_fail(c, "bound address expected", s, len);
        return;
    }
    if (!c->needs_session) {
        go_online(c);
        return;
    }
    c->state = CLIENT_SESSION;
    send_text(c, "<iq type='set' id='session'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>");
}

static void on_login_stanza(struct client *c, const char *s, size_t len)
{
    if (starts(s, len, "<stream:error")) {
        client_fail(c, "stream error", s, len);
        return;
    }
    switch (c->state) {
    case CLIENT_FEATURES:
        on_features(c, s, len);
        break;
    case CLIENT_PROCEED:
        if (!starts(s, len, "<proceed"))
            client_fail(c, "proceed expected", s, len);
        else
            conn_starttls(&c->conn);
        break;
    case CLIENT_CHALLENGE:
        on_challenge(c, s, len);
        break;
    case CLIENT_SUCCESS:
        on_success(c, s, len);
        break;
    case CLIENT_BIND:
        on_bound(c, s, len);
        break;
    case CLIENT_SESSION:
        if (!has(s, len, "result"))
            client_fail(c, "session expected", s, len);
        else
            go_online(c);
        break;
    case CLIENT_ROSTER:
        if (starts(s, len, "<iq") && has(s, len, "jabber:iq:roster"))
            on_roster(c, s, len);
        break;
    case CLIENT_PRESENCE:
        if (is_own_presence(c, s, len))
            on_online(c);
        else if (c->on_stanza)
            c->on_stanza(c, s, len);
        break;
    case CLIENT_ENABLE:
        if (starts(s, len, "<enabled") || starts(s, len, "<failed"))
            on_enabled(c, s, len);
        break;
    case CLIENT_RESUME:
        on_resumed(c, s, len);
        break;
    default:
        break;
    }
}

static size_t on_relay_line(struct client *c, const char *buf, size_t len)
{
    if (len < 3)
        return 0;
    if (memcmp(buf, "ok\n", 3) != 0)
        client_fail(c, "ok expected", buf, len);
    snprintf(c->jid, sizeof c->jid, "%s%ld@%s/" RESOURCE, opt.prefix, c->index, opt.domain);
    c->in_stream = true;
    become_ready(c);
    return 3;
}

static void on_stream_end(struct client *c)
{
    if (c->state != CLIENT_CLOSING) {
        client_fail(c, "the server ended the stream", "", 0);
        return;
    }
    conn_close(&c->conn);
    if (--crowd.open == 0)
        crowd.all_closed = true;
}

static void on_item(struct client *c, enum item item, const char *s, size_t len)
{
    if (item == ITEM_HEADER)
        c->in_stream = true;
    else if (item == ITEM_END)
        on_stream_end(c);
    else if (item == ITEM_BAD)
        client_fail(c, "not a stanza", s, len);
    else if (c->state < CLIENT_READY)
        on_login_stanza(c, s, len);
    else if (c->on_stanza)
        c->on_stanza(c, s, len);
}

static size_t on_data(struct conn *conn, const char *buf, size_t len)
{
    struct client *c = (struct client *)conn;
    size_t done = 0, start_at = 0, item_len = 0, used = 0;
    if (opt.proto == PROTO_RELAY && c->state == CLIENT_PRESENCE)
        done = on_relay_line(c, buf, len);
    while (conn->fd >= 0 && !conn->handshaking && (opt.proto == PROTO_XMPP || c->in_stream)) {
        enum item item = split_next(buf + done, len - done, c->in_stream, &start_at, &item_len, &used);
        if (item == ITEM_BAD)
            client_fail(c, "not a stanza", buf + done, len - done);
        if (item == ITEM_NONE || item == ITEM_BAD) {
            done += used;
            break;
        }
        on_item(c, item, buf + done + start_at, item_len);
        done += used;
    }
    if (conn->fd >= 0 && c->state == CLIENT_READY && c->on_batch)
        c->on_batch(c);
    return done;
}

static void on_close(struct conn *conn)
{
    struct client *c = (struct client *)conn;
    if (c->state != CLIENT_CLOSING)
        client_fail(c, "the connection was closed", "", 0);
    else if (--crowd.open == 0)
        crowd.all_closed = true;
}

static void start(struct client *c)
{
    c->conn.on_open = on_open;
    c->conn.on_data = on_data;
    c->conn.on_close = on_close;
    c->authenticated = c->in_stream = false;
    c->state = CLIENT_CONNECTING;
    conn_open(&c->conn, opt.tls);
}

struct account *accounts_new(long n)
{
    struct account *accounts = calloc((size_t)n, sizeof *accounts);
    if (!accounts)
        die("out of memory");
    return accounts;
}

struct client *clients_new(long n, struct account *accounts)
{
    struct client *clients = calloc((size_t)n, sizeof *clients);
    if (!clients)
        die("out of memory");
    for (long i = 0; i < n; i++) {
        clients[i].conn.fd = -1;
        clients[i].index = i;
        clients[i].account = &accounts[i];
    }
    return clients;
}

void clients_login(struct client *clients, long n, uint64_t deadline)
{
    crowd.clients = clients;
    crowd.n = n;
    crowd.next = crowd.ready = 0;
    crowd.all_ready = n == 0;
    while (crowd.next < n && crowd.next < opt.concurrency)
        start(&clients[crowd.next++]);
    if (!loop_until(&crowd.all_ready, deadline))
        die("only %ld of %ld logins in time", crowd.ready, n);
}

void client_cut(struct client *c)
{
    conn_close(&c->conn);
    c->state = CLIENT_IDLE;
}

void clients_logout_every(struct client *clients, long n, long first, long step, uint64_t deadline)
{
    crowd.open = (n - first + step - 1) / step;
    crowd.all_closed = crowd.open <= 0;
    for (long i = first; i < n; i += step) {
        clients[i].state = CLIENT_CLOSING;
        send_text(&clients[i], "</stream:stream>");
    }
    if (!loop_until(&crowd.all_closed, deadline))
        die("%ld streams not closed in time", crowd.open);
}

void clients_logout(struct client *clients, long n, uint64_t deadline)
{
    clients_logout_every(clients, n, 0, 1, deadline);
}

bool client_probe(struct client *c, uint64_t deadline)
{
    crowd.probing = true;
    crowd.probe_failed = false;
    crowd.clients = c;
    crowd.n = 1;
    crowd.next = 1;
    crowd.ready = 0;
    crowd.all_ready = false;
    start(c);
    return loop_until(&crowd.all_ready, deadline) && !crowd.probe_failed;
}
