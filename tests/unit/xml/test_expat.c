/*
 * The parser against libexpat over generated and mutated documents: same acceptance, same trees, and for whole documents
 * the same words. What XMPP forbids is refused by handlers around expat. Arguments: number of documents, seed.
 */
#include "dump.h"

#include "xml/scan.h"

#include <expat.h>

/* expat 2.7 wants the 64-bit form, which 2.5 does not have. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#include <string.h>

#define SEP '\x01'
#define DOCUMENTS 200000

static uint64_t seed = 20250301; /* or the second argument */

static unsigned draw(unsigned below)
{
    return (unsigned)test_draw(&seed, below);
}

static bool chance(unsigned one_in)
{
    return draw(one_in) == 0;
}

/* ---- generated documents ---- */

#define PICK(list) ((list)[draw(ARRAY_LEN(list))])

static const char *const names[] = {"message", "body", "x", "iq", "a", "b", "query", "item", "\xc3\xa9t\xc3\xa9",
    "_n-1.2",
                                    "stream", "a-name-longer-than-sixteen-bytes", "xmlnsx", "\xe4\xb8\xad"};
static const char *const prefixes[] = {"p", "q", "stream", "xml", "pp"};
static const char *const uris[] = {"urn:a", "urn:b", "jabber:client", "jabber:server",
    "http://etherx.jabber.org/streams",
                                   "urn:xmpp:ping", "u&amp;v", "\xc3\xa9", "http://www.w3.org/XML/1998/namespace"};
static const char *const spaces[] = {" ", " ", " ", "\n", "\t", "\r\n", "  ", "\r"};
static const char *const texts[] = {"hello", " ", "\n", "a longer run of text without anything of note in it",
    "&amp;", "&lt;",
                                    "&#65;", "&#xe9;", "&#x1F600;", "\r\n", "\r", "\t", "]]", "]", ">", "'", "\"",
                                    "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "<![CDATA[<&>]]>", "<![CDATA[]]>",
                                    "<![CDATA[a]]b\r\n]]>", "&apos;&quot;&gt;"};

static void gen_space(struct buf *d)
{
    buf_add_str(d, str_of(PICK(spaces)));
}

static void gen_value(struct buf *d, char quote)
{
    for (unsigned n = draw(4); n; n--) {
        const char *t = PICK(texts);
        if (!strchr(t, '<') && !strchr(t, quote))
            buf_add_str(d, str_of(t));
    }
}

static void gen_attr(struct buf *d, const char *prefix, const char *name, const char *value)
{
    char quote = chance(2) ? '\'' : '"';
    gen_space(d);
    buf_printf(d, "%s%s%s", prefix ? prefix : "", prefix ? ":" : "", name);
    if (chance(20))
        gen_space(d);
    buf_add_c(d, '=');
    if (chance(20))
        gen_space(d);
    buf_add_c(d, quote);
    if (value)
        buf_add_str(d, str_of(value));
    else
        gen_value(d, quote);
    buf_add_c(d, quote);
}

static void gen_attrs(struct buf *d, unsigned declared)
{
    if (chance(3))
        gen_attr(d, NULL, "xmlns", chance(8) ? "" : uris[draw(8)]);
    for (unsigned i = 0; i < 2; i++)
        if (declared & (1u << i) && chance(2))
            gen_attr(d, prefixes[i], PICK(names), NULL);
    for (unsigned n = draw(4), start = draw(ARRAY_LEN(names)); n; n--)
        gen_attr(d, NULL, names[(start + n) % ARRAY_LEN(names)], NULL);
    if (chance(8))
        gen_attr(d, "xml", "lang", "en");
    if (chance(40))
        gen_attr(d, PICK(prefixes), PICK(names), NULL);
}

static void gen_element(struct buf *d, unsigned depth, unsigned declared)
{
    char name[64];
    unsigned now = declared;
    bool declare[2];
    for (unsigned i = 0; i < 2; i++) {
        declare[i] = chance(6);
        now |= (unsigned)declare[i] << i;
    }
    unsigned use = draw(3);
    if (use < 2 && now & (1u << use))
        snprintf(name, sizeof(name), "%s:%s", prefixes[use], PICK(names));
    else
        snprintf(name, sizeof(name), "%s", PICK(names));
    buf_printf(d, "<%s", name);
    for (unsigned i = 0; i < 2; i++)
        if (declare[i])
            gen_attr(d, "xmlns", prefixes[i], chance(30) ? PICK(uris) : uris[draw(6)]);
    gen_attrs(d, now);
    if (chance(8))
        gen_space(d);
    if (chance(4)) {
        buf_add_str(d, S("/>"));
        return;
    }
    buf_add_c(d, '>');
    for (unsigned n = draw(depth ? 4 : 2); n; n--) {
        if (depth && chance(2))
            gen_element(d, depth - 1, now);
        else
            buf_add_str(d, str_of(PICK(texts)));
    }
    buf_printf(d, "</%s%s>", name, chance(8) ? " " : "");
}

static void gen_stream(struct buf *d)
{
    if (chance(3))
        buf_add_str(d, chance(8) ? S("<?xml version='1.0' encoding=\"UTF-8\" standalone='yes' ?>\n")
                                 : S("<?xml version='1.0'?>"));
    buf_printf(d, "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'");
    if (!chance(8))
        gen_attr(d, NULL, "xmlns", chance(8) ? uris[draw(8)] : "jabber:client");
    if (chance(8))
        gen_attr(d, "xmlns", "q", "urn:q");
    gen_attr(d, NULL, "to", NULL);
    buf_add_c(d, '>');
    for (unsigned n = draw(4); n; n--) {
        gen_element(d, 4, 0);
        if (chance(4))
            gen_space(d);
    }
    buf_add_str(d, S("</stream:stream>"));
}

/* ---- mutations ---- */

static const char *const pieces[] = {
    "<", ">", "/", "&", ";", "'", "\"", "=", " ", ":", "]]>", "<![CDATA[", "<!--", "-->", "<?", "?>", "<!DOCTYPE a>",
        "&#", "&#x",
    "&#0;", "&foo;", "&lt", "xmlns", " xmlns=''", " xmlns:p='u'", " xmlns:p=''", "p:", "xml:", "</", "/>", "\x01",
        "\x7f", "\xc3",
    "\xa9", "\xe2\x82", "\xed\xa0\x80", "\xef\xbf\xbf", "\xef\xbf\xbe", "\xef\xbb\xbf", "\xf4\x90\x80\x80",
        "\xc0\x80", "\r", "\n",
    "\xc2\xb7", "\xcc\x81", "\xe2\x80\x90", "\xf0\x9f\x98\x80", "<a>", "</a>", "<a/>", " a='1'", " a='1' a='2'",
        "<?xml version='1.0'?>",
    "<!-- c -->", "<?pi x?>", "]", "!", "-", "[", "x", "0", "&#32;", "<!", "<p:a xmlns:p='u'>", " xmlns:xml='u'",
        " xmlns:xmlns='u'",
};

static void splice(struct buf *d, size_t at, size_t cut, struct str put)
{
    struct buf r = BUF_INIT;
    buf_add(&r, d->p, at);
    buf_add_str(&r, put);
    if (d->n > at + cut)
        buf_add(&r, d->p + at + cut, d->n - at - cut);
    buf_deinit(d);
    *d = r;
}

static void mutate(struct buf *d)
{
    size_t at = draw((unsigned)d->n + 1), left = d->n - at;
    char byte = (char)draw(256);
    switch (draw(8)) {
    case 0:
        splice(d, at, left > 0, STR_NULL);
        break;
    case 1:
        splice(d, at, left > 0, str_n(&byte, 1));
        break;
    case 2:
        splice(d, at, draw(left < 12 ? (unsigned)left + 1 : 12), STR_NULL);
        break;
    case 3: { /* a part once more, elsewhere */
        size_t n = draw(left < 40 ? (unsigned)left + 1 : 40);
        char part[40];
        memcpy(part, d->p + at, n);
        splice(d, draw((unsigned)d->n + 1), 0, str_n(part, n));
        break;
    }
    case 4:
        if (chance(4))
            d->n = at;
        break;
    default:
        splice(d, at, chance(4) && left, str_of(PICK(pieces)));
    }
}

/* ---- expat ---- */

struct oracle {
    XML_Parser p;
    const char *doc;
    struct buf out;   /* delivered events, or the tree */
    struct buf piece; /* event under way */
    unsigned depth;
    bool in_text, refused, stream, skip;
};

static void refuse(struct oracle *o)
{
    o->refused = true;
    XML_StopParser(o->p, XML_FALSE);
}

static void put_name(struct buf *b, const char *name)
{
    const char *sep = strchr(name, SEP);
    dump_name(b, sep ? str_n(name, (size_t)(sep - name)) : STR_NULL, str_of(sep ? sep + 1 : name));
}

static void end_text(struct oracle *o)
{
    if (o->in_text)
        buf_add_c(&o->piece, '"');
    o->in_text = false;
}

static void deliver(struct oracle *o, const char *what)
{
    buf_add_str(&o->out, str_of(what));
    buf_add_str(&o->out, buf_str(&o->piece));
    buf_add_c(&o->out, '\n');
    buf_clear(&o->piece);
}

static void on_start(void *user, const XML_Char *name, const XML_Char **attrs)
{
    struct oracle *o = user;
    unsigned top = o->stream ? 1 : 0;
    end_text(o);
    if (o->depth > top)
        buf_add_c(&o->piece, ' ');
    buf_add_c(&o->piece, '(');
    put_name(&o->piece, name);
    for (; *attrs; attrs += 2) {
        buf_add_c(&o->piece, ' ');
        put_name(&o->piece, attrs[0]);
        buf_printf(&o->piece, "=[%s]", attrs[1]);
    }
    if (o->stream && o->depth == 0) {
        buf_add_c(&o->piece, ')');
        deliver(o, "open ");
    }
    o->depth++;
}

static void on_end(void *user, const XML_Char *name)
{
    struct oracle *o = user;
    o->depth--;
    if (o->stream && o->depth == 0) {
        buf_add_str(&o->out, S("close\n"));
        return;
    }
    end_text(o);
    buf_add_c(&o->piece, ')');
    if (o->depth == (o->stream ? 1 : 0))
        deliver(o, o->stream ? "stanza " : "");
}

static void on_text(void *user, const XML_Char *s, int n)
{
    struct oracle *o = user;
    if (o->stream && o->depth == 1) {
        /* only white space between stanzas, and that not written as a reference */
        bool reference = o->doc[XML_GetCurrentByteIndex(o->p)] == '&';
        for (int i = 0; i < n; i++)
            if (reference || !strchr(" \t\r\n", s[i]) || !s[i])
                refuse(o);
        return;
    }
    if (!o->in_text)
        buf_add_str(&o->piece, S(" \""));
    o->in_text = true;
    buf_add(&o->piece, s, (size_t)n);
}

static void on_cdata(void *user)
{
    struct oracle *o = user;
    if (o->stream && o->depth == 1)
        refuse(o);
}

static void on_comment(void *user, const XML_Char *s)
{
    struct oracle *o = user;
    if (o->stream)
        refuse(o);
}

static void on_pi(void *user, const XML_Char *target, const XML_Char *s)
{
    on_comment(user, s);
}

static void on_doctype(void *user, const XML_Char *name, const XML_Char *sys, const XML_Char *pub, int internal)
{
    struct oracle *o = user;
    o->skip = !o->stream;
    refuse(o);
}

#define DIGITS "0123456789"

static void on_decl(void *user, const XML_Char *version, const XML_Char *encoding, int standalone)
{
    struct oracle *o = user;
    if (encoding && !str_ieq_ascii(str_of(encoding), S("utf-8"))) {
        o->skip = !o->stream;
        refuse(o);
    }
    if (o->stream && version && strcmp(version, "1.0") != 0)
        refuse(o);
    /* Older versions take any word for a version number, newer ones follow XML 1.0 §2.8. */
    o->skip |= !o->stream && version && (strncmp(version, "1.", 2) != 0 || !version[2] || version[2 + strspn(version + 2, DIGITS)]);
}

static void oracle_open(struct oracle *o, struct str doc, bool stream)
{
    *o = (struct oracle){.p = XML_ParserCreateNS("UTF-8", SEP), .doc = doc.p, .stream = stream};
    XML_SetUserData(o->p, o);
    XML_SetElementHandler(o->p, on_start, on_end);
    XML_SetCharacterDataHandler(o->p, on_text);
    XML_SetCdataSectionHandler(o->p, on_cdata, NULL);
    XML_SetCommentHandler(o->p, on_comment);
    XML_SetProcessingInstructionHandler(o->p, on_pi);
    XML_SetStartDoctypeDeclHandler(o->p, on_doctype);
    XML_SetXmlDeclHandler(o->p, on_decl);
}

static void oracle_close(struct oracle *o)
{
    XML_ParserFree(o->p);
    buf_deinit(&o->out);
    buf_deinit(&o->piece);
}

/* ---- comparison ---- */

static unsigned long accepted, refused, incomplete, words_compared, mapped_runs;

static bool loud;

static void show(const char *what, struct str s)
{
    if (!loud)
        return;
    fprintf(stderr, "--- %s:\n", what);
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] >= 0x20 && (unsigned char)s.p[i] < 0x7f)
            fputc(s.p[i], stderr);
        else
            fprintf(stderr, "\\x%02x", (unsigned char)s.p[i]);
    }
    fputc('\n', stderr);
}

/* Events without the line that tells of an error or of unfinished input. */
static struct str delivered(struct str events, bool *error_out, bool *partial_out)
{
    struct str last = events;
    *error_out = *partial_out = false;
    if (!events.n)
        return events;
    const char *line = memrchr(events.p, '\n', events.n - 1);
    last.p = line ? line + 1 : events.p;
    last.n = (size_t)(events.p + events.n - last.p);
    *error_out = str_starts(last, S("error "));
    *partial_out = str_starts(last, S("partial"));
    return *error_out || *partial_out ? str_n(events.p, (size_t)(last.p - events.p)) : events;
}

static bool same_stream(struct str doc, struct str ours)
{
    struct oracle o;
    bool our_error, partial, so_far_bad, bad;
    struct str events = delivered(ours, &our_error, &partial);
    oracle_open(&o, doc, true);
    /* expat knows UTF-16 by its marks, and takes U+FEFF at the start for one; RFC 6120 §11.6 does not */
    bool mark = str_starts(doc, S("\xef\xbb")) || str_starts(doc, S("\xff\xfe")) || str_starts(doc, S("\xfe\xff"));
    so_far_bad = mark || XML_Parse(o.p, doc.p, (int)doc.n, 0) != XML_STATUS_OK;
    bad = so_far_bad || XML_Parse(o.p, doc.p, 0, 1) != XML_STATUS_OK;
    bool complete = !our_error && !partial && events.n >= 6 && memcmp(events.p + events.n - 6, "close\n", 6) == 0;
    bool same = str_eq(events, buf_str(&o.out)) && complete == !bad && (!so_far_bad || our_error) &&
                (!our_error || bad);
    if (complete)
        accepted++;
    else if (our_error)
        refused++;
    else
        incomplete++;
    if (!same && loud)
        fprintf(stderr, "expat: %s%s\n", XML_ErrorString(XML_GetErrorCode(o.p)), o.refused ? " (refused)" : "");
    if (!same)
        show("expat", buf_str(&o.out));
    oracle_close(&o);
    return same;
}

/*
 * expat's names are those of an older edition. Where the two differ, characters of names are replaced by ones that both
 * know; that must make them agree.
 */
static struct buf common_names(struct str doc)
{
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < doc.n;) {
        const char *p = doc.p + i, *end = doc.p + doc.n;
        int n = (unsigned char)*p >= 0x80 ? xml_name_char_len(p, end, true) : 0;
        if (n > 0) {
            uint32_t cp = 0x4e00;
            for (int k = 0; k < n; k++)
                cp = 0x4e00 + (cp * 31 + (unsigned char)p[k]) % 20000;
            char mapped[3] = {(char)(0xe0 | cp >> 12), (char)(0x80 | ((cp >> 6) & 63)), (char)(0x80 | (cp & 63))};
            buf_add(&out, mapped, 3);
        } else if ((unsigned char)*p >= 0x80 && (n = xml_name_char_len(p, end, false)) > 0) {
            buf_add(&out, "\xc2\xb7", 2);
        } else {
            n = 1;
            buf_add_c(&out, *p);
        }
        i += (size_t)n;
    }
    return out;
}

static const struct xml_limits wide = {.max_depth = 1000, .max_attrs = 1000, .max_name = 10000};

static bool compare_stream(struct str doc)
{
    struct buf whole = feed_cut(&wide, doc, 0, 0), cut = feed_cut(&wide, doc, 1 + draw(24), seed);
    bool same = same_stream(doc, buf_str(&whole));
    if (!str_eq(buf_str(&whole), buf_str(&cut))) {
        show("whole", buf_str(&whole));
        show("in pieces", buf_str(&cut));
        same = false;
    }
    if (!same)
        show("ours", buf_str(&whole));
    buf_deinit(&whole);
    buf_deinit(&cut);
    return same;
}

/* Punctuation outside of the element is read as that of a DTD by expat; which of its three complaints is no matter. */
static bool dtd_noise(const struct oracle *o, struct str doc)
{
    size_t at = (size_t)XML_GetCurrentByteIndex(o->p);
    for (size_t i = at ? at - 1 : 0; i <= at && i < doc.n; i++)
        if (o->depth == 0 && doc.p[i] && strchr("%#()[]|,>", doc.p[i]))
            return true;
    return false;
}

/* Newer versions say of a bad version number that the declaration is bad, older ones that a character is. */
static bool declaration_words(struct str doc, const char *want)
{
    return str_starts(doc, S("<?xml")) && strcmp(want, "XML declaration not well-formed") == 0;
}

static bool compare_document(struct str doc)
{
    struct oracle o;
    struct arena *a = arena_new();
    struct buf tree = BUF_INIT;
    const char *why = NULL, *want = NULL;
    struct xml_el *el = xml_parse(a, doc, TOK_NONE, &why);
    /* expat looks for UTF-16 there, and for the whole of a mark */
    bool same, utf16 = doc.n && (!doc.p[0] || (doc.n < 3 && doc.p[0] == '\xef') || strchr("\xff\xfe", doc.p[0]) ||
                                 (doc.n > 1 && !doc.p[1]));
    oracle_open(&o, doc, false);
    if (XML_Parse(o.p, doc.p, (int)doc.n, 1) != XML_STATUS_OK)
        want = XML_ErrorString(XML_GetErrorCode(o.p));
    if (el) {
        check_tree(el);
        dump_tree(&tree, el);
        buf_add_c(&tree, '\n');
        if (chance(8))
            check_writing(el);
    }
    if (el)
        same = !want && str_eq(buf_str(&tree), buf_str(&o.out));
    else
        same = want && (strcmp(why, want) == 0 || dtd_noise(&o, doc) || declaration_words(doc, want));
    same |= o.skip || utf16;
    words_compared += !el;
    if (!same && loud) {
        fprintf(stderr, "ours: %s, expat: %s\n", why ? why : "fine", want ? want : "fine");
        if (el && !want) {
            show("ours", buf_str(&tree));
            show("expat", buf_str(&o.out));
        }
    }
    oracle_close(&o);
    buf_deinit(&tree);
    arena_release(&a);
    return same;
}

static void compare(struct str doc, bool (*how)(struct str))
{
    if (how(doc))
        return;
    struct buf mapped = common_names(doc);
    bool fine = !str_eq(buf_str(&mapped), doc) && how(buf_str(&mapped));
    mapped_runs++;
    if (fine) {
        buf_deinit(&mapped);
        return;
    }
    loud = true;
    show("document", buf_str(&mapped));
    how(buf_str(&mapped));
    abort();
}

int main(int argc, char **argv)
{
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : DOCUMENTS;
    seed = argc > 2 ? strtoull(argv[2], NULL, 10) : seed;
    for (unsigned long i = 0; i < count; i++) {
        struct buf doc = BUF_INIT;
        gen_stream(&doc);
        if (i % 8)
            for (unsigned n = 1 + draw(3); n; n--)
                mutate(&doc);
        compare(buf_str(&doc), compare_stream);
        compare(buf_str(&doc), compare_document);
        buf_deinit(&doc);
    }
    printf("%lu documents: streams %lu complete, %lu refused, %lu unfinished; words compared %lu; other edition's "
        "names %lu\n",
           count, accepted, refused, incomplete, words_compared, mapped_runs);
    return 0;
}
