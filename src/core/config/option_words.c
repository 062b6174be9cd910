/* The type notation in words for messages, and the check that it is well formed. Pure, any thread, suspends never. */
#include "core/config/option_type.h"

#include <ctype.h>
#include <stdlib.h>

static const struct {
    const char *type, *one, *many;
} names[] = {
    {"bool", "true or false", "true or false"},
    {"str", "a text", "texts"},
    {"str1", "a text that is not empty", "texts that are not empty"},
    {"word", "a word", "words"},
    {"inf", "'infinity'", "'infinity'"},
    {"time", "a time as seconds or like '30 seconds', '5 minutes', '1 hour', '1 day'", "times"},
    {"num", "a number that is not negative", "numbers that are not negative"},
    {"octal", "an octal mode like '0640'", "octal modes"},
    {"domain", "a domain name", "domain names"},
    {"host", "a domain name, which may contain @HOST@", "domain names, which may contain @HOST@"},
    {"jid", "an address (JID)", "addresses (JIDs)"},
    {"url", "a URL", "URLs"},
    {"ip", "an IP address", "IP addresses"},
    {"ip4", "an IPv4 address", "IPv4 addresses"},
    {"ip6", "an IPv6 address", "IPv6 addresses"},
    {"net", "an IP address or network", "IP addresses or networks"},
    {"file", "a file name", "file names"},
    {"dir", "a folder name", "folder names"},
    {"regexp", "a regular expression", "regular expressions"},
    {"lang", "a language tag", "language tags"},
    {"any", "any value", "any values"},
    {"access", "the name of an access rule, or a rule", "access rules"},
    {"shaper", "a shaper, the name of a shaper rule, or a rule", "shaper rules"},
};

static bool name_is(const char *p, size_t n, const char *word)
{
    return strlen(word) == n && !strncmp(p, word, n);
}

static size_t name_len(const char *p)
{
    size_t n = 0;
    while (isalnum((unsigned char)p[n]) || p[n] == '_')
        n++;
    return n;
}

static void words_int(struct buf *out, const char *args, bool many)
{
    const char *comma = strchr(args, ',');
    bool low = *args != ',', high = comma[1] != ')';
    long long lo = low ? strtoll(args, NULL, 10) : 0, hi = high ? strtoll(comma + 1, NULL, 10) : 0;
    if (low && high && lo == hi)
        buf_printf(out, "%lld", lo);
    else if (low && high)
        buf_printf(out, "%s from %lld to %lld", many ? "integers" : "an integer", lo, hi);
    else if (low && lo == 1)
        buf_printf(out, "%s", many ? "positive integers" : "a positive integer");
    else if (low)
        buf_printf(out, "%s", many ? "integers that are not negative" : "an integer that is not negative");
    else
        buf_printf(out, "%s", many ? "integers" : "an integer");
}

static void words_enum(struct buf *out, const char *p, bool many)
{
    const char *end = strchr(p, '}');
    struct str rest = str_n(p + 1, (size_t)(end - p - 1)), w;
    bool several = str_find(rest, ',') >= 0;
    if (several)
        buf_add_str(out, many ? S("any of ") : S("one of "));
    for (bool first = true; str_split(&rest, ',', &w); first = false)
        buf_printf(out, "%s'%.*s'", first ? "" : ", ", STR_ARG(w));
}

static const char *words_type(struct buf *out, const char *p, bool many);

static const char *words_one(struct buf *out, const char *p, bool many)
{
    if (*p == '{') {
        words_enum(out, p, many);
        return strchr(p, '}') + 1;
    }
    size_t n = name_len(p);
    const char *args = p + n + 1;
    if (name_is(p, n, "int")) {
        words_int(out, args, many);
        return strchr(args, ')') + 1;
    }
    if (p[n] != '(') {
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            if (name_is(p, n, names[i].type))
                buf_printf(out, "%s", many ? names[i].many : names[i].one);
        return p + n;
    }
    if (name_is(p, n, "map") || name_is(p, n, "opts")) {
        buf_printf(out, "%s%s", many ? "maps" : "a map", name_is(p, n, "opts") ? " of options" : "");
        int depth = 1;
        for (p = args; depth; p++)
            depth += *p == '(' ? 1 : *p == ')' ? -1 : 0;
        return p;
    }
    if (name_is(p, n, "some")) {
        words_type(out, args, many);
        buf_add_str(out, S(" or a list of "));
    } else {
        buf_printf(out, "%s%s of ", many ? "lists" : "a list", name_is(p, n, "uniq1") ? ", not empty," : "");
    }
    return words_type(out, args, true) + 1;
}

static const char *words_type(struct buf *out, const char *p, bool many)
{
    p = words_one(out, p, many);
    while (*p == '|') {
        buf_add_str(out, S(" or "));
        p = words_one(out, p + 1, many);
    }
    return p;
}

void type_words(struct buf *out, const char *type)
{
    words_type(out, type, false);
}

static const char *valid_type(const char *p);

static const char *valid_int(const char *p)
{
    size_t a = strspn(p, "-0123456789");
    if (p[a] != ',')
        return NULL;
    p += a + 1;
    p += strspn(p, "-0123456789");
    return *p == ')' ? p + 1 : NULL;
}

static const char *valid_opts(const char *p)
{
    for (;;) {
        size_t n = name_len(p);
        if (!n || p[n] != ':' || !(p = valid_type(p + n + 1)))
            return NULL;
        if (*p == ')')
            return p + 1;
        if (*p++ != ',')
            return NULL;
    }
}

static const char *valid_one(const char *p)
{
    if (*p == '{') {
        size_t n = strspn(p + 1, "abcdefghijklmnopqrstuvwxyz0123456789_,");
        return n && p[1 + n] == '}' ? p + n + 2 : NULL;
    }
    size_t n = name_len(p);
    if (p[n] != '(') {
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            if (name_is(p, n, names[i].type))
                return p + n;
        return NULL;
    }
    const char *args = p + n + 1;
    if (name_is(p, n, "int"))
        return valid_int(args);
    if (name_is(p, n, "opts"))
        return valid_opts(args);
    if (name_is(p, n, "map")) {
        const char *value = valid_type(args);
        const char *end = value && *value == ',' ? valid_type(value + 1) : NULL;
        return end && *end == ')' ? end + 1 : NULL;
    }
    if (name_is(p, n, "list") || name_is(p, n, "uniq") || name_is(p, n, "uniq1") || name_is(p, n, "some")) {
        const char *end = valid_type(args);
        return end && *end == ')' ? end + 1 : NULL;
    }
    return NULL;
}

static const char *valid_type(const char *p)
{
    p = valid_one(p);
    while (p && *p == '|')
        p = valid_one(p + 1);
    return p;
}

bool type_valid(const char *type)
{
    const char *end = valid_type(type);
    return end && !*end;
}
