/*
 * Checking and converting values by the type notation. Runs when a configuration is loaded; suspends never.
 * Types come from the table of this program, so their notation is trusted (a unit test checks every one); values are
 * not.
 */
#include "core/config/access_compile.h"
#include "core/config/option_type.h"
#include "xmpp/jid.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum outcome { FITS = 0, WRONG = 1, REPORTED = -1 /* err is complete */ };

struct checker {
    struct arena *arena;
    struct error *err;
    const struct type_subject *subject;
    char path[160];   /* ".contact" below the option itself */
    struct yaml *bad; /* where it went wrong, and what was expected there */
    const char *bad_type;
    bool bad_entry; /* it is an entry of a list or map */
};

static int check(struct checker *c, const char *type, struct yaml *y, struct opt_value *out);

/* End of the type, up to and including its alternatives when `alternatives`. */
static const char *type_end(const char *p, bool alternatives)
{
    int depth = 0;
    for (; *p; p++) {
        if (*p == '(' || *p == '{')
            depth++;
        else if (depth && (*p == ')' || *p == '}'))
            depth--;
        else if (!depth && (*p == ')' || *p == ',' || (*p == '|' && !alternatives)))
            break;
    }
    return p;
}

/* "list(" -> the argument when the type at p is that one, else NULL. */
static const char *args_of(const char *p, const char *name)
{
    size_t n = strlen(name);
    return !strncmp(p, name, n) && p[n] == '(' ? p + n + 1 : NULL;
}

static bool is_type(const char *p, const char *name)
{
    size_t n = strlen(name);
    return !strncmp(p, name, n) && type_end(p, false) == p + n;
}

/* "option 'acme.contact' of module x" */
static const char *subject(const struct checker *c, char out[400])
{
    snprintf(out, 400, "option '%s%s'%s%s", c->subject->option, c->path, c->subject->of ? " of " : "",
             c->subject->of ? c->subject->of : "");
    return out;
}

static int wrong(struct checker *c, const char *type, struct yaml *y)
{
    c->bad = y;
    c->bad_type = type;
    return WRONG;
}

static void int_bounds(const char *args, int64_t *lo, int64_t *hi)
{
    char *end;
    *lo = *args == ',' ? INT64_MIN : strtoll(args, &end, 10);
    const char *comma = strchr(args, ',');
    *hi = comma[1] == ')' ? INT64_MAX : strtoll(comma + 1, &end, 10);
}

static bool check_int(const char *args, const struct yaml *y, struct opt_value *out)
{
    int64_t lo, hi;
    int_bounds(args, &lo, &hi);
    return yaml_int(y, &out->num) && out->num >= lo && out->num <= hi && out->num != OPT_INFINITY;
}

static bool check_word_of(const char *p, const struct yaml *y)
{
    for (const char *w = p + 1; *w && *w != '}';) {
        size_t n = strcspn(w, ",}");
        if (str_eq(y->text, str_n(w, n)))
            return true;
        w += n + (w[n] == ',');
    }
    return false;
}

static bool check_infinity(const struct yaml *y, struct opt_value *out)
{
    out->num = OPT_INFINITY;
    return str_eq(y->text, S("infinity")) || str_eq(y->text, S("unlimited")) || str_eq(y->text, S("infinite"));
}

static bool time_unit(struct str unit, int64_t *ms_out)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"", 1000},         {"s", 1000},       {"sec", 1000},     {"secs", 1000},     {"second", 1000},
                 {"seconds", 1000},  {"m", 60000},      {"min", 60000},    {"mins", 60000},    {"minute", 60000},
                 {"minutes", 60000}, {"h", 3600000},    {"hour", 3600000}, {"hours", 3600000}, {"d", 86400000},
                 {"day", 86400000},  {"days", 86400000}};
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_ieq_ascii(unit, str_of(units[i].name))) {
            *ms_out = units[i].ms;
            return true;
        }
    return false;
}

static bool check_time(const struct yaml *y, struct opt_value *out)
{
    size_t digits = 0;
    while (digits < y->text.n && y->text.p[digits] >= '0' && y->text.p[digits] <= '9')
        digits++;
    int64_t n, unit;
    if (!str_to_i64(str_n(y->text.p, digits), &n) || n < 1 ||
        !time_unit(str_trim(str_n(y->text.p + digits, y->text.n - digits)), &unit) || n > INT64_MAX / 2 / unit)
        return false;
    out->num = n * unit;
    return true;
}

/* Thousandths. */
static bool check_number(const struct yaml *y, struct opt_value *out)
{
    ptrdiff_t dot = str_find(y->text, '.');
    int64_t whole, fraction = 0;
    size_t n = dot < 0 ? y->text.n : (size_t)dot;
    if (y->quoted || !n || y->text.p[0] == '+' || y->text.p[0] == '-' || !str_to_i64(str_n(y->text.p, n), &whole) ||
        whole > INT64_MAX / 2000)
        return false;
    int64_t scale = 100;
    for (size_t i = n + 1; dot >= 0 && i < y->text.n; i++, scale /= 10) {
        if (y->text.p[i] < '0' || y->text.p[i] > '9')
            return false;
        fraction += (y->text.p[i] - '0') * scale;
    }
    out->num = whole * 1000 + fraction;
    return true;
}

static bool check_octal(const struct yaml *y, struct opt_value *out)
{
    out->num = 0;
    for (size_t i = 0; i < y->text.n; i++) {
        if (y->text.p[i] < '0' || y->text.p[i] > '7' || i >= 10)
            return false;
        out->num = out->num * 8 + (y->text.p[i] - '0');
    }
    return y->text.n > 0;
}

static bool check_domain(struct checker *c, const struct yaml *y, struct opt_value *out)
{
    for (size_t i = 0; i < y->text.n; i++)
        if (strchr("@/ \t<>\"'&", y->text.p[i]))
            return false;
    struct str prepared;
    if (!y->text.n || y->text.n > JID_PART_MAX || !jid_nameprep(c->arena, y->text, &prepared) || !prepared.n)
        return false;
    out->text = arena_str(c->arena, prepared);
    return true;
}

/* "@HOST@" is put in later, per host: the rest must do as a name. */
static bool check_host(struct checker *c, const struct yaml *y, struct opt_value *out)
{
    struct yaml stand_in = *y;
    char text[JID_PART_MAX + 1];
    const char *at = y->text.n <= JID_PART_MAX ? memmem(y->text.p, y->text.n, "@HOST@", 6) : NULL;
    if (!at)
        return check_domain(c, y, out);
    size_t before = (size_t)(at - y->text.p);
    int n = snprintf(text, sizeof(text), "%.*sx%.*s", (int)before, y->text.p, (int)(y->text.n - before - 6), at + 6);
    stand_in.text = str_n(text, (size_t)n);
    bool ok = check_domain(c, &stand_in, out);
    out->text = y->text;
    return ok;
}

static bool check_url(const struct yaml *y)
{
    struct str s = y->text;
    static const char *const schemes[] = {"http://", "https://", "ws://",    "wss://",
                                          "mqtt://", "mqtts://", "mqtt5://", "mqtt5s://"};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (str_starts(s, str_of(schemes[i])) && s.n > strlen(schemes[i]) && s.p[strlen(schemes[i])] != '/')
            return true;
    return false;
}

static bool check_ip(const char *p, const struct yaml *y)
{
    struct ip ip;
    struct ip_net net;
    if (is_type(p, "net"))
        return ip_net_parse(y->text, &net);
    return ip_parse(y->text, &ip) && (is_type(p, "ip") || ip.family == (is_type(p, "ip4") ? 4 : 6));
}

static bool check_regexp(struct checker *c, const struct yaml *y)
{
    int code;
    size_t at;
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)y->text.p, y->text.n, PCRE2_UTF, &code, &at, NULL);
    pcre2_code_free(re);
    return re != NULL;
}

static bool check_lang(const struct yaml *y)
{
    for (size_t i = 0; i < y->text.n; i++) {
        char ch = y->text.p[i];
        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '-' ||
              ch == '_'))
            return false;
    }
    return y->text.n <= 64;
}

static bool check_jid(struct checker *c, const struct yaml *y, struct opt_value *out)
{
    struct jid j;
    if (memmem(y->text.p, y->text.n, "@HOST@", 6))
        return true;
    if (!jid_parse(c->arena, y->text, &j))
        return false;
    out->text = jid_full(jid_copy(c->arena, j));
    return true;
}

static bool check_bool(const struct yaml *y, struct opt_value *out)
{
    bool b;
    if (!yaml_bool(y, &b))
        return false;
    out->num = b;
    out->text = b ? S("true") : S("false");
    return true;
}

static bool check_scalar(struct checker *c, const char *p, const struct yaml *y, struct opt_value *out)
{
    const char *args;
    if (is_type(p, "bool"))
        return check_bool(y, out);
    if (is_type(p, "str") || is_type(p, "file") || is_type(p, "dir"))
        return true;
    if (is_type(p, "str1") || is_type(p, "word"))
        return y->text.n > 0;
    if ((args = args_of(p, "int")) != NULL)
        return check_int(args, y, out);
    if (is_type(p, "inf"))
        return check_infinity(y, out);
    if (is_type(p, "time"))
        return check_time(y, out);
    if (is_type(p, "num"))
        return check_number(y, out);
    if (is_type(p, "octal"))
        return check_octal(y, out);
    if (*p == '{')
        return check_word_of(p, y);
    if (is_type(p, "domain"))
        return check_domain(c, y, out);
    if (is_type(p, "host"))
        return check_host(c, y, out);
    if (is_type(p, "jid"))
        return check_jid(c, y, out);
    if (is_type(p, "url"))
        return check_url(y);
    if (is_type(p, "regexp"))
        return check_regexp(c, y);
    if (is_type(p, "lang"))
        return check_lang(y);
    return check_ip(p, y);
}

static void list_add(struct checker *c, struct opt_value *out, const struct opt_value *entry, size_t i)
{
    struct str *v = (struct str *)(uintptr_t)out->list;
    v[i] = entry->text;
    out->list_n = i + 1;
}

static bool listed_before(const struct opt_value *out, struct str text)
{
    for (size_t i = 0; i < out->list_n; i++)
        if (str_eq(out->list[i], text))
            return true;
    return false;
}

static int check_entries(struct checker *c, const char *entry_type, bool unique, struct yaml *y, struct opt_value *out)
{
    out->list = ARENA_ARRAY(c->arena, struct str, y->n + 1);
    out->list_n = 0;
    for (size_t i = 0; i < y->n; i++) {
        struct opt_value entry = {0};
        int rc = check(c, entry_type, y->items[i], &entry);
        if (rc) {
            c->bad_entry = c->bad_entry || c->bad == y->items[i];
            return rc;
        }
        /* Sizes are bounded by the file; lists that must be unique are short in practice. */
        if (unique && i < 10000 && entry.text.p && listed_before(out, entry.text)) {
            char words[400];
            yaml_error(y->items[i], c->err, "%s names '%.*s' twice", subject(c, words), STR_ARG(entry.text));
            return REPORTED;
        }
        list_add(c, out, &entry, i);
    }
    return FITS;
}

static int check_list(struct checker *c, const char *p, struct yaml *y, struct opt_value *out)
{
    const char *some = args_of(p, "some");
    const char *uniq = args_of(p, "uniq"), *uniq1 = args_of(p, "uniq1");
    const char *entry_type = some ? some : uniq ? uniq : uniq1 ? uniq1 : args_of(p, "list");
    if (some && y->kind == YAML_SCALAR) {
        out->list = ARENA_ARRAY(c->arena, struct str, 1);
        struct opt_value entry = {0};
        int rc = check(c, entry_type, y, &entry);
        if (!rc)
            list_add(c, out, &entry, 0);
        return rc == WRONG ? wrong(c, p, y) : rc;
    }
    if (y->kind != YAML_LIST || (uniq1 && !y->n))
        return wrong(c, p, y);
    return check_entries(c, entry_type, uniq || uniq1, y, out);
}

static int repeated_key(struct checker *c, struct yaml *y)
{
    ptrdiff_t dup = yaml_duplicate(y);
    if (dup < 0)
        return FITS;
    char words[400];
    yaml_error(y->key_nodes[dup], c->err, "'%.*s' is given twice in %s", STR_ARG(y->keys[dup]), subject(c, words));
    return REPORTED;
}

static size_t path_push(struct checker *c, struct str key)
{
    size_t n = strlen(c->path);
    snprintf(c->path + n, sizeof(c->path) - n, ".%.*s", key.n < 60 ? (int)key.n : 60, key.p);
    return n;
}

/* The path is kept when something is wrong: the message names it. */
static int check_below(struct checker *c, const char *type, struct str key, struct yaml *y)
{
    size_t n = path_push(c, key);
    struct opt_value ignored = {0};
    int rc = check(c, type, y, &ignored);
    if (!rc)
        c->path[n] = 0;
    return rc;
}

static int check_map(struct checker *c, const char *p, struct yaml *y)
{
    const char *key_type = args_of(p, "map"), *value_type = type_end(key_type, true) + 1;
    if (y->kind != YAML_MAP)
        return wrong(c, p, y);
    int rc = repeated_key(c, y);
    for (size_t i = 0; i < y->n && !rc; i++) {
        struct opt_value ignored = {0};
        struct yaml key = *y->key_nodes[i];
        if (key.kind == YAML_NULL) {
            key.kind = YAML_SCALAR;
            key.text = S("");
        }
        rc = check(c, key_type, &key, &ignored);
        if (rc == WRONG) {
            char got[96], whose[400];
            struct buf words = BUF_INIT;
            type_words(&words, key_type);
            yaml_error(y->key_nodes[i], c->err, "every key of %s must be %.*s, got %s", subject(c, whose),
                       STR_ARG(buf_str(&words)), yaml_got(&key, got));
            buf_deinit(&words);
            return REPORTED;
        }
        if (!rc)
            rc = check_below(c, value_type, y->keys[i], y->items[i]);
    }
    return rc;
}

/* Type of a named option of opts(...), NULL when unknown. Names go to `words` for the nearest one. */
static const char *opts_type(const char *args, struct str name, struct arena *a, const char **words, size_t *n)
{
    for (const char *at = args;;) {
        const char *colon = strchr(at, ':');
        struct str known = str_n(at, (size_t)(colon - at));
        if (str_eq(known, name))
            return colon + 1;
        words[(*n)++] = arena_cstr(a, known);
        at = type_end(colon + 1, true);
        if (*at != ',')
            return NULL;
        at++;
    }
}

static int check_opts(struct checker *c, const char *p, struct yaml *y)
{
    if (y->kind != YAML_MAP)
        return wrong(c, p, y);
    int rc = repeated_key(c, y);
    for (size_t i = 0; i < y->n && !rc; i++) {
        const char *words[64];
        size_t n = 0;
        const char *type = opts_type(args_of(p, "opts"), y->keys[i], c->arena, words, &n);
        if (!type) {
            const char *near = str_near(y->keys[i], words, n);
            char got[96], whose[400];
            yaml_error(y->key_nodes[i], c->err, "unknown option %s of %s%s%s%s", yaml_got(y->key_nodes[i], got),
                       subject(c, whose), near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
            return REPORTED;
        }
        rc = check_below(c, type, y->keys[i], y->items[i]);
    }
    return rc;
}

static int check_rule(struct checker *c, const char *p, struct yaml *y)
{
    enum rule_values values = is_type(p, "shaper") ? RULE_SHAPER : RULE_ACCESS;
    if (y->kind == YAML_SCALAR && y->text.n)
        return FITS; /* a name; a shaper may be a number as well */
    if (y->kind != YAML_LIST && y->kind != YAML_MAP)
        return wrong(c, p, y);
    struct rule_compiler rc = {.arena = c->arena, .err = c->err};
    struct rule *r = ARENA_NEW(c->arena, struct rule);
    if (compile_rule(&rc, y, values, r))
        return REPORTED;
    y->compiled = r;
    return FITS;
}

static int check_one(struct checker *c, const char *p, struct yaml *y, struct opt_value *out)
{
    if (is_type(p, "any"))
        return FITS;
    if (is_type(p, "access") || is_type(p, "shaper"))
        return check_rule(c, p, y);
    if (args_of(p, "list") || args_of(p, "some") || args_of(p, "uniq") || args_of(p, "uniq1"))
        return check_list(c, p, y, out);
    if (args_of(p, "map"))
        return check_map(c, p, y);
    if (args_of(p, "opts"))
        return check_opts(c, p, y);
    if (y->kind != YAML_SCALAR)
        return wrong(c, p, y);
    *out = (struct opt_value){.text = y->text};
    return check_scalar(c, p, y, out) ? FITS : wrong(c, p, y);
}

/* A failure deep inside the one alternative that has the value's shape says more than "none of these". */
static bool has_shape(const char *p, const struct yaml *y)
{
    bool list = args_of(p, "list") || args_of(p, "some") || args_of(p, "uniq") || args_of(p, "uniq1");
    return (y->kind == YAML_LIST && list) || (y->kind == YAML_MAP && (args_of(p, "map") || args_of(p, "opts")));
}

static int check(struct checker *c, const char *type, struct yaml *y, struct opt_value *out)
{
    bool kept = false;
    struct yaml *bad = y;
    const char *bad_type = type;
    for (const char *p = type;; p++) {
        int rc = check_one(c, p, y, out);
        if (rc != WRONG)
            return rc;
        if (has_shape(p, y) && !kept) {
            kept = true;
            bad = c->bad;
            bad_type = c->bad_type;
        }
        p = type_end(p, false);
        if (*p != '|')
            break;
    }
    c->bad = bad;
    c->bad_type = bad == y ? type : bad_type;
    return WRONG;
}

int type_check(struct arena *a, const char *type, const struct type_subject *of, struct yaml *y, struct opt_value *out,
               struct error *err)
{
    struct checker c = {.arena = a, .err = err, .subject = of};
    *out = (struct opt_value){0};
    int rc = check(&c, type, y, out);
    if (rc != WRONG)
        return rc;
    struct buf words = BUF_INIT;
    char got[96], whose[400];
    type_words(&words, c.bad_type);
    bool hide = of->secret && c.bad->kind == YAML_SCALAR;
    yaml_error(c.bad, err, "%s%s must be %.*s, got %s", c.bad_entry ? "every entry of " : "", subject(&c, whose),
               STR_ARG(buf_str(&words)), hide ? "something else" : yaml_got(c.bad, got));
    buf_deinit(&words);
    return -1;
}
