/*
 * ejabberd_xmlrpc: admin commands over XML-RPC, as a request handler of ejabberd_http and as a listener of its own. The method
 * is the command's name; parameters are an optional struct of credentials and a struct of the arguments. The newest version of
 * every command: a call cannot name another. COMPAT(ejabberd): shapes, faults and statuses as observed.
 * Runs on the connection's fiber and may suspend; nothing is kept between requests.
 */
#include "admin/credentials.h"
#include "admin/http_answer.h"
#include "admin/listen_xmlrpc.h"
#include "admin/xmlrpc_fault.h"
#include "base/log.h"
#include "core/auth/auth.h"
#include "core/http_routes.h"
#include "rt/pool.h"

#define PARSE_HERE (64 * 1024) /* larger bodies are parsed on a blocking thread */
#define CHUNK (32 * 1024)

static const struct str xml_type = {"text/xml", 8};

struct rpc_answer {
    struct cmd_sink sink; /* first */
    struct http_request *r;
    const struct http_mount *m;
    struct buf out;
    struct str reason; /* why a result is 1: X-Reason; may be absent */
    size_t rows;
    bool begun; /* status and headers are out */
};

struct call {
    struct xmlrpc_call rpc;
    const struct tree *credentials; /* NULL: none */
    struct tree none;               /* no arguments */
    const struct tree *args;
};

static const struct http_header *headers(const struct rpc_answer *an, size_t *n_out)
{
    size_t n = an->m->header_count;
    struct http_header *h = ARENA_ARRAY(an->r->arena, struct http_header, n + 2);
    if (n)
        memcpy(h, an->m->headers, n * sizeof(*h));
    h[n++] = (struct http_header){S("X-Request-Id"), http_request_id(an->r)};
    if (an->reason.n)
        h[n++] = (struct http_header){S("X-Reason"), reason_encode(an->r->arena, an->reason)};
    *n_out = n;
    return h;
}

static void respond_with(struct rpc_answer *an, int status, struct str type, struct str body)
{
    size_t n;
    const struct http_header *h = headers(an, &n);
    http_respond(an->r, status, type, h, n, body);
}

static void respond(struct rpc_answer *an)
{
    respond_with(an, 200, xml_type, buf_str(&an->out));
}

static void malformed(struct rpc_answer *an, const char *what, const char *why)
{
    struct str body = arena_printf(an->r->arena, "<!DOCTYPE html>\n<html><body><h1>%s</h1><p>%s</p></body></html>\n", what, why);
    respond_with(an, 400, S("text/html; charset=utf-8"), body);
}

/* --- lists --- */

static int flush(struct rpc_answer *an) YIELDS;
static int flush(struct rpc_answer *an)
{
    if (!an->begun) {
        size_t n;
        const struct http_header *h = headers(an, &n);
        http_begin(an->r, 200, xml_type, h, n);
        an->begun = true;
    }
    int rc = http_chunk(an->r, buf_str(&an->out));
    buf_clear(&an->out);
    return rc;
}

static int on_row(struct cmd_sink *s, struct cmd_call *c, const struct value *row) YIELDS;
static int on_row(struct cmd_sink *s, struct cmd_call *c, const struct value *row)
{
    struct rpc_answer *an = (struct rpc_answer *)s;
    if (an->rows++ == 0)
        xmlrpc_out_list_open(&an->out, c->shape->result);
    xmlrpc_out_list_row(&an->out, c->shape->result, row);
    return an->out.n >= CHUNK ? flush(an) : 0;
}

static void respond_list(struct rpc_answer *an, struct cmd_call *c) YIELDS;
static void respond_list(struct rpc_answer *an, struct cmd_call *c)
{
    const struct type *list = c->shape->result;
    if (!c->streamed) {
        value_sort(&list->of[0], c->rows, c->row_count);
        for (size_t i = 0; i < c->row_count; i++)
            if (on_row(&an->sink, c, &c->rows[i]) < 0)
                return;
    }
    if (an->rows == 0)
        xmlrpc_out_list_open(&an->out, list);
    xmlrpc_out_list_close(&an->out);
    if (!an->begun) {
        respond(an);
        return;
    }
    flush(an);
    http_end(an->r);
}

/* --- who --- */

static struct str text_of(const struct tree *v, const char *name)
{
    const struct tree *m = tree_member(v, name);
    return m && m->kind == TREE_TEXT ? m->s : STR_NULL;
}

/* A first struct with user, server and a proof is who calls; what else is in it (admin) says nothing. COMPAT(ejabberd). */
static bool split_params(struct call *call)
{
    struct xmlrpc_call *rpc = &call->rpc;
    size_t at = 0;
    call->none.kind = TREE_STRUCT;
    call->args = &call->none;
    if (rpc->n && tree_member(&rpc->params[0], "user") && tree_member(&rpc->params[0], "server") &&
        (tree_member(&rpc->params[0], "password") || tree_member(&rpc->params[0], "token")))
        call->credentials = &rpc->params[at++];
    if (at < rpc->n)
        call->args = &rpc->params[at++];
    return at == rpc->n && call->args->kind == TREE_STRUCT;
}

static const char *check_token(struct arena *a, const struct tree *v, struct jid jid, struct api_caller *caller) YIELDS;
static const char *check_token(struct arena *a, const struct tree *v, struct jid jid, struct api_caller *caller)
{
    struct error err = ERROR_INIT;
    if (credentials_token(a, text_of(v, "token"), caller, &err) < 0 || !jid_bare_eq(caller->who.jid, jid))
        return "Invalid oauth token";
    return NULL;
}

/* NULL, or what is wrong with the credentials. */
static const char *check_credentials(struct arena *a, const struct tree *v, struct api_caller *caller) YIELDS;
static const char *check_credentials(struct arena *a, const struct tree *v, struct api_caller *caller)
{
    static const char invalid[] = "Invalid authentication data";
    struct error err = ERROR_INIT;
    struct str user, host;
    arena_mark_secret(a);
    if (!jid_nodeprep(a, text_of(v, "user"), &user) || str_empty(user) || !jid_nameprep(a, text_of(v, "server"), &host))
        return invalid;
    struct jid jid = jid_join(a, user, host, STR_NULL);
    if (tree_member(v, "token"))
        return check_token(a, v, jid, caller);
    if (auth_check_password(host, user, text_of(v, "password"), &err) < 0)
        return err.code == ERR_UNAVAILABLE || err.code == ERR_TIMEOUT ? "The credentials cannot be checked now" : invalid;
    caller->who.jid = jid;
    return NULL;
}

/* --- a call --- */

static void fail_call(struct rpc_answer *an, const struct cmd_call *c, const struct call *call)
{
    const struct failure *f = &c->failure;
    if (err_info(f->code)->http >= 500 && f->form != FAIL_CODED)
        LOG_LIMITED(WARNING, "api", NULL, "%.*s: %.*s", STR_ARG(c->cmd->name), STR_ARG(cmd_log_words(c, f->text)));
    if (an->begun) { /* too late for a fault: the body stays unfinished */
        conn_abort(an->r->conn, "command failed while its result was sent");
        return;
    }
    buf_clear(&an->out);
    xmlrpc_fault_failure(&an->out, c, call->args);
    respond(an);
}

static void answer_call(struct rpc_answer *an, struct cmd_call *c) YIELDS;
static void answer_call(struct rpc_answer *an, struct cmd_call *c)
{
    an->reason = c->reason;
    if (c->shape->result->kind == V_LIST) {
        respond_list(an, c);
        return;
    }
    xmlrpc_out_result(&an->out, c);
    respond(an);
}

static void run_call(struct rpc_answer *an, struct cmd_call **cp, const struct call *call, const struct api_caller *caller) YIELDS;
static void run_call(struct rpc_answer *an, struct cmd_call **cp, const struct call *call, const struct api_caller *caller)
{
    struct tree_problem problem;
    struct cmd_call *c = *cp;
    if (args_bind_tree(c, call->args, &problem) != TREE_OK) {
        xmlrpc_fault_binding(&an->out, c, call->args, &problem);
        respond(an);
        return;
    }
    if (cmd_admit(c, caller) < 0) {
        fail_call(an, c, call);
        return;
    }
    c->sink = &an->sink;
    c->frontend = caller->frontend;
    c->who = caller_name(c->arena, caller);
    c->request_id = arena_str(c->arena, http_request_id(an->r));
    cmd_log(c);
    bool ends = (c->cmd->d->flags & CMD_ENDS) != 0;
    if (cmd_run(cp) < 0)
        fail_call(an, *cp, call);
    else if (ends)
        conn_abort(an->r->conn, "the server was halted");
    else
        answer_call(an, *cp);
}

static void call_command(struct rpc_answer *an, struct arena *a, struct call *call) YIELDS;
static void call_command(struct rpc_answer *an, struct arena *a, struct call *call)
{
    struct api_caller caller = {.frontend = S("ejabberd_xmlrpc"), .tag = an->m->tag,
                                .who.ip = *conn_ip(an->r->conn)};
    const char *why = call->credentials ? check_credentials(a, call->credentials, &caller) : NULL;
    const struct command *cmd = command_find(call->rpc.method);
    if (why) {
        xmlrpc_fault(&an->out, XMLRPC_PROBLEM, "%s", why);
        respond(an);
        return;
    }
    if (!cmd) {
        struct str name = call->rpc.method;
        xmlrpc_fault(&an->out, XMLRPC_UNKNOWN_CALL, "Unknown call: %.*s", (int)(name.n < 256 ? name.n : 256), name.p);
        respond(an);
        return;
    }
    if (cmd->has_secret) {
        arena_mark_secret(a);
        arena_mark_secret(an->r->arena);
    }
    struct cmd_call *c = cmd_call_new(cmd, command_shape(cmd, API_NEWEST), API_NEWEST);
    run_call(an, &c, call, &caller);
    cmd_call_end(&c);
}

/* --- a request --- */

struct parse_job {
    struct arena *a;
    struct str body;
    struct call *call;
    const char *why;
};

static void parse_on_thread(void *arg, void *state)
{
    (void)state;
    struct parse_job *job = arg;
    job->why = xmlrpc_parse(job->a, job->body, &job->call->rpc);
}

static const char *parse(struct arena *a, struct str body, struct call *call) YIELDS;
static const char *parse(struct arena *a, struct str body, struct call *call)
{
    struct parse_job job = {.a = a, .body = body, .call = call};
    if (body.n <= PARSE_HERE)
        parse_on_thread(&job, NULL);
    else
        pool_run(pool_general(), parse_on_thread, &job);
    return job.why;
}

static void serve(struct rpc_answer *an) YIELDS;
static void serve(struct rpc_answer *an)
{
    struct arena *a = an->r->arena;
    struct call *call = ARENA_NEW(a, struct call);
    const char *why = parse(a, an->r->body, call);
    if (why) {
        malformed(an, "Malformed XML", why);
    } else if (str_empty(call->rpc.method)) {
        malformed(an, "Malformed Request", "The call names no method.");
    } else if (!split_params(call)) {
        xmlrpc_fault(&an->out, XMLRPC_UNKNOWN_CALL,
                     "Unknown call: %.*s takes one struct with its arguments, after one with the credentials user, server and "
                     "password or token",
                     (int)(call->rpc.method.n < 256 ? call->rpc.method.n : 256), call->rpc.method.p);
        respond(an);
    } else {
        call_command(an, a, call);
    }
}

static void handle(struct http_request *r, const struct http_mount *m, const struct str *path, size_t n) YIELDS;
static void handle(struct http_request *r, const struct http_mount *m, const struct str *path, size_t n)
{
    (void)path;
    (void)n;
    struct rpc_answer an = {.sink.row = on_row, .r = r, .m = m};
    if (!str_eq(r->method, S("POST")) || !r->body.n)
        http_page(r, 400, m->headers, m->header_count);
    else
        serve(&an);
    buf_deinit(&an.out);
}

HTTP_HANDLER(xmlrpc) = {"ejabberd_xmlrpc", handle};

/* --- a listener of its own: every path --- */

static void handle_any(struct http_request *r) YIELDS;
static void handle_any(struct http_request *r)
{
    const struct http_app *app = listener_app(conn_listener(r->conn));
    handle(r, app->data, NULL, 0);
}

static int make(struct arena *a, const struct listen_conf *lc, const struct config *c, struct listener_config *out,
                struct error *err)
{
    static const char *const alpn[] = {"http/1.1", NULL};
    (void)c;
    (void)err;
    struct http_app *app = ARENA_NEW(a, struct http_app);
    struct http_mount *m = ARENA_NEW(a, struct http_mount);
    struct str tag = opt_str(lc->options, "tag");
    m->module = S("ejabberd_xmlrpc");
    m->tag = tag.p ? arena_str(a, tag) : STR_NULL;
    *app = (struct http_app){.handle = handle_any, .data = m};
    out->on_accept = http_accept;
    out->app = app;
    out->alpn = alpn;
    return 0;
}

const struct listen_kind listen_xmlrpc = {"ejabberd_xmlrpc", make};
