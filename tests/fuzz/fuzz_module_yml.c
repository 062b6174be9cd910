/* module.yml of contributed modules: any text gives an error or a name and a summary of one line each. */
#include "core/config/yaml.h"
#include "core/module/contrib_spec.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ')
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new();
    struct error err = ERROR_INIT;
    struct contrib_spec s;
    struct str unknown = S("");
    const struct yaml *y = yaml_parse(a, "module.yml", str_n((const char *)data, size), &err);
    if (y && contrib_spec_of(a, y, "mod_x", &s, &unknown, &err) == 0) {
        if (!str_eq(s.name, S("mod_x")) || !s.summary.n)
            abort();
        check_line(s.summary);
        for (size_t i = 0; i < s.lib_count; i++)
            if (!s.libs[i].n || s.libs[i].p[0] == '-')
                abort();
    } else if (err.code == ERR_NONE) {
        abort();
    }
    arena_release(&a);
    return 0;
}
