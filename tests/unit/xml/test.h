/* What the XML tests share: feeding a stream in every cut, and trees as text. */
#ifndef TEST_H
#define TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dump.h"

#define HEADER                                                                                     \
    "<stream:stream to='example.org' version='1.0' xmlns='jabber:client' "                         \
    "xmlns:stream='http://etherx.jabber.org/streams'>"

#define assert_str(got, want)                                                         \
    do {                                                                              \
        struct str got_ = (got), want_ = (want);                                      \
        if (!str_eq(got_, want_))                                                     \
            print_error("got  \"%.*s\"\nwant \"%.*s\"\n", STR_ARG(got_), STR_ARG(want_)); \
        assert_true(str_eq(got_, want_));                                             \
    } while (0)

/* The same events in whatever pieces; returns those of the whole. */
static inline struct buf feed_all(const struct xml_limits *lim, struct str doc)
{
    struct buf whole = feed_cut(lim, doc, 0, 0);
    for (unsigned i = 0; i < 12; i++) {
        struct buf cut = feed_cut(lim, doc, i < 2 ? i + 1 : i * 4, i);
        assert_str(buf_str(&cut), buf_str(&whole));
        buf_deinit(&cut);
    }
    return whole;
}

#define assert_feed_lim(lim, doc, want)                 \
    do {                                                \
        struct buf fed_ = feed_all(lim, doc);           \
        assert_str(buf_str(&fed_), want);               \
        buf_deinit(&fed_);                              \
    } while (0)
#define assert_feed(doc, want) assert_feed_lim(NULL, S(doc), S(want))

#define OPENED "open ({http://etherx.jabber.org/streams}stream to=[example.org] version=[1.0])\n"
/* Inside of a usual stream. */
#define assert_in(doc, want) assert_feed(HEADER doc, OPENED want)
#define MSG "{jabber:client}message"

#endif
