/*
 * xmpp/scram.h: the examples of RFC 5802 §5 and RFC 7677 §3, every hash with every kind of channel binding (values
 * computed with another implementation), and each way of being malformed.
 */
#include "xmpp/scram.h"

#include "base/base64.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define CNONCE "rOprNGfwEbeRWgbNEkqO"
#define SNONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define FIRST_BARE "n=user,r=" CNONCE

static struct arena *A;
static struct scram_keys keys[3];

static int setup(void **state)
{
    A = arena_new();
    return 0;
}

static int teardown(void **state)
{
    arena_release(&A);
    return 0;
}

static struct str from_base64(const char *text)
{
    struct str out;
    assert_true(base64_decode(A, str_of(text), &out));
    return out;
}

static void assert_str(struct str got, const char *want)
{
    if (!str_eq(got, str_of(want)))
        fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want);
}

static struct scram_keys derive(enum scram_hash h, const char *password, const char *salt)
{
    struct scram_keys k;
    struct error err = ERROR_INIT;
    assert_int_equal(scram_derive(A, h, str_of(password), from_base64(salt), 4096, &k, &err), 0);
    return k;
}

static int group_setup(void **state)
{
    A = arena_new();
    *state = A;
    for (unsigned h = 0; h < 3; h++)
        keys[h] = derive((enum scram_hash)h, "pencil", "W22ZaJ0SNY7soEsUEjb6gQ==");
    return 0;
}

static int group_teardown(void **state)
{
    struct arena *a = *state;
    arena_release(&a);
    return 0;
}

struct vector {
    enum scram_hash hash;
    const char *gs2, *cb_data, *c, *proof, *verifier;
};

static const struct vector vectors[] = {
    {SCRAM_SHA1, "n,,", "", "biws",
     "NxII6noLm3UpyIjcNk1DjtdZIIQ=",
     "v=Tq1dKKdFondzApGMADAzcCNmCr4="},
    {SCRAM_SHA1, "y,,", "", "eSws",
     "LwgxoC+nBGGtabpufmreUItJ0Rc=",
     "v=9Z+mYcKK0ICIikGE6HDdFAYghq4="},
    {SCRAM_SHA1, "p=tls-exporter,,",
     "0123456789abcdef0123456789abcdef", "cD10bHMtZXhwb3J0ZXIsLDAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm",
     "ma5tlcVagkLWWd3z3aFHnUb5oT0=",
     "v=0ceZ03sHAXSF7KZRLAAqNfSbTZ4="},
    {SCRAM_SHA1, "p=tls-unique,a=u2@h,", "abcdefghijkl", "cD10bHMtdW5pcXVlLGE9dTJAaCxhYmNkZWZnaGlqa2w=",
     "z51YDhX7MYM4IIqEqZBySkopIrg=",
     "v=j4dYaRGwHLRa6OJok1l4hrveLV0="},
    {SCRAM_SHA1, "p=tls-server-end-point,,", "\xff" "cert\x01", "cD10bHMtc2VydmVyLWVuZC1wb2ludCws/2NlcnQB",
     "srxbHhzmHOE/HTUNPD41211DIpM=",
     "v=TF/7RorFr3LWVCckkzEXGrX+JP0="},
    {SCRAM_SHA256, "n,,", "", "biws",
     "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
     "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
    {SCRAM_SHA256, "y,,", "", "eSws",
     "FoqiHTtQEDE8lz1CdaEe3tK4mS+iMDTl77SPyDS53DY=",
     "v=dI4KpiQJwBr1+V+K6U1dA6l6I4I9DUNXWND4pcpRU3U="},
    {SCRAM_SHA256, "p=tls-exporter,,",
     "0123456789abcdef0123456789abcdef", "cD10bHMtZXhwb3J0ZXIsLDAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm",
     "qt6T62DbA/THTjWMUniEekRBOmbK1ZAe+VNG0CBsX9U=",
     "v=gGsnLD/m58XLkAwcxqD7cDgqYXgS9J0J5pH+8Cm0Ho8="},
    {SCRAM_SHA256, "p=tls-unique,a=u2@h,", "abcdefghijkl", "cD10bHMtdW5pcXVlLGE9dTJAaCxhYmNkZWZnaGlqa2w=",
     "WDny57l1CslO95RNIP0EylD4TF1sux9K8O9SzNTOvYM=",
     "v=3XsUB7aIH1Gef3ej7+jO7nxkxTNql3qFKiHzsQQ7Ejk="},
    {SCRAM_SHA256, "p=tls-server-end-point,,", "\xff" "cert\x01", "cD10bHMtc2VydmVyLWVuZC1wb2ludCws/2NlcnQB",
     "liKXdr8sCTQiJ4YN4Nl+A5+dKUG/kDt7BO13o3lnDyY=",
     "v=hkN7GPWfuMXshaXGB2lkjQpaVtpaBW6IGALHsMJkFxI="},
    {SCRAM_SHA512, "n,,", "", "biws",
     "gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
     "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw=="},
    {SCRAM_SHA512, "y,,", "", "eSws",
     "VrNrCclW9AD/Yk8l31V4OqUMu/q7GisSWUiLQyCJ/FbAjX0cz0yg5fP8qfMm6C+ANjP+JcgB3IS6alx/nEu6Zg==",
     "v=9ljM8X8/k7XVI8iXtN0M6JKGwlfsiNfKI2LXo41m0hFjx9B+x1naDQ5NGcCm5lXjSgW3MM/3IGsl62659FI3Vg=="},
    {SCRAM_SHA512, "p=tls-exporter,,",
     "0123456789abcdef0123456789abcdef", "cD10bHMtZXhwb3J0ZXIsLDAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm",
     "nYF6dyqKugMftQQCoHB87R9uw7AH583WuYap5w83vUk3RJgbJ2rkavG5E+hwooa8VPGfHDHqbL1yAFvYnpnjSg==",
     "v=Ldw4q4IHkJJPcqUY1aOlISrFHR0IxmLFQD91e+1HjrSD35RDW1t+YLnon5IhoZ9LcwT9E0HQ9I9IaH/PM7Guxg=="},
    {SCRAM_SHA512, "p=tls-unique,a=u2@h,", "abcdefghijkl", "cD10bHMtdW5pcXVlLGE9dTJAaCxhYmNkZWZnaGlqa2w=",
     "x/BKKigQSLH+yteQkdnJioiRhPv1ssVRwyZ2Hil6Sho1qDGQ1Dox/+Lpm2Vb4No00/UNHiTgnsBTGevD6wosKg==",
     "v=1eDlqAyQUCKFMPMlO4wIS8a3t4Fhw8/bpvMOq3XGrPi6qALzj4dBxJSWAQ2Or9j9UFp1LYfCOVeWT/36haM4RA=="},
    {SCRAM_SHA512, "p=tls-server-end-point,,", "\xff" "cert\x01", "cD10bHMtc2VydmVyLWVuZC1wb2ludCws/2NlcnQB",
     "hY9YRq88nxaJvfG5BnPkfJtE1Zw0TAYcsnInT+GkEx3pN3yfjguTU0twTE70uZxEoUS8YVovnAelwDmIkz02kA==",
     "v=PLS0YPh7y0Kidh+4pLhPfiPsJF1q6lXprff3F/4kyyp3ddGI+zmS0PxRuXsb7ww0Cd7yyjrWTAZqBZvi0pGcOA=="},
};

static struct scram_server server_for(const struct vector *v)
{
    return (struct scram_server){.hash = v->hash, .plus = v->gs2[0] == 'p', .plus_offered = v->gs2[0] == 'p'};
}

static void test_rfc5802_example(void **state)
{
    struct scram_keys k = derive(SCRAM_SHA1, "pencil", "QSXCR+Q6sek8bf92");
    struct scram_server s = {.hash = SCRAM_SHA1};
    struct str out;
    assert_int_equal(scram_server_first(A, &s, S("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL")), SCRAM_OK);
    assert_str(s.username, "user");
    assert_null(s.authzid.p);
    assert_null(s.cb_type.p);
    assert_str(scram_server_challenge(A, &s, &k, "3rfcNHYJY1ZVvWVs7j"),
               "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096");
    assert_int_equal(scram_server_final(A, &s, S("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
                                                 "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="), &out), SCRAM_OK);
    assert_str(out, "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=");
}

/* RFC 5802 §3: the derivation in two steps, of which a client may do the first (XEP-0480 §3). */
static void test_keys_of_salted(void **state)
{
    static const char *const names[] = {"SHA1", "SHA256", "SHA512"};
    struct str salt = from_base64("W22ZaJ0SNY7soEsUEjb6gQ==");
    for (unsigned h = 0; h < 3; h++) {
        unsigned char salted[SCRAM_MAX_DIGEST];
        size_t n = scram_digest_len((enum scram_hash)h);
        EVP_MD *md = EVP_MD_fetch(NULL, names[h], NULL);
        assert_int_equal(PKCS5_PBKDF2_HMAC("pencil", 6, (const unsigned char *)salt.p, (int)salt.n, 4096, md, (int)n, salted), 1);
        EVP_MD_free(md);
        struct scram_keys k = scram_keys_of_salted(A, (enum scram_hash)h, str_n((const char *)salted, n), salt, 4096);
        assert_true(str_eq(k.stored_key, keys[h].stored_key) && str_eq(k.server_key, keys[h].server_key));
        assert_int_equal(k.iterations, 4096);
        assert_true(str_eq(k.salt, salt) && k.hash == (enum scram_hash)h);
    }
}

static void test_rfc7677_example(void **state)
{
    struct scram_server s = {.hash = SCRAM_SHA256};
    struct str out;
    assert_int_equal(scram_server_first(A, &s, S("n,," FIRST_BARE)), SCRAM_OK);
    assert_str(scram_server_challenge(A, &s, &keys[SCRAM_SHA256], SNONCE),
               "r=" CNONCE SNONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    assert_int_equal(scram_server_final(A, &s, S("c=biws,r=" CNONCE SNONCE
                                                 ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), &out), SCRAM_OK);
    assert_str(out, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

static enum scram_rc run(struct scram_server *s, const struct vector *v, const char *c, const char *nonce,
                         const char *proof, struct str cb_data, struct str *out)
{
    assert_int_equal(scram_server_first(A, s, arena_printf(A, "%s" FIRST_BARE, v->gs2)), SCRAM_OK);
    s->cb_data = cb_data;
    scram_server_challenge(A, s, &keys[v->hash], SNONCE);
    return scram_server_final(A, s, arena_printf(A, "c=%s,r=%s,p=%s", c, nonce, proof), out);
}

static void test_vectors(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        const struct vector *v = &vectors[i];
        struct scram_server s = server_for(v);
        struct str out;
        assert_int_equal(run(&s, v, v->c, CNONCE SNONCE, v->proof, str_of(v->cb_data), &out), SCRAM_OK);
        assert_str(out, v->verifier);
        if (s.plus)
            assert_true(s.cb_type.n && str_starts(str_of(v->gs2 + 2), s.cb_type));
    }
}

/* Right messages, something around them changed. */
static void test_vectors_spoiled(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        const struct vector *v = &vectors[i];
        const struct vector *next = &vectors[i + 1 < ARRAY_LEN(vectors) ? i + 1 : 0];
        struct str out, cb = str_of(v->cb_data);
        struct scram_server s = server_for(v);
        assert_int_equal(run(&s, v, v->c, CNONCE, v->proof, cb, &out), SCRAM_NOT_AUTHORIZED);
        assert_null(out.p);
        s = server_for(v);
        assert_int_equal(run(&s, v, v->c, CNONCE SNONCE "x", v->proof, cb, &out), SCRAM_NOT_AUTHORIZED);
        s = server_for(v);
        assert_int_equal(run(&s, v, v->c, CNONCE SNONCE, next->proof, cb, &out), SCRAM_NOT_AUTHORIZED);
        s = server_for(v);
        assert_int_equal(run(&s, v, v->c, CNONCE SNONCE, "AAAA", cb, &out), SCRAM_NOT_AUTHORIZED);
        s = server_for(v);
        assert_int_equal(run(&s, v, next->c, CNONCE SNONCE, v->proof, cb, &out), SCRAM_CB_MISMATCH);
        if (!s.plus)
            continue;
        s = server_for(v);
        assert_int_equal(run(&s, v, v->c, CNONCE SNONCE, v->proof, S("other data"), &out), SCRAM_CB_MISMATCH);
        s = server_for(v);
        assert_int_equal(run(&s, v, v->c, CNONCE SNONCE, v->proof, STR_NULL, &out), SCRAM_CB_MISMATCH);
    }
}

/* A client that believes in no binding may not be led past an offered one; data is ignored when nothing was bound. */
static void test_downgrade(void **state)
{
    struct scram_server s = {.hash = SCRAM_SHA256, .plus_offered = true};
    assert_int_equal(scram_server_first(A, &s, S("y,," FIRST_BARE)), SCRAM_CB_MISMATCH);
    s = (struct scram_server){.hash = SCRAM_SHA256, .plus_offered = true};
    assert_int_equal(scram_server_first(A, &s, S("n,," FIRST_BARE)), SCRAM_OK);
    s = (struct scram_server){.hash = SCRAM_SHA256};
    assert_int_equal(scram_server_first(A, &s, S("y,," FIRST_BARE)), SCRAM_OK);
}

static void test_names(void **state)
{
    struct scram_server s = {.hash = SCRAM_SHA1};
    assert_int_equal(scram_server_first(A, &s, S("n,a=a=2Cb=3Dc,n=x=3Dy=2Cz,r=abc,x=ext,y=2")), SCRAM_OK);
    assert_str(s.authzid, "a,b=c");
    assert_str(s.username, "x=y,z");
    assert_str(s.gs2, "n,a=a=2Cb=3Dc,");
    assert_str(s.client_first_bare, "n=x=3Dy=2Cz,r=abc,x=ext,y=2");
    s = (struct scram_server){.hash = SCRAM_SHA1};
    assert_int_equal(scram_server_first(A, &s, S("n,,n=\xc3\xbc,r=!~")), SCRAM_OK);
    assert_str(s.username, "\xc3\xbc");
}

static void test_malformed_first(void **state)
{
    static const struct str cases[] = {
        S(""), S("n"), S("n,"), S("n,,"), S(",,n=u,r=a"), S("x,,n=u,r=a"), S("N,,n=u,r=a"), S("nn,,n=u,r=a"),
        S("n,n=u,r=a"),
        S("n,,r=a,n=u"), S("n,,n=u"), S("n,,n=u,"), S("n,,n=u,r="), S("n,,n=,r=a"), S("n,,n=u,r=a b"),
        S("n,,n=u,r=a\x7f"),
        S("n,,n=u,r=\xc3\xbc"), S("n,,m=x,n=u,r=a"), S("n,,n=u,m=x,r=a"), S("n,,n=u,r=a,m=x"), S("n,,n=u,r=a,"),
        S("n,,n=u,r=a,x"),
        S("n,,n=u,r=a,x="), S("n,,n=u,r=a,1=x"), S("n,,n=u,r=a,,x=y"), S("n,,N=u,r=a"), S("n,,u,r=a"),
        S("n,,n=u=,r=a"),
        S("n,,n=u=2,r=a"), S("n,,n=u=2c,r=a"), S("n,,n=u=3d,r=a"), S("n,,n=u=41,r=a"), S("n,b=x,n=u,r=a"),
        S("n,a=,n=u,r=a"),
        S("n,a=x=,n=u,r=a"), S("n,a,n=u,r=a"), S("p=tls-unique,,n=u,r=a"), S("p=,,n=u,r=a"), S("p,,n=u,r=a"),
        S("y=x,,n=u,r=a"),
        S("n,,n=u\xff,r=a"), S("n,,n=u\0v,r=a"), S("n,,n=u,r=a\0"), S("\0"), S("F,n,,n=u,r=a"),
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scram_server s = {.hash = SCRAM_SHA1};
        if (scram_server_first(A, &s, cases[i]) != SCRAM_MALFORMED)
            fail_msg("accepted: %.*s", STR_ARG(cases[i]));
    }
    static const struct str plus_cases[] = {
        S("n,,n=u,r=a"), S("y,,n=u,r=a"), S("p=,,n=u,r=a"), S("p=tls unique,,n=u,r=a"), S("p=tls_x,,n=u,r=a"),
        S("p,,n=u,r=a"),
    };
    for (size_t i = 0; i < ARRAY_LEN(plus_cases); i++) {
        struct scram_server s = {.hash = SCRAM_SHA1, .plus = true, .plus_offered = true};
        if (scram_server_first(A, &s, plus_cases[i]) != SCRAM_MALFORMED)
            fail_msg("accepted: %.*s", STR_ARG(plus_cases[i]));
    }
    char *big = arena_alloc(A, SCRAM_MAX_MESSAGE + 1);
    memset(big, 'a', SCRAM_MAX_MESSAGE + 1);
    memcpy(big, "n,,n=u,r=", 9);
    struct scram_server s = {.hash = SCRAM_SHA1};
    assert_int_equal(scram_server_first(A, &s, str_n(big, SCRAM_MAX_MESSAGE + 1)), SCRAM_MALFORMED);
    assert_int_equal(scram_server_first(A, &s, str_n(big, 9 + SCRAM_MAX_NONCE + 1)), SCRAM_MALFORMED);
    assert_int_equal(scram_server_first(A, &s, str_n(big, 9 + SCRAM_MAX_NONCE)), SCRAM_OK);
}

static void test_malformed_final(void **state)
{
    static const struct str cases[] = {
        S(""), S("c=biws"), S("c=biws,r=" CNONCE SNONCE), S("c=biws,r=" CNONCE SNONCE ","),
        S("r=" CNONCE SNONCE ",c=biws,p=AAAA"),
        S("c=biws,p=AAAA"), S("c=biws,p=AAAA,r=" CNONCE SNONCE), S("c=biws,r=" CNONCE SNONCE ",p="),
        S("c=biws,r=" CNONCE SNONCE ",p=AAA"), S("c=biws,r=" CNONCE SNONCE ",p=A=AA"),
        S("c=biws,r=" CNONCE SNONCE ",p=AA A"),
        S("c=biws,r=" CNONCE SNONCE ",p=AAAA,x=y"), S("c=biws,r=" CNONCE SNONCE ",p=AAAA,"),
        S("c=bi,r=" CNONCE SNONCE ",p=AAAA"),
        S("c=biws,r=" CNONCE SNONCE ",m=x,p=AAAA"), S("m=x,c=biws,r=" CNONCE SNONCE ",p=AAAA"),
        S("c=biws,,r=" CNONCE SNONCE ",p=AAAA"),
        S("c=biws,r=" CNONCE SNONCE ",,p=AAAA"), S("c=biws,r=" CNONCE SNONCE ",x=,p=AAAA"),
        S("C=biws,r=" CNONCE SNONCE ",p=AAAA"),
        S("c=biws,r=" CNONCE SNONCE ",P=AAAA"), S("c=biws,r=\xff,p=AAAA"), S("c=biws,r=a\0b,p=AAAA"),
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scram_server s = {.hash = SCRAM_SHA256};
        struct str out;
        assert_int_equal(scram_server_first(A, &s, S("n,," FIRST_BARE)), SCRAM_OK);
        /* Before a challenge nothing can be final. */
        assert_int_equal(scram_server_final(A, &s, cases[i], &out), SCRAM_MALFORMED);
        scram_server_challenge(A, &s, &keys[SCRAM_SHA256], SNONCE);
        if (scram_server_final(A, &s, cases[i], &out) != SCRAM_MALFORMED)
            fail_msg("accepted: %.*s", STR_ARG(cases[i]));
        assert_null(out.p);
    }
}

/* An extension before the proof is part of what is signed: the proof of the message without it does not fit. */
static void test_extension_is_signed(void **state)
{
    struct scram_server s = {.hash = SCRAM_SHA256};
    struct str out;
    assert_int_equal(scram_server_first(A, &s, S("n,," FIRST_BARE)), SCRAM_OK);
    scram_server_challenge(A, &s, &keys[SCRAM_SHA256], SNONCE);
    assert_int_equal(scram_server_final(A, &s, S("c=biws,r=" CNONCE SNONCE
                                                 ",x=y,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), &out),
                     SCRAM_NOT_AUTHORIZED);
}

static void test_damaged_keys(void **state)
{
    const struct vector *v = &vectors[0];
    struct scram_keys bad[3] = {keys[0], keys[0], keys[0]};
    bad[0].stored_key = STR_NULL;
    bad[1].server_key.n--;
    bad[2].hash = SCRAM_SHA256;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct scram_server s = server_for(v);
        struct str out;
        assert_int_equal(scram_server_first(A, &s, S("n,," FIRST_BARE)), SCRAM_OK);
        scram_server_challenge(A, &s, &bad[i], SNONCE);
        struct str msg = arena_printf(A, "c=%s,r=%s,p=%s", v->c, CNONCE SNONCE, v->proof);
        assert_int_not_equal(scram_server_final(A, &s, msg, &out), SCRAM_OK);
    }
    bad[0].iterations = 0;
    assert_false(scram_check_password(&bad[0], S("pencil")));
    bad[1].iterations = 4000000000u;
    assert_false(scram_check_password(&bad[1], S("pencil")));
}

static void test_nonces_differ(void **state)
{
    struct scram_server s = {.hash = SCRAM_SHA1}, t = {.hash = SCRAM_SHA1};
    assert_int_equal(scram_server_first(A, &s, S("n,," FIRST_BARE)), SCRAM_OK);
    assert_int_equal(scram_server_first(A, &t, S("n,," FIRST_BARE)), SCRAM_OK);
    scram_server_challenge(A, &s, &keys[0], NULL);
    scram_server_challenge(A, &t, &keys[0], NULL);
    assert_true(str_starts(s.nonce, S(CNONCE)));
    assert_int_equal(s.nonce.n, strlen(CNONCE) + 24);
    assert_false(str_eq(s.nonce, t.nonce));
    assert_int_equal(str_find(s.nonce, ','), -1);
}

static void test_passwords(void **state)
{
    struct scram_keys k;
    struct error err = ERROR_INIT;
    for (unsigned h = 0; h < 3; h++) {
        assert_int_equal(keys[h].stored_key.n, scram_digest_len((enum scram_hash)h));
        assert_true(scram_check_password(&keys[h], S("pencil")));
        assert_true(scram_check_password(&keys[h], S("pen\xc2\xad" "cil")));
        assert_false(scram_check_password(&keys[h], S("Pencil")));
        assert_false(scram_check_password(&keys[h], S("")));
        assert_false(scram_check_password(&keys[h], S("pencil\x01")));
    }
    assert_int_equal(scram_derive(A, SCRAM_SHA1, S(""), S("salt"), 1, &k, &err), -1);
    assert_int_equal(err.code, ERR_NOT_ACCEPTABLE);
    assert_int_equal(scram_derive(A, SCRAM_SHA1, S("p\xf0\x9f\x98\x80"), S("salt"), 1, &k, &err), -1);
    assert_int_equal(err.code, ERR_NOT_ACCEPTABLE);
    assert_int_equal(scram_derive(A, SCRAM_SHA1, S("p"), S(""), 1, &k, &err), -1);
    assert_int_equal(err.code, ERR_BAD_ARGUMENT);
    assert_int_equal(scram_derive(A, SCRAM_SHA1, S("p"), S("salt"), 0, &k, &err), -1);
    assert_int_equal(scram_derive(A, SCRAM_SHA1, S("p"), S("salt"), UINT32_MAX, &k, NULL), -1);
}

static void test_fake_keys(void **state)
{
    for (unsigned i = 0; i < 3; i++) {
        enum scram_hash h = (enum scram_hash)i;
        struct scram_keys a = scram_fake_keys(A, h, S("nobody"), S("host"), 4096);
        struct scram_keys b = scram_fake_keys(A, h, S("nobody"), S("host"), 4096);
        struct scram_keys c = scram_fake_keys(A, h, S("noone"), S("host"), 4096);
        struct scram_keys d = scram_fake_keys(A, h, S("nobody"), S("host2"), 4096);
        assert_int_equal(a.salt.n, SCRAM_SALT_LEN);
        assert_int_equal(a.stored_key.n, scram_digest_len(h));
        assert_int_equal(a.server_key.n, scram_digest_len(h));
        assert_int_equal(a.iterations, 4096);
        assert_true(str_eq(a.salt, b.salt) && str_eq(a.stored_key, b.stored_key) && str_eq(a.server_key, b.server_key));
        assert_false(str_eq(a.salt, c.salt));
        assert_false(str_eq(a.salt, d.salt));
        assert_false(str_eq(a.stored_key, a.server_key));
    }
    struct scram_keys one = scram_fake_keys(A, SCRAM_SHA1, S("nobody"), S("host"), 4096);
    struct scram_keys two = scram_fake_keys(A, SCRAM_SHA256, S("nobody"), S("host"), 4096);
    assert_false(str_eq(one.salt, two.salt));
    assert_false(scram_check_password(&one, S("pencil")));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rfc5802_example), TEST(test_rfc7677_example), TEST(test_keys_of_salted),
        TEST(test_vectors), TEST(test_vectors_spoiled),
        TEST(test_downgrade), TEST(test_names), TEST(test_malformed_first), TEST(test_malformed_final),
        TEST(test_extension_is_signed), TEST(test_damaged_keys), TEST(test_nonces_differ), TEST(test_passwords),
        TEST(test_fake_keys),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
