/* Pages of lists; see the header. Runs on the request's fiber; nothing suspends. */
#include "admin/http_page.h"

#include "base/base64.h"
#include "base/utf8.h"

#define CURSOR_HEAD 5 /* version, how many with this key were given */
#define CURSOR_VERSION 1
#define CURSOR_TEXT_MAX ((CURSOR_HEAD + PAGE_KEY_MAX + 2) / 3 * 4)

/* --- keys --- */

/* A NUL inside is 00 FF, the end 00 00: a shorter text comes first. */
static void key_text(struct buf *out, struct str s)
{
    const char *nul;
    while (s.n && (nul = memchr(s.p, 0, s.n))) {
        size_t n = (size_t)(nul - s.p);
        buf_add(out, s.p, n);
        buf_add(out, "\0\xff", 2);
        s = str_n(nul + 1, s.n - n - 1);
    }
    buf_add_str(out, s);
    buf_add(out, "\0\0", 2);
}

static void key_int(struct buf *out, int64_t i)
{
    uint64_t u = (uint64_t)i ^ (uint64_t)1 << 63;
    for (int shift = 56; shift >= 0; shift -= 8)
        buf_add_c(out, (char)(u >> shift));
}

void value_key(struct buf *out, const struct type *t, const struct value *v)
{
    switch (t->kind) {
    case V_INTEGER:
    case V_RESCODE:
        key_int(out, v->i);
        break;
    case V_TUPLE:
        for (unsigned i = 0; i < t->count; i++)
            value_key(out, &t->of[i], &v->items[i]);
        break;
    case V_LIST:
        for (size_t i = 0; i < v->n; i++) {
            buf_add_c(out, 1);
            value_key(out, &t->of[0], &v->items[i]);
        }
        buf_add_c(out, 0);
        break;
    default:
        key_text(out, v->s);
    }
}

/* --- cursors --- */

/* RFC 4648 §5, without padding: fit for a query. */
static struct str to_url(struct arena *a, struct str bytes)
{
    struct str b = base64_encode(a, bytes);
    char *p = arena_cstr(a, b);
    while (b.n && p[b.n - 1] == '=')
        b.n--;
    for (size_t i = 0; i < b.n; i++)
        p[i] = p[i] == '+' ? '-' : p[i] == '/' ? '_' : p[i];
    return str_n(p, b.n);
}

static bool from_url(struct arena *a, struct str text, struct str *out)
{
    char padded[CURSOR_TEXT_MAX + 4];
    size_t n = text.n;
    if (n > CURSOR_TEXT_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        padded[i] = text.p[i] == '-' ? '+' : text.p[i] == '_' ? '/' : text.p[i] == '+' || text.p[i] == '/' ? '!' : text.p[i];
    while (n % 4)
        padded[n++] = '=';
    return base64_decode(a, str_n(padded, n), out);
}

bool page_parse_cursor(struct arena *a, struct str text, struct http_page *p)
{
    struct str b;
    if (!from_url(a, text, &b) || b.n <= CURSOR_HEAD || b.n > CURSOR_HEAD + PAGE_KEY_MAX || b.p[0] != CURSOR_VERSION)
        return false;
    p->given = 0;
    for (size_t i = 1; i < CURSOR_HEAD; i++)
        p->given = p->given << 8 | (unsigned char)b.p[i];
    p->after = str_n(b.p + CURSOR_HEAD, b.n - CURSOR_HEAD);
    return p->given > 0;
}

struct str page_next(const struct http_page *p, struct arena *a)
{
    struct buf b = BUF_INIT;
    if (!p->more)
        return STR_NULL;
    buf_add_c(&b, CURSOR_VERSION);
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_add_c(&b, (char)(p->last_count >> shift));
    buf_add_str(&b, buf_str(&p->last));
    struct str text = to_url(a, buf_str(&b));
    buf_deinit(&b);
    return text;
}

/* --- the query --- */

static bool is_argument(const struct cmd_call *c, const char *name)
{
    for (unsigned i = 0; i < c->shape->arg_count; i++)
        if (!strcmp(c->shape->args[i].name, name))
            return true;
    for (unsigned i = 0; i < c->cmd->d->rename_count; i++)
        if (!strcmp(c->cmd->d->renames[i].old_name, name))
            return true;
    return false;
}

/* How often it is there; more than once is refused. */
static int take(struct cmd_call *c, struct raw_args *raw, const char *name, struct str *out)
{
    unsigned n = is_argument(c, name) ? 0 : raw_args_take(raw, str_of(name), out);
    return n > 1 ? cmd_fail(c, ERR_BAD_ARGUMENT, "%s is given more than once", name) : (int)n;
}

/*
 * What a command may leave out: rows by their first text, which no two have. A cut key says where to begin at the earliest (it may
 * end inside a character); how many rows lie between that place and the page is not known then.
 */
static void hint(struct cmd_call *c, const struct http_page *p)
{
    struct str key = p->after;
    const char *nul = key.p ? memchr(key.p, 0, key.n) : NULL;
    size_t n = nul ? (size_t)(nul - key.p) : key.n;
    bool whole = nul && n + 2 == key.n && !key.p[n + 1] && utf8_valid(str_n(key.p, n));
    for (int i = 0; i < 3 && n && !utf8_valid(str_n(key.p, n)); i++)
        n--;
    if (n && utf8_valid(str_n(key.p, n)))
        c->page.after = str_n(key.p, n);
    if (p->limit && (!key.p || (whole && n)))
        c->page.limit = p->limit + 1;
}

int page_read(struct cmd_call *c, struct raw_args *raw, struct http_page *p)
{
    struct str limit, after;
    int has_limit, has_after;
    int64_t n;
    if (!raw || c->shape->result->kind != V_LIST)
        return 0;
    if ((has_limit = take(c, raw, "limit", &limit)) < 0 || (has_after = take(c, raw, "after", &after)) < 0)
        return -1;
    if ((has_limit || has_after) && !(c->cmd->d->flags & CMD_READS)) /* it would be carried out again for each page */
        return cmd_fail(c, ERR_BAD_ARGUMENT, "limit, after: %s changes something, so its result does not come in pages",
                        c->cmd->name.p);
    if (has_limit) {
        if (!str_to_i64(limit, &n) || n < 1 || n > PAGE_LIMIT_MAX)
            return cmd_fail(c, ERR_BAD_ARGUMENT, "limit: expected a number from 1 to %d", PAGE_LIMIT_MAX);
        p->limit = (size_t)n;
    }
    if (has_after && !page_parse_cursor(c->arena, after, p))
        return cmd_fail(c, ERR_BAD_ARGUMENT, "after: expected what X-Next-After of the page before says");
    if (p->after.p) {
        buf_add_str(&p->last, p->after);
        p->last_count = p->given;
    }
    if ((c->cmd->d->flags & CMD_PAGES) && !c->shape->from_newest)
        hint(c, p);
    return 0;
}

void page_deinit(struct http_page *p)
{
    buf_deinit(&p->key);
    buf_deinit(&p->last);
}

/* --- rows --- */

enum page_verdict page_row(struct http_page *p, const struct type *el, const struct value *row)
{
    if (!page_asked(p))
        return PAGE_TAKE;
    buf_clear(&p->key);
    value_key(&p->key, el, row);
    if (p->key.n > PAGE_KEY_MAX)
        p->key.n = PAGE_KEY_MAX;
    if (p->after.p) {
        int order = str_cmp(buf_str(&p->key), p->after);
        if (order < 0)
            return PAGE_SKIP;
        if (order == 0 && p->passed < p->given) {
            p->passed++;
            return PAGE_SKIP;
        }
    }
    if (p->limit && p->rows == p->limit) {
        p->more = true;
        return PAGE_FULL;
    }
    p->rows++;
    if (str_eq(buf_str(&p->key), buf_str(&p->last))) {
        p->last_count++;
        return PAGE_TAKE;
    }
    struct buf swap = p->last;
    p->last = p->key;
    p->key = swap;
    p->last_count = 1;
    return PAGE_TAKE;
}
