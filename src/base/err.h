/*
 * Failures. One table (base/err.def) maps a code to the HTTP status and API code, the stanza error and the exit code;
 * no front end invents its own. A fallible function returns 0 or -1 and fills *err; whoever gets an error either
 * logs it or passes it on, never both.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/attrs.h"
#include "base/str.h"

enum err_code {
#define ERR(name, http, api, stanza_type, stanza_cond, exit_code, text) ERR_##name,
#include "base/err.def"
#undef ERR
    ERR__COUNT
};

struct err_info {
    const char *name;        /* "not_found" */
    int http, api;           /* status and "code" of the JSON error object */
    const char *stanza_type; /* cancel, modify, auth, wait */
    const char *stanza_cond; /* RFC 6120 §8.3.3 */
    int exit_code;
    const char *text;
};

#define ERR_TEXT_MAX 512

struct error {
    enum err_code code; /* ERR_NONE: nothing happened */
    char text[ERR_TEXT_MAX];
};

#define ERROR_INIT ((struct error){.code = ERR_NONE})

const struct err_info *err_info(enum err_code code);
/* Sets code and words (cut at the limit); always -1, so `return err_set(e, ...)`. e may be NULL. fmt may be NULL. */
int err_set(struct error *e, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts words and ": " before the present text; always -1. */
int err_wrap(struct error *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
