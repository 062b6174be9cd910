/*
 * The commands as an OpenAPI 3.1 document, for generators of clients and for tools that try requests. A command's newest shape
 * stands at /api/NAME, older ones at /api/NAME/vN. Pure functions.
 */
#include "admin/doc.h"

#include "admin/out.h"
#include "core/server.h"

static void schema(struct buf *out, const struct type *t, const char *help, bool answer);

static void properties(struct buf *out, const struct type *types, unsigned n, bool answer)
{
    buf_add_str(out, S("\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"));
    for (unsigned i = 0; i < n; i++) {
        buf_printf(out, "%s\"%s\":", i ? "," : "", types[i].name);
        schema(out, &types[i], types[i].help, answer);
    }
    buf_add_c(out, '}');
}

/* Lists may be left out; everything else has to be there. */
static void required(struct buf *out, const struct type *types, unsigned n, bool lists_too)
{
    bool any = false;
    for (unsigned i = 0; i < n; i++) {
        if (types[i].kind == V_LIST && !lists_too)
            continue;
        buf_printf(out, "%s\"%s\"", any ? "," : ",\"required\":[", types[i].name);
        any = true;
    }
    buf_add_str(out, any ? S("]") : S(""));
}

static void list_schema(struct buf *out, const struct type *t, bool answer)
{
    if (answer && type_is_map(t)) {
        buf_add_str(out, S("\"type\":\"object\",\"additionalProperties\":"));
        schema(out, &t->of[0].of[1], NULL, answer);
    } else {
        buf_add_str(out, S("\"type\":\"array\",\"items\":"));
        schema(out, &t->of[0], t->of[0].help, answer);
    }
}

static void schema(struct buf *out, const struct type *t, const char *help, bool answer)
{
    buf_add_c(out, '{');
    if (help) {
        buf_add_str(out, S("\"description\":"));
        json_out_str(out, str_of(help));
        buf_add_c(out, ',');
    }
    if (t->kind == V_TUPLE) {
        properties(out, t->of, t->count, answer);
        required(out, t->of, t->count, true);
    } else if (t->kind == V_LIST) {
        list_schema(out, t, answer);
    } else if (t->kind == V_INTEGER) {
        buf_add_str(out, S("\"type\":\"integer\",\"format\":\"int64\""));
    } else if (t->kind == V_RESCODE) {
        buf_add_str(out, S("\"type\":\"integer\",\"enum\":[0,1]"));
    } else {
        buf_add_str(out, S("\"type\":\"string\""));
    }
    buf_add_c(out, '}');
}

static void request_body(struct buf *out, const struct cmd_call *c)
{
    const struct cmd_shape *s = c->shape;
    buf_add_str(out, S("\"requestBody\":{\"required\":true,\"content\":{\"application/json\":{\"schema\":{"));
    properties(out, s->args, s->arg_count, false);
    required(out, s->args, s->arg_count - c->cmd->d->optional, false);
    buf_add_str(out, S("},\"example\":"));
    doc_json_args(out, c, 0);
    buf_add_str(out, S("}}}"));
}

/* Version 0 wraps single values in an object named after the result, COMPAT(ejabberd). */
static bool wrapped(const struct cmd_shape *s, unsigned version)
{
    enum value_kind k = s->result->kind;
    return version == 0 && k != V_LIST && k != V_TUPLE && k != V_RESCODE && k != V_RESTUPLE;
}

static const char answer_headers[] =
    "\"headers\":{\"X-Request-Id\":{\"schema\":{\"type\":\"string\"}},\"X-Reason\":{\"description\":\"Why, in words\","
    "\"schema\":{\"type\":\"string\"}}},";

static void responses(struct buf *out, const struct cmd_call *c, unsigned version)
{
    const struct type *t = c->shape->result;
    bool wrap = wrapped(c->shape, version);
    buf_printf(out, ",\"responses\":{\"200\":{\"description\":\"Done; for a status code, 1 says that it was not\",%s"
                    "\"content\":{\"application/json\":{\"schema\":", answer_headers);
    if (wrap)
        properties((buf_add_c(out, '{'), out), t, 1, true);
    else
        schema(out, t, doc_result_help(t), true);
    buf_add_str(out, wrap ? S("}") : S(""));
    if (!wrap) {
        buf_add_str(out, S(",\"example\":"));
        doc_json_result(out, c, 0);
    }
    buf_add_str(out, S("}}},\"default\":{\"$ref\":\"#/components/responses/failure\"}}"));
}

/* What may be asked for besides the arguments, docs/http-api.md. */
static void parameters(struct buf *out, const struct command *cmd, const struct cmd_shape *s)
{
    static const char ref[] = "{\"$ref\":\"#/components/parameters/%s\"}";
    bool reads = cmd->d->flags & CMD_READS, list = s->result->kind == V_LIST;
    buf_add_str(out, S(",\"parameters\":["));
    buf_printf(out, ref, "request_id");
    if (list && reads) {
        buf_add_c(out, ',');
        buf_printf(out, ref, "limit");
        buf_add_c(out, ',');
        buf_printf(out, ref, "after");
    }
    if (!reads) {
        buf_add_c(out, ',');
        buf_printf(out, ref, "idempotency_key");
    }
    if (cmd->d->flags & CMD_DRY_RUN) {
        buf_add_c(out, ',');
        buf_printf(out, ref, "prefer");
    }
    buf_add_c(out, ']');
}

static const char components[] =
    "\"parameters\":{"
    "\"request_id\":{\"name\":\"X-Request-Id\",\"in\":\"header\","
    "\"description\":\"Name of the request in the log and in the answer\","
    "\"schema\":{\"type\":\"string\",\"maxLength\":128}},"
    "\"limit\":{\"name\":\"limit\",\"in\":\"query\",\"description\":\"At most so many elements of the list\","
    "\"schema\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":10000}},"
    "\"after\":{\"name\":\"after\",\"in\":\"query\",\"description\":\"X-Next-After of the page before\","
    "\"schema\":{\"type\":\"string\"}},"
    "\"idempotency_key\":{\"name\":\"Idempotency-Key\",\"in\":\"header\",\"description\":\"A call repeated with this key is "
    "answered as the first one was, and not carried out again\",\"schema\":{\"type\":\"string\"}},"
    "\"prefer\":{\"name\":\"Prefer\",\"in\":\"header\",\"description\":\"dry-run: say what would be touched, touch nothing\","
    "\"schema\":{\"type\":\"string\",\"enum\":[\"dry-run\"]}}},";

static void tags(struct buf *out, const struct command *cmd, const struct cmd_shape *s)
{
    struct buf all = BUF_INIT;
    command_tags(&all, cmd, s);
    struct str rest = buf_str(&all), tag;
    buf_add_str(out, S(",\"tags\":["));
    for (bool first = true; str_split(&rest, ' ', &tag); first = false) {
        buf_add_str(out, first ? S("") : S(","));
        json_out_str(out, tag);
    }
    buf_add_c(out, ']');
    buf_deinit(&all);
}

static void operation(struct buf *out, const struct command *cmd, const struct cmd_shape *s, bool newest)
{
    struct cmd_call *c = doc_example(cmd, s);
    if (newest)
        buf_printf(out, "\"/api/%s\":{\"post\":{\"operationId\":\"%s\"", cmd->name.p, cmd->name.p);
    else
        buf_printf(out, "\"/api/%s/v%u\":{\"post\":{\"operationId\":\"%s_v%u\",\"deprecated\":true", cmd->name.p, s->api,
                   cmd->name.p, s->api);
    buf_add_str(out, S(",\"summary\":"));
    json_out_str(out, str_of(cmd->d->brief));
    if (cmd->d->text) {
        buf_add_str(out, S(",\"description\":"));
        json_out_str(out, str_of(cmd->d->text));
    }
    tags(out, cmd, s);
    parameters(out, cmd, s);
    buf_add_c(out, ',');
    request_body(out, c);
    responses(out, c, newest ? API_NEWEST : s->api);
    buf_add_str(out, S("}}"));
    cmd_call_end(&c);
}

void doc_openapi(struct buf *out)
{
    bool first = true;
    buf_printf(out, "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"cjabberd administration\",\"version\":\"%s\",\"description\":"
                    "\"The administration commands of ejabberd %s, API version %d.\"},"
                    "\"servers\":[{\"url\":\"/\"}],\"security\":[{},{\"basic\":[]},{\"token\":[]}],\"paths\":{",
               server_own_version(), server_version(), API_NEWEST);
    for (size_t i = 0; i < command_count(); i++) {
        const struct command *cmd = command_at(i);
        if (!doc_shown(cmd) || (cmd->d->flags & CMD_TOOL_ONLY))
            continue;
        for (unsigned k = 0; k < cmd->d->shape_count; k++) {
            buf_add_str(out, first ? S("\n") : S(",\n"));
            operation(out, cmd, &cmd->d->shapes[k], k == 0);
            first = false;
        }
    }
    buf_printf(out, "},\n\"components\":{%s", components);
    buf_add_str(out, S("\"securitySchemes\":{\"basic\":{\"type\":\"http\",\"scheme\":\"basic\"},"
                       "\"token\":{\"type\":\"http\",\"scheme\":\"bearer\"}},\"responses\":{\"failure\":{\"description\":"
                       "\"Refused or failed: a text, or an object with a number\","));
    buf_add_str(out, str_of(answer_headers));
    buf_add_str(out, S("\"content\":{\"application/json\":{\"schema\":"
                       "{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"object\",\"required\":[\"status\",\"code\",\"message\"],"
                       "\"properties\":{\"status\":{\"const\":\"error\"},\"code\":{\"type\":\"integer\"},\"message\":"
                       "{\"type\":\"string\"}}}]}}}}}}}\n"));
}
