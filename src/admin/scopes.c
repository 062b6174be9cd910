/* See the header. The configuration in force on this shard decides. */
#include "admin/scopes.h"

#include "admin/command.h"
#include "core/config/access.h"

static bool known(struct str scope)
{
    static const char *const words[] = {"ejabberd:admin", "ejabberd:user", "sasl_auth"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(scope, str_of(words[i])))
            return true;
    return command_find(scope) || api_names_scope(config_current(), scope);
}

static bool given_before(const struct str *v, size_t n, struct str word)
{
    while (n--)
        if (str_eq(v[n], word))
            return true;
    return false;
}

bool scopes_check(struct arena *a, const struct str *words, size_t n, struct str *out, const struct str **v_out, size_t *n_out)
{
    if (n > SCOPES_MAX)
        return false;
    struct str *v = ARENA_ARRAY(a, struct str, n);
    struct buf b = BUF_INIT;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!given_before(v, kept, words[i]))
            v[kept++] = words[i];
    bool ok = true;
    for (size_t i = 0; i < kept; i++) {
        ok = ok && known(v[i]);
        buf_printf(&b, "%s%.*s", i ? " " : "", STR_ARG(v[i]));
    }
    *out = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    if (v_out)
        *v_out = v;
    if (n_out)
        *n_out = kept;
    return ok;
}

bool scopes_parse(struct arena *a, struct str text, char separator, struct str *out, const struct str **v_out, size_t *n_out)
{
    struct str words[SCOPES_MAX], word;
    size_t n = 0;
    while (text.p && str_split(&text, separator, &word)) {
        word = str_trim(word);
        if (word.n && n == SCOPES_MAX)
            return false;
        if (word.n)
            words[n++] = word;
    }
    return scopes_check(a, words, n, out, v_out, n_out);
}
