/*
 * One command line: options, command, arguments, output. COMPAT(ejabberd): wording and exit codes as recorded; everything
 * goes to standard output but the reason of a result of 1, which ejabberd does not have. Runs on the connection's fiber.
 */
#include "admin/ctl.h"

#include "admin/args.h"
#include "admin/ctl_proto.h"
#include "admin/help.h"
#include "admin/out.h"
#include "base/log.h"
#include "base/utf8.h"
#include "core/auth/auth.h"
#include "core/config/access.h"
#include "core/server.h"

#define CHUNK (32 * 1024)

struct line {
    struct str program;
    const struct str *words; /* from the command on */
    size_t n;
    int64_t version;
    bool auth; /* --auth was given: the API's wording */
    struct str auth_user, auth_host, auth_password;
    bool json, dry_run, dump_api;
};

struct printer {
    struct cmd_sink sink; /* first */
    struct ctl_output *o;
    struct buf out;
    bool json, begun; /* begun: the bracket of a JSON list is written */
};

static int flush(struct printer *p) YIELDS;
static int flush(struct printer *p)
{
    int rc = p->out.n ? p->o->write(p->o, CTL_FRAME_OUTPUT, buf_str(&p->out)) : 0;
    buf_clear(&p->out);
    return rc;
}

/* To standard error, after what stands in the output so far. */
static void tell(struct printer *p, const char *what, struct str text) YIELDS;
static void tell(struct printer *p, const char *what, struct str text)
{
    struct buf b = BUF_INIT;
    flush(p);
    buf_printf(&b, "%s%.*s\n", what, STR_ARG(text));
    p->o->write(p->o, CTL_FRAME_ERROR, buf_str(&b));
    buf_deinit(&b);
}

/* --- options --- */

static bool take_version(struct line *l, struct str word, struct buf *why)
{
    if (str_to_i64(word, &l->version) && l->version >= 0)
        return true;
    buf_printf(why, "Invalid API version number: \"%.*s\"", STR_ARG(word));
    return false;
}

/* Words of one option; 0: *why has the complaint. */
static size_t take_option(struct line *l, const struct str *words, size_t n, struct buf *why)
{
    if (str_eq(words[0], S("--version")) && n > 1)
        return take_version(l, words[1], why) ? 2 : 0;
    if (str_eq(words[0], S("--auth")) && n > 3) {
        l->auth = true;
        l->auth_user = words[1];
        l->auth_host = words[2];
        l->auth_password = words[3];
        return 4;
    }
    if (str_eq(words[0], S("--json")))
        l->json = true;
    else if (str_eq(words[0], S("--dry-run")))
        l->dry_run = true;
    else if (str_eq(words[0], S("--dump-api")))
        l->dump_api = true;
    else if (!str_eq(words[0], S("--no-timeout"))) {
        buf_printf(why, "Error: unknown option %.*s", STR_ARG(words[0]));
        return 0;
    }
    return 1;
}

static bool parse_options(struct line *l, const struct str *words, size_t n, struct buf *why)
{
    size_t i = 1, took;
    l->program = n ? words[0] : S("cjabberdctl");
    l->version = API_NEWEST;
    for (; i < n && str_starts(words[i], S("--")); i += took)
        if (!(took = take_option(l, words + i, n - i, why)))
            return false;
    l->words = words + (i < n ? i : n);
    l->n = i < n ? n - i : 0;
    return true;
}

/* --- what is said instead of a result --- */

/* text is what stands without --json. */
static int refuse(struct printer *p, enum err_code code, int exit_code, struct str text)
{
    struct str message = str_starts(text, S("Error: ")) ? str_n(text.p + 7, text.n - 7) : text;
    if (p->json)
        json_out_error(&p->out, err_info(code)->http, message);
    else
        buf_add_str(&p->out, text);
    buf_add_c(&p->out, '\n');
    return exit_code;
}

static int wrong_count(struct printer *p, const struct line *l, const struct command *cmd, const struct cmd_shape *s)
{
    size_t given = l->n - 1, least = s->arg_count - cmd->d->optional;
    bool more = given < least;
    struct buf why = BUF_INIT;
    if (!p->json)
        help_command(&p->out, l->program, cmd, s);
    buf_printf(&why, "Error: the command '%s' requires %zu %s argument.", cmd->name.p,
               more ? least - given : given - s->arg_count, more ? "more" : "less");
    int code = refuse(p, ERR_BAD_REQUEST, 2, buf_str(&why));
    buf_deinit(&why);
    return code;
}

static int unknown_command(struct printer *p, struct str word)
{
    struct buf why = BUF_INIT;
    buf_printf(&why, "Error: unknown command '%.*s'. Did you mean '%.*s'?", STR_ARG(word), STR_ARG(command_nearest(word)));
    int code = refuse(p, ERR_NOT_FOUND, 1, buf_str(&why));
    buf_deinit(&why);
    return code;
}

/* --- admission --- */

/*
 * The socket has proved the caller to be the server's user or root; credentials narrow that down to an account, for rules of
 * api_permissions that name one. Those that cannot be verified are an error, except for the question whether the server
 * runs, COMPAT(ejabberd), which verifies nothing.
 */
static int authenticate(struct cmd_call *c, const struct line *l, struct api_caller *caller) YIELDS;
static int authenticate(struct cmd_call *c, const struct line *l, struct api_caller *caller)
{
    struct error err = ERROR_INIT;
    struct jid jid;
    arena_mark_secret(c->arena);
    bool named = !str_empty(l->auth_user) && jid_make(c->arena, l->auth_user, l->auth_host, STR_NULL, &jid);
    if (named && auth_check_password(jid_host(jid), jid_user(jid), l->auth_password, &err) == 0) {
        caller->who.jid = jid;
        c->who = jid_bare(jid);
        return 0;
    }
    if (str_eq(c->cmd->name, S("status")))
        return 0;
    if (named && (err.code == ERR_UNAVAILABLE || err.code == ERR_TIMEOUT))
        return cmd_fail_error(c, &err);
    return cmd_fail(c, ERR_NOT_AUTHORIZED, NULL);
}

/* Texts go on to XML and JSON, where other bytes cannot be. */
static int check_words(struct cmd_call *c, const struct line *l)
{
    for (size_t i = 1; i < l->n; i++)
        if (!utf8_valid(l->words[i]))
            return cmd_fail(c, ERR_BAD_ARGUMENT, "argument %zu (%s) is not UTF-8", i, c->shape->args[i - 1].name);
    return 0;
}

static int admit(struct cmd_call *c, const struct line *l) YIELDS;
static int admit(struct cmd_call *c, const struct line *l)
{
    struct api_caller caller = {.frontend = S("ejabberd_ctl")};
    if (check_words(c, l) < 0 || (l->auth && authenticate(c, l, &caller) < 0))
        return -1;
    if (args_bind_words(c, l->words + 1, l->n - 1) < 0)
        return -1;
    return cmd_admit(c, &caller);
}

/* --- results --- */

static int on_row(struct cmd_sink *s, struct cmd_call *c, const struct value *row) YIELDS;
static int on_row(struct cmd_sink *s, struct cmd_call *c, const struct value *row)
{
    struct printer *p = (struct printer *)s;
    const struct type *list = c->shape->result;
    if (p->json) {
        if (!p->begun)
            json_out_list_open(&p->out, list);
        json_out_list_row(&p->out, list, row, !p->begun);
        p->begun = true;
    } else {
        text_out_row(&p->out, list, row, c->version);
    }
    return p->out.n >= CHUNK ? flush(p) : 0;
}

static int print_list(struct printer *p, struct cmd_call *c) YIELDS;
static int print_list(struct printer *p, struct cmd_call *c)
{
    const struct type *list = c->shape->result;
    if (p->json && !c->streamed)
        value_sort(&list->of[0], c->rows, c->row_count);
    for (size_t i = 0; i < c->row_count; i++)
        if (on_row(&p->sink, c, &c->rows[i]) < 0)
            return 1;
    if (!p->json)
        return 0;
    if (!p->begun)
        json_out_list_open(&p->out, list);
    json_out_list_close(&p->out, list);
    buf_add_c(&p->out, '\n');
    return 0;
}

static void print_would(struct printer *p, const struct cmd_call *c)
{
    uint64_t shown = c->would_count < CMD_WOULD_SHOWN ? c->would_count : CMD_WOULD_SHOWN;
    if (p->json)
        buf_printf(&p->out, "{\"dry_run\":true,\"count\":%llu,\"items\":[", (unsigned long long)c->would_count);
    for (uint64_t i = 0; i < shown; i++) {
        if (!p->json)
            buf_printf(&p->out, "%.*s\n", STR_ARG(c->would[i]));
        else {
            buf_add_str(&p->out, i ? S(",") : S(""));
            json_out_str(&p->out, c->would[i]);
        }
    }
    if (p->json) {
        buf_add_str(&p->out, S("]}\n"));
        return;
    }
    if (c->would_count > shown)
        buf_printf(&p->out, "... and %llu more\n", (unsigned long long)(c->would_count - shown));
    buf_printf(&p->out, "Dry run: %llu would be touched, nothing was.\n", (unsigned long long)c->would_count);
}

/* Steps of long work are seen as they are taken. */
static int on_say(struct cmd_sink *s, struct cmd_call *c, struct str text) YIELDS;
static int on_say(struct cmd_sink *s, struct cmd_call *c, struct str text)
{
    struct printer *p = (struct printer *)s;
    if (p->json)
        return 0;
    buf_add_str(&p->out, text);
    return flush(p);
}

static int print_result(struct printer *p, struct cmd_call *c) YIELDS;
static int print_result(struct printer *p, struct cmd_call *c)
{
    int code = 0;
    if (c->dry_run) {
        print_would(p, c);
    } else if (c->shape->result->kind == V_LIST) {
        code = print_list(p, c);
    } else if (p->json) {
        json_out_result(&p->out, c);
        buf_add_c(&p->out, '\n');
        code = c->shape->result->kind == V_RESCODE && c->result.i != 0;
    } else {
        code = text_out_result(&p->out, c);
    }
    if (!str_empty(c->reason))
        tell(p, "Reason: ", c->reason);
    return code;
}

static void failure_json(struct buf *out, const struct cmd_call *c)
{
    const struct err_info *info = err_info(c->failure.code);
    json_out_error(out, info->api ? info->api : info->http, c->failure.text);
    if (!str_empty(c->reason)) {
        out->n--; /* one more member before the brace */
        buf_add_str(out, S(",\"reason\":"));
        json_out_str(out, c->reason);
        buf_add_c(out, '}');
    }
    buf_add_c(out, '\n');
}

static int print_failure(struct printer *p, const struct cmd_call *c) YIELDS;
static int print_failure(struct printer *p, const struct cmd_call *c)
{
    const struct failure *f = &c->failure;
    if (!p->json) {
        text_out_failure(&p->out, f);
        if (!str_empty(c->reason))
            tell(p, "Reason: ", c->reason);
    } else {
        if (!str_empty(f->note))
            tell(p, "", str_trim(f->note));
        if (p->begun) /* half a list is out: what follows it is no JSON any more, and the exit code tells */
            tell(p, "Error: ", f->text);
        else
            failure_json(&p->out, c);
    }
    return err_info(f->code)->exit_code;
}

static int call(struct printer *p, const struct line *l, const struct command *cmd, const struct cmd_shape *s) YIELDS;
static int call(struct printer *p, const struct line *l, const struct command *cmd, const struct cmd_shape *s)
{
    struct cmd_call *c = cmd_call_new(cmd, s, l->version);
    c->sink = &p->sink;
    c->frontend = S("ejabberd_ctl");
    c->who = S("the local administrator");
    c->dry_run = l->dry_run;
    int rc = admit(c, l);
    if (rc == 0) {
        if (!c->dry_run)
            cmd_log(c);
        rc = cmd_run(&c);
    }
    int code = rc < 0 ? print_failure(p, c) : print_result(p, c);
    cmd_call_end(&c);
    return code;
}

/* --- the line --- */

static int help(struct printer *p, const struct line *l, struct str word, int code)
{
    struct buf text = BUF_INIT;
    help_print(p->json ? &text : &p->out, l->program, word, l->version);
    if (p->json) {
        json_out_str(&p->out, buf_str(&text));
        buf_add_c(&p->out, '\n');
    }
    buf_deinit(&text);
    return code;
}

static int dispatch(struct printer *p, const struct line *l) YIELDS;
static int dispatch(struct printer *p, const struct line *l)
{
    if (l->dump_api) {
        help_dump_json(&p->out);
        return 0;
    }
    if (l->n == 0)
        return help(p, l, STR_NULL, 1);
    const struct command *cmd = command_typed(l->words[0]);
    const struct cmd_shape *s = cmd ? command_shape(cmd, l->version) : NULL;
    if (!s)
        return unknown_command(p, l->words[0]);
    if (str_eq(cmd->name, S("help")) && l->n <= 2)
        return help(p, l, l->n == 2 ? l->words[1] : STR_NULL, 0);
    if (l->n - 1 > s->arg_count || l->n - 1 + cmd->d->optional < s->arg_count)
        return wrong_count(p, l, cmd, s);
    /* the tool knows the state of the node itself and words it its own way */
    if (str_eq(cmd->name, S("status")) && !l->auth && !l->json && !l->dry_run) {
        buf_printf(&p->out, "The node %s is started with status: started\nejabberd %s is running in that node\n", server_node(),
                   server_version());
        return 0;
    }
    return call(p, l, cmd, s);
}

int ctl_run(const struct str *words, size_t n, struct ctl_output *o)
{
    struct printer p = {.sink.row = on_row, .sink.say = on_say, .o = o};
    struct line l = {.n = 0};
    struct buf why = BUF_INIT;
    bool good = parse_options(&l, words, n, &why);
    p.json = l.json;
    int code = good ? dispatch(&p, &l) : refuse(&p, ERR_BAD_REQUEST, 1, buf_str(&why));
    flush(&p);
    buf_deinit(&p.out);
    buf_deinit(&why);
    return code;
}
