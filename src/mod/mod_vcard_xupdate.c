/*
 * vCard-Based Avatars, XEP-0153: the server says in every available presence of a client which photo the account's vCard has, so
 * that clients need not fetch it. Digests are remembered on the account's home shard (options cache_*); the handler suspends for
 * the store when one is not known.
 */
#include "mod/api/vcard.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "core/module/module.h"
#include "rt/shard.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct photo {
    struct map_node node;
    uint64_t until_ms;
    char hex[VCARD_PHOTO_HEX + 1]; /* empty: no photo */
    size_t n;
    char bare[];
};

static _Thread_local struct map photos;
static _Thread_local uint64_t changes; /* a digest that was read before a change is not remembered after it */

static struct module mod_vcard_xupdate;

/* --- what is remembered --- */

static bool photo_eq(const struct map_node *node, const void *key)
{
    const struct photo *p = CONTAINER_OF(node, const struct photo, node);
    return str_eq(str_n(p->bare, p->n), *(const struct str *)key);
}

static struct photo *find(struct str bare)
{
    struct map_node *n = photos.buckets ? map_find(&photos, hash_str(bare), photo_eq, &bare) : NULL;
    return n ? CONTAINER_OF(n, struct photo, node) : NULL;
}

static void forget(struct photo *p)
{
    map_del(&photos, &p->node);
    free(p);
}

static void forget_all(void)
{
    for (struct map_node *n; photos.buckets && (n = map_next(&photos, NULL));)
        forget(CONTAINER_OF(n, struct photo, node));
    if (photos.buckets)
        map_deinit(&photos);
    photos = (struct map){0};
}

static void remember(const struct options *o, struct str bare, const char *hex)
{
    int64_t life = opt_int(o, "cache_life_time");
    struct photo *old = find(bare);
    if (old)
        forget(old);
    if (!opt_bool(o, "use_cache") || (!*hex && !opt_bool(o, "cache_missed")))
        return;
    if (!photos.buckets)
        map_init(&photos);
    if (photos.count && opt_int(o, "cache_size") / (int64_t)shard_count() <= (int64_t)photos.count)
        forget(CONTAINER_OF(map_next(&photos, NULL), struct photo, node));
    struct photo *p = mem_zalloc(sizeof *p + bare.n);
    p->until_ms = life == OPT_INFINITY ? UINT64_MAX : clock_mono_ms() + (uint64_t)life;
    memcpy(p->hex, hex, sizeof p->hex);
    p->n = bare.n;
    memcpy(p->bare, bare.p, bare.n);
    map_add(&photos, &p->node, hash_str(bare));
}

/* --- digests --- */

bool vcard_photo_digest(const struct xml_el *vcard, char *out)
{
    struct arena *a = arena_new();
    const struct xml_el *photo = vcard_child(vcard, S("PHOTO")), *val = vcard_child(photo, S("BINVAL"));
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct str bytes = STR_NULL;
    bool ok = val && vcard_binval(a, xml_text_of(a, val), &bytes) && bytes.n &&
              EVP_Digest(bytes.p, bytes.n, md, &n, EVP_sha1(), NULL);
    for (unsigned i = 0; ok && i < n; i++) {
        out[2 * i] = "0123456789abcdef"[md[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[md[i] & 15];
    }
    out[ok ? VCARD_PHOTO_HEX : 0] = 0;
    arena_release(&a);
    return ok;
}

/* false: the store does not say. */
static bool digest_of(unsigned host, struct jid owner, char *out) YIELDS;
static bool digest_of(unsigned host, struct jid owner, char *out)
{
    struct photo *p = find(jid_bare(owner));
    if (p && p->until_ms > clock_mono_ms()) {
        memcpy(out, p->hex, sizeof p->hex);
        return true;
    }
    struct arena *a = arena_new();
    struct jid j = jid_copy(a, owner); /* the session may go while this waits */
    struct xml_el *vcard;
    uint64_t before = changes;
    enum store_rc rc = vcard_load(a, jid_host(j), jid_user(j), &vcard);
    memset(out, 0, VCARD_PHOTO_HEX + 1);
    if (rc == STORE_OK)
        vcard_photo_digest(vcard, out);
    const struct options *o = module_options(host, &mod_vcard_xupdate);
    if (o && before == changes && (rc == STORE_OK || rc == STORE_NONE))
        remember(o, jid_bare(j), out);
    arena_release(&a);
    return rc == STORE_OK || rc == STORE_NONE;
}

/* --- presence --- */

/* What the client says itself is replaced (XEP-0153 §4.3 leaves it to whoever knows the vCard best). */
static void put_update(struct stanza *p, const char *hex)
{
    struct xml_el *old = xml_child(p->el, TOK_x, TOK_NS_VCARD_UPDATE);
    if (old)
        xml_remove(p->el, old);
    struct xml_el *x = xml_add(p->arena, p->el, TOK_x, TOK_NS_VCARD_UPDATE);
    xml_add_leaf(p->arena, x, TOK_photo, arena_str(p->arena, str_of(hex)));
}

static enum hook_verdict on_sent(struct stanza_event *e) YIELDS;
static enum hook_verdict on_sent(struct stanza_event *e)
{
    char hex[VCARD_PHOTO_HEX + 1];
    struct stanza *s = e->stanza;
    if (s->kind == STANZA_PRESENCE && s->type == ST_AVAILABLE && digest_of(e->account->host, jid_to_bare(s->from), hex))
        put_update(s, hex);
    return HOOK_PASS;
}

static void send_again(struct account *a, const char *hex)
{
    struct jid owner = account_jid(a);
    struct session *s;
    account_pin(a->host, owner);
    for (size_t i = 0; (s = session_available_at(a, i)); i++) {
        struct stanza *p = session_last_presence(s);
        if (!p)
            continue;
        put_update(p, hex);
        session_presence(s, p);
        stanza_end(&p);
    }
    account_unpin(a);
}

void vcard_photo_changed(unsigned host, struct jid owner, const struct xml_el *vcard)
{
    char hex[VCARD_PHOTO_HEX + 1] = "";
    const struct options *o = module_options(host, &mod_vcard_xupdate);
    if (!o)
        return;
    changes++;
    struct photo *p = find(jid_bare(owner));
    vcard_photo_digest(vcard, hex);
    bool same = p && strcmp(p->hex, hex) == 0;
    remember(o, jid_bare(owner), hex);
    struct account *a = same ? NULL : account_find(jid_user(owner), jid_host(owner));
    if (a)
        send_again(a, hex);
}

static void on_stop(unsigned host)
{
    (void)host;
    changes++;
    forget_all();
}

static enum hook_verdict on_caches_cleared(struct caches_event *e)
{
    on_stop(e->host);
    return HOOK_PASS;
}

static const struct hook_entry hooks[] = {ON(stanza_sent, FILTER, on_sent), ON(caches_cleared, STATE, on_caches_cleared), {0}};

MODULE(mod_vcard_xupdate) = {.name = "mod_vcard_xupdate", .xep = "XEP-0153 1.1.1", .hooks = hooks, .stop = on_stop};
