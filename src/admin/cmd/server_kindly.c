/*
 * stop_kindly and evacuate_kindly. The sequence (core/kindly.h) does not need its caller; one with a terminal may watch
 * it. COMPAT(ejabberd): over HTTP the connection closes without an answer, unless the sequence could not begin.
 */
#include "admin/command.h"

#include "base/utf8.h"
#include "core/kindly.h"
#include "rt/fiber.h"

#define WATCH_MS 20
#define TEXT_MAX 16384

/* Characters that XML 1.0 §2.2 allows; anything else would end the streams of those who are told. */
static bool sayable(struct str text)
{
    while (text.n) {
        uint32_t cp;
        unsigned used = utf8_decode(text, &cp);
        if (!used || (cp < 0x20 && cp != '\t' && cp != '\n' && cp != '\r') || cp == 0xFFFE || cp == 0xFFFF)
            return false;
        text = str_n(text.p + used, text.n - used);
    }
    return true;
}

static int say(struct cmd_call *c, struct str text) YIELDS;
static int say(struct cmd_call *c, struct str text)
{
    return c->sink->say(c->sink, c, text);
}

static int watch_step(struct cmd_call *c, unsigned number) YIELDS;
static int watch_step(struct cmd_call *c, unsigned number)
{
    struct kindly_step s;
    for (kindly_step(number, &s); !s.begun; kindly_step(number, &s))
        fiber_sleep(WATCH_MS);
    if (say(c, arena_printf(c->arena, "[%u/%d %us] %s...", number, KINDLY_STEPS, s.at_s, s.words)) < 0)
        return -1;
    for (; !s.done; kindly_step(number, &s))
        fiber_sleep(WATCH_MS);
    return say(c, arena_printf(c->arena, " %s\n", s.outcome));
}

static int leave(struct cmd_call *c, enum kindly_end end) YIELDS;
static int leave(struct cmd_call *c, enum kindly_end end)
{
    int64_t delay = arg_int(c, "delay");
    struct str text = arg_str(c, "announcement");
    struct error err = ERROR_INIT;
    if (delay < 0 || delay > KINDLY_DELAY_MAX)
        return cmd_fail(c, ERR_BAD_ARGUMENT, "delay must be between 0 and %d seconds", KINDLY_DELAY_MAX);
    if (text.n > TEXT_MAX || !sayable(text))
        return cmd_fail(c, ERR_BAD_ARGUMENT, "announcement must be text that XML allows, of at most %d bytes", TEXT_MAX);
    if (kindly_begin(end, (unsigned)delay, text, &err) < 0)
        return cmd_fail_error(c, &err);
    for (unsigned i = 1; c->sink->say && i <= KINDLY_STEPS; i++)
        if (watch_step(c, i) < 0)
            break;
    return 0;
}

static int stop_kindly(struct cmd_call *c) YIELDS;
static int stop_kindly(struct cmd_call *c)
{
    return leave(c, KINDLY_STOP);
}

#define KINDLY_ARGS T_INTEGER("delay", "Seconds to wait"), T_STRING("announcement", "Text for everybody; empty: nobody is told")

ADMIN_CMD(stop_kindly) = {
    .tags = "server", .where = RUNS_HERE, .flags = CMD_ENDS, .run = stop_kindly,
    .brief = "Announce the end to users and rooms, wait, then stop the server",
    .text = "New logins are refused from the beginning. Everybody online gets a headline message with the announcement; its "
            "subject tells the delay. On the command line the text needs quotes, as in "
            "`ejabberdctl stop_kindly 60 \"The server stops in a minute.\"`, and the steps are shown as they are taken; elsewhere "
            "the connection closes without an answer.",
    SHAPES({ARGS(KINDLY_ARGS), RESULT(T_RESCODE("res")), EXAMPLE("60", "The server stops in a minute.")}),
};

static int evacuate_kindly(struct cmd_call *c) YIELDS;
static int evacuate_kindly(struct cmd_call *c)
{
    return leave(c, KINDLY_EVACUATE);
}

ADMIN_CMD(evacuate_kindly) = {
    .tags = "server", .where = RUNS_HERE, .flags = CMD_ENDS, .run = evacuate_kindly,
    .brief = "Announce the end to users and rooms, wait, then end all sessions and let nobody in",
    .text = "Like `stop_kindly`, but the process stays, without listeners: only the command line tool on the same machine still "
            "reaches it. `restart` lets users in again.",
    SHAPES({.note = "added in 24.12", ARGS(KINDLY_ARGS), RESULT(T_RESCODE("res")),
            EXAMPLE("60", "The server moves in a minute.")}),
};
