/* Shared by core/erlang_cfg*.c. */
#ifndef CORE_ERLANG_CFG_INTERNAL_H
#define CORE_ERLANG_CFG_INTERNAL_H

#include "core/config/erlang_cfg.h"

struct conv {
    struct arena *a;
    const struct erlang_cfg_env *env;
    struct yaml *root;
    struct str *notes;
    size_t note_count;
    unsigned includes;
    size_t budget; /* terms that macros may still grow to */
};

/* --- erlang_cfg_value.c: terms and values --- */
bool term_is(const struct term *t, enum term_kind kind, size_t n);
bool term_is_atom(const struct term *t, const char *word);
/* An atom, string or binary. */
bool term_is_text(const struct term *t);
/* A short rendering for notes. */
struct str term_print(struct arena *a, const struct term *t);
/* {127,0,0,1} and its like with eight numbers; false: no address. */
bool term_ip(struct arena *a, const struct term *t, struct str *out);

struct yaml *value_word(struct conv *c, struct str word);
struct yaml *value_text(struct conv *c, struct str text);
/* Property lists become maps, other lists lists, texts scalars. */
struct yaml *value_of(struct conv *c, const struct term *t);

struct yaml *ymap_new(struct conv *c);
struct yaml *ylist_new(struct conv *c);
void ylist_add(struct conv *c, struct yaml *list, struct yaml *item);
/* The value of the key, now this one; an earlier one is replaced. */
void ymap_set(struct conv *c, struct yaml *map, struct str key, struct yaml *value);
struct yaml *ymap_find(const struct yaml *map, struct str key);
/* The map or list at the key, made when missing or something else. */
struct yaml *ymap_in(struct conv *c, struct yaml *map, const char *key);
struct yaml *ylist_in(struct conv *c, struct yaml *map, const char *key);

/* "line 12: modules: mod_irc: words" */
void note(struct conv *c, const struct term *t, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* --- erlang_cfg_listen.c --- */
/* One more of certfiles, unless it is there already. */
void add_certificate(struct conv *c, const struct term *file);
void convert_listen(struct conv *c, struct yaml *scope, const struct term *entries);
/* --- erlang_cfg_access.c: acl, access, shaper, s2s_host --- */
void convert_acl(struct conv *c, struct yaml *scope, const struct term *t);
void convert_access(struct conv *c, struct yaml *scope, const struct term *t);
void convert_shaper(struct conv *c, struct yaml *scope, const struct term *t);
void convert_s2s_host(struct conv *c, struct yaml *scope, const struct term *t);
void convert_s2s_policy(struct conv *c, struct yaml *scope, const struct term *t);
void convert_ip_access(struct conv *c, struct yaml *scope, struct yaml *options, const struct term *list);
/* --- erlang_cfg_modules.c --- */
void convert_modules(struct conv *c, struct yaml *scope, const struct term *entries);
/* --- erlang_cfg_check.c: takes out what this server refuses, until the rest is accepted --- */
bool check_result(struct conv *c);

#endif
