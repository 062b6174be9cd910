/* Cuts the bytes of a stream into header, stanzas and end.
 *
 * Only tags are counted; nothing is validated, this is a measuring client. Quotes are honoured inside tags because '>'
 * is legal in attribute values (XML 1.0 §2.3). Comments, CDATA and processing instructions inside the stream are
 * forbidden by RFC 6120 §11.1 and count as bad. */
#include "load.h"

#include <string.h>

/* One past the '>' of the tag that starts at p, or NULL when it is not complete. */
static const char *tag_end(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p == '>')
            return p + 1;
        if (*p == '\'' || *p == '"') {
            p = memchr(p + 1, *p, (size_t)(end - p - 1));
            if (!p)
                return NULL;
        }
    }
    return NULL;
}

static enum item split_header(const char *buf, const char *p, const char *end, size_t *start_out, size_t *len_out,
                              size_t *used_out)
{
    const char *stop = tag_end(p, end);
    if (stop && p[1] == '?') {
        for (p = stop; p < end && *p != '<'; p++)
            continue;
        if (p == end)
            return ITEM_NONE;
        stop = tag_end(p, end);
    }
    if (!stop)
        return ITEM_NONE;
    *start_out = (size_t)(p - buf);
    *len_out = (size_t)(stop - p);
    *used_out = (size_t)(stop - buf);
    return ITEM_HEADER;
}

enum item split_next(const char *buf, size_t len, bool in_stream, size_t *start_out, size_t *len_out, size_t *used_out)
{
    const char *end = buf + len, *p = buf, *start;
    int depth = 0;

    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    *used_out = p == end ? len : 0;
    if (p == end)
        return ITEM_NONE;
    if (*p != '<')
        return ITEM_BAD;
    if (!in_stream)
        return split_header(buf, p, end, start_out, len_out, used_out);
    start = p;
    do {
        const char *stop = tag_end(p, end);
        if (!stop)
            return ITEM_NONE;
        if (p[1] == '!' || p[1] == '?')
            return ITEM_BAD;
        if (p[1] == '/')
            depth--;
        else if (stop[-2] != '/')
            depth++;
        p = depth > 0 ? memchr(stop, '<', (size_t)(end - stop)) : stop;
        if (!p)
            return ITEM_NONE;
    } while (depth > 0);
    *start_out = (size_t)(start - buf);
    *len_out = (size_t)(p - start);
    *used_out = (size_t)(p - buf);
    return depth < 0 ? ITEM_END : ITEM_STANZA;
}
