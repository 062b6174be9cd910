/*
 * One call of a command: arguments in, result or failure out. Belongs to one fiber at a time; RUNS_AT_HOME hands it to the
 * home shard and back with its arena, RUNS_ON_POOL to a blocking thread.
 */
#include "admin/command.h"

#include "admin/host_args.h"
#include "base/log.h"
#include "core/config/access.h"
#include "rt/mailbox.h"
#include "rt/pool.h"
#include "rt/shard.h"
#include "xmpp/jid.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define HOME_DEADLINE_MS 30000
#define LOG_ARG_MAX 200

struct cmd_call *cmd_call_new(const struct command *cmd, const struct cmd_shape *shape, int64_t version)
{
    struct arena *a = arena_new();
    struct cmd_call *c = ARENA_NEW(a, struct cmd_call);
    if (cmd && cmd->has_secret)
        arena_mark_secret(a);
    c->arena = a;
    c->cmd = cmd;
    c->shape = shape;
    c->version = version > API_NEWEST ? API_NEWEST : version < 0 ? 0 : (unsigned)version;
    return c;
}

void cmd_call_end(struct cmd_call **c)
{
    if (!*c)
        return;
    struct arena *a = (*c)->arena;
    *c = NULL;
    arena_release(&a);
}

/* --- arguments --- */

static const struct cmd_shape *newest(const struct cmd_call *c)
{
    return &c->cmd->d->shapes[0];
}

const struct value *arg_value(const struct cmd_call *c, const char *name)
{
    const struct cmd_shape *s = newest(c);
    for (unsigned i = 0; i < s->arg_count; i++)
        if (!strcmp(s->args[i].name, name))
            return &c->args[i];
    fprintf(stderr, "command %s has no argument %s\n", c->cmd->name.p, name);
    abort();
}

struct str arg_str(const struct cmd_call *c, const char *name)
{
    return arg_value(c, name)->s;
}

int64_t arg_int(const struct cmd_call *c, const char *name)
{
    return arg_value(c, name)->i;
}

bool arg_user(const struct cmd_call *c, const char *name, struct str *out)
{
    return jid_nodeprep(c->arena, arg_str(c, name), out);
}

bool arg_host(const struct cmd_call *c, const char *name, struct str *out)
{
    return jid_nameprep(c->arena, arg_str(c, name), out);
}

/* --- results --- */

static struct str format_text(struct arena *a, enum err_code code, const char *fmt, va_list ap)
{
    if (!fmt)
        return str_of(err_info(code)->text);
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *p = arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    return str_n(p, (size_t)n);
}

void cmd_code(struct cmd_call *c, bool done)
{
    c->result.i = done ? 0 : 1;
}

void cmd_code_word(struct cmd_call *c, const char *word)
{
    c->result = (struct value){.i = 1, .s = str_of(word)};
}

void cmd_int(struct cmd_call *c, int64_t i)
{
    c->result.i = i;
}

void cmd_text(struct cmd_call *c, struct str text)
{
    c->result.s = text;
}

void cmd_textf(struct cmd_call *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = arena_alloc(c->arena, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    c->result.s = str_n(p, (size_t)n);
}

struct value *cmd_fields(struct cmd_call *c)
{
    c->result.n = newest(c)->result->count;
    return c->result.items = ARENA_ARRAY(c->arena, struct value, c->result.n);
}

struct value *cmd_add_row(struct cmd_call *c)
{
    ARENA_MORE(c->arena, c->rows, c->row_count);
    struct value *row = &c->rows[c->row_count++];
    const struct type *el = &newest(c)->result->of[0];
    if (el->kind == V_TUPLE) {
        row->n = el->count;
        row->items = ARENA_ARRAY(c->arena, struct value, row->n);
    }
    return row;
}

/* The adapter's memory is the row's: a long list would otherwise fill that of the call. */
static int stream_older(struct cmd_call *c, const struct value *row) YIELDS;
static int stream_older(struct cmd_call *c, const struct value *row)
{
    struct arena *own = c->arena, *a = arena_new();
    c->arena = a;
    struct value older = c->shape->from_newest(c, row);
    c->arena = own;
    int rc = c->sink->row(c->sink, c, &older);
    arena_release(&a);
    return rc;
}

int cmd_stream_row(struct cmd_call *c, const struct value *row)
{
    c->streamed = true;
    return c->shape->from_newest ? stream_older(c, row) : c->sink->row(c->sink, c, row);
}

void cmd_reason(struct cmd_call *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    c->reason = format_text(c->arena, ERR_NONE, fmt, ap);
    va_end(ap);
}

void cmd_would(struct cmd_call *c, struct str what)
{
    if (c->would_count < CMD_WOULD_SHOWN)
        c->would[c->would_count] = arena_str(c->arena, what);
    c->would_count++;
}

/* --- failures --- */

static enum fail_form form_of(enum err_code code)
{
    if (code == ERR_INTERNAL || code == ERR_IO)
        return FAIL_CRASH;
    return err_info(code)->api ? FAIL_CODED : FAIL_REASON;
}

int cmd_fail(struct cmd_call *c, enum err_code code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    c->failure = (struct failure){.code = code, .form = form_of(code), .quote = QUOTE_TEXT, .word = S("error"),
                                  .text = format_text(c->arena, code, fmt, ap)};
    va_end(ap);
    return -1;
}

int cmd_fail_as(struct cmd_call *c, enum err_code code, enum fail_form form, enum fail_quote quote, const char *word,
                const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    c->failure = (struct failure){.code = code, .form = form, .quote = quote, .word = str_of(word),
                                  .text = format_text(c->arena, code, fmt, ap)};
    va_end(ap);
    return -1;
}

int cmd_fail_error(struct cmd_call *c, const struct error *err)
{
    return cmd_fail(c, err->code ? err->code : ERR_INTERNAL, "%s", err->text);
}

/* --- admission --- */

static bool allowed(struct cmd_call *c, const struct api_caller *caller)
{
    const struct config *cfg = config_current();
    struct api_target t = {.command = c->cmd->name, .tags = c->cmd->d->tags, .api = c->shape ? c->shape->api : 0};
    if (LIKELY(api_allowed(cfg, caller, &t)))
        return true;
    const struct vhost *h = api_allowed_on_host(cfg, caller, &t);
    if (h && !c->args && host_args_possible(c->cmd))
        return true; /* a form is asked for; whoever fills it in is admitted again, with the arguments */
    return h && host_args_fit(c, h, caller);
}

int cmd_admit(struct cmd_call *c, const struct api_caller *caller)
{
    struct api_caller *copy = ARENA_NEW(c->arena, struct api_caller);
    bool tool = str_eq(caller->frontend, S("ejabberd_ctl"));
    *copy = *caller;
    c->caller = copy;
    if (c->cmd->d->flags & CMD_INTERNAL)
        return cmd_fail_as(c, ERR_NOT_ALLOWED, tool ? FAIL_THROWN : FAIL_REASON, QUOTE_NONE, "error",
                           "frontend_cannot_call_an_internal_command");
    if (!allowed(c, caller))
        return c->failure.code == ERR_NONE ? cmd_fail(c, ERR_FORBIDDEN, NULL) : -1;
    if ((c->cmd->d->flags & CMD_TOOL_ONLY) && !tool)
        return cmd_fail(c, ERR_INTERNAL, "only for the command line");
    return 0;
}

/* --- running --- */

static int run_at_home(void *arg, struct error *err) YIELDS;
static int run_at_home(void *arg, struct error *err)
{
    (void)err;
    struct cmd_call *c = arg;
    return c->cmd->d->run(c);
}

static int run_home(struct cmd_call **cp) YIELDS;
static int run_home(struct cmd_call **cp)
{
    struct cmd_call *c = *cp;
    struct str user, host;
    unsigned home = shard_self();
    if (arg_user(c, c->cmd->d->home_user, &user) && arg_host(c, c->cmd->d->home_host, &host))
        home = shard_of(jid_home_hash_parts(user, host));
    if (home == shard_self())
        return c->cmd->d->run(c);
    struct error err = ERROR_INIT;
    int rc = mail_call(home, run_at_home, c, c->arena, HOME_DEADLINE_MS, &err);
    if (rc == 0 || err.code == ERR_NONE)
        return rc;
    /* no answer: the home shard may still write into the old call, so it is left to it */
    struct cmd_call *n = cmd_call_new(c->cmd, c->shape, c->version);
    n->frontend = arena_str(n->arena, c->frontend);
    n->request_id = arena_str(n->arena, c->request_id);
    n->sink = c->sink;
    cmd_fail_error(n, &err);
    cmd_call_end(cp);
    *cp = n;
    return -1;
}

struct pool_job {
    struct cmd_call *c;
    int rc;
};

static void run_on_thread(void *arg, void *state)
{
    (void)state;
    struct pool_job *job = arg;
    job->rc = job->c->cmd->d->run(job->c); /* yieldcheck: on a thread of the pool, where nothing can suspend */
}

static int run_pool(struct cmd_call *c) YIELDS;
static int run_pool(struct cmd_call *c)
{
    struct pool_job job = {.c = c};
    pool_run(pool_general(), run_on_thread, &job);
    return job.rc;
}

static void adapt_args(struct cmd_call *c)
{
    const struct cmd_shape *s = c->shape;
    if (!s->to_newest)
        return;
    struct value *out = ARENA_ARRAY(c->arena, struct value, newest(c)->arg_count + 1u);
    s->to_newest(c, c->args, out);
    c->args = out;
}

static void adapt_result(struct cmd_call *c)
{
    const struct cmd_shape *s = c->shape;
    if (!s->from_newest || c->streamed)
        return;
    if (newest(c)->result->kind != V_LIST)
        c->result = s->from_newest(c, &c->result);
    else
        for (size_t i = 0; i < c->row_count; i++)
            c->rows[i] = s->from_newest(c, &c->rows[i]);
}

int cmd_run(struct cmd_call **cp)
{
    struct cmd_call *c = *cp;
    int rc;
    if (!c->cmd->d->run)
        return cmd_fail(c, ERR_NOT_IMPLEMENTED, NULL);
    if (c->dry_run && !(c->cmd->d->flags & CMD_DRY_RUN))
        return cmd_fail(c, ERR_BAD_REQUEST, "%s cannot say what it would do without doing it", c->cmd->name.p);
    adapt_args(c);
    if (c->failure.code != ERR_NONE)
        return -1; /* there is no newest value for an older one */
    if (c->cmd->d->where == RUNS_ON_POOL)
        rc = run_pool(c);
    else if (c->cmd->d->where == RUNS_AT_HOME)
        rc = run_home(cp);
    else
        rc = c->cmd->d->run(c);
    c = *cp;
    if (rc == 0)
        adapt_result(c);
    else if (c->failure.code == ERR_NONE)
        cmd_fail(c, ERR_INTERNAL, "no reason given");
    return rc;
}

/* --- log --- */

static bool names_arg(const char *list, const char *name)
{
    struct str rest = str_of(list), word;
    while (list && str_split(&rest, ' ', &word))
        if (str_eq(word, str_of(name)))
            return true;
    return false;
}

static void print_arg(struct buf *b, const struct type *t, const struct value *v)
{
    if (t->kind == V_INTEGER) {
        buf_printf(b, "%lld", (long long)v->i);
    } else if (type_is_text(t)) {
        struct str s = v->s;
        bool cut = s.n > LOG_ARG_MAX;
        buf_printf(b, "\"%.*s%s\"", cut ? LOG_ARG_MAX : (int)s.n, s.p ? s.p : "", cut ? "..." : "");
    } else {
        buf_add_str(b, S("..."));
    }
}

struct str cmd_log_words(const struct cmd_call *c, struct str words)
{
    return c->cmd->d->address && log_hides() ? S(LOG_HIDDEN) : words;
}

void cmd_log(const struct cmd_call *c)
{
    const struct admin_cmd *d = c->cmd->d;
    if (!LOG_ON(LOG_DEBUG) && ((d->flags & CMD_READS) || !LOG_ON(LOG_INFO)))
        return;
    struct buf b = BUF_INIT;
    for (unsigned i = 0; i < c->shape->arg_count; i++) {
        const struct type *t = &c->shape->args[i];
        buf_printf(&b, " %s=", t->name);
        if (names_arg(d->secret, t->name))
            buf_add_str(&b, S("***"));
        else if (log_hides() && names_arg(d->address, t->name))
            buf_add_str(&b, S(LOG_HIDDEN));
        else
            print_arg(&b, t, &c->args[i]);
    }
    struct log_ctx ctx = {.request_id = c->request_id};
    log_write(d->flags & CMD_READS ? LOG_DEBUG : LOG_INFO, "api", &ctx, "%.*s calls %s%.*s (%.*s)%s", STR_ARG(c->who),
              c->cmd->name.p, (int)b.n, b.p ? b.p : "", STR_ARG(c->frontend), c->dry_run ? " as a dry run" : "");
    buf_deinit(&b);
}
