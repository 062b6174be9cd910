/* A YAML document as a tree with places, after includes and macros. Lives in the configuration's arena. */
#ifndef CORE_YAML_H
#define CORE_YAML_H

#include "base/arena.h"
#include "base/err.h"

enum yaml_kind { YAML_NULL, YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml {
    enum yaml_kind kind;
    bool quoted;          /* scalar was written in quotes: never a number or a bool */
    struct str text;      /* scalar */
    struct yaml **items;  /* list items; map values */
    struct str *keys;     /* map only */
    struct yaml **key_nodes; /* map only: for places */
    size_t n;
    const char *file;
    unsigned line, column; /* from 1 */
};

/* Value of a key; NULL when missing or not a map. */
const struct yaml *yaml_get(const struct yaml *map, struct str key);
bool yaml_bool(const struct yaml *y, bool *out);  /* true/false/yes/no/on/off unquoted */
bool yaml_int(const struct yaml *y, int64_t *out);
/* err: "file:line:column: words"; -1. */
int yaml_error(const struct yaml *y, struct error *err, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
