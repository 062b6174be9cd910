/* check_password_hash: does a digest belong to an account's password? */
#include "admin/command.h"

#include "base/secret.h"
#include "core/auth/auth.h"

#include <openssl/evp.h>
#include <stdio.h>

/* COMPAT(ejabberd): the names that its runtime gives hash functions. What OpenSSL lacks (md4 in most builds) is unknown. */
static const struct {
    const char *name, *digest;
} methods[] = {
    {"blake2b", "BLAKE2B-512"}, {"blake2s", "BLAKE2S-256"}, {"md4", "MD4"},           {"md5", "MD5"},
    {"ripemd160", "RIPEMD160"}, {"sha", "SHA1"},            {"sha224", "SHA2-224"},   {"sha256", "SHA2-256"},
    {"sha384", "SHA2-384"},     {"sha3_224", "SHA3-224"},   {"sha3_256", "SHA3-256"}, {"sha3_384", "SHA3-384"},
    {"sha3_512", "SHA3-512"},   {"sha512", "SHA2-512"},     {"sm3", "SM3"}};

static const EVP_MD *fetch(struct str name, EVP_MD **owned_out)
{
    *owned_out = NULL;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (str_eq(name, str_of(methods[i].name)))
            *owned_out = EVP_MD_fetch(NULL, methods[i].digest, NULL);
    return *owned_out;
}

/* Upper-case hexadecimal; absent when OpenSSL fails. */
static struct str hex_digest(struct arena *a, const EVP_MD *md, struct str text)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (EVP_Digest(text.p ? text.p : "", text.n, digest, &n, md, NULL) != 1)
        return STR_NULL;
    char *hex = arena_alloc(a, 2 * n + 1);
    for (unsigned i = 0; i < n; i++)
        snprintf(hex + 2 * i, 3, "%02X", digest[i]);
    secret_wipe(digest, sizeof digest);
    return str_n(hex, 2 * n);
}

/* COMPAT(ejabberd): an account that does not exist has the empty password. */
static int find_password(struct cmd_call *c, struct str *out, bool *scram_out) YIELDS;
static int find_password(struct cmd_call *c, struct str *out, bool *scram_out)
{
    struct str user, host;
    struct error err = ERROR_INIT;
    *out = STR_NULL;
    *scram_out = false;
    if (!arg_user(c, "user", &user) || !arg_host(c, "host", &host))
        return 0;
    return auth_plain_password(c->arena, host, user, out, scram_out, &err) < 0 ? cmd_fail_error(c, &err) : 0;
}

static int check_password_hash(struct cmd_call *c) YIELDS;
static int check_password_hash(struct cmd_call *c)
{
    EVP_MD *owned;
    struct str password;
    bool scram;
    const EVP_MD *md = fetch(arg_str(c, "hashmethod"), &owned);
    if (!md)
        return cmd_fail_as(c, ERR_BAD_ARGUMENT, FAIL_BARE, QUOTE_NONE, "error", "unkown_hash_method"); /* COMPAT: sic */
    int rc = find_password(c, &password, &scram);
    if (rc == 0 && scram) {
        cmd_code(c, false);
        cmd_reason(c, "the password is stored as SCRAM keys, which no digest can be compared with");
    } else if (rc == 0) {
        struct str right = hex_digest(c->arena, md, password);
        cmd_code(c, right.p && secret_eq(right, arg_str(c, "passwordhash")));
        if (c->result.i)
            cmd_reason(c, "there is no such account, or the digest is not of its password in upper-case hexadecimal");
    }
    EVP_MD_free(owned);
    return rc;
}

ADMIN_CMD(check_password_hash) = {
    .tags = "accounts", .module = "mod_admin_extra", .where = RUNS_HERE, .flags = CMD_READS, .secret = "passwordhash",
    .run = check_password_hash, .brief = "Tell whether a digest belongs to the password of an account",
    .text = "The digest is written in upper-case hexadecimal. Methods: `md5`, `ripemd160`, `sha`, `sha224`, `sha256`, `sha384`, "
            "`sha512`, `sha3_224`, `sha3_256`, `sha3_384`, `sha3_512`, `blake2b`, `blake2s`, `sm3`. Where passwords are stored as "
            "SCRAM keys the answer is always 1: nothing else can be computed from them.",
    SHAPES({ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host"),
                 T_BINARY("passwordhash", "Digest of the password"), T_BINARY("hashmethod", "Name of the hash function")),
            RESULT(T_RESCODE("res")), EXAMPLE("peter", "myserver.com", "5EBE2294ECD0E0F08EAB7690D2A6EE69", "md5"), SHOWS("ok")}),
};
