/*
 * The table of commands (collected from the linker section at start, frozen afterwards, read by every thread) and its
 * self-check: an entry that contradicts itself stops the start, not a call.
 */
#include "admin/command.h"

#include "base/mem.h"

#include <stdlib.h>

#define NEAREST_MAX 100

extern const struct cmd_entry *const __start_admin_cmds[];
extern const struct cmd_entry *const __stop_admin_cmds[];

static struct command *table;
static size_t table_count;

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct command *)a)->name, ((const struct command *)b)->name);
}

static const struct type *type_named(const struct type *types, unsigned n, struct str name)
{
    for (unsigned i = 0; i < n; i++)
        if (str_eq(str_of(types[i].name), name))
            return &types[i];
    return NULL;
}

static bool same_types(const struct type *a, unsigned an, const struct type *b, unsigned bn)
{
    if (an != bn)
        return false;
    for (unsigned i = 0; i < an; i++)
        if (a[i].kind != b[i].kind || strcmp(a[i].name, b[i].name) || !same_types(a[i].of, a[i].count, b[i].of, b[i].count))
            return false;
    return true;
}

/* Fields of the result, or of one row of it. */
static unsigned row_width(const struct type *result)
{
    const struct type *row = result->kind == V_LIST ? &result->of[0] : result;
    return row->kind == V_TUPLE ? row->count : 1;
}

static const char *check_shape(const struct admin_cmd *d, const struct cmd_shape *s)
{
    const struct cmd_shape *newest = &d->shapes[0];
    if (!s->result)
        return "a shape has no result";
    for (unsigned i = 0; i < s->arg_count; i++)
        if (type_named(s->args, i, str_of(s->args[i].name)))
            return "two arguments have one name";
    if (s->example_count && s->example_count != s->arg_count)
        return "the example does not fit the arguments";
    if (s->shows_count % row_width(s->result))
        return "what the example shows does not fit the result";
    if (s->arg_count && s->api > API_NEWEST)
        return "a shape is newer than the API";
    if (!same_types(s->args, s->arg_count, newest->args, newest->arg_count) && !s->to_newest)
        return "an older shape has other arguments and no adapter";
    if (!same_types(s->result, 1, newest->result, 1) && !s->from_newest && s->result->kind != V_RESCODE)
        return "an older shape has another result and no adapter";
    return NULL;
}

/* Each of the words an argument of the newest shape? */
static bool are_args(const struct cmd_shape *newest, const char *words)
{
    struct str rest = str_of(words), word;
    while (words && str_split(&rest, ' ', &word))
        if (!type_named(newest->args, newest->arg_count, word))
            return false;
    return true;
}

static const char *check_names(const struct admin_cmd *d)
{
    const struct cmd_shape *newest = &d->shapes[0];
    if (!are_args(newest, d->secret))
        return "a secret is no argument";
    if (!are_args(newest, d->address))
        return "an address is no argument";
    if (d->where == RUNS_AT_HOME && (!d->home_user || !type_named(newest->args, newest->arg_count, str_of(d->home_user)) ||
                                     !d->home_host || !type_named(newest->args, newest->arg_count, str_of(d->home_host))))
        return "the home is not named by arguments";
    return NULL;
}

const char *command_flaw(const struct admin_cmd *d)
{
    if (!d->brief || !d->tags || !d->shape_count)
        return "it lacks a text, a tag or a shape";
    for (unsigned i = 0; i < d->shape_count; i++)
        if (d->optional > d->shapes[i].arg_count)
            return "more arguments are optional than there are";
    for (unsigned i = 0; i < d->shape_count; i++) {
        if (i && d->shapes[i].api >= d->shapes[i - 1].api)
            return "shapes do not stand newest first";
        const char *why = check_shape(d, &d->shapes[i]);
        if (why)
            return why;
    }
    return check_names(d);
}

int commands_start(struct error *err)
{
    size_t n = (size_t)(__stop_admin_cmds - __start_admin_cmds);
    table = mem_zalloc((n ? n : 1) * sizeof(*table));
    table_count = 0;
    for (size_t i = 0; i < n; i++) {
        const struct cmd_entry *e = __start_admin_cmds[i];
        if (e) /* a sanitizer may pad the section */
            table[table_count++] = (struct command){.name = str_of(e->name), .d = e->cmd, .has_secret = e->cmd->secret != NULL};
    }
    qsort(table, table_count, sizeof(*table), by_name);
    for (size_t i = 0; i < table_count; i++) {
        const char *why = i && str_eq(table[i].name, table[i - 1].name) ? "it is declared twice" : command_flaw(table[i].d);
        if (why)
            return err_set(err, ERR_INTERNAL, "command %.*s: %s", STR_ARG(table[i].name), why);
    }
    return 0;
}

void commands_stop(void)
{
    free(table);
    table = NULL;
    table_count = 0;
}

size_t command_count(void)
{
    return table_count;
}

const struct command *command_at(size_t i)
{
    return &table[i];
}

const struct command *command_find(struct str name)
{
    struct command key = {.name = name};
    return bsearch(&key, table, table_count, sizeof(*table), by_name);
}

const struct command *command_typed(struct str word)
{
    char name[NEAREST_MAX];
    if (word.n > sizeof(name))
        return NULL;
    for (size_t i = 0; i < word.n; i++)
        name[i] = word.p[i] == '-' ? '_' : word.p[i];
    return command_find(str_n(name, word.n));
}

struct str command_nearest(struct str name)
{
    struct str best = STR_NULL;
    unsigned least = 256;
    if (name.n > NEAREST_MAX)
        name.n = NEAREST_MAX; /* the cost grows with it */
    for (size_t i = 0; i < table_count; i++) {
        if (table[i].d->flags & CMD_INTERNAL)
            continue;
        unsigned d = str_distance(name, table[i].name, least);
        if (d < least) {
            least = d;
            best = table[i].name;
        }
    }
    return best;
}

const struct cmd_shape *command_shape(const struct command *cmd, int64_t version)
{
    for (unsigned i = 0; i < cmd->d->shape_count; i++)
        if ((int64_t)cmd->d->shapes[i].api <= version)
            return &cmd->d->shapes[i];
    return NULL;
}

bool command_arg_optional(const struct command *cmd, const struct cmd_shape *shape, unsigned i)
{
    return shape->args[i].kind == V_LIST || i + cmd->d->optional >= shape->arg_count;
}

void command_tags(struct buf *out, const struct command *cmd, const struct cmd_shape *shape)
{
    buf_add_str(out, str_of(cmd->d->tags));
    if (shape->api)
        buf_printf(out, " v%u", shape->api);
}

bool command_has_tag(const struct command *cmd, const struct cmd_shape *shape, struct str tag)
{
    struct str rest = str_of(cmd->d->tags), word;
    while (str_split(&rest, ' ', &word))
        if (str_eq(word, tag))
            return true;
    return shape->api && tag.n == 2 && tag.p[0] == 'v' && (unsigned)(tag.p[1] - '0') == shape->api;
}
