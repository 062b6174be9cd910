/*
 * cjabberd-pam SERVICE username|jid: asks PAM for the server (auth_method pam). One question after the other comes on standard
 * input and is answered on standard output: frames of a 16 bit length, big endian; "auth:user:host:password" or "isuser:user:host",
 * answered by 0 or 1. When PAM cannot tell it ends without an answer, and the server starts it again.
 *
 * One thread, nothing of the server in it. It may be installed with rights of its own (setuid or setgid, executable by the server's
 * group only) where modules need them: then nothing of the environment counts.
 */
#include <errno.h>
#include <security/pam_appl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>

#define FRAME_MAX 65535
#define ANSWERS_MAX 1000   /* then another process goes on: modules leak */
#define PATIENCE_S 60      /* far beyond the server's: for the case that it is gone */

static struct {
    const char *service, *confdir; /* NULL: the system's */
    bool jid;
} settings;

struct question {
    char *operation, *user, *host, *password; /* password NULL: none */
};

/* --- PAM --- */

/* The password is for the first prompt that hides what is typed; nobody is there to answer others. */
static int answer_prompts(int n, const struct pam_message **m, struct pam_response **out, void *arg)
{
    const char **password = arg;
    struct pam_response *r = n > 0 && n <= PAM_MAX_NUM_MSG ? calloc((size_t)n, sizeof *r) : NULL;
    int rc = r ? PAM_SUCCESS : PAM_BUF_ERR;
    for (int i = 0; rc == PAM_SUCCESS && i < n; i++) {
        if (m[i]->msg_style == PAM_TEXT_INFO || m[i]->msg_style == PAM_ERROR_MSG)
            continue;
        if (m[i]->msg_style != PAM_PROMPT_ECHO_OFF || !*password || !(r[i].resp = strdup(*password)))
            rc = PAM_CONV_ERR;
        *password = NULL;
    }
    if (rc == PAM_SUCCESS) {
        *out = r;
        return rc;
    }
    for (int i = 0; r && i < n; i++)
        if (r[i].resp) {
            explicit_bzero(r[i].resp, strlen(r[i].resp));
            free(r[i].resp);
        }
    free(r);
    return rc;
}

/* The server limits tries itself; a wait here would only hold up others. */
static void no_delay(int status, unsigned usec, void *arg)
{
    (void)status;
    (void)usec;
    (void)arg;
}

static int start(const char *user, const struct pam_conv *conv, pam_handle_t **out)
{
    int rc = settings.confdir ? pam_start_confdir(settings.service, user, conv, settings.confdir, out)
                              : pam_start(settings.service, user, conv, out);
    if (rc != PAM_SUCCESS)
        return rc;
    void (*hook)(int, unsigned, void *) = no_delay;
    const void *item;
    memcpy(&item, &hook, sizeof item);
    pam_set_item(*out, PAM_FAIL_DELAY, item);
    return PAM_SUCCESS;
}

/* Whoever a module made of the user is not who wants to log in. */
static bool same_user(pam_handle_t *h, const char *user)
{
    const void *now = NULL;
    return pam_get_item(h, PAM_USER, &now) == PAM_SUCCESS && now && strcmp(now, user) == 0;
}

static int ask_started(pam_handle_t *h, const char *user, bool auth)
{
    int rc = auth ? pam_authenticate(h, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK) : PAM_SUCCESS;
    if (rc == PAM_SUCCESS && auth && !same_user(h, user))
        rc = PAM_AUTH_ERR;
    return rc == PAM_SUCCESS ? pam_acct_mgmt(h, PAM_SILENT) : rc;
}

/* 1, 0; -1: it cannot be told. For "isuser" whoever PAM knows is there, locked or not: nobody else may have the name. */
static int verdict(int rc, bool auth)
{
    switch (rc) {
    case PAM_SUCCESS:
        return 1;
    case PAM_USER_UNKNOWN:
        return 0;
    case PAM_AUTH_ERR:
    case PAM_PERM_DENIED:
    case PAM_CRED_INSUFFICIENT:
    case PAM_MAXTRIES:
    case PAM_NEW_AUTHTOK_REQD:
    case PAM_ACCT_EXPIRED:
    case PAM_CRED_EXPIRED:
    case PAM_AUTHTOK_EXPIRED:
    case PAM_CONV_ERR:
        return auth ? 0 : 1;
    case PAM_SYSTEM_ERR: /* what pam_exec says when its program refuses a password */
        return auth ? 0 : -1;
    default:
        return -1;
    }
}

static int ask_pam(const char *user, const char *password)
{
    const char *answer = password;
    struct pam_conv conv = {answer_prompts, &answer};
    pam_handle_t *h = NULL;
    int rc = start(user, &conv, &h);
    if (rc == PAM_SUCCESS)
        rc = ask_started(h, user, password != NULL);
    int v = verdict(rc, password != NULL);
    if (v < 0)
        fprintf(stderr, "cjabberd-pam: service %s: %s\n", settings.service, h ? pam_strerror(h, rc) : "cannot start");
    if (h)
        pam_end(h, rc);
    return v;
}

/* --- frames --- */

static bool read_all(char *p, size_t n)
{
    while (n) {
        ssize_t r = read(0, p, n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return false;
        p += r;
        n -= (size_t)r;
    }
    return true;
}

/* Text up to the next ':', or all of it; NULL when there is no more. */
static char *part(char **rest, bool last)
{
    char *p = *rest, *end = p && !last ? strchr(p, ':') : NULL;
    *rest = end ? end + 1 : NULL;
    if (end)
        *end = '\0';
    return p;
}

static bool parse(char *text, struct question *q)
{
    char *rest = text;
    q->operation = part(&rest, false);
    q->user = part(&rest, false);
    q->host = part(&rest, false);
    q->password = part(&rest, true);
    return q->user && *q->user && q->host && (strcmp(q->operation, "auth") == 0) == (q->password != NULL);
}

static int answer(char *text, size_t n)
{
    struct question q;
    char name[FRAME_MAX + 1];
    if (memchr(text, '\0', n) || !parse(text, &q))
        return 0;
    if (strcmp(q.operation, "auth") != 0 && strcmp(q.operation, "isuser") != 0)
        return 0;
    snprintf(name, sizeof name, "%s%s%s", q.user, settings.jid ? "@" : "", settings.jid ? q.host : "");
    return ask_pam(name, q.password);
}

static int serve(void)
{
    static char text[FRAME_MAX + 1];
    for (int i = 0; i < ANSWERS_MAX; i++) {
        unsigned char head[2];
        if (!read_all((char *)head, 2))
            return 0;
        size_t n = (size_t)head[0] << 8 | head[1];
        if (!read_all(text, n))
            return 0;
        text[n] = '\0';
        alarm(PATIENCE_S);
        int v = answer(text, n);
        alarm(0);
        explicit_bzero(text, sizeof text);
        const char out[4] = {0, 2, 0, v == 1};
        if (v < 0)
            _exit(1); /* without the handlers of modules that are in trouble */
        if (write(1, out, sizeof out) != sizeof out)
            return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3 || !*argv[1] || strchr(argv[1], '/')) {
        fprintf(stderr, "usage: cjabberd-pam SERVICE username|jid\n");
        return 2;
    }
    settings.service = argv[1];
    settings.jid = strcmp(argv[2], "jid") == 0;
    prctl(PR_SET_DUMPABLE, 0);
    if (getauxval(AT_SECURE)) {
        clearenv();
        setenv("PATH", "/usr/bin:/bin", 1);
    } else {
        settings.confdir = getenv("CJABBERD_PAM_CONFDIR");
    }
    return serve();
}
