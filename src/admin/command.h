/*
 * Admin commands: one table entry per command, written beside its function in cmd/<family>.c. HTTP, the command line tool,
 * documentation and access rules are all derived from the entry. A function sees the newest arguments as typed values and
 * writes a typed result; it never sees JSON, shell text or HTTP. Older API versions are adapters in the entry.
 *
 *     static int check_account(struct cmd_call *c) YIELDS { ... cmd_code(c, there); return 0; }
 *     ADMIN_CMD(check_account) = {
 *         .tags = "accounts", .brief = "...", .where = RUNS_HERE, .flags = CMD_READS, .run = check_account,
 *         SHAPES({ARGS(T_BINARY("user", "..."), T_BINARY("host", "...")), RESULT(T_RESCODE("res")),
 *                 EXAMPLE("peter", "example.com"), SHOWS("ok")}),
 *     };
 */
#ifndef ADMIN_COMMAND_H
#define ADMIN_COMMAND_H

#include "admin/value.h"
#include "base/err.h"

struct api_caller;
struct cmd_call;

#define API_NEWEST 3
#define CMD_WOULD_SHOWN 100 /* names that a dry run shows; it counts them all */

enum cmd_policy { POLICY_RESTRICTED, POLICY_ADMIN, POLICY_USER, POLICY_OPEN };

enum cmd_where {
    RUNS_HERE,    /* on the caller's fiber; functions of core/ find the right shard themselves */
    RUNS_AT_HOME, /* on the home shard of the account that the arguments home_user and home_host name */
    RUNS_ON_POOL  /* on a blocking thread: files, scripts. Must not suspend or stream. */
};

enum cmd_flags {
    CMD_READS = 1,     /* changes nothing: logged at debug only */
    CMD_TOOL_ONLY = 2, /* exists for the command line only; elsewhere an internal error, COMPAT(ejabberd) */
    CMD_INTERNAL = 4,  /* for the web console only */
    CMD_ENDS = 8,      /* the connection closes without an answer (halt) */
    CMD_DRY_RUN = 16,  /* looks at cmd_call.dry_run: can say what it would touch without touching it */
    CMD_PAGES = 32     /* streams rows that have a text first, each once, and looks at cmd_call.page */
};

/* What a command takes and answers from one API version on. Shapes stand newest first. */
struct cmd_shape {
    unsigned api;             /* first version with this shape */
    const char *note;         /* "updated in 24.12" */
    const struct type *args;
    uint8_t arg_count;
    const struct type *result;
    /*
     * Only in older shapes, and only where they differ: from these arguments to the newest ones, and back for the result. Pure;
     * arguments without a newest form are refused with cmd_fail.
     */
    void (*to_newest)(struct cmd_call *c, const struct value *in, struct value *out);
    struct value (*from_newest)(struct cmd_call *c, const struct value *v); /* the result, or one element of a list */
    const char *const *example; /* one text per argument; none: no example is shown */
    uint8_t example_count;
    const char *const *shows;   /* the result of the example, its fields one after another */
    uint8_t shows_count;
};

struct cmd_rename {
    const char *old_name, *name;
};

struct admin_cmd {
    const char *tags;   /* space separated; v1..v3 follow from the shapes */
    const char *module; /* module that ejabberd's documentation names */
    const char *brief, *text;
    enum cmd_policy policy;
    enum cmd_where where;
    const char *home_user, *home_host;
    unsigned flags;
    const char *secret; /* arguments that are never logged, space separated */
    const char *address; /* arguments that are addresses of peers: as the log hides those; space separated */
    const char *elsewhere; /* arguments that may name somebody of any host, see admin/host_args.h; space separated */
    const struct cmd_rename *renames;
    uint8_t rename_count;
    const struct cmd_shape *shapes;
    uint8_t shape_count;
    uint8_t optional; /* so many arguments at the end may be left out: empty texts. For commands of our own. */
    /* 0, or -1 with a failure set by cmd_fail*. NULL: known, but not implemented yet; calls fail with that. */
    int (*run)(struct cmd_call *c) YIELDS;
};

#define CMD_ARRAY(type_, ...) (const type_[]){__VA_ARGS__}
#define CMD_COUNT(type_, ...) (sizeof((const type_[]){__VA_ARGS__}) / sizeof(type_))
#define SHAPES(...) .shapes = CMD_ARRAY(struct cmd_shape, __VA_ARGS__), .shape_count = CMD_COUNT(struct cmd_shape, __VA_ARGS__)
#define ARGS(...) .args = CMD_ARRAY(struct type, __VA_ARGS__), .arg_count = CMD_COUNT(struct type, __VA_ARGS__)
#define NO_ARGS .args = NULL, .arg_count = 0
#define RESULT(...) .result = CMD_ARRAY(struct type, __VA_ARGS__)
#define EXAMPLE(...) .example = CMD_ARRAY(char *const, __VA_ARGS__), .example_count = CMD_COUNT(char *const, __VA_ARGS__)
#define SHOWS(...) .shows = CMD_ARRAY(char *const, __VA_ARGS__), .shows_count = CMD_COUNT(char *const, __VA_ARGS__)
#define RENAMES(...) .renames = CMD_ARRAY(struct cmd_rename, __VA_ARGS__), .rename_count = CMD_COUNT(struct cmd_rename, __VA_ARGS__)

struct cmd_entry {
    const char *name;
    const struct admin_cmd *cmd;
};
#define ADMIN_CMD(id)                                                                                 \
    static const struct admin_cmd cmd_##id;                                                           \
    static const struct cmd_entry cmd_entry_##id = {#id, &cmd_##id};                                  \
    static const struct cmd_entry *const cmd_pointer_##id SECTION_ENTRY("admin_cmds") = &cmd_entry_##id; \
    static const struct admin_cmd cmd_##id

/* --- the table --- */

struct command {
    struct str name;
    const struct admin_cmd *d;
    bool has_secret;
};

/* What contradicts itself in an entry; NULL: nothing. */
const char *command_flaw(const struct admin_cmd *d);
/* Collects, sorts and checks the entries; once, before anything is served. A bad or doubled entry: -1. */
int commands_start(struct error *err);
void commands_stop(void);
size_t command_count(void);
/* In order of names. */
const struct command *command_at(size_t i);
/* NULL: no such command. */
const struct command *command_find(struct str name);
/* The same of what somebody typed: dashes and underscores are one. */
const struct command *command_typed(struct str word);
/* The known name that is closest, for "did you mean". */
struct str command_nearest(struct str name);
/* What the command is in this API version; NULL when it did not exist yet. */
const struct cmd_shape *command_shape(const struct command *cmd, int64_t version);
/* May argument i be left out? Lists always may. */
bool command_arg_optional(const struct command *cmd, const struct cmd_shape *shape, unsigned i);
bool command_has_tag(const struct command *cmd, const struct cmd_shape *shape, struct str tag);
/* Tags of a shape, "accounts v2". */
void command_tags(struct buf *out, const struct command *cmd, const struct cmd_shape *shape);

/* --- a call --- */

/* How a failure is told; the code gives status and number (base/err.def), the form what surrounds the text. */
enum fail_form {
    FAIL_REASON, /* answered error: HTTP a bare text; tool "Error: error" and "Error: <reason>" */
    FAIL_THROWN, /* HTTP a bare text; tool {word,<reason>} */
    FAIL_CODED,  /* HTTP an object with the API's number; tool "Error: word: text" */
    FAIL_REPORT, /* an operation that says what went wrong: HTTP 500 object; tool "Error: word" and the text */
    FAIL_BARE,   /* HTTP a bare text; tool the text alone */
    FAIL_CRASH   /* internal_error; the text goes to the log */
};
/* How the tool writes the reason, COMPAT(ejabberd): "text", <<"text">>, or as it is. */
enum fail_quote { QUOTE_TEXT, QUOTE_BINARY, QUOTE_NONE };

struct failure {
    enum err_code code; /* ERR_NONE: none */
    enum fail_form form;
    enum fail_quote quote;
    struct str word, text;
    struct str note; /* lines that the tool prints first */
};

/* Takes list elements as they come. The row is only valid during the call. -1: no more, please. */
struct cmd_sink {
    int (*row)(struct cmd_sink *s, struct cmd_call *c, const struct value *row) YIELDS;
    /* What the command is doing, as text for a person's terminal. -1: nobody reads any more. NULL: nobody ever does. */
    int (*say)(struct cmd_sink *s, struct cmd_call *c, struct str text) YIELDS;
};

/* What of a list is wanted. A hint for commands with CMD_PAGES: the front end leaves out what comes in excess. */
struct cmd_page {
    struct str after; /* only rows whose first text comes after this one, in order of bytes; absent: from the first */
    size_t limit;     /* more rows than this are of no use; 0: all are */
};

struct cmd_call {
    struct arena *arena;           /* owns the call and all its values */
    const struct command *cmd;
    const struct cmd_shape *shape; /* that was asked for */
    unsigned version;
    const struct api_caller *caller; /* who asked; set by cmd_admit */
    struct str frontend, who;      /* for the log */
    struct str request_id;         /* what answer and log call it; may be absent */
    struct cmd_page page;
    struct cmd_sink *sink;
    const struct value *args;      /* after binding: the shape's; in run: the newest shape's */
    struct value result;           /* everything but lists */
    struct value *rows;            /* list results that were not streamed */
    size_t row_count;
    bool streamed;                 /* rows went to the sink in their final order */
    struct failure failure;
    struct str reason;             /* why a result is 1, in words; absent when there is nothing to say */
    bool dry_run;                  /* asked for; only commands with CMD_DRY_RUN are run then */
    uint64_t would_count;          /* what a dry run found: how many, and the first of them */
    struct str would[CMD_WOULD_SHOWN];
};

/* In an arena of its own. version is cut to API_NEWEST. shape NULL: none found, only for failures. */
struct cmd_call *cmd_call_new(const struct command *cmd, const struct cmd_shape *shape, int64_t version);
void cmd_call_end(struct cmd_call **c);
/*
 * May this caller run it? For every front end: internal and tool-only commands, api_permissions, the host of an
 * administrator of one host (arguments that are bound already are looked at). Fills c->caller with a copy. -1: refused.
 */
int cmd_admit(struct cmd_call *c, const struct api_caller *caller);
/*
 * Runs the command whose arguments are bound, where its entry says. 0 or -1 with (*c)->failure set. When the home shard
 * does not answer in time *c is replaced, because the old one is still in use there.
 */
int cmd_run(struct cmd_call **c) YIELDS;
/* One line per call that changes something, secrets masked. */
void cmd_log(const struct cmd_call *c);
/* Words of a failure as the log may have them: they may quote an argument that is an address. */
struct str cmd_log_words(const struct cmd_call *c, struct str words);

/* --- for the functions of commands --- */

/* By name in the newest shape; aborts when it has none such (a programming error). */
const struct value *arg_value(const struct cmd_call *c, const char *name);
struct str arg_str(const struct cmd_call *c, const char *name);
int64_t arg_int(const struct cmd_call *c, const char *name);
/* Prepared names (nodeprep, nameprep); false: the text is no such name. */
bool arg_user(const struct cmd_call *c, const char *name, struct str *out);
bool arg_host(const struct cmd_call *c, const char *name, struct str *out);

void cmd_code(struct cmd_call *c, bool done);
/* A rescode of 1 with the word that the tool prints. */
void cmd_code_word(struct cmd_call *c, const char *word);
/* Why the result is 1 or otherwise not what was hoped for, in words; front ends add it, legacy bodies never change. */
void cmd_reason(struct cmd_call *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* In a dry run, instead of touching it: one thing that would be deleted or changed ("user juliet@example.com"). Copies. */
void cmd_would(struct cmd_call *c, struct str what);
void cmd_int(struct cmd_call *c, int64_t i);
void cmd_text(struct cmd_call *c, struct str text);
void cmd_textf(struct cmd_call *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The fields of a tuple result, to be filled in. */
struct value *cmd_fields(struct cmd_call *c);
/* A new element of a list result; a tuple's fields are at ->items. Order is up to the front end. */
struct value *cmd_add_row(struct cmd_call *c);
/*
 * The next element of a long list that comes in the order of value_cmp: goes out at once. The strings need only live
 * during the call. Not together with cmd_add_row; only where RUNS_HERE. -1: the peer is gone or has enough, stop.
 */
int cmd_stream_row(struct cmd_call *c, const struct value *row) YIELDS;

/* All return -1. fmt may be NULL: the code's default text. */
int cmd_fail(struct cmd_call *c, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
int cmd_fail_as(struct cmd_call *c, enum err_code code, enum fail_form form, enum fail_quote quote, const char *word,
                const char *fmt, ...) PRINTF_LIKE(6, 7);
int cmd_fail_error(struct cmd_call *c, const struct error *err);

#endif
