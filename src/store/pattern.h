/*
 * Patterns that administrators and searchers write, matched in linear memory and without recursion (a pattern is foreign
 * input). Whole text, character by character (UTF-8), never bytes.
 * GLOB: `*` any run, `?` one character, `[abc]` `[a-z]` `[!abc]` one of a set; case matters.
 * LIKE: `%` any run, `_` one character, as SQL has it; ASCII letters of both cases are alike.
 */
#ifndef STORE_PATTERN_H
#define STORE_PATTERN_H

#include "base/str.h"

enum pattern_kind { PATTERN_GLOB, PATTERN_LIKE };

struct pattern {
    enum pattern_kind kind;
    struct str text;
};

bool pattern_match(const struct pattern *p, struct str text);
/* What every match starts with, up to the first character with a meaning. Empty for LIKE that has letters. */
struct str pattern_prefix(const struct pattern *p);
/* Nothing in it has a meaning: it matches itself only. */
bool pattern_is_plain(const struct pattern *p);

#endif
