/* See the header. */
#include "base/log.h"
#include "base/str.h"

#include <dlfcn.h>
#include <ldap.h>
#include <pthread.h>
#include <stdio.h>

/* The functions' own names are needed here, so the header's are taken back. */
#include "core/auth/ldap_lib.h"
#undef ldap_initialize
#undef ldap_set_option
#undef ldap_start_tls_s
#undef ldap_sasl_bind_s
#undef ldap_search_ext_s
#undef ldap_count_entries
#undef ldap_first_entry
#undef ldap_next_entry
#undef ldap_get_dn
#undef ldap_get_values_len
#undef ldap_value_free_len
#undef ldap_memfree
#undef ldap_msgfree
#undef ldap_unbind_ext_s
#undef ldap_err2string

static char *no_words(int code)
{
    static char words[] = "libldap is missing";
    (void)code;
    return words;
}

static int free_nothing(LDAPMessage *m)
{
    (void)m;
    return 0;
}

struct ldap_lib ldap_lib = {.ldap_err2string_fn = no_words, .ldap_msgfree_fn = free_nothing};
static bool loaded;

static void *open_library(void)
{
    char own[32];
    void *lib;
    /* OpenLDAP names the library after its release up to 2.5, and with a number from then on. */
    snprintf(own, sizeof own, "libldap-%d.%d.so.0", LDAP_VENDOR_VERSION_MAJOR, LDAP_VENDOR_VERSION_MINOR);
    lib = dlopen(own, RTLD_NOW | RTLD_LOCAL);
    return lib ? lib : dlopen("libldap.so.2", RTLD_NOW | RTLD_LOCAL);
}

static void load(void)
{
    void *lib = open_library();
    if (!lib) {
        LOG(ERROR, "ldap", NULL, "auth_method ldap needs libldap: %s", dlerror());
        return;
    }
    struct ldap_lib found = {.on = dlsym(lib, "ber_pvt_opt_on")};
    loaded = found.on;
#define LDAP_LOOKUP(name)                                                  \
    found.name##_fn = (__typeof__(name) *)(uintptr_t)dlsym(lib, #name);    \
    loaded = loaded && found.name##_fn;
    LDAP_FUNCTIONS(LDAP_LOOKUP)
    if (loaded)
        ldap_lib = found;
    else
        LOG(ERROR, "ldap", NULL, "libldap lacks a function that auth_method ldap needs");
}

bool ldap_lib_load(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    return loaded;
}
