/*
 * An old configuration from arbitrary bytes. What is no file of terms is refused with words; anything else becomes YAML, and the
 * server accepts it when the converter says so.
 */
#include "core/config/erlang_cfg.h"
#include "core/config/supported.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define CHECK(cond)  \
    do {             \
        if (!(cond)) \
            abort(); \
    } while (0)

/* Files include one another: every included file is the input's second half. */
static struct str half;

static struct str read_half(struct arena *a, const char *path, struct error *err)
{
    (void)a;
    (void)path;
    (void)err;
    return half;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct erlang_cfg_env env = {.config = {"/spool", "/logs", "/conf"}, .dir = "/conf", .read = read_half};
    struct str text = str_n((const char *)data, n);
    struct arena *a = arena_new();
    struct error err = ERROR_INIT;
    struct erlang_cfg made;
    half = str_n(text.p + n / 2, n - n / 2);
    if (erlang_cfg_convert(a, text, &env, &made, &err) != 0) {
        CHECK(err.code != ERR_NONE && err.text[0]);
    } else if (made.accepted) {
        struct config *c = config_parse("new.yml", made.yaml, &env.config, &err);
        CHECK(c && supported_check(c, &err) == 0);
        config_release(&c);
    } else {
        CHECK(made.left_out > 0);
    }
    arena_release(&a);
    return 0;
}
