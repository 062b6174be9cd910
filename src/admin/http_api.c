/*
 * mod_http_api: admin commands over HTTP. POST with a JSON object or GET with a query string at PREFIX/command[/vN].
 * Order of checks: JSON, command, credentials, arguments, permission. COMPAT(ejabberd): statuses and bodies as recorded; what
 * this server adds is asked for by headers and names of the query (docs/http-api.md) and said in headers.
 * Runs on the connection's fiber and may suspend; nothing is kept between requests but answers with a key. The hot path
 * (keep-alive, a short object in, a number out) allocates one arena and no more.
 */
#include "admin/args.h"
#include "admin/command.h"
#include "admin/credentials.h"
#include "admin/http_answer.h"
#include "admin/http_idempotency.h"
#include "admin/http_openapi.h"
#include "admin/out.h"
#include "base/log.h"
#include "core/config/access.h"
#include "core/http_routes.h"
#include "rt/pool.h"

#define PARSE_HERE (64 * 1024) /* larger bodies are parsed on a blocking thread */

/* --- the path after the prefix --- */

/* The last element that is 'v' and a number decides; anything else says nothing. */
static int64_t version_in(const struct str *path, size_t n, int64_t standard)
{
    int64_t v;
    while (n-- > 1) {
        struct str p = path[n];
        if (p.n > 1 && p.p[0] == 'v' && p.p[1] != '+' && str_to_i64(str_n(p.p + 1, p.n - 1), &v))
            return v;
    }
    return standard;
}

static int64_t standard_version(const struct config *cfg)
{
    const struct options *o = cfg && cfg->host_count ? config_module(&cfg->hosts[0], S("mod_http_api")) : NULL;
    if (!o || !opt_is_set(o, "default_version"))
        return API_NEWEST;
    int64_t v = API_NEWEST;
    struct str text = opt_str(o, "default_version");
    if (text.n && text.p[0] == 'v')
        text = str_n(text.p + 1, text.n - 1);
    return str_to_i64(text, &v) ? v : API_NEWEST;
}

/* --- a call --- */

struct parse_job {
    struct arena *a;
    struct str body;
    struct raw_args *raw;
};

static void parse_on_thread(void *arg, void *state)
{
    (void)state;
    struct parse_job *job = arg;
    job->raw = raw_args_json(job->a, job->body);
}

/* Megabytes take the parser longer than other clients should wait. */
static struct raw_args *parse_args(struct http_request *r, struct arena *a) YIELDS;
static struct raw_args *parse_args(struct http_request *r, struct arena *a)
{
    if (str_eq(r->method, S("GET")))
        return raw_args_query(a, r->query);
    if (r->body.n <= PARSE_HERE)
        return raw_args_json(a, r->body);
    struct parse_job job = {.a = a, .body = r->body};
    pool_run(pool_general(), parse_on_thread, &job);
    return job.raw;
}

/* Where paging stands: in the query, beside the arguments (GET) or alone, and then what is no query is nothing. */
static struct raw_args *paging_args(struct http_request *r, struct arena *a, struct raw_args *raw)
{
    if (str_eq(r->method, S("GET")))
        return raw;
    return r->query.n ? raw_args_query(a, r->query) : NULL;
}

/* Arguments come before permission: a caller without rights sees what is wrong with them first. COMPAT(ejabberd). */
static int admit(struct answer *an, struct cmd_call *c, struct raw_args *raw, const struct api_caller *caller)
{
    if (!c->shape)
        return cmd_fail(c, ERR_UNKNOWN_COMMAND, NULL);
    if (page_read(c, paging_args(an->r, c->arena, raw), &an->page) < 0 || args_bind(c, raw) < 0)
        return -1;
    return cmd_admit(c, caller);
}

/*
 * The line that an administrator finds by the request's name. Failures before admission are a stranger's to make, and may quote
 * arguments.
 */
static void log_failure(const struct answer *an, const struct cmd_call *c, bool admitted)
{
    const struct failure *f = &c->failure;
    struct log_ctx ctx = {.request_id = an->r->id};
    struct str words = !admitted && c->cmd->has_secret && c->reason.n ? c->reason : f->text;
    words = cmd_log_words(c, words);
    if (err_info(f->code)->http >= 500 && f->form != FAIL_CODED)
        LOG_LIMITED(WARNING, "api", &ctx, "%s: %.*s", c->cmd->name.p, STR_ARG(words));
    else if (admitted && !(c->cmd->d->flags & CMD_READS))
        LOG(INFO, "api", &ctx, "%s failed: %.*s", c->cmd->name.p, STR_ARG(words));
    else
        LOG_LIMITED(DEBUG, "api", &ctx, "%s failed: %.*s", c->cmd->name.p, STR_ARG(words));
}

static void fail(struct answer *an, const struct cmd_call *c, bool admitted)
{
    log_failure(an, c, admitted);
    if (an->begun) /* too late to say so in the status: the body stays unfinished */
        conn_abort(an->r->conn, "command failed while its result was sent");
    else
        answer_failure(an, c);
}

static void log_call(struct cmd_call *c, const struct api_caller *caller)
{
    if ((c->cmd->d->flags & CMD_READS) && !LOG_ON(LOG_DEBUG))
        return;
    c->who = caller_name(c->arena, caller);
    cmd_log(c);
}

/* The command's result as an answer; false: nothing is left to be sent. */
static bool answer_result(struct answer *an, struct cmd_call *c) YIELDS;
static bool answer_result(struct answer *an, struct cmd_call *c)
{
    if (c->dry_run)
        answer_dry_run(an, c);
    else if (c->shape->result->kind == V_LIST)
        return answer_list(an, c) == 0;
    else
        answer_value(an, c);
    return true;
}

static bool run(struct answer *an, struct cmd_call **cp) YIELDS;
static bool run(struct answer *an, struct cmd_call **cp)
{
    bool ends = ((*cp)->cmd->d->flags & CMD_ENDS) != 0;
    int rc = cmd_run(cp);
    if (rc < 0 && !an->page.more) { /* a full page stops the command */
        fail(an, *cp, true);
        return !an->begun;
    }
    if (ends && !(*cp)->dry_run) {
        conn_abort(an->r->conn, "the server was halted");
        return false;
    }
    return answer_result(an, *cp);
}

/* true: the answer is to be sent. */
static bool run_call(struct answer *an, struct cmd_call **cp, struct raw_args *raw, struct api_caller *caller) YIELDS;
static bool run_call(struct answer *an, struct cmd_call **cp, struct raw_args *raw, struct api_caller *caller)
{
    struct cmd_call *c = *cp;
    struct idempotency key;
    struct error err = ERROR_INIT;
    if (credentials_check(an->r, c->arena, caller, &err) < 0) {
        answer_error(an, err.code, NULL);
        return true;
    }
    if (admit(an, c, raw, caller) < 0) {
        fail(an, c, false);
        return true;
    }
    c->sink = &an->sink;
    c->frontend = caller->frontend;
    c->request_id = arena_str(c->arena, an->r->id);
    c->dry_run = prefers(an->r, S("dry-run"));
    enum idempotency_verdict verdict = idempotency_begin(an, c, &key);
    if (verdict == IDEMPOTENCY_FAILED)
        fail(an, c, true);
    if (verdict != IDEMPOTENCY_RUN)
        return true;
    log_call(c, caller);
    bool send = run(an, cp);
    idempotency_finish(an, *cp, &key);
    return send;
}

static void call_command(struct answer *an, const struct str *path, size_t n) YIELDS;
static void call_command(struct answer *an, const struct str *path, size_t n)
{
    struct http_request *r = an->r;
    int64_t version = version_in(path, n, standard_version(config_current()));
    struct cmd_call *c = cmd_call_new(NULL, NULL, version);
    struct raw_args *raw = parse_args(r, c->arena);
    const struct command *cmd = raw ? command_find(path[0]) : NULL;
    bool send = true;
    if (!raw) {
        answer_error(an, ERR_BAD_REQUEST, "400 Bad Request");
    } else if (!cmd) {
        answer_error(an, ERR_NO_ENDPOINT, NULL);
    } else {
        struct api_caller caller = {.frontend = S("mod_http_api"), .tag = an->m->tag, .who.ip = *conn_ip(r->conn)};
        c->cmd = cmd;
        c->shape = command_shape(cmd, version);
        if (cmd->has_secret) {
            arena_mark_secret(c->arena);
            arena_mark_secret(r->arena);
        }
        send = run_call(an, &c, raw, &caller);
    }
    if (send)
        answer_send(an);
    cmd_call_end(&c);
}

static const struct http_header *with_id(struct http_request *r, const struct http_header *headers, size_t n)
{
    struct http_header *h = arena_alloc(r->arena, (n + 1) * sizeof(*h));
    memcpy(h, headers, n * sizeof(*h));
    h[n] = (struct http_header){S("X-Request-Id"), http_request_id(r)};
    return h;
}

static void preflight(struct http_request *r, const struct http_mount *m, int status)
{
    const struct http_header *h = with_id(r, m->preflight, m->preflight_count);
    http_respond(r, status, S("text/plain"), h, m->preflight_count + 1, S(""));
}

static void handle(struct http_request *r, const struct http_mount *m, const struct str *path, size_t n) YIELDS;
static void handle(struct http_request *r, const struct http_mount *m, const struct str *path, size_t n)
{
    if (str_eq(r->method, S("OPTIONS"))) {
        preflight(r, m, n == 1 ? 200 : 400);
        return;
    }
    if (n == 1 && str_eq(r->method, S("GET")) && str_eq(path[0], S("openapi.json"))) {
        http_openapi_answer(r, with_id(r, m->cors, m->cors_count), m->cors_count + 1);
        return;
    }
    struct answer an = {.sink = {0}};
    answer_init(&an, r, m);
    if (n == 0 || !(str_eq(r->method, S("GET")) || str_eq(r->method, S("POST")))) {
        answer_error(&an, ERR_MISSING_COMMAND, NULL);
        answer_send(&an);
    } else {
        call_command(&an, path, n);
    }
    answer_deinit(&an);
}

HTTP_HANDLER(http_api) = {"mod_http_api", handle};
