/* See the header. */
#include "admin/oauth_page.h"

#include "admin/command.h"
#include "xml/writer.h"

static const struct {
    int64_t seconds;
    const char *words;
} lifetimes[] = {
    {3600, "1 hour"}, {86400, "1 day"}, {7 * 86400, "1 week"}, {30 * 86400, "30 days"}, {365 * 86400, "1 year"},
};

static void escaped(struct buf *out, struct str text)
{
    xml_escape_attr(out, text);
}

static void head(struct buf *out, const char *title)
{
    buf_printf(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>%s</title>\n"
                    "<link rel=\"stylesheet\" href=\"style.css\">\n</head>\n<body>\n<main>\n", title);
}

static void foot(struct buf *out)
{
    buf_add_str(out, S("</main>\n</body>\n</html>\n"));
}

static void hidden(struct buf *out, const char *name, struct str value)
{
    buf_printf(out, "<input type=\"hidden\" name=\"%s\" value=\"", name);
    escaped(out, value);
    buf_add_str(out, S("\">\n"));
}

static void scope_words(struct buf *out, struct str scope)
{
    const struct command *cmd = command_find(scope);
    if (str_eq(scope, S("sasl_auth"))) {
        buf_add_str(out, S("Log in to chat as you"));
    } else if (str_eq(scope, S("ejabberd:admin"))) {
        buf_add_str(out, S("Use your rights as an administrator of this server"));
    } else if (str_eq(scope, S("ejabberd:user"))) {
        buf_add_str(out, S("Use your account through the server\xE2\x80\x99s API"));
    } else if (cmd) {
        escaped(out, str_of(cmd->d->brief));
    }
    if (out->p[out->n - 1] != '>')
        buf_add_c(out, ' ');
    buf_add_str(out, S("<code>"));
    escaped(out, scope);
    buf_add_str(out, S("</code>"));
}

static void scopes(struct buf *out, const struct oauth_ask *ask)
{
    if (!ask->scope_count) {
        buf_add_str(out, S("<p>It would learn that this account is yours.</p>\n"));
        return;
    }
    buf_add_str(out, S("<p>It would be allowed to:</p>\n<ul>\n"));
    for (size_t i = 0; i < ask->scope_count; i++) {
        buf_add_str(out, S("<li>"));
        scope_words(out, ask->scopes[i]);
        buf_add_str(out, S("</li>\n"));
    }
    buf_add_str(out, S("</ul>\n"));
}

static void lifetime(struct buf *out, int64_t chosen)
{
    bool listed = false;
    buf_add_str(out, S("<label for=\"ttl\">Allow this for</label>\n<select id=\"ttl\" name=\"ttl\">\n"));
    for (size_t i = 0; i < ARRAY_LEN(lifetimes); i++) {
        listed = listed || lifetimes[i].seconds == chosen;
        buf_printf(out, "<option value=\"%lld\"%s>%s</option>\n", (long long)lifetimes[i].seconds,
                   lifetimes[i].seconds == chosen ? " selected" : "", lifetimes[i].words);
    }
    if (!listed)
        buf_printf(out, "<option value=\"%lld\" selected>%lld days</option>\n", (long long)chosen, (long long)(chosen / 86400));
    buf_add_str(out, S("</select>\n"));
}

static void fields(struct buf *out, const struct oauth_ask *ask)
{
    buf_add_str(out, S("<form method=\"post\" action=\"authorization_token\">\n"));
    hidden(out, "response_type", S("token"));
    hidden(out, "client_id", ask->client_id);
    hidden(out, "redirect_uri", ask->redirect_uri);
    hidden(out, "scope", ask->scope);
    hidden(out, "state", ask->state);
    buf_add_str(out, S("<label for=\"username\">Address</label>\n<input id=\"username\" name=\"username\" type=\"text\" "
                       "placeholder=\"name@example.org\" autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" "
                       "required value=\""));
    escaped(out, ask->username);
    buf_add_str(out, S("\">\n<label for=\"password\">Password</label>\n<input id=\"password\" name=\"password\" "
                       "type=\"password\" autocomplete=\"current-password\" required>\n"));
    lifetime(out, ask->ttl_s);
    buf_add_str(out, S("<div class=\"choice\">\n<button type=\"submit\">Allow</button>\n<button type=\"submit\" name=\"decision\" "
                       "value=\"deny\" class=\"plain\" formnovalidate>Deny</button>\n</div>\n</form>\n"));
}

void oauth_page_form(struct buf *out, const struct oauth_ask *ask)
{
    struct str origin = oauth_origin(ask->redirect_uri);
    head(out, "Authorize access");
    buf_add_str(out, S("<h1>"));
    escaped(out, ask->client_name.n ? ask->client_name : ask->client_id);
    buf_add_str(out, S(" asks for access to your account</h1>\n"));
    if (ask->complaint)
        buf_printf(out, "<p class=\"complaint\" role=\"alert\">%s</p>\n", ask->complaint);
    scopes(out, ask);
    buf_add_str(out, S("<p>You will be sent to <strong>"));
    escaped(out, origin.n ? origin : ask->redirect_uri);
    buf_add_str(out, S("</strong>, which never sees your password.</p>\n"));
    fields(out, ask);
    foot(out);
}

void oauth_page_error(struct buf *out, const char *headline, const char *words)
{
    head(out, headline);
    buf_printf(out, "<h1>%s</h1>\n<p>%s</p>\n", headline, words);
    foot(out);
}

struct str oauth_page_style(void)
{
    return S(":root{color-scheme:light dark;--text:#1b1f24;--back:#f4f5f7;--card:#fff;--line:#8a929c;--strong:#0a58ca;"
             "--bad:#b3261e}\n"
             "@media(prefers-color-scheme:dark){:root{--text:#e8eaed;--back:#15181c;--card:#1f2329;--line:#7d8590;"
             "--strong:#2f6fdb;--bad:#ff8a80}}\n"
             "*{box-sizing:border-box}\n"
             "body{margin:0;background:var(--back);color:var(--text);font:1rem/1.5 system-ui,sans-serif}\n"
             "main{max-width:28rem;margin:3rem auto;padding:1.5rem 2rem;background:var(--card);border-radius:.75rem;"
             "overflow-wrap:anywhere}\n"
             "h1{font-size:1.3rem;line-height:1.3;margin-top:0}\n"
             "label{display:block;margin-top:1rem;font-weight:600}\n"
             "input,select{width:100%;padding:.6rem;font:inherit;color:inherit;background:transparent;border:1px solid var(--line);"
             "border-radius:.4rem}\n"
             "select option{background:var(--card)}\n"
             ".choice{display:flex;gap:.75rem;margin-top:1.5rem}\n"
             "button{flex:1;padding:.7rem;font:inherit;font-weight:600;color:#fff;background:var(--strong);border:1px solid "
             "var(--strong);border-radius:.4rem;cursor:pointer}\n"
             "button.plain{color:inherit;background:transparent;border-color:var(--line)}\n"
             ":focus-visible{outline:3px solid var(--strong);outline-offset:2px}\n"
             ".complaint{color:var(--bad);font-weight:600}\n");
}

static bool origin_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr(".-:[]", c);
}

struct str oauth_origin(struct str uri)
{
    ptrdiff_t colon = str_find(uri, ':');
    size_t n = colon < 0 ? 0 : (size_t)colon + 3;
    if (!(str_starts(uri, S("http://")) || str_starts(uri, S("https://"))))
        return STR_NULL;
    while (n < uri.n && uri.p[n] && origin_char(uri.p[n]))
        n++;
    bool ends = n == uri.n || uri.p[n] == '/' || uri.p[n] == '?';
    return ends && n > (size_t)colon + 3 ? str_n(uri.p, n) : STR_NULL;
}
