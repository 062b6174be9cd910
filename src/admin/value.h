/*
 * Types and values of admin commands. A type is constant data inside a command's table entry; a value carries no type of
 * its own and is read with the one the table gives. Texts are slices into the call's arena or longer. Nothing suspends.
 */
#ifndef ADMIN_VALUE_H
#define ADMIN_VALUE_H

#include "base/arena.h"
#include "base/buf.h"

enum value_kind {
    V_INTEGER,
    V_STRING,
    V_BINARY,   /* on the outside the same as a string; the documentation tells them apart, COMPAT(ejabberd) */
    V_ATOM,     /* one of a few words */
    V_RESCODE,  /* result only: 0 done, 1 not */
    V_RESTUPLE, /* result only: a text that reports success */
    V_LIST,
    V_TUPLE,
    V_ANY       /* internal commands only: cannot be given from outside */
};

struct type {
    const char *name;
    enum value_kind kind;
    uint8_t count;         /* fields of a tuple; 1 for a list */
    const struct type *of; /* those fields; the list's element */
    const char *help;      /* one line for the documentation, may be NULL */
};

/* Constructors for table entries: T_BINARY("user", "Name of the account"), T_LIST("users", T_STRING("username", NULL), NULL). */
#define T_INTEGER(name_, help_) {.name = name_, .kind = V_INTEGER, .help = help_}
#define T_STRING(name_, help_) {.name = name_, .kind = V_STRING, .help = help_}
#define T_BINARY(name_, help_) {.name = name_, .kind = V_BINARY, .help = help_}
#define T_ATOM(name_, help_) {.name = name_, .kind = V_ATOM, .help = help_}
#define T_ANY(name_, help_) {.name = name_, .kind = V_ANY, .help = help_}
#define T_RESCODE(name_) {.name = name_, .kind = V_RESCODE}
#define T_RESTUPLE(name_) {.name = name_, .kind = V_RESTUPLE}
#define T_FIELDS(...) (const struct type[]){__VA_ARGS__}, .count = ARRAY_LEN(((const struct type[]){__VA_ARGS__}))
#define T_LIST(name_, help_, ...) {.name = name_, .kind = V_LIST, .help = help_, .of = T_FIELDS(__VA_ARGS__)}
#define T_TUPLE(name_, ...) {.name = name_, .kind = V_TUPLE, .of = T_FIELDS(__VA_ARGS__)}

struct value {
    struct str s;        /* texts; RESTUPLE: the report; RESCODE: word of a failure, usually absent */
    int64_t i;           /* INTEGER; RESCODE: 0 or 1; RESTUPLE: a number the report speaks of, for older API versions */
    struct value *items; /* LIST, TUPLE */
    size_t n;
};

static inline struct value value_str(struct str s) { return (struct value){.s = s}; }
static inline struct value value_cstr(const char *s) { return (struct value){.s = str_of(s)}; }
static inline struct value value_int(int64_t i) { return (struct value){.i = i}; }
static inline bool type_is_text(const struct type *t)
{
    return t->kind == V_STRING || t->kind == V_BINARY || t->kind == V_ATOM;
}
/* A list of pairs that the JSON form shows as one object: fields called name and value, or a word in front. */
bool type_is_map(const struct type *list);
/* "binary", "[group::binary]", "{jid::string, show::string}" as the documentation writes types. */
void type_print(struct buf *out, const struct type *t);
/* The type as a term, as error texts quote it: "binary", "{tuple,[{name,binary},{value,binary}]}". */
void type_print_term(struct buf *out, const struct type *t);
/* Order of list elements in answers: numbers by size, texts by bytes, tuples field by field. */
int value_cmp(const struct type *t, const struct value *a, const struct value *b);
/* In place, stable. */
void value_sort(const struct type *t, struct value *items, size_t n);

#endif
