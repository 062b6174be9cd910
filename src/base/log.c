/*
 * The log: callers format a line and append it to a bounded queue; one writer thread owns the file, rotates and reopens
 * it. Any thread may log; only lines of level critical and worse wait until they are written, because the process may
 * be about to end. Suspends never. Leaves out: filters by area, remote log services.
 */
#include "base/log.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_MAX (1024 * 1024)
#define LINE_MAX_BYTES (64 * 1024)
/* After an idle spell the queue's memory is given back beyond this size. */
#define QUEUE_KEEP 4096

enum log_level log_threshold = LOG_INFO;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake, written;
    pthread_t thread;
    struct buf queue;
    /* Requests; `pos` is where in the queue they were made, so that earlier lines go to the old file. */
    size_t request_pos;
    bool reopen, rotate;
    bool running, stopping, writer_waits;
    uint64_t queued_seq, written_seq; /* turns of the queue, for lines that wait */
    uint64_t dropped;
    bool json;
    int change_error; /* errno of the last rotation or reopening; 0: it went well */
    /* Of the writer thread alone. */
    char *file;
    int fd, error; /* error: of the rotation or reopening under way */
    uint64_t size, rotate_size;
    unsigned rotate_count;
} out = {.lock = PTHREAD_MUTEX_INITIALIZER,
         .wake = PTHREAD_COND_INITIALIZER,
         .written = PTHREAD_COND_INITIALIZER,
         .fd = STDERR_FILENO};

static const char *const level_names[] = {"none",    "emergency", "alert", "critical", "error",
                                          "warning", "notice",    "info",  "debug"};

const char *log_level_name(enum log_level level)
{
    return (unsigned)level < ARRAY_LEN(level_names) ? level_names[level] : "none";
}

bool log_level_parse(struct str name, enum log_level *level_out)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
        if (str_eq(name, str_of(level_names[i]))) {
            *level_out = (enum log_level)i;
            return true;
        }
    return false;
}

void log_set_level(enum log_level level)
{
    __atomic_store_n(&log_threshold, level, __ATOMIC_RELAXED);
}

enum log_level log_get_level(void)
{
    return __atomic_load_n(&log_threshold, __ATOMIC_RELAXED);
}

static bool hides_addresses;

void log_set_hides(bool hides)
{
    __atomic_store_n(&hides_addresses, hides, __ATOMIC_RELAXED);
}

bool log_hides(void)
{
    return __atomic_load_n(&hides_addresses, __ATOMIC_RELAXED);
}

/* --- one line --------------------------------------------------------------------------------------------------- */

/* "2026-11-23 15:00:00.123456+00:00"; the part before the dot is kept for a second. */
static void add_time(struct buf *b, char sep)
{
    static _Thread_local time_t last = -1;
    static _Thread_local char date[32], zone[8];
    uint64_t us = clock_wall_us();
    time_t s = (time_t)(us / 1000000);
    if (s != last) {
        struct tm tm;
        localtime_r(&s, &tm);
        strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
        long off = tm.tm_gmtoff / 60, mag = off < 0 ? -off : off;
        snprintf(zone, sizeof(zone), "%c%02d:%02d", off < 0 ? '-' : '+', (int)(mag / 60 % 24), (int)(mag % 60));
        last = s;
    }
    size_t at = b->n;
    buf_printf(b, "%s.%06u%s", date, (unsigned)(us % 1000000), zone);
    b->p[at + 10] = sep;
}

/*
 * Peers choose much of what is logged: whatever could end the line, forge another one or steer a terminal is written
 * as an escape. With `json` the result is the inside of a JSON string.
 */
static void add_escaped(struct buf *b, struct str s, bool json, bool quoted)
{
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        uint32_t cp = c;
        unsigned used = utf8_decode(str_n(s.p + i, s.n - i), &cp);
        if (!used && json)
            buf_add_str(b, S("\\ufffd"));
        else if (!used)
            buf_printf(b, "\\x%02x", c);
        else if (cp == '\n')
            buf_add_str(b, S("\\n"));
        else if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x2028 || cp == 0x2029)
            json || cp > 0xff ? buf_printf(b, "\\u%04x", (unsigned)cp) : buf_printf(b, "\\x%02x", (unsigned)cp);
        else if ((json || quoted) && (cp == '"' || cp == '\\'))
            buf_printf(b, "\\%c", (int)cp);
        else
            buf_add(b, s.p + i, used);
        i += used ? used : 1;
    }
}

static void add_value(struct buf *b, const char *key, struct str value, bool json)
{
    if (!value.p)
        return;
    if (json) {
        buf_printf(b, ",\"%s\":\"", key);
        add_escaped(b, value, true, true);
        buf_add_c(b, '"');
        return;
    }
    bool quoted = value.n == 0;
    for (size_t i = 0; i < value.n && !quoted; i++)
        quoted = value.p[i] == ' ' || value.p[i] == '"' || value.p[i] == '=' || value.p[i] == '\\';
    buf_printf(b, quoted ? " %s=\"" : " %s=", key);
    add_escaped(b, value, false, quoted);
    if (quoted)
        buf_add_c(b, '"');
}

static void add_ctx(struct buf *b, const struct log_ctx *ctx, bool json)
{
    if (!ctx)
        return;
    add_value(b, "jid", ctx->jid, json);
    add_value(b, "ip", ctx->ip, json);
    add_value(b, "stream", ctx->stream_id, json);
    add_value(b, "request", ctx->request_id, json);
    add_value(b, "listener", ctx->listener, json);
}

static void add_line(struct buf *b, bool json, enum log_level level, const char *area, const struct log_ctx *ctx,
                     struct str words)
{
    if (json) {
        buf_add_str(b, S("{\"time\":\""));
        add_time(b, 'T');
        buf_printf(b, "\",\"level\":\"%s\",\"area\":\"%s\",\"text\":\"", log_level_name(level), area);
        add_escaped(b, words, true, true);
        buf_add_c(b, '"');
        add_ctx(b, ctx, true);
        buf_add_str(b, S("}\n"));
        return;
    }
    add_time(b, ' ');
    buf_printf(b, " [%s] %s: ", log_level_name(level), area);
    add_escaped(b, words, false, false);
    add_ctx(b, ctx, false);
    buf_add_c(b, '\n');
}

/* --- the queue -------------------------------------------------------------------------------------------------- */

static void write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            /* Standard error may be a non-blocking pipe; what its reader does not take now is lost. */
            return;
        }
        if (done <= 0)
            return;
        p += done;
        n -= (size_t)done;
    }
}

static void wake_writer(void)
{
    if (!out.writer_waits)
        return;
    out.writer_waits = false; /* one signal is enough, however many lines come before it runs */
    pthread_cond_signal(&out.wake);
}

static void enqueue(enum log_level level, struct str line)
{
    pthread_mutex_lock(&out.lock);
    if (!out.running) {
        write_all(STDERR_FILENO, line.p, line.n);
    } else if (out.queue.n + line.n > QUEUE_MAX) {
        out.dropped++;
    } else {
        buf_add_str(&out.queue, line);
        wake_writer();
        uint64_t seq = out.queued_seq;
        while (level <= LOG_CRITICAL && out.running && out.written_seq <= seq)
            pthread_cond_wait(&out.written, &out.lock);
    }
    pthread_mutex_unlock(&out.lock);
}

void log_write(enum log_level level, const char *area, const struct log_ctx *ctx, const char *fmt, ...)
{
    int saved = errno;
    char small[512], *words = small;
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(small, sizeof(small), fmt, ap);
    va_end(ap);
    size_t len = n < 0 ? 0 : (size_t)n < LINE_MAX_BYTES ? (size_t)n : LINE_MAX_BYTES;
    if (len >= sizeof(small)) {
        words = mem_alloc(len + 1);
        vsnprintf(words, len + 1, fmt, again);
    }
    va_end(again);
    struct buf line = BUF_INIT;
    buf_reserve(&line, len + 128);
    add_line(&line, __atomic_load_n(&out.json, __ATOMIC_RELAXED), level, area, ctx, str_n(words, len));
    enqueue(level, buf_str(&line));
    buf_deinit(&line);
    if (words != small)
        free(words);
    errno = saved;
}

bool log_limit_pass(struct log_limit *l, unsigned per_minute, unsigned *dropped_out)
{
    uint64_t now = clock_mono_ms() + 1; /* 0 means: no window yet */
    uint64_t start = __atomic_load_n(&l->window_start_ms, __ATOMIC_RELAXED);
    *dropped_out = 0;
    if (!start || now - start >= 60000) {
        __atomic_store_n(&l->window_start_ms, now, __ATOMIC_RELAXED);
        __atomic_store_n(&l->count, 0, __ATOMIC_RELAXED);
        *dropped_out = __atomic_exchange_n(&l->dropped, 0, __ATOMIC_RELAXED);
    }
    if (__atomic_add_fetch(&l->count, 1, __ATOMIC_RELAXED) <= per_minute)
        return true;
    __atomic_fetch_add(&l->dropped, 1, __ATOMIC_RELAXED);
    return false;
}

/* --- the writer ------------------------------------------------------------------------------------------------- */

static int open_file(bool truncate)
{
    if (!out.file)
        return 0;
    int fd = open(out.file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (truncate ? O_TRUNC : 0), 0640);
    if (fd < 0)
        return -1;
    struct stat st;
    out.size = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    out.fd = fd;
    return 0;
}

static void close_file(void)
{
    if (out.fd != STDERR_FILENO)
        close(out.fd);
    out.fd = STDERR_FILENO;
}

/* Without a file the lines go to standard error, so that they are not lost in silence. */
static void open_or_complain(bool truncate)
{
    close_file();
    if (open_file(truncate) == 0)
        return;
    out.error = errno;
    dprintf(STDERR_FILENO, "log: cannot open %s: %s\n", out.file, strerror(errno));
}

static void move_old_file(unsigned to)
{
    struct buf old = BUF_INIT, fresh = BUF_INIT;
    if (to == 0)
        buf_printf(&old, "%s%c", out.file, '\0');
    else
        buf_printf(&old, "%s.%u%c", out.file, to - 1, '\0');
    buf_printf(&fresh, "%s.%u%c", out.file, to, '\0');
    if (rename(old.p, fresh.p) < 0 && errno != ENOENT) {
        out.error = errno;
        dprintf(STDERR_FILENO, "log: cannot rename %s: %s\n", old.p, strerror(errno));
    }
    buf_deinit(&old);
    buf_deinit(&fresh);
}

static void rotate_now(void)
{
    if (!out.file)
        return;
    for (unsigned i = out.rotate_count; i-- > 0;)
        move_old_file(i);
    open_or_complain(out.rotate_count == 0);
}

/* Splits at line ends, so that no line is torn between two files. */
static void write_lines(const char *p, size_t n)
{
    while (n) {
        if (out.file && out.rotate_size && out.size >= out.rotate_size)
            rotate_now();
        size_t part = n;
        if (out.file && out.rotate_size && out.size + n > out.rotate_size) {
            uint64_t room = out.rotate_size - (out.size < out.rotate_size ? out.size : out.rotate_size);
            size_t from = room < n ? (size_t)room : n;
            const char *end = memchr(p + from, '\n', n - from);
            part = end ? (size_t)(end - p) + 1 : n;
        }
        write_all(out.fd, p, part);
        out.size += part;
        p += part;
        n -= part;
    }
}

/* Called with the lock held; gives it up while writing. */
static void write_batch(void)
{
    struct buf batch = out.queue;
    bool rotate = out.rotate, reopen = out.reopen;
    size_t pos = rotate || reopen ? out.request_pos : batch.n;
    uint64_t dropped = out.dropped;
    out.queue = BUF_INIT;
    out.rotate = out.reopen = false;
    out.dropped = 0;
    out.queued_seq++;
    pthread_mutex_unlock(&out.lock);

    if (dropped) {
        struct buf words = BUF_INIT;
        buf_printf(&words, "%llu lines lost, the log was too slow", (unsigned long long)dropped);
        add_line(&batch, out.json, LOG_WARNING, "log", NULL, buf_str(&words));
        buf_deinit(&words);
    }
    write_lines(batch.p, pos);
    out.error = 0;
    if (rotate)
        rotate_now();
    else if (reopen)
        open_or_complain(false);
    int error = out.error;
    if (pos < batch.n) /* an empty queue has no memory to count in */
        write_lines(batch.p + pos, batch.n - pos);

    pthread_mutex_lock(&out.lock);
    if (rotate || reopen)
        out.change_error = error;
    out.written_seq = out.queued_seq;
    pthread_cond_broadcast(&out.written);
    batch.n = 0;
    if (!out.queue.p && batch.cap <= QUEUE_KEEP)
        out.queue = batch;
    else
        buf_deinit(&batch);
}

static void *writer(void *arg)
{
    pthread_mutex_lock(&out.lock);
    for (;;) {
        if (out.queue.n || out.rotate || out.reopen || out.dropped) {
            write_batch();
            continue;
        }
        if (out.stopping)
            break;
        out.writer_waits = true;
        pthread_cond_wait(&out.wake, &out.lock);
        out.writer_waits = false;
    }
    pthread_mutex_unlock(&out.lock);
    return NULL;
}

/* With the lock held. */
static void ask(bool *flag)
{
    if (!out.running)
        return;
    out.request_pos = out.queue.n;
    *flag = true;
    wake_writer();
}

static void request(bool *flag)
{
    pthread_mutex_lock(&out.lock);
    ask(flag);
    pthread_mutex_unlock(&out.lock);
}

static int request_and_wait(bool *flag, struct error *err)
{
    pthread_mutex_lock(&out.lock);
    ask(flag);
    uint64_t seq = out.queued_seq;
    while (out.running && out.written_seq <= seq)
        pthread_cond_wait(&out.written, &out.lock);
    int error = out.change_error;
    pthread_mutex_unlock(&out.lock);
    return error ? err_set(err, ERR_IO, "the log file cannot be changed: %s", strerror(error)) : 0;
}

void log_reopen(void)
{
    request(&out.reopen);
}

void log_rotate(void)
{
    request(&out.rotate);
}

int log_reopen_wait(struct error *err)
{
    return request_and_wait(&out.reopen, err);
}

int log_rotate_wait(struct error *err)
{
    return request_and_wait(&out.rotate, err);
}

int log_start(const struct log_config *cfg, struct error *err)
{
    out.file = cfg->file ? strdup(cfg->file) : NULL;
    out.rotate_size = cfg->rotate_size;
    out.rotate_count = cfg->rotate_count;
    out.written_seq = out.queued_seq = 0;
    out.change_error = 0;
    if (open_file(false) < 0) {
        err_set(err, ERR_IO, "cannot open log file %s: %s", cfg->file, strerror(errno));
        free(out.file);
        out.file = NULL;
        return -1;
    }
    __atomic_store_n(&out.json, cfg->json, __ATOMIC_RELAXED);
    pthread_mutex_lock(&out.lock);
    out.stopping = false;
    out.running = pthread_create(&out.thread, NULL, writer, NULL) == 0;
    bool ok = out.running;
    pthread_mutex_unlock(&out.lock);
    return ok ? 0 : err_set(err, ERR_INTERNAL, "cannot start the log thread");
}

void log_stop(void)
{
    pthread_mutex_lock(&out.lock);
    bool was = out.running;
    out.stopping = true;
    pthread_cond_signal(&out.wake);
    pthread_mutex_unlock(&out.lock);
    if (!was)
        return;
    pthread_join(out.thread, NULL);
    pthread_mutex_lock(&out.lock);
    out.running = false;
    /* Lines that came between the writer's last look and now. */
    write_lines(out.queue.p, out.queue.n);
    buf_deinit(&out.queue);
    pthread_cond_broadcast(&out.written);
    close_file();
    free(out.file);
    out.file = NULL;
    __atomic_store_n(&out.json, false, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&out.lock);
}
