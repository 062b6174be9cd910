/*
 * mod_http_api: admin commands over HTTP. POST with a JSON object or GET with a query string at PREFIX/command[/vN].
 * Order of checks: JSON, command, credentials, arguments, permission. COMPAT(ejabberd): statuses and bodies as recorded.
 * Runs on the connection's fiber and may suspend; nothing is kept between requests. The hot path
 * (keep-alive, a short object in, a number out) allocates one arena and no more.
 */
#include "admin/args.h"
#include "admin/command.h"
#include "admin/credentials.h"
#include "admin/out.h"
#include "base/log.h"
#include "core/access.h"
#include "core/http_routes.h"
#include "rt/pool.h"

#define PARSE_HERE (64 * 1024) /* larger bodies are parsed on a blocking thread */
#define CHUNK (32 * 1024)
#define FIRST_CHUNK (8 * 1024) /* of a list that comes bit by bit: its beginning should not wait */
static const struct str json_type = {"application/json", 16};

struct answer {
    struct cmd_sink sink; /* first */
    struct http_request *r;
    const struct http_mount *m;
    struct buf out;
    size_t rows;
    bool begun; /* status and headers are out */
};

static void respond(struct answer *an, int status)
{
    struct str body = str_eq(an->r->method, S("HEAD")) ? S("") : buf_str(&an->out);
    http_respond(an->r, status, json_type, an->m->cors, an->m->cors_count, body);
}

static void respond_failure(struct answer *an, const struct failure *f)
{
    int status;
    json_out_failure(&an->out, f, &status);
    respond(an, status);
}

static void respond_code(struct answer *an, enum err_code code, const char *text)
{
    const struct err_info *info = err_info(code);
    if (info->api)
        json_out_error(&an->out, info->api, str_of(text ? text : info->text));
    else
        json_out_str(&an->out, str_of(text ? text : info->text));
    respond(an, info->http);
}

static int flush(struct answer *an) YIELDS;
static int flush(struct answer *an)
{
    if (!an->begun)
        http_begin(an->r, 200, json_type, an->m->cors, an->m->cors_count);
    an->begun = true;
    int rc = http_chunk(an->r, buf_str(&an->out));
    buf_clear(&an->out);
    return rc;
}

static int on_row(struct cmd_sink *s, struct cmd_call *c, const struct value *row) YIELDS;
static int on_row(struct cmd_sink *s, struct cmd_call *c, const struct value *row)
{
    struct answer *an = (struct answer *)s;
    const struct type *list = c->shape->result;
    if (an->rows++ == 0)
        json_out_list_open(&an->out, list);
    json_out_list_row(&an->out, list, row, an->rows == 1);
    return an->out.n >= (c->streamed && !an->begun ? FIRST_CHUNK : CHUNK) ? flush(an) : 0;
}

static void respond_list(struct answer *an, struct cmd_call *c) YIELDS;
static void respond_list(struct answer *an, struct cmd_call *c)
{
    const struct type *list = c->shape->result;
    if (!c->streamed) {
        value_sort(&list->of[0], c->rows, c->row_count);
        for (size_t i = 0; i < c->row_count; i++)
            if (on_row(&an->sink, c, &c->rows[i]) < 0)
                return;
    }
    if (an->rows == 0)
        json_out_list_open(&an->out, list);
    json_out_list_close(&an->out, list);
    if (!an->begun) {
        respond(an, 200);
        return;
    }
    flush(an);
    http_end(an->r);
}

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

/* Arguments come before permission: a caller without rights sees what is wrong with them first. COMPAT(ejabberd). */
static int admit(struct cmd_call *c, const struct raw_args *raw, const struct api_caller *caller)
{
    if (!c->shape)
        return cmd_fail(c, ERR_UNKNOWN_COMMAND, NULL);
    if (args_bind(c, raw) < 0)
        return -1;
    return cmd_admit(c, caller);
}

static struct str caller_name(struct cmd_call *c, const struct api_caller *caller)
{
    char ip[IP_TEXT_MAX];
    if (jid_present(caller->who.jid))
        return jid_bare(caller->who.jid);
    return arena_str(c->arena, str_of(ip_print(&caller->who.ip, ip)));
}

static void answer_failure(struct answer *an, const struct cmd_call *c)
{
    const struct failure *f = &c->failure;
    if (err_info(f->code)->http >= 500 && f->form != FAIL_CODED)
        LOG_LIMITED(WARNING, "api", NULL, "%.*s: %.*s", STR_ARG(c->cmd->name), STR_ARG(f->text));
    if (an->begun) /* too late to say so in the status: the body stays unfinished */
        conn_abort(an->r->conn, "command failed while its result was sent");
    else
        respond_failure(an, f);
}

static void run_call(struct answer *an, struct cmd_call **cp, const struct raw_args *raw, struct api_caller *caller) YIELDS;
static void run_call(struct answer *an, struct cmd_call **cp, const struct raw_args *raw, struct api_caller *caller)
{
    struct cmd_call *c = *cp;
    struct error err = ERROR_INIT;
    if (credentials_check(an->r, c->arena, caller, &err) < 0) {
        respond_code(an, err.code, NULL);
        return;
    }
    if (admit(c, raw, caller) < 0) {
        answer_failure(an, c);
        return;
    }
    c->sink = &an->sink;
    c->frontend = caller->frontend;
    if (!(c->cmd->d->flags & CMD_READS) || LOG_ON(LOG_DEBUG)) {
        c->who = caller_name(c, caller);
        cmd_log(c);
    }
    bool ends = (c->cmd->d->flags & CMD_ENDS) != 0;
    int rc = cmd_run(cp);
    c = *cp;
    if (rc < 0) {
        answer_failure(an, c);
    } else if (ends) {
        conn_abort(an->r->conn, "the server was halted");
    } else if (c->shape->result->kind == V_LIST) {
        respond_list(an, c);
    } else {
        json_out_result(&an->out, c);
        respond(an, 200);
    }
}

static void call_command(struct answer *an, const struct str *path, size_t n) YIELDS;
static void call_command(struct answer *an, const struct str *path, size_t n)
{
    struct http_request *r = an->r;
    int64_t version = version_in(path, n, standard_version(config_current()));
    struct cmd_call *c = cmd_call_new(NULL, NULL, version);
    struct raw_args *raw = parse_args(r, c->arena);
    const struct command *cmd = raw ? command_find(path[0]) : NULL;
    if (!raw) {
        respond_code(an, ERR_BAD_REQUEST, "400 Bad Request");
    } else if (!cmd) {
        respond_code(an, ERR_NO_ENDPOINT, NULL);
    } else {
        struct api_caller caller = {.frontend = S("mod_http_api"), .tag = an->m->tag, .who.ip = *conn_ip(r->conn)};
        c->cmd = cmd;
        c->shape = command_shape(cmd, version);
        if (cmd->has_secret) {
            arena_mark_secret(c->arena);
            arena_mark_secret(r->arena);
        }
        run_call(an, &c, raw, &caller);
    }
    cmd_call_end(&c);
}

static void handle(struct http_request *r, const struct http_mount *m, const struct str *path, size_t n) YIELDS;
static void handle(struct http_request *r, const struct http_mount *m, const struct str *path, size_t n)
{
    if (str_eq(r->method, S("OPTIONS"))) {
        http_respond(r, n == 1 ? 200 : 400, S("text/plain"), m->preflight, m->preflight_count, S(""));
        return;
    }
    struct answer an = {.sink.row = on_row, .r = r, .m = m};
    if (n == 0 || !(str_eq(r->method, S("GET")) || str_eq(r->method, S("POST"))))
        respond_code(&an, ERR_MISSING_COMMAND, NULL);
    else
        call_command(&an, path, n);
    buf_deinit(&an.out);
}

HTTP_HANDLER(http_api) = {"mod_http_api", handle};
