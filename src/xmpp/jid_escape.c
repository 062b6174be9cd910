/* JID Escaping (XEP-0106 1.1.1). Pure functions, any thread, nothing suspends. */
#include "xmpp/jid.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    /* The XEP's sequences are lower case only. */
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_escaped_char(int c)
{
    return c != '\0' && strchr(" \"&'/:<>@\\", c) != NULL;
}

/* The character that the sequence at s.p stands for, or -1: "\40" is one, "\41" and "\4" are just text. */
static int sequence_at(struct str s)
{
    if (s.n < 3 || s.p[0] != '\\')
        return -1;
    int hi = hex_digit(s.p[1]), lo = hex_digit(s.p[2]);
    if (hi < 0 || lo < 0 || !is_escaped_char(hi << 4 | lo))
        return -1;
    return hi << 4 | lo;
}

/* A backslash is left alone unless what follows would be read back as a sequence (§4.2). */
static bool needs_escape(struct str rest)
{
    return rest.p[0] == '\\' ? sequence_at(rest) >= 0 : is_escaped_char(rest.p[0]);
}

struct str jid_escape_node(struct arena *a, struct str in)
{
    static const char hex[] = "0123456789abcdef";
    /* "\20" must be neither first nor last (§3.2), so such a name has no escaped form. */
    if (in.n && (in.p[0] == ' ' || in.p[in.n - 1] == ' '))
        return STR_NULL;
    size_t extra = 0;
    for (size_t i = 0; i < in.n; i++)
        extra += needs_escape(str_n(in.p + i, in.n - i)) ? 2 : 0;
    if (extra == 0)
        return in;
    char *text = arena_alloc(a, in.n + extra), *p = text;
    for (size_t i = 0; i < in.n; i++) {
        if (!needs_escape(str_n(in.p + i, in.n - i))) {
            *p++ = in.p[i];
            continue;
        }
        *p++ = '\\';
        *p++ = hex[in.p[i] >> 4];
        *p++ = hex[in.p[i] & 15];
    }
    return str_n(text, in.n + extra);
}

struct str jid_unescape_node(struct arena *a, struct str in)
{
    if (in.n == 0 || !memchr(in.p, '\\', in.n))
        return in;
    char *text = arena_alloc(a, in.n), *p = text;
    for (size_t i = 0; i < in.n;) {
        int c = sequence_at(str_n(in.p + i, in.n - i));
        if (c == ' ' && (i == 0 || i + 3 == in.n))
            c = -1;
        *p++ = c < 0 ? in.p[i] : (char)c;
        i += c < 0 ? 1 : 3;
    }
    return str_n(text, (size_t)(p - text));
}
