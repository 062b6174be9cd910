/* Software Version, XEP-0092. Option show_os. Says what the program really is; the API keeps ejabberd's words. */
#include "core/module/module.h"
#include "core/server.h"
#include <sys/utsname.h>

static void on_version(struct iq *iq)
{
    if (iq->stanza->type != ST_GET || iq->child->tok != TOK_query) {
        iq_error(iq, ERR_NOT_ALLOWED, "Value 'set' of 'type' attribute is not allowed");
        return;
    }
    struct stanza *r = iq_result_new(iq);
    struct xml_el *q = xml_add(r->arena, r->el, TOK_query, TOK_NS_VERSION);
    xml_add_leaf(r->arena, q, TOK_name, S("cjabberd"));
    xml_add_leaf(r->arena, q, TOK_version, str_of(server_own_version()));
    const struct options *o = config_module(&config_current()->hosts[iq->host], S("mod_version"));
    struct utsname u;
    if (o && opt_bool(o, "show_os") && uname(&u) == 0)
        xml_add_leaf(r->arena, q, TOK_os, arena_printf(r->arena, "%s/%s", u.sysname, u.release));
    iq_result(iq, r);
}

static const char *const features[] = {"jabber:iq:version", NULL};
static const struct iq_entry iqs[] = {{IQ_TO_SERVER, TOK_NS_VERSION, false, on_version}, {0}};

MODULE(mod_version) = {.name = "mod_version", .xep = "XEP-0092 1.1", .features = features, .iqs = iqs};
