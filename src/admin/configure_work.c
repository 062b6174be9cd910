/*
 * What the nodes of mod_configure do, and their table. Each runs commands of the table on the fiber of the IQ; permission was
 * checked for the host that was addressed, and is checked here for that of every account that is named.
 */
#include "admin/configure.h"

#include "admin/args.h"
#include "core/account/roster.h"
#include "core/config/config.h"
#include "rt/fiber.h"

#define CALL_ARGS_MAX 4

/* --- running a command of the table --- */

struct argument {
    const char *name;
    struct str value;
};

static struct cmd_call *new_call(struct configure_ask *k, const char *name, const struct argument *args)
{
    const struct command *cmd = command_find(str_of(name));
    struct cmd_call *c = cmd_call_new(cmd, command_shape(cmd, API_NEWEST), API_NEWEST);
    struct tree items[CALL_ARGS_MAX], all = {.kind = TREE_STRUCT, .items = items};
    struct str names[CALL_ARGS_MAX];
    struct api_caller *caller = ARENA_NEW(c->arena, struct api_caller);
    *caller = k->caller;
    caller->who.jid = jid_copy(c->arena, k->caller.who.jid);
    c->caller = caller;
    all.names = names;
    for (; args && args[all.n].name; all.n++) {
        names[all.n] = str_of(args[all.n].name);
        items[all.n] = (struct tree){.kind = TREE_TEXT, .s = arena_str(c->arena, args[all.n].value)};
    }
    args_bind_tree(c, &all, NULL);
    return c;
}

/* Runs it; the result is in k->last. ADHOC_DONE, or ADHOC_FAILED with the reason. */
static enum adhoc_outcome run(struct configure_ask *k, const char *name, const struct argument *args) YIELDS;
static enum adhoc_outcome run(struct configure_ask *k, const char *name, const struct argument *args)
{
    size_t total;
    cmd_call_end(&k->last);
    k->last = new_call(k, name, args);
    if (k->last->failure.code || adhoc_run(&k->last, &total) < 0)
        return adhoc_fail(k->call, k->last->failure.code, "%.*s", STR_ARG(k->last->failure.text));
    const struct cmd_call *c = k->last;
    struct str why = c->reason.n ? c->reason : S("The command was not successful");
    bool failed = c->shape->result->kind == V_RESCODE && c->result.i;
    return failed ? adhoc_fail(k->call, ERR_NOT_ALLOWED, "%.*s", STR_ARG(why)) : ADHOC_DONE;
}

/* --- fields --- */

static struct str field(const struct configure_ask *k, const char *var)
{
    return dataform_value(k->call->form, str_of(var));
}

/* Whoever administers one host must not take hold of an account that may do more: its password would be theirs. */
static bool account_above(const struct configure_ask *k, const struct config *c, struct jid account)
{
    struct access_subject target = {.jid = jid_to_bare(account), .any_ip = true};
    unsigned asked = k->call->host;
    if (configure_everywhere(c, asked, &k->caller.who))
        return false;
    return configure_everywhere(c, asked, &target) || api_account_above(c, target.jid, &k->caller);
}

/* An account of a host that the asker may configure. */
static bool read_account(struct configure_ask *k, struct str text, struct jid *out)
{
    const struct config *c = config_current();
    const struct vhost *h = NULL;
    if (!jid_parse(k->call->arena, text, out) || !out->user_len)
        adhoc_bad_payload(k->call, "'%.*s' is not the address of an account", (int)(text.n < 100 ? text.n : 100),
                          text.p ? text.p : "");
    else if (!(h = config_host(c, jid_host(*out))))
        adhoc_bad_payload(k->call, "%.*s is not a host of this server", STR_ARG(jid_host(*out)));
    else if (!configure_allowed(c, k->call->host, h->index, &k->caller.who) || account_above(k, c, *out))
        adhoc_forbidden(k->call);
    else
        return true;
    return false;
}

static struct xml_el *result_form(const struct configure_ask *k)
{
    struct xml_el *x = dataform_new(k->call->arena, k->call->command, DATAFORM_RESULT);
    dataform_form_type(k->call->arena, x, S(CONFIGURE_NS));
    return x;
}

static struct xml_el *result_field(const struct configure_ask *k, struct xml_el *x, const char *type, const char *var,
                                   const char *label)
{
    return dataform_add(k->call->arena, x, str_of(type), str_of(var), str_of(label));
}

/* --- accounts --- */

static enum adhoc_outcome add_user(struct configure_ask *k) YIELDS;
static enum adhoc_outcome add_user(struct configure_ask *k)
{
    struct jid jid;
    const struct dataform_field *password = dataform_find(k->call->form, S("password"));
    const struct dataform_field *verify = dataform_find(k->call->form, S("password-verify"));
    if (!read_account(k, field(k, "accountjid"), &jid))
        return ADHOC_FAILED;
    if (!password || !password->n || !verify || !verify->n)
        return adhoc_bad_payload(k->call, "The password is missing");
    if (!str_eq(password->values[0], verify->values[0]))
        return adhoc_bad_payload(k->call, "The two passwords differ");
    return run(k, "register", (struct argument[]){{"user", jid_user(jid)}, {"host", jid_host(jid)},
                                                  {"password", password->values[0]}, {NULL}});
}

static enum adhoc_outcome check_exists(struct configure_ask *k, struct jid jid) YIELDS;
static enum adhoc_outcome check_exists(struct configure_ask *k, struct jid jid)
{
    enum adhoc_outcome o = run(k, "check_account", (struct argument[]){{"user", jid_user(jid)}, {"host", jid_host(jid)}, {NULL}});
    if (o == ADHOC_FAILED && k->call->code == ERR_NOT_ALLOWED)
        return adhoc_fail(k->call, ERR_NOT_FOUND, "There is no account %.*s", STR_ARG(jid_bare(jid)));
    return o;
}

/* All addresses are looked at before the first account goes. */
static enum adhoc_outcome delete_user(struct configure_ask *k) YIELDS;
static enum adhoc_outcome delete_user(struct configure_ask *k)
{
    const struct dataform_field *f = dataform_find(k->call->form, S("accountjids"));
    size_t n = f ? f->n : 0, all = 0;
    struct jid *jids = ARENA_ARRAY(k->call->arena, struct jid, n + 1);
    for (size_t i = 0; i < n; i++)
        if (!str_empty(str_trim(f->values[i])) && !read_account(k, str_trim(f->values[i]), &jids[all++]))
            return ADHOC_FAILED;
    if (all == 0)
        return adhoc_bad_payload(k->call, "No account is named");
    for (size_t i = 0; i < all; i++)
        if (check_exists(k, jids[i]) != ADHOC_DONE)
            return ADHOC_FAILED;
    for (size_t i = 0; i < all; i++)
        if (run(k, "unregister", (struct argument[]){{"user", jid_user(jids[i])}, {"host", jid_host(jids[i])}, {NULL}}) !=
            ADHOC_DONE)
            return ADHOC_FAILED;
    return ADHOC_DONE;
}

static enum adhoc_outcome end_session(struct configure_ask *k) YIELDS;
static enum adhoc_outcome end_session(struct configure_ask *k)
{
    struct jid jid;
    if (!read_account(k, field(k, "accountjid"), &jid))
        return ADHOC_FAILED;
    if (jid_is_bare(jid))
        return run(k, "kick_user", (struct argument[]){{"user", jid_user(jid)}, {"host", jid_host(jid)}, {NULL}});
    return run(k, "kick_session", (struct argument[]){{"user", jid_user(jid)}, {"host", jid_host(jid)},
                                                      {"resource", jid_res(jid)},
                                                      {"reason", S("Ended by an administrator")}, {NULL}});
}

static enum adhoc_outcome change_password(struct configure_ask *k) YIELDS;
static enum adhoc_outcome change_password(struct configure_ask *k)
{
    struct jid jid;
    const struct dataform_field *password = dataform_find(k->call->form, S("password"));
    if (!read_account(k, field(k, "accountjid"), &jid))
        return ADHOC_FAILED;
    if (!password || !password->n)
        return adhoc_bad_payload(k->call, "The password is missing");
    return run(k, "change_password", (struct argument[]){{"user", jid_user(jid)}, {"host", jid_host(jid)},
                                                         {"newpass", password->values[0]}, {NULL}});
}

static enum adhoc_outcome last_login(struct configure_ask *k) YIELDS;
static enum adhoc_outcome last_login(struct configure_ask *k)
{
    struct jid jid;
    if (!read_account(k, field(k, "accountjid"), &jid) || check_exists(k, jid) != ADHOC_DONE ||
        run(k, "get_last", (struct argument[]){{"user", jid_user(jid)}, {"host", jid_host(jid)}, {NULL}}) != ADHOC_DONE)
        return ADHOC_FAILED;
    const struct value *v = k->last->result.items;
    bool online = str_eq(v[1].s, S("ONLINE")), never = str_eq(v[1].s, S("NOT FOUND"));
    struct xml_el *x = result_form(k);
    dataform_add_value(k->call->arena, result_field(k, x, "jid-single", "accountjid", "Jabber ID"), jid_bare(jid));
    dataform_add_value(k->call->arena, result_field(k, x, "text-single", "lastlogin", "Last login"),
                       online ? S("Online") : never ? S("Never") : v[0].s);
    return ADHOC_DONE;
}

static void add_sessions(struct configure_ask *k, struct xml_el *x)
{
    static const struct {
        const char *of, *type, *var, *label;
    } parts[] = {{"ip", "text-multi", "ipaddresses", "IP addresses"}, {"resource", "text-multi", "onlineresources", "Resources"}};
    const struct type *el = &k->last->shape->result->of[0];
    for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
        struct xml_el *f = result_field(k, x, parts[p].type, parts[p].var, parts[p].label);
        for (size_t r = 0; r < k->last->row_count; r++)
            for (unsigned i = 0; i < el->count; i++)
                if (!strcmp(el->of[i].name, parts[p].of))
                    dataform_add_value(k->call->arena, f, k->last->rows[r].items[i].s);
    }
}

static enum adhoc_outcome user_stats(struct configure_ask *k) YIELDS;
static enum adhoc_outcome user_stats(struct configure_ask *k)
{
    struct jid jid;
    if (!read_account(k, field(k, "accountjid"), &jid) || check_exists(k, jid) != ADHOC_DONE)
        return ADHOC_FAILED;
    const struct argument who[] = {{"user", jid_user(jid)}, {"host", jid_host(jid)}, {NULL}};
    if (run(k, "user_sessions_info", who) != ADHOC_DONE)
        return ADHOC_FAILED;
    struct xml_el *x = result_form(k);
    dataform_add_value(k->call->arena, result_field(k, x, "jid-single", "accountjid", "Jabber ID"), jid_bare(jid));
    add_sessions(k, x);
    const struct vhost *h = config_host(config_current(), jid_host(jid));
    if (!h || !roster_on(h->index)) /* the rest is worth having */
        return ADHOC_DONE;
    if (run(k, "get_roster_count", who) != ADHOC_DONE)
        return ADHOC_FAILED;
    dataform_add_value(k->call->arena, result_field(k, x, "text-single", "rostersize", "Roster size"),
                       arena_printf(k->call->arena, "%lld", (long long)k->last->result.i));
    return ADHOC_DONE;
}

/* --- lists and numbers of the host --- */

static void note_cut(struct configure_ask *k)
{
    if (k->last->row_count == ADHOC_ROWS_MAX)
        adhoc_note(k->call, "warn", S("The list was cut: there may be more"));
}

static enum adhoc_outcome registered_list(struct configure_ask *k) YIELDS;
static enum adhoc_outcome registered_list(struct configure_ask *k)
{
    struct str host = jid_host(k->call->request->to);
    if (run(k, "registered_users", (struct argument[]){{"host", host}, {NULL}}) != ADHOC_DONE)
        return ADHOC_FAILED;
    struct xml_el *f = result_field(k, result_form(k), "jid-multi", "registereduserjids", "The list of all users");
    for (size_t i = 0; i < k->last->row_count; i++)
        dataform_add_value(k->call->arena, f,
                           arena_printf(k->call->arena, "%.*s@%.*s", STR_ARG(k->last->rows[i].s), STR_ARG(host)));
    note_cut(k);
    return ADHOC_DONE;
}

/* Sorted: the sessions of an account stand together. */
static enum adhoc_outcome online_list(struct configure_ask *k) YIELDS;
static enum adhoc_outcome online_list(struct configure_ask *k)
{
    struct str host = jid_host(k->call->request->to), last = STR_NULL;
    if (run(k, "connected_users_vhost", (struct argument[]){{"host", host}, {NULL}}) != ADHOC_DONE)
        return ADHOC_FAILED;
    struct xml_el *f = result_field(k, result_form(k), "jid-multi", "onlineuserjids", "The list of all online users");
    for (size_t i = 0; i < k->last->row_count; i++) {
        struct str bare = k->last->rows[i].s;
        ptrdiff_t slash = str_find(bare, '/');
        if (slash >= 0)
            bare.n = (size_t)slash;
        if (!str_eq(bare, last))
            dataform_add_value(k->call->arena, f, bare);
        last = bare;
    }
    note_cut(k);
    return ADHOC_DONE;
}

static enum adhoc_outcome number(struct configure_ask *k, struct str name, const char *var, const char *label) YIELDS;
static enum adhoc_outcome number(struct configure_ask *k, struct str name, const char *var, const char *label)
{
    struct str host = jid_host(k->call->request->to);
    if (run(k, "stats_host", (struct argument[]){{"name", name}, {"host", host}, {NULL}}) != ADHOC_DONE)
        return ADHOC_FAILED;
    dataform_add_value(k->call->arena, result_field(k, result_form(k), "text-single", var, label),
                       arena_printf(k->call->arena, "%lld", (long long)k->last->result.i));
    return ADHOC_DONE;
}

static enum adhoc_outcome registered_number(struct configure_ask *k) YIELDS;
static enum adhoc_outcome registered_number(struct configure_ask *k)
{
    return number(k, S("registeredusers"), "registeredusersnum", "Number of registered users");
}

static enum adhoc_outcome online_number(struct configure_ask *k) YIELDS;
static enum adhoc_outcome online_number(struct configure_ask *k)
{
    return number(k, S("onlineusers"), "onlineusersnum", "Number of online users");
}

/* --- the server --- */

static enum adhoc_outcome with_file(struct configure_ask *k) YIELDS;
static enum adhoc_outcome with_file(struct configure_ask *k)
{
    struct str path = field(k, "path");
    if (str_empty(path))
        return adhoc_bad_payload(k->call, "The path is missing");
    return run(k, k->node->command, (struct argument[]){{"file", path}, {NULL}});
}

/* The end of the server, after the answer: on a fiber of its own, which owns what it needs. */
struct ending {
    struct arena *arena;
    struct configure_ask ask;
    struct adhoc_call call;
    struct str delay, announcement;
    bool restart;
};

static void end_server(void *arg) YIELDS;
static void end_server(void *arg)
{
    struct ending *e = arg;
    struct arena *a = e->arena;
    const struct argument kindly[] = {{"delay", e->delay}, {"announcement", e->announcement}, {NULL}};
    bool waits = e->announcement.n || !str_eq(e->delay, S("1"));
    fiber_sleep(0); /* the answer goes first */
    if (!e->restart)
        run(&e->ask, waits ? "stop_kindly" : "stop", waits ? kindly : NULL);
    else if (!waits || run(&e->ask, "evacuate_kindly", kindly) == ADHOC_DONE)
        run(&e->ask, "restart", NULL);
    cmd_call_end(&e->ask.last);
    arena_release(&a);
}

static bool is_delay(struct str text)
{
    int64_t s;
    return str_to_i64(text, &s) && s >= 1 && s <= 1800;
}

static struct str announcement_of(struct configure_ask *k, struct arena *a)
{
    const struct dataform_field *f = dataform_find(k->call->form, S("announcement"));
    struct str subject = field(k, "subject"), text = f && f->n ? dataform_lines(a, f) : STR_NULL;
    if (subject.n && text.n)
        return arena_printf(a, "%.*s: %.*s", STR_ARG(subject), STR_ARG(text));
    return arena_str(a, subject.n ? subject : text);
}

static enum adhoc_outcome end(struct configure_ask *k, bool restart)
{
    struct arena *a = arena_new();
    struct ending *e = ARENA_NEW(a, struct ending);
    if (!is_delay(field(k, "delay"))) {
        arena_release(&a);
        return adhoc_bad_payload(k->call, "The delay must be 1 to 1800 seconds");
    }
    e->arena = a;
    e->restart = restart;
    e->delay = arena_str(a, field(k, "delay"));
    e->announcement = announcement_of(k, a);
    e->call.arena = a;
    e->ask = (struct configure_ask){.call = &e->call, .caller = k->caller};
    e->ask.caller.who.jid = jid_copy(a, k->caller.who.jid);
    fiber_run(end_server, e);
    return ADHOC_DONE;
}

static enum adhoc_outcome restart(struct configure_ask *k)
{
    return end(k, true);
}

static enum adhoc_outcome shut_down(struct configure_ask *k)
{
    return end(k, false);
}

/* --- the table --- */

#define ADMIN(name) CONFIGURE_NS "#" name
#define FIELDS(...) (const struct configure_field[]){__VA_ARGS__, {0}}
#define ACCOUNT {"jid-single", "accountjid", "Jabber ID", .required = true}
#define USER .parent = "user"
#define PATH(label_) FIELDS({"text-single", "path", label_, .empty = true})
#define ENDING                                                                                                      \
    FIELDS({"list-single", "delay", "Time delay", .required = true, .delays = true},                                \
           {"fixed", NULL, "Send announcement to all online users on all hosts"}, {"text-single", "subject", "Subject"}, \
           {"text-multi", "announcement", "Message body"})

const struct configure_node configure_nodes[] = {
    {ADMIN("add-user"), USER, .name = "Add User", .command = "register", .work = add_user,
     .fields = FIELDS(ACCOUNT, {"text-private", "password", "Password", .required = true},
                      {"text-private", "password-verify", "Password Verification", .required = true})},
    {ADMIN("delete-user"), USER, .name = "Delete User", .command = "unregister", .work = delete_user,
     .fields = FIELDS({"jid-multi", "accountjids", "Jabber ID", .required = true})},
    {ADMIN("end-user-session"), USER, .name = "End User Session", .command = "kick_user", .work = end_session,
     .fields = FIELDS(ACCOUNT)},
    {ADMIN("change-user-password"), USER, .name = "Change User Password", .command = "change_password", .work = change_password,
     .fields = FIELDS(ACCOUNT, {"text-private", "password", "Password", .required = true})},
    {ADMIN("get-user-lastlogin"), USER, .name = "Get User Last Login Time", .command = "get_last", .work = last_login,
     .fields = FIELDS(ACCOUNT)},
    {ADMIN("user-stats"), USER, .name = "Get User Statistics", .command = "user_sessions_info", .work = user_stats,
     .fields = FIELDS(ACCOUNT)},
    {ADMIN("get-registered-users-list"), USER, .name = "Get List of Registered Users", .command = "registered_users",
     .work = registered_list},
    {ADMIN("get-registered-users-num"), USER, .name = "Get Number of Registered Users", .command = "stats_host",
     .work = registered_number},
    {ADMIN("get-online-users-list"), USER, .name = "Get List of Online Users", .command = "connected_users_vhost",
     .work = online_list},
    {ADMIN("get-online-users-num"), USER, .name = "Get Number of Online Users", .command = "stats_host", .work = online_number},
    {"/backup/backup", true, "/backup", "Backup", "Backup to File at", "Enter path to backup file", "backup",
     PATH("Path to File"), with_file},
    {"/backup/restore", true, "/backup", "Restore", "Restore Backup from File at", "Enter path to backup file", "restore",
     PATH("Path to File"), with_file},
    {"/backup/textfile", true, "/backup", "Dump to Text File", "Dump Backup to Text File at", "Enter path to text file", "dump",
     PATH("Path to File"), with_file},
    {"/import/file", true, "/import", "Import File", "Import User from File at", "Enter path to jabberd14 spool file",
     "import_file", PATH("Path to File"), with_file},
    {"/import/dir", true, "/import", "Import Directory", "Import Users from Dir at", "Enter path to jabberd14 spool dir",
     "import_dir", PATH("Path to Dir"), with_file},
    {"/restart", true, "", "Restart Service", .command = "restart", .fields = ENDING, .work = restart},
    {"/shutdown", true, "", "Shut Down Service", .command = "stop", .fields = ENDING, .work = shut_down},
};
const size_t configure_node_count = ARRAY_LEN(configure_nodes);
