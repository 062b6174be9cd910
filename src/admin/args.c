/*
 * Binding of arguments. Runs on the fiber of the request; parses hostile input (fuzz target json_args), bounded by the
 * size of the request. jansson allocates from the call's arena, so a request costs no malloc and secrets die with it.
 */
#include "admin/args.h"

#include "admin/term.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/utf8.h"
#include "net/http.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define JSON_MAX_DEPTH 32
#define JSON_MAX_ELEMENTS 20000

struct raw_arg {
    struct str key;
    const json_t *json; /* NULL: text */
    struct str text;
    bool used;
};

struct raw_args {
    struct raw_arg *items;
    size_t n;
    bool reals; /* parsed again because of a huge integer: every number came as a real */
};

/* --- JSON --- */

static _Thread_local struct arena *json_arena;

static void *json_alloc(size_t n)
{
    return json_arena ? arena_alloc(json_arena, n) : mem_alloc(n);
}

static void json_free(void *p)
{
    if (!json_arena)
        free(p);
}

void args_start(void)
{
    json_set_alloc_funcs(json_alloc, json_free);
    json_object_seed((size_t)rand_u64() | 1);
}

static const json_t *parse(struct str body, size_t flags, bool *overflow_out)
{
    json_error_t err;
    const json_t *root = json_loadb(body.p, body.n, flags | JSON_ALLOW_NUL, &err);
    *overflow_out = !root && json_error_code(&err) == json_error_numeric_overflow;
    return root;
}

/*
 * The parser recurses on a fiber's small stack and pays dozens of bytes and a microsecond for one of input: depth and
 * number of elements are bounded before it runs. No command takes more than a list of pairs.
 */
static bool within_bounds(struct str body)
{
    unsigned depth = 0, elements = 0;
    bool quoted = false;
    for (size_t i = 0; i < body.n; i++) {
        char ch = body.p[i];
        if (quoted) {
            if (ch == '\\')
                i++;
            else if (ch == '"')
                quoted = false;
            continue;
        }
        if (ch == '"')
            quoted = true;
        else if ((ch == '[' || ch == '{') && ++depth > JSON_MAX_DEPTH)
            return false;
        else if ((ch == ']' || ch == '}') && depth)
            depth--;
        else if (ch == ',' && ++elements > JSON_MAX_ELEMENTS)
            return false;
    }
    return true;
}

struct raw_args *raw_args_json(struct arena *a, struct str body)
{
    struct raw_args *raw = ARENA_NEW(a, struct raw_args);
    if (str_eq(body, S("\n")))
        return raw;
    if (!within_bounds(body))
        return NULL;
    bool overflow;
    json_arena = a;
    const json_t *root = parse(body, 0, &overflow);
    if (overflow) {
        raw->reals = true;
        root = parse(body, JSON_DECODE_INT_AS_REAL, &overflow);
    }
    json_arena = NULL;
    if (!json_is_object(root))
        return NULL;
    raw->items = ARENA_ARRAY(a, struct raw_arg, json_object_size(root) + 1);
    json_t *o = (json_t *)(uintptr_t)root;
    for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it))
        raw->items[raw->n++] = (struct raw_arg){.key = str_n(json_object_iter_key(it), json_object_iter_key_len(it)),
                                                .json = json_object_iter_value(it)};
    return raw;
}

/* --- query string --- */

struct raw_args *raw_args_query(struct arena *a, struct str query)
{
    struct raw_args *raw = ARENA_NEW(a, struct raw_args);
    if (str_empty(query))
        return raw;
    size_t pairs = 1;
    for (size_t i = 0; i < query.n; i++)
        pairs += query.p[i] == '&';
    raw->items = ARENA_ARRAY(a, struct raw_arg, pairs);
    struct str rest = query, part;
    while (str_split(&rest, '&', &part)) {
        ptrdiff_t eq = str_find(part, '=');
        /* a bare word has the empty value, but not at the end: COMPAT(ejabberd) */
        if (eq < 0 && (part.n == 0 || !rest.p))
            return NULL;
        struct str key = eq < 0 ? part : str_n(part.p, (size_t)eq);
        struct str value = eq < 0 ? S("") : str_n(part.p + eq + 1, part.n - (size_t)eq - 1);
        struct raw_arg *r = &raw->items[raw->n++];
        if (!http_percent_decode(a, key, true, &r->key) || !http_percent_decode(a, value, true, &r->text) ||
            !utf8_valid(r->key) || !utf8_valid(r->text))
            return NULL;
    }
    return raw;
}

unsigned raw_args_take(struct raw_args *raw, struct str key, struct str *out)
{
    size_t kept = 0, n = raw->n;
    for (size_t i = 0; i < n; i++) {
        if (raw->items[i].json || !str_eq(raw->items[i].key, key))
            raw->items[kept++] = raw->items[i];
        else
            *out = raw->items[i].text;
    }
    raw->n = kept;
    return (unsigned)(n - kept);
}

/* --- conversion --- */

static int wrong_format(struct cmd_call *c, const json_t *json, const struct str *text, const struct type *t)
{
    struct buf b = BUF_INIT;
    buf_add_str(&b, S("Arg "));
    if (json)
        term_print_json(&b, json);
    else
        term_print_bytes(&b, *text);
    buf_add_str(&b, S(" is not in format "));
    type_print_term(&b, t);
    cmd_fail(c, ERR_BAD_ARGUMENT, "%.*s", (int)b.n, b.p);
    b.n = 0;
    type_print(&b, t);
    cmd_reason(c, "argument %s: expected %.*s", t->name, (int)b.n, b.p); /* without the value, which may be a secret */
    buf_deinit(&b);
    return -1;
}

static int unfit(struct cmd_call *c, const struct type *t)
{
    return cmd_fail(c, ERR_INTERNAL, "argument %s: unfit value", t->name);
}

/* Lists are flattened: texts as they are, numbers as code points. */
static bool flatten(struct buf *b, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *j = json_array_get(list, i);
        if (json_is_string(j)) {
            buf_add(b, json_string_value(j), json_string_length(j));
        } else if (json_is_integer(j)) {
            char utf8[4];
            json_int_t cp = json_integer_value(j);
            unsigned n = cp < 0 || cp > 0x10ffff ? 0 : utf8_encode((uint32_t)cp, utf8);
            if (!n)
                return false;
            buf_add(b, utf8, n);
        } else if (!json_is_array(j) || !flatten(b, j)) {
            return false;
        }
    }
    return true;
}

static int to_text(struct cmd_call *c, const struct type *t, const json_t *j, struct value *out)
{
    if (json_is_string(j)) {
        out->s = str_n(json_string_value(j), json_string_length(j));
        return 0;
    }
    if (!json_is_array(j))
        return wrong_format(c, j, NULL, t);
    struct buf b = BUF_INIT;
    bool ok = flatten(&b, j);
    if (ok)
        out->s = arena_str(c->arena, buf_str(&b));
    buf_deinit(&b);
    return ok ? 0 : unfit(c, t);
}

static int text_to_int(struct cmd_call *c, const struct type *t, struct str text, struct value *out)
{
    struct str digits = text;
    if (digits.n > 1 && digits.p[0] == '+')
        digits = str_n(digits.p + 1, digits.n - 1);
    if (digits.n == 0 || !(digits.p[0] == '-' || (digits.p[0] >= '0' && digits.p[0] <= '9')) || !str_to_i64(digits, &out->i))
        return unfit(c, t);
    return 0;
}

static int to_int(struct cmd_call *c, const struct type *t, const json_t *j, bool reals, struct value *out)
{
    if (json_is_string(j))
        return text_to_int(c, t, str_n(json_string_value(j), json_string_length(j)), out);
    if (json_is_integer(j)) {
        out->i = json_integer_value(j);
        return 0;
    }
    if (reals && json_is_real(j) && json_real_value(j) == floor(json_real_value(j))) {
        double d = json_real_value(j);
        if (d < -0x1p53 || d > 0x1p53)
            return unfit(c, t); /* no command has a use for it */
        out->i = (int64_t)d;
        return 0;
    }
    return wrong_format(c, j, NULL, t);
}

static int to_value(struct cmd_call *c, const struct type *t, const json_t *j, bool reals, struct value *out);

/* Fields are taken as they are: a wrong type there is not converted. */
static int to_field(struct cmd_call *c, const struct type *t, const json_t *j, bool reals, struct value *out)
{
    if (type_is_text(t) && json_is_string(j))
        return to_text(c, t, j, out);
    if (t->kind == V_INTEGER && json_is_integer(j))
        return to_int(c, t, j, reals, out);
    if (t->kind == V_LIST && json_is_array(j))
        return to_value(c, t, j, reals, out);
    return unfit(c, t);
}

static int to_tuple(struct cmd_call *c, const struct type *t, const json_t *j, bool reals, struct value *out)
{
    if (!json_is_object(j))
        return wrong_format(c, j, NULL, t);
    out->n = t->count;
    out->items = ARENA_ARRAY(c->arena, struct value, t->count);
    for (unsigned i = 0; i < t->count; i++) {
        const json_t *field = json_object_get(j, t->of[i].name);
        if (!field)
            return unfit(c, t);
        if (to_field(c, &t->of[i], field, reals, &out->items[i]) < 0)
            return -1;
    }
    return 0;
}

/* One object for a list of pairs: name -> value. */
static int to_pairs(struct cmd_call *c, const struct type *el, const json_t *j, bool reals, struct value *out)
{
    json_t *o = (json_t *)(uintptr_t)j;
    out->items = ARENA_ARRAY(c->arena, struct value, json_object_size(j) + 1);
    for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it)) {
        struct value *pair = &out->items[out->n++];
        pair->n = 2;
        pair->items = ARENA_ARRAY(c->arena, struct value, 2);
        pair->items[0].s = str_n(json_object_iter_key(it), json_object_iter_key_len(it));
        if (to_field(c, &el->of[1], json_object_iter_value(it), reals, &pair->items[1]) < 0)
            return -1;
    }
    return 0;
}

static int to_list(struct cmd_call *c, const struct type *t, const json_t *j, bool reals, struct value *out)
{
    const struct type *el = &t->of[0];
    if (json_is_object(j) && el->kind == V_TUPLE && el->count == 2)
        return to_pairs(c, el, j, reals, out);
    size_t n = json_is_array(j) ? json_array_size(j) : 1;
    out->items = ARENA_ARRAY(c->arena, struct value, n + 1);
    for (; out->n < n; out->n++)
        if (to_value(c, el, json_is_array(j) ? json_array_get(j, out->n) : j, reals, &out->items[out->n]) < 0)
            return -1;
    return 0;
}

static int to_value(struct cmd_call *c, const struct type *t, const json_t *j, bool reals, struct value *out)
{
    switch (t->kind) {
    case V_INTEGER:
        return to_int(c, t, j, reals, out);
    case V_LIST:
        return to_list(c, t, j, reals, out);
    case V_TUPLE:
        return to_tuple(c, t, j, reals, out);
    case V_ANY:
        return wrong_format(c, j, NULL, t);
    default:
        return to_text(c, t, j, out);
    }
}

static int text_to_value(struct cmd_call *c, const struct type *t, struct str text, struct value *out)
{
    switch (t->kind) {
    case V_INTEGER:
        return text_to_int(c, t, text, out);
    case V_LIST:
        out->n = 1;
        out->items = ARENA_NEW(c->arena, struct value);
        return text_to_value(c, &t->of[0], text, out->items);
    case V_TUPLE:
    case V_ANY:
        return wrong_format(c, NULL, &text, t);
    default:
        out->s = text;
        return 0;
    }
}

/* --- binding --- */

/* A name that the shape itself has is no old one there: host of muc_register_nick, which ejabberd then misses. */
bool cmd_shape_has(const struct cmd_shape *s, struct str name)
{
    for (unsigned i = 0; i < s->arg_count; i++)
        if (str_eq(str_of(s->args[i].name), name))
            return true;
    return false;
}

static struct str new_name(const struct cmd_call *c, struct str key)
{
    const struct admin_cmd *d = c->cmd->d;
    for (unsigned i = 0; i < d->rename_count; i++)
        if (str_eq(str_of(d->renames[i].old_name), key) && !cmd_shape_has(c->shape, key))
            return str_of(d->renames[i].name);
    return key;
}

static int raw_by_key(const void *a, const void *b)
{
    return str_cmp((*(const struct raw_arg *const *)a)->key, (*(const struct raw_arg *const *)b)->key);
}

static int left_over(struct cmd_call *c, const struct raw_args *raw)
{
    const struct raw_arg **left = ARENA_ARRAY(c->arena, const struct raw_arg *, raw->n);
    size_t n = 0;
    for (size_t i = 0; i < raw->n; i++)
        if (!raw->items[i].used) {
            /* COMPAT(ejabberd): a name that is not ASCII spoils the whole request */
            if (!utf8_is_ascii(raw->items[i].key))
                return cmd_fail(c, ERR_BAD_REQUEST, "400 Bad Request");
            left[n++] = &raw->items[i];
        }
    qsort(left, n, sizeof(*left), raw_by_key);
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < n && b.n < TERM_MAX; i++) {
        if (i)
            buf_add_c(&b, ',');
        term_print_atom(&b, left[i]->key);
    }
    cmd_fail(c, ERR_BAD_ARGUMENT, "Request have unknown arguments: [%.*s]", (int)b.n, b.p);
    buf_deinit(&b);
    return -1;
}

static int bind_one(struct cmd_call *c, const struct raw_args *raw, const struct type *t, struct value *out)
{
    struct raw_arg *found = NULL;
    size_t name_len = strlen(t->name);
    for (size_t i = 0; i < raw->n; i++) {
        struct raw_arg *r = &raw->items[i];
        if (r->key.n != name_len || memcmp(r->key.p, t->name, name_len))
            continue;
        if (found)
            return cmd_fail(c, ERR_BAD_ARGUMENT, "Request have duplicate argument: %s", t->name);
        found = r;
        r->used = true;
    }
    if (!found && command_arg_optional(c->cmd, c->shape, (unsigned)(t - c->shape->args)))
        return 0;
    if (!found)
        return cmd_fail(c, ERR_BAD_ARGUMENT, "Request have missing argument: %s", t->name);
    if (found->json)
        return to_value(c, t, found->json, raw->reals, out);
    return text_to_value(c, t, found->text, out);
}

int args_bind(struct cmd_call *c, const struct raw_args *raw)
{
    const struct cmd_shape *s = c->shape;
    struct value *args = ARENA_ARRAY(c->arena, struct value, s->arg_count + 1u);
    c->args = args;
    if (c->cmd->d->rename_count)
        for (size_t i = 0; i < raw->n; i++)
            raw->items[i].key = new_name(c, raw->items[i].key);
    for (unsigned i = 0; i < s->arg_count; i++)
        if (bind_one(c, raw, &s->args[i], &args[i]) < 0)
            return -1;
    for (size_t i = 0; i < raw->n; i++)
        if (!raw->items[i].used)
            return left_over(c, raw);
    return 0;
}

/* --- words of the command line --- */


static size_t split_words(struct arena *a, struct str word, char sep, size_t max, struct str **out)
{
    size_t n = 1;
    for (size_t i = 0; i < word.n; i++)
        n += word.p[i] == sep;
    if (n > max)
        n = max;
    *out = ARENA_ARRAY(a, struct str, n);
    for (size_t i = 0; i + 1 < n; i++) {
        ptrdiff_t at = str_find(word, sep);
        (*out)[i] = str_n(word.p, (size_t)at);
        word = str_n(word.p + at + 1, word.n - (size_t)at - 1);
    }
    (*out)[n - 1] = word;
    return n;
}

static int words_to_tuple(struct cmd_call *c, const struct type *t, struct str word, struct value *out)
{
    struct str *parts;
    size_t n = split_words(c->arena, word, ':', t->count, &parts);
    if (n != t->count)
        return unfit(c, t);
    out->n = n;
    out->items = ARENA_ARRAY(c->arena, struct value, n);
    for (size_t i = 0; i < n; i++)
        if (args_from_word(c, &t->of[i], parts[i], &out->items[i]) < 0)
            return -1;
    return 0;
}

int args_from_word(struct cmd_call *c, const struct type *t, struct str word, struct value *out)
{
    struct str *parts;
    if (t->kind == V_TUPLE)
        return words_to_tuple(c, t, word, out);
    if (t->kind != V_LIST)
        return text_to_value(c, t, word, out);
    if (str_empty(word))
        return 0;
    size_t n = split_words(c->arena, word, ',', SIZE_MAX, &parts);
    out->items = ARENA_ARRAY(c->arena, struct value, n);
    for (; out->n < n; out->n++)
        if (args_from_word(c, &t->of[0], parts[out->n], &out->items[out->n]) < 0)
            return -1;
    return 0;
}

int args_bind_words(struct cmd_call *c, const struct str *words, size_t n)
{
    const struct cmd_shape *s = c->shape;
    struct value *args = ARENA_ARRAY(c->arena, struct value, s->arg_count + 1u);
    c->args = args;
    for (size_t i = 0; i < n && i < s->arg_count; i++)
        if (args_from_word(c, &s->args[i], words[i], &args[i]) < 0)
            return -1;
    return 0;
}
