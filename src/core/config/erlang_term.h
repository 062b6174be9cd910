/*
 * Erlang terms as text, as file:consult/1 reads them: what ejabberd was configured with before YAML. Pure, any thread,
 * suspends never; everything lives in the arena. Functions, records, maps and variables are no terms of such files.
 */
#ifndef CORE_ERLANG_TERM_H
#define CORE_ERLANG_TERM_H

#include "base/arena.h"
#include "base/err.h"

#define ERLANG_MAX_BYTES (4u << 20)
#define ERLANG_MAX_DEPTH 64
#define ERLANG_MAX_NODES 200000

enum term_kind {
    TERM_ATOM,
    TERM_STRING, /* "text" */
    TERM_BINARY, /* <<"text">> */
    TERM_INT,
    TERM_FLOAT,  /* text as it was written */
    TERM_LIST,
    TERM_TUPLE
};

struct term {
    enum term_kind kind;
    unsigned line;      /* from 1 */
    struct str text;    /* ATOM, STRING, BINARY: UTF-8, decoded; FLOAT */
    int64_t num;        /* INT */
    struct term **items; /* LIST, TUPLE */
    size_t n;
};

struct terms {
    struct term **items;
    size_t n;
};

/* Text that is not UTF-8 is taken for Latin-1, as old files were. -1: err says "at line N: syntax error before: WORD". */
int erlang_terms_parse(struct arena *a, struct str text, struct terms *out, struct error *err);

#endif
