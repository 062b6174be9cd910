/* Reading module.yml; see the header. Keeps nothing. */
#include "core/module/contrib_spec.h"

#include "core/config/yaml.h"
#include "core/module/contrib_place.h"

#define TEXT_MAX 500
#define LIBS_MAX 16

struct spec_key {
    const char *key;
    size_t at;
};
static const struct spec_key texts[] = {
    {"author", offsetof(struct contrib_spec, author)},   {"category", offsetof(struct contrib_spec, category)},
    {"home", offsetof(struct contrib_spec, home)},       {"name", offsetof(struct contrib_spec, name)},
    {"summary", offsetof(struct contrib_spec, summary)}, {"url", offsetof(struct contrib_spec, url)},
};

static int read_text(struct arena *a, const char *key, const struct yaml *y, struct str *out, struct error *err)
{
    char got[96];
    if (y->kind != YAML_SCALAR || y->text.n > TEXT_MAX)
        return yaml_error(y, err, "'%s' must be a text of at most %d bytes, got %s", key, TEXT_MAX, yaml_got(y, got));
    for (size_t i = 0; i < y->text.n; i++)
        if ((unsigned char)y->text.p[i] < ' ')
            return yaml_error(y, err, "'%s' must be one line", key);
    *out = arena_str(a, y->text);
    return 0;
}

/* It becomes an argument of the compiler, so it is a plain word. */
static bool lib_valid(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        if (!word && !(i && (c == '-' || c == '.' || c == '+')))
            return false;
    }
    return s.n > 0 && s.n <= CONTRIB_NAME_MAX;
}

static int read_libs(struct arena *a, const struct yaml *y, struct contrib_spec *out, struct error *err)
{
    char got[96];
    if (y->kind != YAML_LIST || y->n > LIBS_MAX)
        return yaml_error(y, err, "'libs' must be a list of at most %d libraries, got %s", LIBS_MAX, yaml_got(y, got));
    struct str *v = ARENA_ARRAY(a, struct str, y->n + 1);
    for (size_t i = 0; i < y->n; i++) {
        if (y->items[i]->kind != YAML_SCALAR || !lib_valid(y->items[i]->text))
            return yaml_error(y->items[i], err, "a library is a name like 'm', for -lm; got %s", yaml_got(y->items[i], got));
        v[i] = arena_str(a, y->items[i]->text);
    }
    out->libs = v;
    out->lib_count = y->n;
    return 0;
}

static int read_key(struct arena *a, struct str key, const struct yaml *y, struct contrib_spec *out, struct str *unknown,
                    struct error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (str_eq(key, str_of(texts[i].key)))
            return read_text(a, texts[i].key, y, (struct str *)(void *)((char *)out + texts[i].at), err);
    if (str_eq(key, S("libs")))
        return read_libs(a, y, out, err);
    if (unknown)
        *unknown = arena_printf(a, "%.*s%s'%.*s'", STR_ARG(*unknown), unknown->n ? ", " : "", STR_ARG(key));
    return 0;
}

int contrib_spec_read(struct arena *a, const char *dir, const char *name, struct contrib_spec *out, struct str *unknown_out,
                      struct error *err)
{
    char file[CONTRIB_PATH_MAX];
    if (contrib_path(file, dir, "module.yml", NULL) != 0)
        return err_set(err, ERR_IO, "the path of %s is too long", name);
    const struct yaml *y = yaml_read(a, file, err);
    return y ? contrib_spec_of(a, y, name, out, unknown_out, err) : -1;
}

int contrib_spec_of(struct arena *a, const struct yaml *y, const char *name, struct contrib_spec *out, struct str *unknown_out,
                    struct error *err)
{
    char got[96];
    *out = (struct contrib_spec){0};
    if (y->kind != YAML_MAP)
        return yaml_error(y, err, "expected a map of name, summary, author ..., got %s", yaml_got(y, got));
    ptrdiff_t dup = yaml_duplicate(y);
    if (dup >= 0)
        return yaml_error(y->key_nodes[dup], err, "'%.*s' is given twice", STR_ARG(y->keys[dup]));
    for (size_t i = 0; i < y->n; i++)
        if (read_key(a, y->keys[i], y->items[i], out, unknown_out, err) != 0)
            return -1;
    if (!out->name.n)
        out->name = arena_str(a, str_of(name));
    if (!str_eq(out->name, str_of(name)))
        return yaml_error(y, err, "the module is called '%.*s' but its folder '%s'", STR_ARG(out->name), name);
    if (!out->summary.n)
        return yaml_error(y, err, "'summary' is missing: one line that says what the module is for");
    return 0;
}
