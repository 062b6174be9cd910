/*
 * What this server would refuse is taken out of a converted configuration, one setting after another, each with a note: the
 * check of the configuration itself says what is wrong and where. Rules that let people in are never just dropped: they become
 * "none". What is known but cannot be done stays, with a note: without it the server would do something else in silence.
 */
#include "core/config/erlang_cfg_internal.h"

#include "core/config/supported.h"

#include <stdio.h>
#include <stdlib.h>

#define ROUNDS_MAX 500
#define FILE_NAME "converted"
#define PATH_MAX_DEPTH YAML_MAX_DEPTH

/* Where an error is: positions from the root downward. */
struct path {
    size_t at[PATH_MAX_DEPTH];
    size_t n;
};

/* "converted:12:3: words" */
static bool error_place(const char *text, unsigned *line_out, unsigned *column_out, const char **words_out)
{
    int used = 0;
    return sscanf(text, FILE_NAME ":%u:%u: %n", line_out, column_out, &used) == 2 && used > 0 && (*words_out = text + used);
}

static bool is_at(const struct yaml *y, unsigned line, unsigned column)
{
    return y->line == line && y->column == column;
}

/* The deepest entry at the place: of a map that begins with the faulty entry only the entry is meant. */
static bool find(const struct yaml *y, unsigned line, unsigned column, struct path *path)
{
    if (path->n == PATH_MAX_DEPTH)
        return false;
    for (size_t i = 0; i < y->n; i++) {
        path->at[path->n++] = i;
        if (find(y->items[i], line, column, path) || is_at(y->items[i], line, column) ||
            (y->kind == YAML_MAP && is_at(y->key_nodes[i], line, column)))
            return true;
        path->n--;
    }
    return false;
}

/* --- taking out --- */

static void remove_at(struct yaml *y, size_t i)
{
    for (size_t k = i + 1; k < y->n; k++) {
        y->items[k - 1] = y->items[k];
        if (y->kind == YAML_MAP) {
            y->keys[k - 1] = y->keys[k];
            y->key_nodes[k - 1] = y->key_nodes[k];
        }
    }
    y->n--;
}

static void add_name(struct buf *b, const struct yaml *parent, size_t i)
{
    if (b->n)
        buf_add_str(b, S(": "));
    if (parent->kind == YAML_MAP)
        buf_add_str(b, parent->keys[i]);
    else
        buf_printf(b, "entry %zu", i + 1);
}

static bool lets_people_in(struct str key)
{
    return str_eq(key, S("access")) || str_starts(key, S("access_")) ||
           (key.n > 7 && str_eq(str_n(key.p + key.n - 7, 7), S("_access")));
}

/* A listener without its module or place is none. */
static size_t whole_of(const struct conv *c, const struct path *p)
{
    if (p->n < 3 || !str_eq(c->root->keys[p->at[0]], S("listen")))
        return p->n;
    const struct yaml *listener = c->root->items[p->at[0]]->items[p->at[1]];
    struct str key = listener->kind == YAML_MAP ? listener->keys[p->at[2]] : STR_NULL;
    return str_eq(key, S("module")) || str_eq(key, S("port")) || str_eq(key, S("ip")) ? 2 : p->n;
}

static void take_out(struct conv *c, const struct path *p, const char *words)
{
    struct yaml *y = c->root;
    struct buf name = BUF_INIT;
    size_t depth = whole_of(c, p), last = p->at[depth - 1];
    for (size_t i = 0; i < depth; i++) {
        add_name(&name, y, p->at[i]);
        if (i + 1 < depth)
            y = y->items[p->at[i]];
    }
    bool rule = depth > 1 && y->kind == YAML_MAP && lets_people_in(y->keys[last]) && y->items[last]->kind == YAML_SCALAR &&
                !str_eq(y->items[last]->text, S("none"));
    note(c, NULL, "%.*s: %s%s", (int)name.n, name.p, rule ? "nobody, because: " : "", words);
    if (rule)
        y->items[last] = yaml_scalar(c->a, S("none"), false, NULL);
    else
        remove_at(y, last);
    buf_deinit(&name);
}

/* --- looking --- */

static bool accepted(struct conv *c, struct str text, struct error *err)
{
    struct config *config = config_parse(FILE_NAME, text, &c->env->config, err);
    bool ok = config && supported_check(config, err) == 0;
    config_release(&config);
    return ok;
}

/* true: something was taken out, look again. */
static bool mend(struct conv *c, struct str text, const struct error *err)
{
    unsigned line, column;
    const char *words;
    struct path path = {.n = 0};
    struct arena *a = arena_new();
    struct error own = ERROR_INIT;
    struct yaml *again = error_place(err->text, &line, &column, &words) ? yaml_parse(a, FILE_NAME, text, &own) : NULL;
    bool found = again && find(again, line, column, &path);
    if (found)
        take_out(c, &path, words);
    else
        note(c, NULL, "%s", err->text);
    arena_release(&a);
    return found;
}

bool check_result(struct conv *c)
{
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        struct error err = ERROR_INIT;
        struct buf b = BUF_INIT;
        yaml_write(&b, c->root, NULL);
        bool ok = accepted(c, buf_str(&b), &err), more = !ok && mend(c, buf_str(&b), &err);
        buf_deinit(&b);
        if (!more)
            return ok;
    }
    note(c, NULL, "there is more that this server would refuse");
    return false;
}
