/*
 * A YAML document as a tree with places, after includes and macros. Lives in the configuration's arena.
 * An alias is the anchored node itself, so trees may share nodes; the number of nodes counted through aliases is
 * bounded. Keys may repeat in a map: where that is an error the checker says so (access rules repeat "allow" and
 * "deny").
 */
#ifndef CORE_YAML_H
#define CORE_YAML_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define YAML_MAX_BYTES (4u << 20)
#define YAML_MAX_DEPTH 32
#define YAML_MAX_NODES 100000
#define YAML_MAX_ANCHORS 1000

enum yaml_kind { YAML_NULL, YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml {
    enum yaml_kind kind;
    bool quoted;             /* scalar was written in quotes: never a number or a bool */
    struct str text;         /* scalar */
    struct yaml **items;     /* list items; map values */
    struct str *keys;        /* map only */
    struct yaml **key_nodes; /* map only: for places */
    size_t n;
    const char *file;
    unsigned line, column; /* from 1 */
    const void *compiled;  /* a rule given in place, made by core/config/access_compile.h; NULL otherwise */
};

/* One document. NULL: err says file:line:column. `file` must live as long as the arena. An empty document gives
 * YAML_NULL. */
struct yaml *yaml_parse(struct arena *a, const char *file, struct str text, struct error *err);
/* Blocks. The file's name is copied. */
struct yaml *yaml_read(struct arena *a, const char *file, struct error *err);

/* Value of a key; NULL when missing or not a map. */
const struct yaml *yaml_get(const struct yaml *map, struct str key);
bool yaml_bool(const struct yaml *y, bool *out); /* true/false/yes/no/on/off unquoted */
bool yaml_int(const struct yaml *y, int64_t *out);
/* A new scalar at the place of `where` (NULL: no place). */
struct yaml *yaml_scalar(struct arena *a, struct str text, bool quoted, const struct yaml *where);
/* A new map or list with room for n items, at the place of `where`; the caller fills it. */
struct yaml *yaml_collection(struct arena *a, enum yaml_kind kind, size_t n, const struct yaml *where);
/* Same content, wherever it was written. */
bool yaml_equal(const struct yaml *a, const struct yaml *b);
/* Nodes counted through shared ones, given up above `limit` (limit + 1 comes back). */
size_t yaml_weight(const struct yaml *y, size_t limit);
/* Position of the first key that an earlier one repeats, or -1. */
ptrdiff_t yaml_duplicate(const struct yaml *map);
/* Block style text that yaml_parse reads back as the same tree. `mask` (may be NULL) says whose values become "***". */
void yaml_write(struct buf *out, const struct yaml *y, bool (*mask)(struct str key, const struct yaml *value));
/* For messages: "'text'" cut and without control characters, "a list", "a map", "nothing". */
const char *yaml_got(const struct yaml *y, char out[96]);
/* err: "file:line:column: words"; -1. */
int yaml_error(const struct yaml *y, struct error *err, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
