/* What every unit test of this room includes. */
#ifndef TEST_H
#define TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

#define assert_str(got, want)                                      \
    do {                                                           \
        struct str got_ = (got), want_ = (want);                   \
        if (!str_eq(got_, want_))                                  \
            print_error("got \"%.*s\"\n", STR_ARG(got_));          \
        assert_true(str_eq(got_, want_));                          \
    } while (0)

#endif
