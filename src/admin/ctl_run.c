/*
 * One command line: options, command, arguments, output. COMPAT(ejabberd): wording and exit codes as recorded; everything
 * goes to standard output. Runs on the connection's fiber.
 */
#include "admin/ctl.h"

#include "admin/args.h"
#include "admin/help.h"
#include "admin/out.h"
#include "base/log.h"
#include "core/access.h"
#include "core/server.h"

#define CHUNK (32 * 1024)

struct line {
    struct str program;
    const struct str *words; /* from the command on */
    size_t n;
    int64_t version;
    bool auth;     /* --auth was given: the API's wording */
    bool dump_api;
};

struct printer {
    struct cmd_sink sink; /* first */
    struct ctl_output *o;
    struct buf out;
};

static int flush(struct printer *p) YIELDS;
static int flush(struct printer *p)
{
    int rc = p->out.n ? p->o->write(p->o, buf_str(&p->out)) : 0;
    buf_clear(&p->out);
    return rc;
}

static int on_row(struct cmd_sink *s, struct cmd_call *c, const struct value *row) YIELDS;
static int on_row(struct cmd_sink *s, struct cmd_call *c, const struct value *row)
{
    struct printer *p = (struct printer *)s;
    text_out_row(&p->out, c->shape->result, row, c->version);
    return p->out.n >= CHUNK ? flush(p) : 0;
}

/* false: *p has the complaint. */
static bool parse_options(struct line *l, const struct str *words, size_t n, struct buf *out)
{
    size_t i = 1;
    l->program = n ? words[0] : S("cjabberdctl");
    l->version = API_NEWEST;
    for (; i < n && str_starts(words[i], S("--")); i++) {
        if (str_eq(words[i], S("--version")) && i + 1 < n) {
            if (!str_to_i64(words[++i], &l->version) || l->version < 0) {
                buf_printf(out, "Invalid API version number: \"%.*s\"\n", STR_ARG(words[i]));
                return false;
            }
        } else if (str_eq(words[i], S("--auth")) && i + 3 < n) {
            l->auth = true;
            i += 3;
        } else if (str_eq(words[i], S("--dump-api"))) {
            l->dump_api = true;
        } else if (!str_eq(words[i], S("--no-timeout"))) {
            buf_printf(out, "Error: unknown option %.*s\n", STR_ARG(words[i]));
            return false;
        }
    }
    l->words = words + i;
    l->n = n - i;
    return true;
}

/* Dashes and underscores are the same in a command's name. */
static const struct command *find_command(struct str word)
{
    char name[64];
    if (word.n >= sizeof(name))
        return NULL;
    for (size_t i = 0; i < word.n; i++)
        name[i] = word.p[i] == '-' ? '_' : word.p[i];
    return command_find(str_n(name, word.n));
}

static int wrong_count(struct printer *p, const struct line *l, const struct command *cmd, const struct cmd_shape *s)
{
    size_t given = l->n - 1;
    bool more = given < s->arg_count;
    help_command(&p->out, l->program, cmd, s);
    buf_printf(&p->out, "Error: the command '%s' requires %zu %s argument.\n", cmd->name.p,
               more ? s->arg_count - given : given - s->arg_count, more ? "more" : "less");
    return 2;
}

static int admit(struct cmd_call *c, const struct line *l)
{
    struct api_caller caller = {.frontend = S("ejabberd_ctl")};
    if (cmd_admit(c, &caller) < 0)
        return -1;
    return args_bind_words(c, l->words + 1, l->n - 1);
}

static int print_result(struct printer *p, struct cmd_call *c) YIELDS;
static int print_result(struct printer *p, struct cmd_call *c)
{
    if (c->shape->result->kind != V_LIST)
        return text_out_result(&p->out, c);
    for (size_t i = 0; i < c->row_count; i++)
        if (on_row(&p->sink, c, &c->rows[i]) < 0)
            return 1;
    return 0;
}

static int call(struct printer *p, const struct line *l, const struct command *cmd, const struct cmd_shape *s) YIELDS;
static int call(struct printer *p, const struct line *l, const struct command *cmd, const struct cmd_shape *s)
{
    struct cmd_call *c = cmd_call_new(cmd, s, l->version);
    int rc = admit(c, l);
    c->sink = &p->sink;
    c->frontend = S("ejabberd_ctl");
    c->who = S("the local administrator");
    if (rc == 0) {
        cmd_log(c);
        rc = cmd_run(&c);
    }
    int code = rc < 0 ? text_out_failure(&p->out, &c->failure) : print_result(p, c);
    cmd_call_end(&c);
    return code;
}

static int dispatch(struct printer *p, const struct line *l) YIELDS;
static int dispatch(struct printer *p, const struct line *l)
{
    if (l->dump_api) {
        help_dump_json(&p->out);
        return 0;
    }
    if (l->n == 0) {
        help_print(&p->out, l->program, STR_NULL, l->version);
        return 1;
    }
    const struct command *cmd = find_command(l->words[0]);
    const struct cmd_shape *s = cmd ? command_shape(cmd, l->version) : NULL;
    if (!s) {
        buf_printf(&p->out, "Error: unknown command '%.*s'. Did you mean '%.*s'?\n", STR_ARG(l->words[0]),
                   STR_ARG(command_nearest(l->words[0])));
        return 1;
    }
    if (str_eq(cmd->name, S("help")) && l->n <= 2) {
        help_print(&p->out, l->program, l->n == 2 ? l->words[1] : STR_NULL, l->version);
        return 0;
    }
    if (l->n - 1 != s->arg_count)
        return wrong_count(p, l, cmd, s);
    /* the tool knows the state of the node itself and words it its own way */
    if (str_eq(cmd->name, S("status")) && !l->auth) {
        buf_printf(&p->out, "The node %s is started with status: started\nejabberd %s is running in that node\n", server_node(),
                   server_version());
        return 0;
    }
    return call(p, l, cmd, s);
}

int ctl_run(const struct str *words, size_t n, struct ctl_output *o)
{
    struct printer p = {.sink.row = on_row, .o = o};
    struct line l = {.n = 0};
    int code = parse_options(&l, words, n, &p.out) ? dispatch(&p, &l) : 1;
    flush(&p);
    buf_deinit(&p.out);
    return code;
}
