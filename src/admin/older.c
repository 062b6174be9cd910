/* Parts of adapters of older API versions. Pure functions, any thread. */
#include "admin/older.h"

#include "xmpp/jid.h"

bool older_split(struct arena *a, struct str text, struct value *parts_out)
{
    struct jid jid;
    if (!jid_parse(a, text, &jid))
        return false;
    parts_out[0] = value_str(jid_user(jid));
    parts_out[1] = value_str(jid_host(jid));
    return true;
}

bool older_jid(struct cmd_call *c, struct str text, const char *refusal, struct value *parts_out)
{
    if (older_split(c->arena, text, parts_out))
        return true;
    if (refusal)
        cmd_fail_as(c, ERR_BAD_REQUEST, FAIL_THROWN, QUOTE_TEXT, "error", "%s", refusal);
    else
        cmd_fail(c, ERR_INTERNAL, "an argument is no address");
    return false;
}

struct value older_list(struct arena *a, struct str text, char separator)
{
    size_t most = 1;
    for (size_t i = 0; i < text.n; i++)
        most += text.p[i] == separator;
    struct value list = {.items = ARENA_ARRAY(a, struct value, most)};
    struct str word;
    while (str_split(&text, separator, &word)) {
        word = str_trim(word);
        if (!str_empty(word))
            list.items[list.n++] = value_str(word);
    }
    return list;
}
