/* Entity Time, XEP-0202: the server's clock, UTC and its offset. */
#include "base/clock.h"
#include "core/module/module.h"
#include <time.h>

static struct str zone_offset(struct arena *a)
{
    time_t now = (time_t)clock_wall_s();
    struct tm tm;
    localtime_r(&now, &tm);
    long min = tm.tm_gmtoff / 60, abs = min < 0 ? -min : min;
    return arena_printf(a, "%c%02ld:%02ld", min < 0 ? '-' : '+', abs / 60, abs % 60);
}

static void on_time(struct iq *iq)
{
    if (iq->stanza->type != ST_GET || iq->child->tok != TOK_time) {
        iq_error(iq, ERR_NOT_ALLOWED, "Value 'set' of 'type' attribute is not allowed");
        return;
    }
    struct stanza *r = iq_result_new(iq);
    struct xml_el *time = xml_add(r->arena, r->el, TOK_time, TOK_NS_TIME);
    xml_add_leaf(r->arena, time, TOK_tzo, zone_offset(r->arena));
    xml_add_leaf(r->arena, time, TOK_utc, clock_format(r->arena, clock_wall_us(), false));
    iq_result(iq, r);
}

static const char *const features[] = {"urn:xmpp:time", NULL};
static const struct iq_entry iqs[] = {{IQ_TO_SERVER, TOK_NS_TIME, false, on_time}, {0}};

MODULE(mod_time) = {.name = "mod_time", .xep = "XEP-0202 2.0", .features = features, .iqs = iqs};
