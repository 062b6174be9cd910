/*
 * Logging: one line per event, text or JSON, written by a thread of its own so that a slow disk never stops a shard
 * (when its bounded queue is full lines are counted and dropped, and the count is logged). Thread-safe.
 * Lines that a peer can trigger use LOG_LIMITED. Secrets never: mask with "***" before they get here.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/attrs.h"
#include "base/err.h"

/* ejabberd's names and order. */
enum log_level {
    LOG_NONE, LOG_EMERGENCY, LOG_ALERT, LOG_CRITICAL, LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG
};

struct log_config {
    const char *file;      /* NULL: standard error */
    bool json;
    uint64_t rotate_size;  /* bytes; 0: never by size */
    unsigned rotate_count; /* old files kept: file.0 is the newest; 0: the file is truncated */
};

/* Where an event belongs; every field may be absent. */
struct log_ctx {
    struct str jid, ip, stream_id, request_id, listener;
};

extern enum log_level log_threshold; /* read on every call, written by log_set_level; relaxed */
#define LOG_ON(level) ((unsigned)(level) <= (unsigned)__atomic_load_n(&log_threshold, __ATOMIC_RELAXED))

int log_start(const struct log_config *cfg, struct error *err);
/* Writes what is queued and ends the thread. */
void log_stop(void);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
const char *log_level_name(enum log_level level);
bool log_level_parse(struct str name, enum log_level *out);
/*
 * Option hide_sensitive_log_data of the whole server, for places that know no host: LOG_HIDDEN stands where a peer's address
 * would. Lines get addresses by ip_print_log or config_log_ip only, which ask it.
 */
#define LOG_HIDDEN "hidden"
void log_set_hides(bool hides);
bool log_hides(void);
/* Closes and opens the file again (it was moved away). */
void log_reopen(void);
/* Renames file -> file.0 -> file.1 ... and opens a new one. */
void log_rotate(void);
/*
 * The same, and block until it is done: lines logged before are in the old file then, later ones in the new one. ERR_IO when
 * a file could not be renamed or opened; lines go to standard error until a file can be opened. Not on a shard's thread.
 */
int log_reopen_wait(struct error *err);
int log_rotate_wait(struct error *err);

void log_write(enum log_level level, const char *area, const struct log_ctx *ctx, const char *fmt, ...) PRINTF_LIKE(4, 5);

struct log_limit {
    uint64_t window_start_ms;
    unsigned count, dropped;
};
/* At most `per_minute` lines a minute from this place; says how many were left out. Racy counts are accepted. */
bool log_limit_pass(struct log_limit *l, unsigned per_minute, unsigned *dropped_out);

/* LOG(INFO, "c2s", &ctx or NULL, "fmt", ...) */
#define LOG(level, area, ctx, ...)                                                \
    do {                                                                          \
        if (UNLIKELY(LOG_ON(LOG_##level)))                                        \
            log_write(LOG_##level, (area), (ctx), __VA_ARGS__);                   \
    } while (0)
#define LOG_LIMITED(level, area, ctx, ...)                                        \
    do {                                                                          \
        static struct log_limit limit_;                                           \
        unsigned dropped_ = 0;                                                    \
        if (LOG_ON(LOG_##level) && log_limit_pass(&limit_, 60, &dropped_)) {      \
            if (dropped_)                                                         \
                log_write(LOG_##level, (area), NULL, "%u similar lines left out", dropped_); \
            log_write(LOG_##level, (area), (ctx), __VA_ARGS__);                   \
        }                                                                         \
    } while (0)

#endif
