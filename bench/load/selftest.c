/* The generator tested on itself: a measurement is worth no more than its instrument. */
#include "load.h"

#include <string.h>

static int failures;

static void check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "selftest: %s\n", what);
    failures++;
}

/* RFC 5802 §5: the example exchange. */
static void test_scram(void)
{
    struct scram s = {0};
    struct scram_keys keys = {0};
    char text[600];
    const char *challenge = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
    const char *want = "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=";
    check(scram_first(&s, "user", "fyko+d2lbbFgONRv9qkxdawL", text, sizeof text) == 0 &&
        strcmp(text, "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL") == 0, "SCRAM: first message");
    for (int i = 0; i < 2; i++) /* the second time from the kept keys */
        check(scram_final(&s, &keys, "pencil", challenge, text, sizeof text) == 0 && strcmp(text, want) == 0,
            "SCRAM: final message");
    check(scram_verify(&s, "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=") == 0, "SCRAM: server signature");
    check(scram_verify(&s, "v=rmF9pqV8S7suAoZWja4dJRkFsKA=") != 0, "SCRAM: wrong server signature");
    check(scram_verify(&s, "e=other-error") != 0, "SCRAM: server error");
    check(scram_final(&s, &keys, "pencil", "r=someone-else,s=QSXCR+Q6sek8bf92,i=4096", text, sizeof text) != 0,
        "SCRAM: foreign nonce");
    check(scram_final(&s, &keys, "pencil", "r=fyko+d2lbbFgONRv9qkxdawLx,s=*,i=4096", text, sizeof text) != 0,
        "SCRAM: bad salt");
}

static struct seqcheck feed(const int *numbers, int n)
{
    struct seqcheck s;
    seqcheck_init(&s, 8);
    for (int i = 0; i < n; i++)
        seqcheck_saw(&s, (uint64_t)numbers[i]);
    seqcheck_deinit(&s);
    return s;
}

static void test_seqcheck(void)
{
    struct seqcheck s = feed((int[]){0, 1, 2, 3}, 4);
    check(s.seen == 4 && !s.disorder && !s.duplicates && !s.invalid, "sequence: clean");
    s = feed((int[]){0, 1, 3}, 3);
    check(s.seen == 3 && s.next == 4 && !s.disorder && !s.duplicates, "sequence: loss");
    s = feed((int[]){0, 2, 1, 3}, 4);
    check(s.seen == 4 && s.disorder == 1 && !s.duplicates, "sequence: disorder");
    s = feed((int[]){0, 1, 1, 2, 0}, 5);
    check(s.seen == 3 && s.duplicates == 2 && !s.disorder, "sequence: duplicates");
    s = feed((int[]){0, 8}, 2);
    check(s.seen == 1 && s.invalid == 1, "sequence: out of range");
}

/* Every split of the stream must give the same items. */
static void test_split(void)
{
    const char *stream = "<?xml version='1.0'?><stream:stream a='>' b=\"'\">\n<stream:features><a/><b>x</b>"
        "</stream:features> <message x='/>'><body>1 &gt; 0</body></message><presence/></stream:stream>";
    size_t all = strlen(stream);
    for (size_t cut = 1; cut <= all; cut++) {
        static const enum item want[] = {ITEM_HEADER, ITEM_STANZA, ITEM_STANZA, ITEM_STANZA, ITEM_END};
        size_t have = cut, done = 0, start = 0, len = 0, used = 0;
        int found = 0;
        bool right = true;
        while (found < 5 && right) {
            enum item item = split_next(stream + done, have - done, found > 0, &start, &len, &used);
            done += used;
            if (item == ITEM_NONE && have == all)
                right = false;
            else if (item == ITEM_NONE)
                have = all;
            else
                right = item == want[found++];
        }
        check(right && done == all, "split: pieces");
    }
    size_t start, len, used;
    check(split_next("x", 1, true, &start, &len, &used) == ITEM_BAD, "split: text between stanzas");
    check(split_next("<!DOCTYPE x>", 12, true, &start, &len, &used) == ITEM_BAD, "split: document type");
}

static void test_text(void)
{
    char encoded[16], text[17] = "";
    unsigned char raw[16];
    uint64_t value = 0;
    hex16(0x0123456789abcdefu, text);
    check(strcmp(text, "0123456789abcdef") == 0 && unhex16(text, &value) && value == 0x0123456789abcdefu, "hex");
    check(!unhex16("0123456789abcdeg", &value), "hex: bad digit");
    for (size_t n = 1; n <= 6; n++) {
        base64_encode("sample", n, encoded);
        check(base64_decode(encoded, strlen(encoded), raw) == (ssize_t)n && memcmp(raw, "sample", n) == 0, "base64");
    }
}

static void test_hist(void)
{
    static struct hist h;
    for (uint64_t i = 1; i <= 1000; i++)
        hist_add(&h, i * 1000000);
    double p50 = hist_ms(&h, 0.5), p99 = hist_ms(&h, 0.99);
    check(p50 >= 500 && p50 < 510 && p99 >= 990 && p99 <= 1000 && h.max == 1000000000, "histogram");
    check(hist_ms(&h, 1) <= 1000, "histogram: end");
}

int selftest_main(void)
{
    test_scram();
    test_seqcheck();
    test_split();
    test_text();
    test_hist();
    if (!failures)
        puts("selftest: ok");
    return failures ? 1 : 0;
}
