/* Streams that outlive the server, records of jobs, and the end of an account. */
#include "area.h"

#include "store/account.h"
#include "store/job.h"
#include "store/motd.h"
#include "store/oauth.h"
#include "store/privacy.h"
#include "store/private.h"
#include "store/roster.h"
#include "store/sm.h"
#include "store/spool.h"
#include "store/srg.h"
#include "store/vcard.h"

#define NOW 1700000000

static struct sm_session session(struct str id, struct str user)
{
    return (struct sm_session){.id = id, .host = HOST, .user = user, .resource = S("home"), .expires_s = NOW, .data = S("x")};
}

struct seen {
    uint32_t h[4096];
    struct str first;
    int n, stop_at;
};

static bool see(const struct sm_stanza *s, void *arg)
{
    struct seen *w = arg;

    w->h[w->n] = s->h;
    return ++w->n != w->stop_at;
}

static struct seen waiting(struct str id)
{
    struct seen w = {.n = 0};

    CHECK_INT(sm_stanzas(id, see, &w), STORE_OK);
    return w;
}

static void send_on(struct str id, uint32_t first, uint32_t n)
{
    struct sm_stanza s[16];

    for (uint32_t i = 0; i < n; i++)
        s[i] = (struct sm_stanza){.h = first + i, .sent_s = NOW, .xml = S("<message/>")};
    CHECK_INT(sm_save(id, &(struct sm_change){.sent = s, .n_sent = n}), STORE_OK);
}

static void one_stream(void *arg)
{
    struct arena *a = arena_new();
    struct sm_session s = session(S("id1"), S("ann")), found;
    struct seen w;

    CHECK_INT(sm_save(S("id1"), &(struct sm_change){.has_handled = true}), STORE_NONE);
    CHECK_INT(sm_add(&s), STORE_OK);
    CHECK_INT(sm_add(&s), STORE_CONFLICT);
    send_on(S("id1"), 1, 3);
    send_on(S("id1"), 4, 2);
    w = waiting(S("id1"));
    CHECK_INT(w.n, 5);
    for (int i = 0; i < 5; i++)
        CHECK_INT(w.h[i], i + 1);
    CHECK_INT(sm_save(S("id1"), &(struct sm_change){.has_acked = true, .acked = 3, .has_handled = true, .handled = 4000000000,
                                                    .has_expiry = true, .expires_s = NOW + 5, .data = S("y")}), STORE_OK);
    CHECK_INT(sm_get(a, S("id1"), &found), STORE_OK);
    CHECK(found.acked == 3 && found.handled == 4000000000 && found.expires_s == NOW + 5);
    CHECK_STR(found.data, S("y"));
    CHECK_STR(found.user, S("ann"));
    CHECK_STR(found.resource, S("home"));
    w = waiting(S("id1"));
    CHECK(w.n == 2 && w.h[0] == 4 && w.h[1] == 5);
    sm_acked_later(S("id1"), 4);
    CHECK_INT(sm_save(S("id1"), &(struct sm_change){0}), STORE_OK);
    w = waiting(S("id1"));
    CHECK(w.n == 1 && w.h[0] == 5);
    CHECK_INT(sm_remove(S("id1")), STORE_OK);
    CHECK_INT(sm_remove(S("id1")), STORE_NONE);
    CHECK_INT(waiting(S("id1")).n, 0);
    CHECK_INT(sm_get(a, S("id1"), &found), STORE_NONE);
    arena_release(&a);
}

/* XEP-0198 §4: the count goes from 2^32-1 to 0. */
static void turn_over(void *arg)
{
    struct sm_session s = session(S("id1"), S("ann"));
    struct seen w;

    CHECK_INT(sm_add(&s), STORE_OK);
    send_on(S("id1"), UINT32_MAX - 2, 6);
    w = waiting(S("id1"));
    CHECK(w.n == 6 && w.h[0] == UINT32_MAX - 2 && w.h[5] == 2);
    CHECK_INT(sm_save(S("id1"), &(struct sm_change){.has_acked = true, .acked = UINT32_MAX - 1}), STORE_OK);
    CHECK_INT(waiting(S("id1")).n, 4);
    CHECK_INT(sm_save(S("id1"), &(struct sm_change){.has_acked = true, .acked = 0}), STORE_OK);
    w = waiting(S("id1"));
    CHECK(w.n == 2 && w.h[0] == 1);
}

static void long_queue(void *arg)
{
    struct sm_session s = session(S("id1"), S("ann"));
    struct seen w = {.stop_at = 5};

    CHECK_INT(sm_add(&s), STORE_OK);
    for (uint32_t i = 0; i < 250; i++)
        send_on(S("id1"), 1 + i * 16, 16);
    CHECK_INT(sm_stanzas(S("id1"), see, &w), STORE_OK);
    CHECK_INT(w.n, 5);
    w = waiting(S("id1"));
    CHECK_INT(w.n, 4000);
    for (int i = 0; i < 4000; i++)
        CHECK_INT(w.h[i], i + 1);
}

static bool count(const struct sm_session *s, void *arg)
{
    ++*(int *)arg;
    return true;
}

static void expiry(void *arg)
{
    struct arena *a = arena_new();
    struct sm_stanza left[] = {{1, NOW - 9, S("<a/>")}, {2, NOW - 8, S("<b/>")}};
    struct sm_session *out, s;
    uint64_t waits;
    int all = 0;
    size_t n;

    for (int i = 0; i < 600; i++) {
        s = session(arena_printf(a, "s%d", i), S("ann"));
        s.expires_s = NOW + i;
        CHECK_INT(sm_add(&s), STORE_OK);
    }
    CHECK_INT(sm_each(count, &all), STORE_OK);
    CHECK_INT(all, 600);
    CHECK_INT(sm_expired(a, NOW + 9, 100, &out, &n), STORE_OK);
    CHECK_INT(n, 10);
    CHECK_STR(out[0].id, S("s0"));
    CHECK_INT(sm_expired(a, NOW + 1000, 100, &out, &n), STORE_OK);
    CHECK_INT(n, 100);
    send_on(S("s0"), 1, 2);
    CHECK_INT(sm_remove_to_spool(&out[0], left, 2, 1), STORE_LIMIT);
    CHECK_INT(waiting(S("s0")).n, 2);
    CHECK_INT(sm_remove_to_spool(&out[0], left, 2, 2), STORE_OK);
    CHECK_INT(sm_remove_to_spool(&out[0], left, 2, 0), STORE_NONE);
    CHECK_INT(spool_count(HOST, S("ann"), &waits), STORE_OK);
    CHECK_INT(waits, 2);
    CHECK_INT(waiting(S("s0")).n, 0);
    s = session(S("odd"), bad_texts[0]);
    CHECK_INT(sm_add(&s), STORE_REFUSED);
    CHECK_INT(sm_save(S("s1"), &(struct sm_change){.data = bad_texts[0]}), STORE_REFUSED);
    arena_release(&a);
}

static void jobs(void *arg)
{
    struct arena *a = arena_new();
    struct job j = {.kind = S("offline"), .host = HOST, .parameters = S("31 1000 10000"), .total = 5000, .started_s = NOW};
    struct job found, *all;
    int64_t id, other;
    uint64_t removed;
    size_t n;

    CHECK_INT(job_last(a, S("offline"), HOST, &found), STORE_NONE);
    CHECK_INT(job_start(&j, &id), STORE_OK);
    CHECK_INT(job_start(&j, &other), STORE_CONFLICT);
    CHECK_INT(other, id);
    j.host = OTHER;
    CHECK_INT(job_start(&j, &other), STORE_OK);
    CHECK(other != id);
    struct spool_sweep s = {.host = HOST, .before_s = NOW + 1, .job = id};
    for (int i = 0; i < 3; i++)
        CHECK_INT(spool_add(HOST, S("ann"), S("<message/>"), NOW, 0), STORE_OK);
    CHECK_INT(spool_sweep(&s, 2), STORE_OK);
    CHECK_INT(job_running(a, &all, &n), STORE_OK);
    CHECK_INT(n, 2);
    CHECK_INT(all[0].id, id);
    CHECK(s.at > 0 && s.removed == 2);
    CHECK_STR(all[0].position, arena_printf(a, "%lld", (long long)s.at));
    CHECK_STR(all[0].parameters, S("31 1000 10000"));
    CHECK(all[0].done == 2 && all[0].total == 5000 && all[0].started_s == NOW && all[0].finished_s == 0);
    CHECK_INT(job_finish(id, JOB_FAILED, 2000, S("disk full"), NOW + 60), STORE_OK);
    CHECK_INT(job_finish(id, JOB_DONE, 2000, S(""), NOW + 60), STORE_NONE);
    /* Stopped: not one message more. */
    CHECK_INT(spool_sweep(&s, 2), STORE_NONE);
    CHECK_INT(spool_count(HOST, S("ann"), &removed), STORE_OK);
    CHECK_INT(removed, 1);
    CHECK_INT(job_last(a, S("offline"), HOST, &found), STORE_OK);
    CHECK(found.state == JOB_FAILED && found.done == 2000 && found.finished_s == NOW + 60);
    CHECK_STR(found.error, S("disk full"));
    j.host = HOST;
    CHECK_INT(job_start(&j, &id), STORE_OK);
    CHECK_INT(job_last(a, S("offline"), HOST, &found), STORE_OK);
    CHECK(found.id == id && found.state == JOB_RUNNING);
    CHECK_INT(job_abort(other, NOW), STORE_OK);
    CHECK_INT(job_abort(other, NOW), STORE_NONE);
    CHECK_INT(job_last(a, S("offline"), OTHER, &found), STORE_OK);
    CHECK(found.state == JOB_ABORTED && found.finished_s == NOW);
    CHECK_INT(job_forget(NOW + 61, &removed), STORE_OK);
    CHECK_INT(removed, 2);
    CHECK_INT(job_running(a, &all, &n), STORE_OK);
    CHECK_INT(n, 1);
    arena_release(&a);
}

/* What a client may send again: kept once, until the stream's count has passed it. */
static void once(void *arg)
{
    struct sm_session s = session(S("once"), S("ann"));
    struct sm_change c = {.has_handled = true, .has_done = true, .handled = 1};

    CHECK_INT(sm_add(&s), STORE_OK);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(spool_add_once(HOST, S("bob"), S("<m/>"), NOW, 0, S("once"), UINT32_MAX), STORE_OK);
        CHECK_INT(spool_add_once(HOST, S("bob"), S("<m/>"), NOW, 0, S("once"), 1), STORE_OK);
        CHECK_INT(spool_add_once(HOST, S("bob"), S("<m/>"), NOW, 0, S("once"), (7ll << 33) + 2), STORE_OK);
        CHECK_INT(spool_add_once(HOST, S("eve"), S("<m/>"), NOW, 0, S("once"), 2), STORE_OK);
        CHECK_INT(spool_add_once(HOST, S("bob"), S("<m/>"), NOW, 0, S("once"), (1ll << 32) + 1), STORE_OK);
    }
    CHECK_INT(raw_int("SELECT count(*) FROM spool WHERE username = 'bob'"), 4);
    CHECK_INT(raw_int("SELECT count(*) FROM spool WHERE username = 'eve'"), 1);
    CHECK_INT(spool_add_once(HOST, S("bob"), S("<m/>"), NOW, 1, S("once"), 3), STORE_LIMIT);
    CHECK_INT(raw_int("SELECT count(*) FROM cj_sm_done"), 5);
    CHECK_INT(sm_save(S("once"), &c), STORE_OK);
    CHECK_INT(raw_int("SELECT count(*) FROM cj_sm_done"), 3);
    CHECK_INT(spool_add_once(HOST, S("bob"), S("<m/>"), NOW, 0, S("nobody"), 3), STORE_OK);
    CHECK_INT(sm_sweep_done(), STORE_OK);
    CHECK_INT(raw_int("SELECT count(*) FROM cj_sm_done"), 3);
    CHECK_INT(sm_remove(S("once")), STORE_OK);
    CHECK_INT(raw_int("SELECT count(*) FROM cj_sm_done"), 0);
    CHECK_INT(spool_remove_all(HOST, S("bob"), &(uint64_t){0}), STORE_OK);
    CHECK_INT(spool_remove_all(HOST, S("eve"), &(uint64_t){0}), STORE_OK);
}

/* --- the end of an account --- */

/* A row in every table that says the name. */
static void live(struct str user)
{
    struct arena *a = arena_new();
    struct user_creds c = plain_creds(S("secret"));
    struct str group = S("g"), jid = arena_printf(a, "%.*s@a.example", STR_ARG(user)), fields[VCARD_FIELD_COUNT] = {0};
    struct roster_item i = {.jid = S("x@b.example"), .nick = user, .subscription = ROSTER_TO, .ask = ROSTER_ASK_NONE,
                            .groups = &group, .n_groups = 1};
    struct privacy_item p = {.type = PRIVACY_ANY, .order = 1};
    struct sm_session s = session(user, user);
    struct oauth_token_row t = {.token = user, .owner = jid, .scopes = S("x"), .expires_s = NOW};

    CHECK_INT(users_add(HOST, user, &c), STORE_OK);
    CHECK_INT(roster_set(HOST, user, &i, 1, NULL), STORE_OK);
    CHECK_INT(spool_add(HOST, user, S("<m/>"), NOW, 0), STORE_OK);
    CHECK_INT(vcard_set(HOST, user, S("<v/>"), fields), STORE_OK);
    CHECK_INT(private_set(HOST, user, &(struct private_element){S("ns"), S("<p/>")}, 1), STORE_OK);
    CHECK_INT(privacy_set(HOST, user, S("l"), &(struct privacy_list){&p, 1}, true), STORE_OK);
    CHECK_INT(motd_set_seen(HOST, user), STORE_OK);
    CHECK_INT(srg_add_member(HOST, S("g"), jid), STORE_OK);
    CHECK_INT(sm_add(&s), STORE_OK);
    send_on(user, 1, 1);
    CHECK_INT(oauth_token_add(&t), STORE_OK);
    arena_release(&a);
}

static const char *const tables[] = {"users", "last", "rosterusers", "rostergroups", "roster_version", "spool", "vcard",
                                     "vcard_search", "private_storage", "privacy_list", "privacy_list_data",
                                     "privacy_default_list", "sr_user",
                                     "cj_sm_session", "cj_sm_stanza", "oauth_token"};

static void rows_each(long long n)
{
    char sql[64];

    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", tables[i]);
        if (raw_int(sql) != n) {
            fprintf(stderr, "%s: %lld, not %lld\n", sql, raw_int(sql), n);
            abort();
        }
    }
    CHECK_INT(raw_int("SELECT count(*) FROM motd"), n + 1);
}

static void end_of_account(void *arg)
{
    struct user_creds c = plain_creds(S("secret"));

    CHECK_INT(motd_set(HOST, S("<m/>"), false), STORE_OK);
    live(S("ann"));
    live(S("bob"));
    rows_each(2);
    CHECK_INT(account_remove(HOST, S("nobody"), NULL), STORE_NONE);
    CHECK_INT(account_remove(HOST, bad_texts[0], NULL), STORE_NONE);
    if (multihost)
        CHECK_INT(account_remove(OTHER, S("ann"), NULL), STORE_NONE);
    rows_each(2);
    CHECK_INT(account_remove(HOST, S("ann"), NULL), STORE_OK);
    rows_each(1);
    CHECK_INT(account_remove(HOST, S("ann"), NULL), STORE_NONE);
    CHECK_INT(raw_int("SELECT count(*) FROM users WHERE username = 'bob'"), 1);
    /* The message of the day is kept under the empty name. */
    CHECK_INT(users_add(HOST, S(""), &c), STORE_OK);
    CHECK_INT(account_remove(HOST, S(""), NULL), STORE_OK);
    rows_each(1);
}

AREA_TESTS(one_stream, turn_over, long_queue, expiry, jobs, once, end_of_account)
AREA_MAIN()
