/* Tables `vcard` and `vcard_search`. Suspends: everything public; the rest runs on the reader threads and the writer. */
#include "store/vcard.h"

#include "store/pattern.h"
#include "store/rows.h"
#include "store/tally.h"
#include "xmpp/casefold.h"

/* No text is behind it. */
#define LAST_CHAR "\xf4\x8f\xbf\xbf"

static const struct {
    const char *name;
    enum sql_stmt_id by;
} fields[VCARD_SEARCH_COUNT] = {
#define F(field) [VCARD_##field] = {#field, STMT_vcard_by_##field},
    VCARD_FIELDS(F)
    F(username)
#undef F
};

const char *vcard_field_name(enum vcard_field f)
{
    return fields[f].name;
}

enum store_rc vcard_get(struct arena *a, struct str host, struct str user, struct str *xml_out)
{
    struct rows r = ROWS(struct str, STMT_vcard_get, read_str, V_STR(host), V_STR(user));
    struct tally_key k = tally_key(TALLY_VCARD, host, user);
    uint64_t look = tally_look(k), none;
    enum store_rc rc;

    if (tally_get(k, &none, NULL))
        return STORE_NONE;
    rc = rows_one(a, &r, xml_out);
    if (rc == STORE_NONE)
        tally_set(k, look, 0);
    return rc;
}

/* At a character's border. */
static struct str cut(struct str s)
{
    size_t n = s.n;

    if (n <= VCARD_FIELD_MAX)
        return s;
    for (n = VCARD_FIELD_MAX; n && ((unsigned char)s.p[n] & 0xc0) == 0x80; n--)
        continue;
    return str_n(s.p, n);
}

enum store_rc vcard_set(struct str host, struct str user, struct str xml, const struct str values[VCARD_FIELD_COUNT])
{
    struct sql_value args[3 + 2 * VCARD_FIELD_COUNT] = {V_STR(host), V_STR(user), V_STR(user)};
    struct tally_key k = tally_key(TALLY_VCARD, host, user);
    struct arena *a = arena_new();
    enum store_rc rc = STORE_REFUSED;

    tally_forget(k);
    for (size_t i = 0; i < VCARD_FIELD_COUNT; i++) {
        args[3 + i] = V_STR(cut(values[i]));
        args[3 + VCARD_FIELD_COUNT + i] = V_STR(cut(casefold(a, cut(values[i]))));
    }
    if (owner_ok(host, user))
        rc = ops_write(OPS(SQL_OP(STMT_vcard_set, V_STR(host), V_STR(user), V_STR(xml)),
                           SQL_OP(STMT_vcard_search_delete, V_STR(host), V_STR(user)),
                           (struct sql_op){STMT_vcard_search_add, args, ARRAY_LEN(args)}), NULL);
    tally_forget(k);
    arena_release(&a);
    return rc;
}

enum store_rc vcard_remove(struct str host, struct str user)
{
    if (!owner_ok(host, user))
        return STORE_NONE;
    return ops_change(OPS(SQL_OP(STMT_vcard_delete, V_STR(host), V_STR(user)),
                          SQL_OP(STMT_vcard_search_delete, V_STR(host), V_STR(user))));
}

/* --- search --- */

struct search {
    struct pattern want[VCARD_SEARCH_COUNT]; /* folded; text empty: anything */
    enum vcard_field by;                     /* the one whose index is used */
};

struct found_row {
    struct vcard_found v;
    struct str key; /* of the index */
};

static bool fits(const struct search *s, size_t field, struct str folded)
{
    return !s->want[field].text.n || pattern_match(&s->want[field], folded);
}

static bool read_found(const struct sql_query *q, struct rows *r, void *row_out)
{
    const struct search *s = r->ctx;
    struct found_row *row = row_out;
    bool ok = fits(s, VCARD_username, sql_text(q, 0));

    row->v.user = arena_str(r->a, sql_text(q, 0));
    row->key = s->by == VCARD_username ? row->v.user : arena_str(r->a, sql_text(q, 1 + VCARD_FIELD_COUNT + (unsigned)s->by));
    for (unsigned i = 0; ok && i < VCARD_FIELD_COUNT; i++)
        ok = fits(s, i, sql_text(q, 1 + VCARD_FIELD_COUNT + i));
    for (unsigned i = 0; ok && i < VCARD_FIELD_COUNT; i++)
        row->v.field[i] = arena_str(r->a, sql_text(q, 1 + i));
    return ok;
}

static void advance(struct rows *r, const void *last)
{
    const struct found_row *row = last;

    r->args[1] = V_STR(row->key);
    r->args[2] = V_STR(row->v.user);
}

/* Glob signs other than "*" are what people type. */
static struct str star_only(struct arena *a, struct str s)
{
    if (s.n == 0 || !(memchr(s.p, '?', s.n) || memchr(s.p, '[', s.n)))
        return s;
    char *p = arena_alloc(a, 3 * s.n);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        bool sign = s.p[i] == '?' || s.p[i] == '[';
        if (sign)
            p[n++] = '[';
        p[n++] = s.p[i];
        if (sign)
            p[n++] = ']';
    }
    return str_n(p, n);
}

static void prepare(struct search *s, struct arena *a, const struct str patterns[VCARD_SEARCH_COUNT])
{
    size_t longest = 0;

    s->by = VCARD_username;
    for (size_t i = 0; i < VCARD_SEARCH_COUNT; i++) {
        s->want[i] = (struct pattern){PATTERN_GLOB, star_only(a, casefold(a, cut(patterns[i])))};
        if (pattern_prefix(&s->want[i]).n > longest) {
            longest = pattern_prefix(&s->want[i]).n;
            s->by = (enum vcard_field)i;
        }
    }
}

static enum store_rc show(struct rows *r, size_t limit, bool (*fn)(const struct vcard_found *v, void *arg) YIELDS,
                          void *arg) YIELDS;
static enum store_rc show(struct rows *r, size_t limit, bool (*fn)(const struct vcard_found *v, void *arg) YIELDS,
                          void *arg)
{
    const struct found_row *row;
    size_t n = 0;

    while ((limit == 0 || n < limit) && (row = rows_next(r))) {
        n++;
        if (!fn(&row->v, arg))
            break;
    }
    return rows_end(r);
}

enum store_rc vcard_search(struct str host, const struct str patterns[VCARD_SEARCH_COUNT], size_t limit,
                           bool (*fn)(const struct vcard_found *v, void *arg) YIELDS, void *arg)
{
    struct arena *a = arena_new();
    struct search s;
    struct str from;
    enum store_rc rc;

    prepare(&s, a, patterns);
    from = pattern_prefix(&s.want[s.by]);
    struct rows r = ROWS(struct found_row, fields[s.by].by, read_found, V_STR(host), V_STR(from), V_STR(S("")),
                         V_STR(arena_printf(a, "%.*s" LAST_CHAR, STR_ARG(from))), V_INT(0));
    r.advance = advance;
    r.ctx = &s;
    rc = show(&r, limit, fn, arg);
    arena_release(&a);
    return rc;
}
