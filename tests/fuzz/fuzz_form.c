/* Forms: what is parsed and written again is parsed to the same; the authorization page made of it breaks out of no attribute. */
#include "admin/oauth_page.h"
#include "admin/start.h"
#include "net/form.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define CHECK(cond)       \
    do {                  \
        if (!(cond))      \
            abort();      \
    } while (0)

static void write_again(struct arena *a, const struct form *f)
{
    struct buf b = BUF_INIT;
    struct form again;
    for (size_t i = 0; i < f->n; i++) {
        buf_add_str(&b, str_of(i ? "&" : ""));
        form_escape(&b, f->v[i].name);
        buf_add_c(&b, '=');
        form_escape(&b, f->v[i].value);
    }
    CHECK(form_parse(a, buf_str(&b), &again));
    CHECK(again.n == f->n);
    for (size_t i = 0; i < f->n; i++)
        CHECK(str_eq(again.v[i].name, f->v[i].name) && str_eq(again.v[i].value, f->v[i].value));
    CHECK(form_repeats(&again) == form_repeats(f));
    buf_deinit(&b);
}

static size_t count(struct str s, char c)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == c;
    return n;
}

/* Whatever the texts are, the page has the tags and quotes of the page without them. */
static void show(const struct form *f)
{
    struct str scopes[] = {form_get(f, S("scope"))};
    struct oauth_ask ask = {.client_id = form_get(f, S("client_id")), .redirect_uri = form_get(f, S("redirect_uri")),
                            .state = form_get(f, S("state")), .username = form_get(f, S("username")), .scope = scopes[0],
                            .scopes = scopes, .scope_count = 1, .ttl_s = 3600};
    struct oauth_ask empty = {.scopes = (struct str[]){STR_NULL}, .scope_count = 1, .ttl_s = 3600};
    struct buf page = BUF_INIT, bare = BUF_INIT;
    struct str origin = oauth_origin(ask.redirect_uri);
    oauth_page_form(&page, &ask);
    oauth_page_form(&bare, &empty);
    CHECK(count(buf_str(&page), '<') == count(buf_str(&bare), '<') && count(buf_str(&page), '"') == count(buf_str(&bare), '"'));
    CHECK(!origin.n || (str_starts(ask.redirect_uri, origin) && str_find(origin, ';') < 0 && str_find(origin, ' ') < 0));
    buf_deinit(&page);
    buf_deinit(&bare);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool started;
    struct error err = ERROR_INIT;
    struct arena *a = arena_new();
    struct form f;
    if (!started)
        CHECK(admin_start(&err) == 0);
    started = true;
    if (form_parse(a, str_n((const char *)data, n), &f)) {
        CHECK(f.n <= FORM_FIELDS_MAX);
        write_again(a, &f);
        show(&f);
    }
    arena_release(&a);
    return 0;
}
