/* What is known of a ban. Suspends while the store reads; elsewhere only core/auth/ban.c writes. */
#include "core/auth/ban_details.h"

#include "store/private.h"
#include "xml/stream.h"

struct xml_el *ban_child(const struct xml_el *el, const char *name)
{
    struct xml_el *child = xml_first(el);
    while (child && !str_eq(child->name, str_of(name)))
        child = xml_next(child);
    return child;
}

struct str ban_text(struct arena *a, const struct xml_el *el, const char *name)
{
    const struct xml_el *child = ban_child(el, name);
    return child ? xml_text_of(a, child) : STR_NULL;
}

int ban_load(struct arena *a, struct str host, struct str user, struct xml_el **el_out, struct error *err)
{
    struct str text;
    const char *why;
    *el_out = NULL;
    enum store_rc rc = private_get(a, host, user, S(BAN_NS), &text);
    if (rc == STORE_NONE)
        return 0;
    if (rc != STORE_OK)
        return store_error(rc, "ban", err);
    *el_out = xml_parse(a, text, TOK_NONE, &why);
    if (!*el_out)
        return err_set(err, ERR_INTERNAL, "what is stored of the ban of %.*s@%.*s is no XML", STR_ARG(user), STR_ARG(host));
    if (!ban_child(*el_out, "reason") && !ban_child(*el_out, "bandate"))
        *el_out = NULL; /* an empty element bans nobody */
    return 0;
}

int ban_get(struct arena *a, struct str host, struct str user, struct ban *out, bool *banned_out, struct error *err)
{
    struct xml_el *el;
    *banned_out = false;
    if (ban_load(a, host, user, &el, err) != 0)
        return -1;
    *banned_out = el != NULL;
    if (el)
        *out = (struct ban){ban_text(a, el, "reason"), ban_text(a, el, "bandate"), ban_text(a, el, "lastdate"),
                            ban_text(a, el, "lastreason")};
    return 0;
}
