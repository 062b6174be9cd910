/* A line of a command file, split into words. Pure; the line is overwritten. Fuzzed (tests/fuzz/fuzz_ctl_words.c). */
#include "ctl.h"

#include <string.h>

struct cursor {
    const char *p, *end;
    char *out;
    const char *why;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* After the opening quote: up to `quote`; `escapes` are the characters that a backslash makes literal. */
static void quoted(struct cursor *c, char quote, const char *escapes)
{
    while (c->p < c->end && *c->p != quote) {
        if (*c->p == '\\' && escapes && c->p + 1 < c->end && strchr(escapes, c->p[1]))
            c->p++;
        *c->out++ = *c->p++;
    }
    if (c->p == c->end)
        c->why = "a quote is not closed";
    else
        c->p++;
}

/* $'...': the way to write the end of a line and a tab. */
static void ansi_quoted(struct cursor *c)
{
    static const char codes[] = "ntr\\'\"", meanings[] = "\n\t\r\\'\"";
    while (c->p < c->end && *c->p != '\'') {
        if (*c->p != '\\') {
            *c->out++ = *c->p++;
            continue;
        }
        const char *code = c->p + 1 < c->end ? strchr(codes, c->p[1]) : NULL;
        if (!code) {
            c->why = "unknown escape in $'...' (known: \\n \\t \\r \\\\ \\' \\\")";
            return;
        }
        *c->out++ = meanings[code - codes];
        c->p += 2;
    }
    if (c->p == c->end)
        c->why = "a quote is not closed";
    else
        c->p++;
}

static void one_word(struct cursor *c)
{
    while (c->p < c->end && !c->why && !is_blank(*c->p)) {
        char ch = *c->p++;
        if (ch == '\'')
            quoted(c, '\'', NULL);
        else if (ch == '"')
            quoted(c, '"', "\"\\$`");
        else if (ch == '$' && c->p < c->end && *c->p == '\'') {
            c->p++;
            ansi_quoted(c);
        } else if (ch == '\\' && c->p == c->end)
            c->why = "a backslash stands at the end of the line: a command is one line";
        else
            *c->out++ = ch == '\\' ? *c->p++ : ch;
    }
}

int words_split(char *line, size_t n, char **out, int max, const char **why_out)
{
    struct cursor c = {line, line + n, line, NULL};
    int count = 0;
    if (memchr(line, '\0', n)) {
        *why_out = "there is a NUL byte in it";
        return -1;
    }
    for (;;) {
        while (c.p < c.end && is_blank(*c.p))
            c.p++;
        if (c.p == c.end || *c.p == '#')
            return count;
        if (count == max) {
            *why_out = "too many words";
            return -1;
        }
        /* a word is never longer than what it is written as, so its NUL falls on the blank after it or on line[n] */
        out[count++] = c.out;
        one_word(&c);
        if (c.why) {
            *why_out = c.why;
            return -1;
        }
        if (c.p < c.end)
            c.p++;
        *c.out++ = '\0';
    }
}
