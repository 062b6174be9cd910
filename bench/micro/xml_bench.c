/*
 * XML parser against expat on chat traffic: the same bytes, in one piece per stanza, in reads of several stanzas, and
 * in random pieces. Each round is timed alone and the best of several is reported.
 *     xml_bench [MEGABYTES]
 */
#include "base/mem.h"
#include "xml/stream.h"
#include "xml/writer.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 7
#define EXPAT_SEP '\x01'

static const char header[] = "<?xml version='1.0'?><stream:stream to='example.org' version='1.0' xml:lang='en' "
                             "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

static const char trailer[] = "</stream:stream>";

static const char *const traffic[] = {
    "<message to='romeo@montague.example/orchard' type='chat' id='c0f1e2d3-8f6b-4a0c-9d52-7be1a0c4f601'>"
    "<body>Wherefore art thou, Romeo? Deny thy father and refuse thy name.</body>"
    "<markable xmlns='urn:xmpp:chat-markers:0'/><origin-id xmlns='urn:xmpp:sid:0' "
    "id='c0f1e2d3-8f6b-4a0c-9d52-7be1a0c4f601'/><active xmlns='http://jabber.org/protocol/chatstates'/></message>",
    "<message to=\"juliet@capulet.example/balcony\" type=\"chat\" id=\"m42\"><body>I take thee at thy word</body>"
    "<request xmlns=\"urn:xmpp:receipts\"/></message>",
    "<message type='chat' to='juliet@capulet.example' id='5f3a'><composing "
    "xmlns='http://jabber.org/protocol/chatstates'/><no-store xmlns='urn:xmpp:hints'/></message>",
    "<message to='romeo@montague.example/orchard' type='chat' id='a7'>"
    "<received xmlns='urn:xmpp:receipts' id='m42'/></message>",
    "<message to='room@chat.example.org' type='groupchat' id='9b1c'><body>Caf\xc3\xa9 at five &amp; then the theatre, "
    "isn&apos;t it? \xf0\x9f\x98\x80</body><origin-id xmlns='urn:xmpp:sid:0' id='9b1c'/></message>",
    "<presence><show>away</show><status>out for lunch</status><priority>5</priority>"
    "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://client.example/caps' "
    "ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/></presence>",
    "<presence to='room@chat.example.org/nick' id='p1'><x xmlns='vcard-temp:x:update'><photo>"
    "01b87fcd030b72895ff8e88db57ec525450f000d</photo></x></presence>",
    "<iq type='get' id='ping-17' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>",
    "<iq to='juliet@capulet.example/balcony' type='result' id='disco-3'><query "
    "xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='pc' name='Client'/>"
    "<feature var='http://jabber.org/protocol/caps'/><feature var='urn:xmpp:ping'/><feature var='urn:xmpp:time'/>"
    "</query></iq>",
    "<r xmlns='urn:xmpp:sm:3'/>",
};

struct load {
    char *bytes;
    size_t n, stanzas;
    size_t *cuts; /* ends of the pieces to feed */
    size_t cut_count;
};

static uint64_t seed = 1;

static unsigned draw(unsigned below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(seed >> 33) % below;
}

static void make_traffic(struct load *l, size_t bytes)
{
    struct buf b = BUF_INIT;
    size_t count = sizeof(traffic) / sizeof(traffic[0]);
    *l = (struct load){.cuts = mem_alloc((bytes / 16 + 16) * sizeof(size_t))};
    for (; b.n < bytes; l->stanzas++) {
        buf_add_str(&b, str_of(traffic[draw((unsigned)count)]));
        l->cuts[l->cut_count++] = b.n;
    }
    l->bytes = b.p;
    l->n = b.n;
}

static struct load recut(const struct load *l, unsigned least, unsigned most)
{
    struct load r = {.bytes = l->bytes, .n = l->n, .stanzas = l->stanzas};
    r.cuts = mem_alloc((l->n / least + 2) * sizeof(size_t));
    for (size_t at = 0; at < l->n;) {
        at += least + draw(most - least + 1);
        r.cuts[r.cut_count++] = at < l->n ? at : l->n;
    }
    return r;
}

/* ---- ours ---- */

static size_t run_ours(const struct load *l)
{
    struct xml_stream *s = xml_stream_new(NULL);
    struct arena *a;
    struct xml_el *el;
    size_t pos = 0, got = 0, at = 0;
    if (xml_stream_next(s, header, sizeof(header) - 1, &pos, &a, &el) != XML_OPEN)
        abort();
    arena_release(&a);
    for (size_t i = 0; i < l->cut_count; i++) {
        size_t n = l->cuts[i] - at;
        enum xml_event ev;
        for (pos = 0; (ev = xml_stream_next(s, l->bytes + at, n, &pos, &a, &el)) == XML_STANZA; got++)
            arena_release(&a);
        if (ev != XML_MORE)
            abort();
        at = l->cuts[i];
    }
    xml_stream_delete(&s);
    return got;
}

/* ---- expat, doing nothing ---- */

static void bare_start(void *user, const XML_Char *name, const XML_Char **attrs)
{
    ++*(size_t *)user;
}

static void bare_end(void *user, const XML_Char *name)
{
}

static void bare_text(void *user, const XML_Char *s, int n)
{
}

static void feed_expat(XML_Parser p, const struct load *l)
{
    size_t at = 0;
    if (XML_Parse(p, header, sizeof(header) - 1, 0) != XML_STATUS_OK)
        abort();
    for (size_t i = 0; i < l->cut_count; at = l->cuts[i++])
        if (XML_Parse(p, l->bytes + at, (int)(l->cuts[i] - at), 0) != XML_STATUS_OK)
            abort();
    /* it may have put off the last token */
    if (XML_Parse(p, trailer, sizeof(trailer) - 1, 1) != XML_STATUS_OK)
        abort();
    XML_ParserFree(p);
}

static size_t run_bare(const struct load *l)
{
    size_t elements = 0;
    XML_Parser p = XML_ParserCreateNS(NULL, EXPAT_SEP);
    XML_SetUserData(p, &elements);
    XML_SetElementHandler(p, bare_start, bare_end);
    XML_SetCharacterDataHandler(p, bare_text);
    feed_expat(p, l);
    return elements ? l->stanzas : 0;
}

/* ---- expat, building the same tree in the same arenas ---- */

struct tree {
    struct arena *a;
    struct xml_el *el;
    size_t depth, stanzas;
};

static struct str split(struct arena *a, const char *name, struct str *ns_uri)
{
    const char *sep = strchr(name, EXPAT_SEP);
    *ns_uri = sep ? arena_str(a, str_n(name, (size_t)(sep - name))) : S("");
    return arena_str(a, str_of(sep ? sep + 1 : name));
}

static void tree_start(void *user, const XML_Char *name, const XML_Char **attrs)
{
    struct tree *t = user;
    struct str ns, local;
    if (t->depth++ == 0)
        return;
    if (!t->a)
        t->a = arena_new();
    local = split(t->a, name, &ns);
    struct xml_el *el = xml_new_text(t->a, local, ns);
    struct xml_attr **tail = &el->attrs;
    for (; *attrs; attrs += 2) {
        struct xml_attr *at = ARENA_NEW(t->a, struct xml_attr);
        at->name = split(t->a, attrs[0], &at->ns_uri);
        at->tok = (uint16_t)token_find(at->name);
        at->ns = (uint16_t)token_find(at->ns_uri);
        at->value = arena_str(t->a, str_of(attrs[1]));
        *tail = at;
        tail = &at->next;
    }
    if (t->el)
        xml_append(t->el, el);
    t->el = el;
}

static void tree_end(void *user, const XML_Char *name)
{
    struct tree *t = user;
    if (--t->depth > 0)
        t->el = t->el->parent;
    if (t->depth != 1)
        return;
    arena_release(&t->a);
    t->stanzas++;
}

static void tree_text(void *user, const XML_Char *s, int n)
{
    struct tree *t = user;
    if (t->el)
        xml_append_text(t->a, t->el, arena_str(t->a, str_n(s, (size_t)n)));
}

static size_t run_tree(const struct load *l)
{
    struct tree t = {.a = NULL};
    XML_Parser p = XML_ParserCreateNS(NULL, EXPAT_SEP);
    XML_SetUserData(p, &t);
    XML_SetElementHandler(p, tree_start, tree_end);
    XML_SetCharacterDataHandler(p, tree_text);
    feed_expat(p, l);
    arena_release(&t.a);
    return t.stanzas;
}

/* ---- writing ---- */

static struct str write_from, write_to;

static size_t run_addressed(const struct load *l)
{
    struct xml_stream *s = xml_stream_new(NULL);
    struct arena *a;
    struct xml_el *el;
    struct buf out = BUF_INIT;
    size_t pos = 0, got = 0;
    if (xml_stream_next(s, header, sizeof(header) - 1, &pos, &a, &el) != XML_OPEN)
        abort();
    arena_release(&a);
    for (pos = 0; xml_stream_next(s, l->bytes, l->n, &pos, &a, &el) == XML_STANZA; got++) {
        buf_clear(&out);
        xml_write_addressed(&out, el, TOK_NS_CLIENT, write_from, write_to);
        arena_release(&a);
    }
    buf_deinit(&out);
    xml_stream_delete(&s);
    return got;
}

/* ---- */

/* Processor time: the machine may be doing other things. */
static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e6 * (double)t.tv_sec + (double)t.tv_nsec / 1e3;
}

static double speed(size_t (*run)(const struct load *), const struct load *l)
{
    double start = cpu_us();
    if (run(l) != l->stanzas)
        abort();
    return (double)l->n / (cpu_us() - start + 1);
}

static double best(size_t (*run)(const struct load *), const struct load *l)
{
    double fastest = 0;
    for (int i = 0; i < ROUNDS; i++) {
        double mb = speed(run, l);
        fastest = mb > fastest ? mb : fastest;
    }
    return fastest;
}

static void report(const char *how, const struct load *l)
{
    double ours = best(run_ours, l), bare = best(run_bare, l), tree = best(run_tree, l);
    printf("%-28s %8.0f %8.0f %8.0f   %5.1fx %5.1fx   %6.0f ns\n", how, ours, bare, tree, ours / bare, ours / tree,
           1000.0 * (double)l->n / (double)l->stanzas / ours);
}

int main(int argc, char **argv)
{
    struct load whole;
    size_t megabytes = argc > 1 ? (size_t)atoi(argv[1]) : 16;
    make_traffic(&whole, megabytes << 20);
    struct load reads = recut(&whole, 4000, 4096), large = recut(&whole, 65536, 65536);
    struct load pieces = recut(&whole, 1, 500), crumbs = recut(&whole, 1, 40);
    write_from = S("juliet@capulet.example/balcony");
    write_to = S("romeo@montague.example/orchard");
    printf("%zu stanzas of %zu bytes on average; MB/s\n", whole.stanzas, whole.n / whole.stanzas);
    printf("%-28s %8s %8s %8s   %6s %6s   %9s\n", "", "tree", "expat", "exp+tree", "/expat", "/+tree", "a stanza");
    report("one stanza a read", &whole);
    report("reads of 4 KB", &reads);
    report("reads of 64 KB", &large);
    report("random pieces of 1..500", &pieces);
    report("random pieces of 1..40", &crumbs);
    double parse = best(run_ours, &large), both = best(run_addressed, &large);
    printf("write addressed              %8.0f ns a stanza\n",
           1000.0 * (double)whole.n / (double)whole.stanzas * (1 / both - 1 / parse));
    struct xml_stream *s = xml_stream_new(NULL);
    printf("idle stream                  %8zu bytes\n", xml_stream_footprint(s));
    xml_stream_delete(&s);
    return 0;
}
