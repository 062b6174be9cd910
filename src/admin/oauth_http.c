/*
 * HTTP handler ejabberd_oauth: the token endpoint (RFC 6749 §4.3, password grant) and the authorization page (§4.2, implicit
 * grant). Runs on the connection's fiber; passwords and the store suspend it. Tokens go to the address that is registered for
 * the client and nowhere else, whatever oauth_client_id_check says. Leaves out: refresh tokens and the other grants.
 */
#include "admin/oauth_grant.h"
#include "admin/oauth_page.h"
#include "admin/out.h"
#include "admin/scopes.h"
#include "base/base64.h"
#include "base/secret.h"
#include "core/http_routes.h"
#include "net/form.h"

#define BODY_MAX (64 * 1024)
#define HEADERS_MOST 40

struct page {
    struct http_request *r;
    const struct http_mount *m;
    struct arena *a;
    struct form form;
    struct str allow_origin; /* where the form may lead to */
    struct buf out;
};

/* --- answers --- */

static void add_header(struct http_header *v, size_t *n, struct str name, struct str value)
{
    if (*n < HEADERS_MOST)
        v[(*n)++] = (struct http_header){name, value};
}

static void respond(struct page *p, int status, struct str type, const struct http_header *extra)
{
    struct http_header v[HEADERS_MOST];
    size_t n = 0;
    if (extra)
        add_header(v, &n, extra->name, extra->value);
    add_header(v, &n, S("Cache-Control"), S("no-store"));
    add_header(v, &n, S("Pragma"), S("no-cache"));
    add_header(v, &n, S("X-Content-Type-Options"), S("nosniff"));
    add_header(v, &n, S("X-Frame-Options"), S("DENY"));
    add_header(v, &n, S("Referrer-Policy"), S("no-referrer"));
    for (size_t i = 0; i < p->m->header_count; i++)
        add_header(v, &n, p->m->headers[i].name, p->m->headers[i].value);
    http_respond(p->r, status, type, v, n, buf_str(&p->out));
}

/* No scripts, no frames, and the form leads to this server and then to the client only. */
static void respond_html(struct page *p, int status)
{
    struct str policy = arena_printf(p->a, "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'%s%.*s",
                                     p->allow_origin.n ? "; form-action 'self' " : "", STR_ARG(p->allow_origin));
    struct http_header csp = {S("Content-Security-Policy"), policy};
    respond(p, status, S("text/html; charset=utf-8"), &csp);
}

static void respond_error(struct page *p, int status, const char *headline, const char *words)
{
    oauth_page_error(&p->out, headline, words);
    respond_html(p, status);
}

static void wrong_method(struct page *p, struct str allow)
{
    struct http_header h = {S("Allow"), allow};
    oauth_page_error(&p->out, "Method not allowed", "This address does not answer requests of this kind.");
    respond(p, 405, S("text/html; charset=utf-8"), &h);
}

/* --- the token endpoint --- */

static void token_error(struct page *p, int status, const char *error, const char *words)
{
    struct http_header retry = {S("Retry-After"), S("600")};
    buf_add_str(&p->out, S("{\"error_description\":"));
    json_out_str(&p->out, str_of(words));
    buf_add_str(&p->out, S(",\"error\":"));
    json_out_str(&p->out, str_of(error));
    buf_add_c(&p->out, '}');
    respond(p, status, S("application/json;charset=UTF-8"), status == 429 ? &retry : NULL);
}

static void token_answer(struct page *p, const struct grant *g)
{
    buf_printf(&p->out, "{\"access_token\":\"%.*s\",\"token_type\":\"bearer\",\"expires_in\":%lld,\"scope\":", STR_ARG(g->token),
               (long long)g->ttl_s);
    json_out_str(&p->out, g->scope);
    buf_add_c(&p->out, '}');
    respond(p, 200, S("application/json;charset=UTF-8"), NULL);
    secret_wipe(p->out.p, p->out.n);
}

static void refuse_grant(struct page *p, enum grant_rc rc)
{
    switch (rc) {
    case GRANT_OK:
        break;
    case GRANT_BAD_JID:
        token_error(p, 400, "invalid_request", "Invalid JID");
        break;
    case GRANT_BAD_SCOPE:
        token_error(p, 400, "invalid_grant", "Invalid scope");
        break;
    case GRANT_BAD_TTL:
        token_error(p, 400, "invalid_request", "Invalid TTL");
        break;
    case GRANT_BAD_CLIENT:
        token_error(p, 401, "invalid_client", "Unknown client or wrong secret");
        break;
    case GRANT_DENIED:
        token_error(p, 400, "invalid_grant", "Access denied");
        break;
    case GRANT_TOO_MANY:
        token_error(p, 429, "invalid_grant", "Too many wrong passwords, try again later");
        break;
    case GRANT_UNAVAILABLE:
        token_error(p, 503, "temporarily_unavailable", "Try again later");
        break;
    }
}

/* RFC 6749 §2.3.1: a client may give its id and secret in an Authorization header instead. */
static void client_header(struct page *p, struct grant_request *q)
{
    struct str header = http_header(p->r, S("authorization")), pair, id;
    if (!str_starts(header, S("Basic ")) || !base64_decode(p->a, str_n(header.p + 6, header.n - 6), &pair))
        return;
    str_split(&pair, ':', &id);
    if (pair.p && http_percent_decode(p->a, id, true, &id) && http_percent_decode(p->a, pair, true, &pair)) {
        q->client_id = id;
        q->client_secret = pair;
    }
}

static struct grant_request request_of(struct page *p)
{
    const struct form *f = &p->form;
    return (struct grant_request){
        .ip = *conn_ip(p->r->conn),
        .username = form_get(f, S("username")),
        .password = form_get(f, S("password")),
        .scope = form_get(f, S("scope")),
        .ttl = form_get(f, S("ttl")),
        .client_id = form_get(f, S("client_id")),
        .client_secret = form_get(f, S("client_secret")),
    };
}

static void token(struct page *p) YIELDS;
static void token(struct page *p)
{
    struct grant_request q = request_of(p);
    struct grant g;
    if (!str_eq(p->r->method, S("POST"))) {
        wrong_method(p, S("POST"));
    } else if (form_repeats(&p->form)) {
        token_error(p, 400, "invalid_request", "A parameter is given twice");
    } else if (!str_eq(form_get(&p->form, S("grant_type")), S("password"))) {
        token_error(p, 400, "unsupported_grant_type", "Unsupported grant type");
    } else {
        client_header(p, &q);
        enum grant_rc rc = oauth_grant(p->a, &q, &g);
        if (rc == GRANT_OK)
            token_answer(p, &g);
        else
            refuse_grant(p, rc);
    }
}

/* --- the authorization page --- */

/* Only what a browser may safely be sent to: no scripts, no other document's data, nothing that breaks the header. */
static bool safe_address(struct str uri)
{
    static const char *const bad[] = {"javascript", "data", "vbscript", "file", "about", "blob", "view-source"};
    ptrdiff_t colon = str_find(uri, ':');
    if (colon <= 0 || str_find(uri, '#') >= 0)
        return false;
    for (size_t i = 0; i < uri.n; i++)
        if ((unsigned char)uri.p[i] <= ' ' || uri.p[i] == 0x7f || uri.p[i] == '"' || uri.p[i] == '<' || uri.p[i] == '\\')
            return false;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (str_ieq_ascii(str_n(uri.p, (size_t)colon), str_of(bad[i])))
            return false;
    return true;
}

/* false: answered. */
static bool find_client(struct page *p, struct oauth_ask *ask) YIELDS;
static bool find_client(struct page *p, struct oauth_ask *ask)
{
    struct oauth_client c;
    struct str uri = form_get(&p->form, S("redirect_uri"));
    enum store_rc rc = oauth_client_get(p->a, form_get(&p->form, S("client_id")), &c);
    if (rc == STORE_UNAVAILABLE) {
        respond_error(p, 503, "Not available now", "The server cannot look this up at the moment. Try again later.");
        return false;
    }
    bool fits = rc == STORE_OK && c.grant == OAUTH_GRANT_IMPLICIT && (!uri.n || str_eq(uri, c.redirect_uri));
    if (!fits || !safe_address(c.redirect_uri)) {
        respond_error(p, 400, "This link cannot be used",
                      "The program that sent you here is not registered with this server, or its address is another one. Nothing "
                      "was given away. Tell whoever runs that program; the administrator of this server can register it with the "
                      "command <code>oauth_add_client_implicit</code>.");
        return false;
    }
    ask->client_id = c.id;
    ask->client_name = c.name;
    ask->redirect_uri = c.redirect_uri;
    p->allow_origin = oauth_origin(c.redirect_uri);
    return true;
}

static void redirect(struct page *p, const struct oauth_ask *ask, struct str fragment)
{
    struct buf b = BUF_INIT;
    buf_add_str(&b, ask->redirect_uri);
    buf_add_c(&b, '#');
    buf_add_str(&b, fragment);
    if (ask->state.p) {
        buf_add_str(&b, S("&state="));
        form_escape(&b, ask->state);
    }
    struct http_header location = {S("Location"), arena_str(p->a, buf_str(&b))};
    secret_wipe(b.p, b.n);
    buf_deinit(&b);
    respond(p, 302, S("text/html; charset=utf-8"), &location);
}

static void send_token(struct page *p, const struct oauth_ask *ask, const struct grant *g)
{
    struct buf b = BUF_INIT;
    buf_printf(&b, "access_token=%.*s&token_type=bearer&expires_in=%lld&scope=", STR_ARG(g->token), (long long)g->ttl_s);
    form_escape(&b, g->scope);
    struct str fragment = arena_str(p->a, buf_str(&b));
    secret_wipe(b.p, b.n);
    buf_deinit(&b);
    redirect(p, ask, fragment);
}

static void ask_again(struct page *p, struct oauth_ask *ask, int status, const char *complaint)
{
    ask->complaint = complaint;
    ask->username = form_get(&p->form, S("username"));
    oauth_page_form(&p->out, ask);
    respond_html(p, status);
}

static void decide(struct page *p, struct oauth_ask *ask) YIELDS;
static void decide(struct page *p, struct oauth_ask *ask)
{
    struct grant_request q = request_of(p);
    struct grant g;
    if (str_eq(form_get(&p->form, S("decision")), S("deny"))) {
        redirect(p, ask, S("error=access_denied"));
        return;
    }
    q.client_known = true;
    switch (oauth_grant(p->a, &q, &g)) {
    case GRANT_OK:
        send_token(p, ask, &g);
        break;
    case GRANT_BAD_JID:
        ask_again(p, ask, 400, "Please enter your whole address, like name@example.org.");
        break;
    case GRANT_DENIED:
        ask_again(p, ask, 403, "The address or the password is wrong, or this account may not give access to programs.");
        break;
    case GRANT_TOO_MANY:
        ask_again(p, ask, 429, "There were too many wrong passwords. Please try again in ten minutes.");
        break;
    case GRANT_BAD_TTL:
        redirect(p, ask, S("error=invalid_request"));
        break;
    case GRANT_BAD_SCOPE:
        redirect(p, ask, S("error=invalid_scope"));
        break;
    case GRANT_BAD_CLIENT:
        redirect(p, ask, S("error=unauthorized_client"));
        break;
    case GRANT_UNAVAILABLE:
        redirect(p, ask, S("error=temporarily_unavailable"));
        break;
    }
}

static void authorization(struct page *p) YIELDS;
static void authorization(struct page *p)
{
    bool get = str_eq(p->r->method, S("GET")) || str_eq(p->r->method, S("HEAD"));
    struct oauth_ask ask = {.state = form_get(&p->form, S("state"))};
    if (!get && !str_eq(p->r->method, S("POST"))) {
        wrong_method(p, S("GET, HEAD, POST"));
        return;
    }
    if (form_repeats(&p->form)) {
        respond_error(p, 400, "This link cannot be used", "It says something twice, so it is not clear what was meant.");
        return;
    }
    if (!find_client(p, &ask))
        return;
    ask.ttl_s = opt_int(config_current()->global, "oauth_expire") / 1000;
    if (!str_eq(form_get(&p->form, S("response_type")), S("token")))
        redirect(p, &ask, S("error=unsupported_response_type"));
    else if (!scopes_parse(p->a, form_get(&p->form, S("scope")), ' ', &ask.scope, &ask.scopes, &ask.scope_count))
        redirect(p, &ask, S("error=invalid_scope"));
    else if (get)
        ask_again(p, &ask, 200, NULL);
    else
        decide(p, &ask);
}

/* --- paths --- */

static void style(struct page *p)
{
    struct http_header cache = {S("Cache-Control"), S("public, max-age=86400")};
    http_respond(p->r, 200, S("text/css; charset=utf-8"), &cache, 1, oauth_page_style());
}

static void dispatch(struct page *p, struct str name) YIELDS;
static void dispatch(struct page *p, struct str name)
{
    bool post = str_eq(p->r->method, S("POST"));
    arena_mark_secret(p->a);
    if (str_eq(name, S("style.css")))
        style(p);
    else if (p->r->body.n > BODY_MAX || !form_parse(p->a, post ? p->r->body : p->r->query, &p->form))
        http_page(p->r, 400, p->m->headers, p->m->header_count);
    else if (str_eq(name, S("token")))
        token(p);
    else if (str_eq(name, S("authorization_token")))
        authorization(p);
    else
        http_page(p->r, 404, p->m->headers, p->m->header_count);
}

static void handle(struct http_request *r, const struct http_mount *m, const struct str *path, size_t n) YIELDS;
static void handle(struct http_request *r, const struct http_mount *m, const struct str *path, size_t n)
{
    struct page p = {.r = r, .m = m, .a = r->arena};
    if (n == 1)
        dispatch(&p, path[0]);
    else
        http_page(r, 404, m->headers, m->header_count);
    buf_deinit(&p.out);
}

HTTP_HANDLER(oauth_http) = {"ejabberd_oauth", handle};
