/* Compiler attributes with a meaning in this project. */
#ifndef BASE_ATTRS_H
#define BASE_ATTRS_H

/*
 * YIELDS stands after the parameter list of every function that may suspend the running fiber:
 *     int users_get(...) YIELDS;
 * tools/yieldcheck walks the call graph and rejects a caller that does not carry the mark itself.
 * After such a call look sessions, rooms and connections up again by handle.
 */
#define YIELDS

/* A result that must be looked at. */
#define NODISCARD __attribute__((warn_unused_result))
/* printf-like function: number of the format parameter, number of the first vararg. */
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define UNUSED __attribute__((unused))
#define NORETURN __attribute__((noreturn))
/* Keeps a table entry that only a linker section refers to. */
#define SECTION_ENTRY(name) __attribute__((used, section(name), aligned(sizeof(void *))))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif
