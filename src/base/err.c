/* The table of failures (base/err.def) and the words of one failure. Any thread; suspends never. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

static char names[ERR__COUNT][24];

static const struct err_info table[ERR__COUNT] = {
#define ERR(name, http, api, stanza_type, stanza_cond, exit_code, text) \
    [ERR_##name] = {names[ERR_##name], http, api, stanza_type, stanza_cond, exit_code, text},
#include "base/err.def"
#undef ERR
};

/* The list writes names as C does; people and JSON get them in lower case. */
static void __attribute__((constructor)) fill_names(void)
{
    static const char *const upper[ERR__COUNT] = {
#define ERR(name, http, api, stanza_type, stanza_cond, exit_code, text) [ERR_##name] = #name,
#include "base/err.def"
#undef ERR
    };
    for (size_t i = 0; i < ERR__COUNT; i++)
        for (size_t j = 0; upper[i][j] && j + 1 < sizeof(names[i]); j++) {
            char c = upper[i][j];
            names[i][j] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        }
}

const struct err_info *err_info(enum err_code code)
{
    return &table[(unsigned)code < ERR__COUNT ? code : ERR_INTERNAL];
}

int err_set(struct error *e, enum err_code code, const char *fmt, ...)
{
    if (!e)
        return -1;
    e->code = code;
    if (!fmt) {
        snprintf(e->text, sizeof(e->text), "%s", err_info(code)->text);
        return -1;
    }
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof(e->text), fmt, ap);
    va_end(ap);
    return -1;
}

int err_wrap(struct error *e, const char *fmt, ...)
{
    if (!e)
        return -1;
    char old[ERR_TEXT_MAX];
    memcpy(old, e->text, sizeof(old));
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(e->text, sizeof(e->text), fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof(e->text))
        snprintf(e->text + n, sizeof(e->text) - (size_t)n, ": %.*s", (int)(sizeof(e->text) - (size_t)n), old);
    return -1;
}
