/* SPDX-License-Identifier: MIT */
/* admin_http.c
 *
 * The happy path: a request proves that it may (admin_auth.c), says what it wants
 * (admin_args.c), an act goes round the workers (act.c) and comes back here, where the
 * exchange that was held meanwhile is answered.
 *
 * Possible failures: each has its status and a sentence. The client may go away while
 * the act is under way: it is done all the same, and the answer is nobody's.
 *
 * Invariant: a yo_ask is in `asks` from the moment its act is sent until the act is
 * back on this worker. An act that finds the worker ended does not touch it;
 * yo_admin_forget frees it, when no act is left. */
#include "server/admin_http.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/text.h"
#include "server/act.h"
#include "server/admin_args.h"
#include "server/admin_auth.h"
#include "server/admin_json.h"
#include "server/log.h"
#include "server/webhooks/event.h"
#include "server/worker.h"
#include "wire/json.h"

#define PREFIX "/admin/v1/"

enum verb {
    ROOMS,
    MEMBERS,
    BANS,
    APPS,
    STATS,
    VALUE,
    KICK,
    BAN,
    UNBAN,
    CLOSE,
    PUBLISH,
    SET_VALUE,
    DELETE_VALUE
};

#define BIT(arg) YO_ARG_BIT(YO_ARG_##arg)

static const struct route {
    const char *name;
    enum verb verb;
    bool changes; /* POST with a JSON object; else GET with a query */
    unsigned takes, needs;
    unsigned one_of; /* at least one of these */
} routes[] = {
    {"rooms", ROOMS, false, BIT(APP) | BIT(PREFIX) | BIT(AFTER) | BIT(MAX), 0, 0},
    {"members", MEMBERS, false, BIT(APP) | BIT(ROOM) | BIT(AFTER) | BIT(MAX), BIT(ROOM),
     0},
    {"bans", BANS, false, BIT(APP) | BIT(AFTER) | BIT(MAX), 0, 0},
    {"apps", APPS, false, BIT(PREFIX) | BIT(AFTER) | BIT(MAX), 0, 0},
    {"stats", STATS, false, 0, 0, 0},
    {"value", VALUE, false, BIT(APP) | BIT(ROOM) | BIT(KEY), BIT(ROOM) | BIT(KEY), 0},
    {"kick", KICK, true, BIT(APP) | BIT(ROOM) | BIT(ID) | BIT(SESSION) | BIT(REASON), 0,
     BIT(ID) | BIT(SESSION)},
    {"ban", BAN, true,
     BIT(APP) | BIT(ROOM) | BIT(ID) | BIT(ADDRESS) | BIT(SECONDS) | BIT(REASON),
     BIT(SECONDS), BIT(ID) | BIT(ADDRESS)},
    {"unban", UNBAN, true, BIT(APP) | BIT(ROOM) | BIT(ID) | BIT(ADDRESS), 0,
     BIT(ID) | BIT(ADDRESS)},
    {"close", CLOSE, true, BIT(APP) | BIT(ROOM) | BIT(REASON), BIT(ROOM), 0},
    {"publish", PUBLISH, true,
     BIT(APP) | BIT(ROOM) | BIT(FROM) | BIT(EVENT) | BIT(DATA) | BIT(BASE64) |
         BIT(DELIVERY) | BIT(ID) | BIT(SESSION),
     BIT(ROOM) | BIT(EVENT), 0},
    {"set-value", SET_VALUE, true,
     BIT(APP) | BIT(ROOM) | BIT(FROM) | BIT(KEY) | BIT(DATA) | BIT(BASE64) |
         BIT(VERSION),
     BIT(ROOM) | BIT(KEY), BIT(DATA) | BIT(BASE64)},
    {"delete-value", DELETE_VALUE, true,
     BIT(APP) | BIT(ROOM) | BIT(FROM) | BIT(KEY) | BIT(VERSION), BIT(ROOM) | BIT(KEY),
     0},
};

/* A request under way. */
struct yo_ask {
    struct yo_link link;
    struct yo_worker *worker;
    struct yo_exchange *exchange; /* held; NULL: answered already */
    const struct route *route;
    struct yo_operator operator;
    struct yo_admin_args args;
};

bool yo_admin_is_path(struct yo_span path)
{
    return path.size >= strlen(PREFIX) &&
           memcmp(path.data, PREFIX, strlen(PREFIX)) == 0;
}

/* --- answers --------------------------------------------------------------------- */

static void answer(struct yo_exchange *exchange, int status, const char *name,
                   const char *value, const struct yo_buf *body)
{
    const char *const headers[] = {"Content-Type",
                                   "application/json",
                                   "Cache-Control",
                                   "no-store",
                                   "X-Content-Type-Options",
                                   "nosniff",
                                   name,
                                   value,
                                   NULL};

    if (body->failed) {
        yo_exchange_answer(exchange, 503, NULL, yo_span_of("out of memory\n"));
    } else {
        yo_exchange_answer(exchange, status, headers, yo_buf_span(body));
    }
}

static void refuse(struct yo_worker *worker, struct yo_exchange *exchange, int status,
                   const char *error, const char *text, const char *name,
                   const char *value)
{
    struct yo_buf body;

    yo_buf_init(&body, worker->mem);
    yo_admin_write_error(&body, error, text);
    answer(exchange, status, name, value, &body);
    yo_buf_finish(&body);
}

static int status_of(int error)
{
    switch (error) {
    case YOMO_ERR_INVALID:
    case YOMO_ERR_JSON:
        return 400;
    case YOMO_ERR_DENIED:
        return 403;
    case YOMO_ERR_NOT_FOUND:
        return 404;
    case YOMO_ERR_FULL:
    case YOMO_ERR_CONFLICT:
        return 409;
    case YOMO_ERR_TOO_BIG:
        return 413;
    case YOMO_ERR_FILE:
        return 500;
    default:
        return 503;
    }
}

static void refuse_error(struct yo_worker *worker, struct yo_exchange *exchange,
                         int error, const char *text)
{
    refuse(worker, exchange, status_of(error), yomo_error_name(error),
           text && text[0] ? text : yomo_strerror(error), NULL, NULL);
}

/* --- asks ------------------------------------------------------------------------ */

static void ask_free(struct yo_ask *ask)
{
    yo_list_remove(&ask->link);
    yo_grants_free(ask->operator.grants);
    yo_admin_args_finish(&ask->args);
    yo_free(ask->worker->mem, ask);
}

void yo_admin_forget(struct yo_worker *worker)
{
    while (!yo_list_empty(&worker->asks)) {
        struct yo_ask *ask = YO_CONTAINER(worker->asks.next, struct yo_ask, link);
        if (ask->exchange) { /* whose client has gone with the doors */
            yo_exchange_answer(ask->exchange, 503, NULL, YO_SPAN_NONE);
        }
        ask_free(ask);
    }
}

static void write_value(struct yo_buf *body, const struct yo_act *act)
{
    struct yo_buf scratch;
    struct yo_span data;
    bool bytes;

    yo_buf_init(&scratch, body->mem);
    (void)yo_buf_append_text(body, "{\"key\":");
    (void)yo_json_put_string(body, act->key);
    (void)yo_buf_printf(body, ",\"version\":%" PRIu64, act->version);
    if (yo_act_content(act, &scratch, &data, &bytes) != YOMO_OK ||
        yo_event_write_data(body, data, bytes) != YOMO_OK) {
        body->failed = true;
    }
    (void)yo_buf_append_text(body, "}\n");
    yo_buf_finish(&scratch);
}

/* It is done. */
static void write_done(struct yo_buf *body, const struct yo_ask *ask,
                       const struct yo_act *act)
{
    switch (ask->route->verb) {
    case ROOMS:
        yo_admin_write_list(body, YO_LIST_ROOMS, &act->page);
        break;
    case MEMBERS:
        yo_admin_write_list(body, YO_LIST_MEMBERS, &act->page);
        break;
    case VALUE:
        write_value(body, act);
        break;
    case SET_VALUE:
        (void)yo_buf_printf(body, "{\"version\":%" PRIu64 "}\n", act->version);
        break;
    case DELETE_VALUE:
        (void)yo_buf_append_text(body, "{\"deleted\":true}\n");
        break;
    case UNBAN:
        (void)yo_buf_append_text(body, "{\"unbanned\":true}\n");
        break;
    default:
        (void)yo_buf_printf(body, "{\"kicked\":%" PRIu64 "}\n", act->count);
        break;
    }
}

/* The act is back, or never left (`act` NULL). */
static void finish(struct yo_ask *ask, const struct yo_act *act, int error)
{
    struct yo_worker *worker = ask->worker;
    struct yo_buf body;
    char there[64] = "";

    if (ask->exchange && error != YOMO_OK) {
        if (error == YOMO_ERR_CONFLICT) {
            snprintf(there, sizeof(there),
                     "its version is %" PRIu64 " (0: there is none)", act->version);
        }
        refuse_error(worker, ask->exchange, error, there);
    } else if (ask->exchange) {
        yo_buf_init(&body, worker->mem);
        write_done(&body, ask, act);
        answer(ask->exchange, 200, NULL, NULL, &body);
        yo_buf_finish(&body);
    }
    ask_free(ask);
}

static void on_done(struct yo_act *act, int error)
{
    finish(act->end.user, act, error);
}

/* Thread: any worker's; the ask does not change while its act is under way. */
static bool sees(void *user, struct yo_span app, struct yo_span room)
{
    const struct yo_ask *ask = user;

    return yo_operator_may(&ask->operator, app, room);
}

/* --- what is asked for ----------------------------------------------------------- */

static const char *text(const struct yo_ask *ask, enum yo_admin_arg arg)
{
    return ask->args.texts[arg];
}

static const char *app_or_default(const struct yo_ask *ask)
{
    const char *app = text(ask, YO_ARG_APP);

    return app ? app : YO_APP_DEFAULT;
}

static uint32_t max_of(const struct yo_ask *ask)
{
    uint64_t max = ask->args.numbers[YO_ARG_MAX];

    return max > YO_LISTING_MAX ? YO_LISTING_MAX : (uint32_t)max;
}

static int change_value(struct yo_ask *ask, struct yo_span data,
                        const struct yo_act_end *end)
{
    const char *from = text(ask, YO_ARG_FROM);

    return yo_host_set_value(
        ask->worker->server, text(ask, YO_ARG_APP), text(ask, YO_ARG_ROOM),
        from ? from : "operator", text(ask, YO_ARG_KEY), data,
        ask->args.given & BIT(BASE64) ? YOMO_BYTES : YOMO_JSON,
        ask->args.given & BIT(VERSION), ask->args.numbers[YO_ARG_VERSION], end);
}

/* An act goes round. */
static int go_round(struct yo_ask *ask)
{
    struct yomo_server *server = ask->worker->server;
    const struct yo_act_end end = {.done = on_done,
                                   .user = ask,
                                   .back = (int32_t)ask->worker->index,
                                   .sees = ask->operator.grants ? sees : NULL };
    const char *app = text(ask, YO_ARG_APP), *room = text(ask, YO_ARG_ROOM);
    const char *id = text(ask, YO_ARG_ID), *reason = text(ask, YO_ARG_REASON);
    const char *after = text(ask, YO_ARG_AFTER);
    uint64_t seconds = ask->args.numbers[YO_ARG_SECONDS];

    switch (ask->route->verb) {
    case ROOMS:
        return yo_admin_list_rooms(server, app, text(ask, YO_ARG_PREFIX), after,
                                   max_of(ask), &end);
    case MEMBERS:
        return yo_admin_list_members(server, app, room, after, max_of(ask), &end);
    case KICK:
        return yo_admin_kick(server, app, room, id, ask->args.numbers[YO_ARG_SESSION],
                             reason, &end);
    case BAN:
        return yo_admin_ban(server, app, room, id, text(ask, YO_ARG_ADDRESS),
                            seconds > UINT64_MAX / 1000 ? UINT64_MAX : seconds * 1000,
                            reason, &end);
    case VALUE:
        return yo_host_get_value(server, app, room, text(ask, YO_ARG_KEY), &end);
    case SET_VALUE:
        return change_value(ask, ask->args.data, &end);
    case DELETE_VALUE:
        return change_value(ask, YO_SPAN_NONE, &end);
    case UNBAN:
        return yo_admin_unban(server, app, room, id, text(ask, YO_ARG_ADDRESS), &end);
    default:
        return yo_admin_close_room(server, app, room, reason, &end);
    }
}

static int publish(struct yo_ask *ask)
{
    static const char *const deliveries[] = {"reliable", "unreliable", "latest"};
    const char *wanted = text(ask, YO_ARG_DELIVERY), *from = text(ask, YO_ARG_FROM);
    bool bytes = ask->args.given & BIT(BASE64);
    struct yo_span data = ask->args.data.data ? ask->args.data : yo_span("null", 4);
    const char *id = text(ask, YO_ARG_ID);
    int32_t delivery = -1;

    for (int i = 0; i < 3; i++) {
        if (!wanted ? i == 0 : strcmp(wanted, deliveries[i]) == 0) {
            delivery = i == 0 ? YOMO_RELIABLE : i == 1 ? YOMO_UNRELIABLE : YOMO_LATEST;
        }
    }
    if (ask->args.given & (BIT(ID) | BIT(SESSION))) {
        return yomo_server_publish_to(
            ask->worker->server, text(ask, YO_ARG_APP), text(ask, YO_ARG_ROOM),
            from ? from : "operator", &ask->args.numbers[YO_ARG_SESSION],
            ask->args.given & BIT(SESSION) ? 1 : 0, &id, id ? 1 : 0,
            text(ask, YO_ARG_EVENT), data.data, data.size,
            bytes ? YOMO_BYTES : YOMO_JSON, delivery);
    }
    return yomo_server_publish(ask->worker->server, text(ask, YO_ARG_APP),
                               text(ask, YO_ARG_ROOM), from ? from : "operator",
                               text(ask, YO_ARG_EVENT), data.data, data.size,
                               bytes ? YOMO_BYTES : YOMO_JSON, delivery);
}

/* A list that is there at once. */
struct page {
    struct yo_ask *ask;
    struct yo_buf *body;
    enum yo_admin_list list;
};

static void on_page(void *user, int32_t error, const yomo_listing *listing)
{
    struct page *page = user;

    (void)error; /* the call says so */
    if (listing) {
        yo_admin_write_list(page->body, page->list, listing);
    }
}

/* An application is shown to whom all of it is granted. */
static bool sees_app(void *user, struct yo_span app, struct yo_span room)
{
    const struct page *page = user;

    return yo_operator_may(&page->ask->operator, app, room);
}

static int list_apps(struct yo_ask *ask, struct page *page)
{
    const struct yo_act_end end = {
        .on_page = on_page, .user = page, .sees = sees_app, .back = -1};

    page->list = YO_LIST_APPS;
    return yo_admin_list_apps(ask->worker->server, text(ask, YO_ARG_PREFIX),
                              text(ask, YO_ARG_AFTER), max_of(ask), &end);
}

/* What can be answered here and now. */
static int answer_now(struct yo_ask *ask, struct yo_buf *body)
{
    struct yomo_server *server = ask->worker->server;
    struct page page = {.ask = ask, .body = body, .list = YO_LIST_BANS};
    const char *app = text(ask, YO_ARG_APP);
    int rv;

    switch (ask->route->verb) {
    case STATS:
        yo_admin_write_stats(body, server);
        return YOMO_OK;
    case BANS:
        if (!app && ask->operator.grants && !yo_operator_may_all(&ask->operator)) {
            app = YO_APP_DEFAULT;
        }
        return yomo_server_list_bans(server, app, text(ask, YO_ARG_AFTER), max_of(ask),
                                     on_page, &page);
    case APPS:
        return list_apps(ask, &page);
    default:
        rv = publish(ask);
        (void)yo_buf_append_text(body, "{\"published\":true}\n");
        return rv;
    }
}

static bool may(const struct yo_ask *ask)
{
    const char *app = app_or_default(ask), *room = text(ask, YO_ARG_ROOM);

    switch (ask->route->verb) {
    case ROOMS:
    case APPS:
        return true; /* each of them is looked at */
    case STATS:
        return yo_operator_may_all(&ask->operator);
    case BANS:
        return yo_operator_may_all(&ask->operator) ||
               yo_operator_may(&ask->operator, yo_span_of(app), YO_SPAN_NONE);
    default:
        return yo_operator_may(&ask->operator, yo_span_of(app), yo_span_of(room));
    }
}

/* Who does something is on record. */
static void record(const struct yo_ask *ask, struct yo_span address)
{
    const struct yo_grants *grants = ask->operator.grants;
    struct yo_log_fields fields = {.count = 0};
    char session[24];

    (void)yo_log_text(&fields, "address", address);
    (void)yo_log_text(&fields, "by", grants ? yo_grants_id(grants) : YO_SPAN_NONE);
    (void)yo_log_text(&fields, "app", yo_span_of(app_or_default(ask)));
    (void)yo_log_text(&fields, "room", yo_span_of(text(ask, YO_ARG_ROOM)));
    (void)yo_log_text(&fields, "id", yo_span_of(text(ask, YO_ARG_ID)));
    (void)yo_log_text(&fields, "key", yo_span_of(text(ask, YO_ARG_KEY)));
    (void)yo_log_text(&fields, "whose_address", yo_span_of(text(ask, YO_ARG_ADDRESS)));
    (void)yo_log_text(&fields, "reason", yo_span_of(text(ask, YO_ARG_REASON)));
    if (ask->args.given & BIT(SECONDS)) {
        (void)yo_log_number(&fields, "seconds", ask->args.numbers[YO_ARG_SECONDS]);
    }
    if (ask->args.given & BIT(SESSION)) {
        snprintf(session, sizeof(session), "%" PRIu64,
                 ask->args.numbers[YO_ARG_SESSION]);
        (void)yo_log_text(&fields, "session", yo_span_of(session));
    }
    YO_LOG_WITH(ask->worker->log, YOMO_LOG_INFO, "admin", &fields, "%s",
                ask->route->name);
}

/* Rights and wishes are clear. The ask is given away. */
static void carry_out(struct yo_ask *ask, struct yo_exchange *exchange)
{
    enum verb verb = ask->route->verb;
    struct yo_buf body;
    int rv;

    if (!may(ask)) {
        refuse_error(ask->worker, exchange, YOMO_ERR_DENIED,
                     "the token does not grant admin here");
        ask_free(ask);
        return;
    }
    if (ask->route->changes) {
        record(ask, yo_exchange_address(exchange));
    }
    if (verb == STATS || verb == BANS || verb == APPS || verb == PUBLISH) {
        yo_buf_init(&body, ask->worker->mem);
        rv = answer_now(ask, &body);
        if (rv == YOMO_OK) {
            answer(exchange, 200, NULL, NULL, &body);
        } else {
            refuse_error(ask->worker, exchange, rv, NULL);
        }
        yo_buf_finish(&body);
        ask_free(ask);
        return;
    }
    rv = go_round(ask);
    if (rv != YOMO_OK) {
        refuse_error(ask->worker, exchange, rv, NULL);
        ask_free(ask);
        return;
    }
    ask->exchange = yo_exchange_hold(exchange);
    if (!ask->exchange) {
        refuse_error(ask->worker, exchange, YOMO_ERR_NOMEM, NULL);
    }
}

/* --- a request ------------------------------------------------------------------- */

static const struct route *find(struct yo_span path)
{
    struct yo_span name = yo_span_skip(path, strlen(PREFIX));

    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (yo_span_is(name, routes[i].name)) {
            return &routes[i];
        }
    }
    return NULL;
}

/* "application/json", with parameters or without. */
static bool is_json(struct yo_span type)
{
    static const char json[] = "application/json";
    size_t size = strlen(json);

    return type.size >= size &&
           yo_span_equal_nocase(yo_span(type.data, size), yo_span_of(json)) &&
           (type.size == size || type.data[size] == ';' || type.data[size] == ' ');
}

/* True when the request is one for `route`; else it was answered. */
static bool fits(struct yo_worker *worker, struct yo_exchange *exchange,
                 const struct route *route)
{
    struct yo_span method = yo_exchange_method(exchange);
    bool get = yo_span_is(method, "GET") || yo_span_is(method, "HEAD");

    if (!route) {
        refuse(worker, exchange, 404, "NOT_FOUND", "there is no such call", NULL, NULL);
    } else if (route->changes ? !yo_span_is(method, "POST") : !get) {
        refuse(worker, exchange, 405, "INVALID", "this call has another method",
               "Allow", route->changes ? "POST" : "GET, HEAD");
    } else if (route->changes &&
               !is_json(yo_exchange_header(exchange, "Content-Type"))) {
        refuse(worker, exchange, 415, "INVALID", "the body is to be application/json",
               "Accept", "application/json");
    } else if (route->changes && yo_exchange_query(exchange).size > 0) {
        refuse(worker, exchange, 400, "INVALID",
               "this call takes a JSON object and no query", NULL, NULL);
    } else {
        return true;
    }
    return false;
}

static int read_args(struct yo_ask *ask, struct yo_exchange *exchange)
{
    const struct route *route = ask->route;
    struct yo_admin_args *args = &ask->args;
    int rv = route->changes ? yo_admin_args_json(args, yo_exchange_body(exchange),
                                                 route->takes, route->needs)
                            : yo_admin_args_query(args, yo_exchange_query(exchange),
                                                  route->takes, route->needs);

    if (rv == YOMO_OK && route->one_of && !(args->given & route->one_of)) {
        snprintf(args->why, sizeof(args->why), "%s",
                 route->one_of & BIT(DATA)      ? "what? give data or base64"
                 : route->one_of & BIT(SESSION) ? "whom? give id or session"
                                                : "whom? give id, address or both");
        rv = YOMO_ERR_INVALID;
    }
    return rv;
}

static void take(struct yo_worker *worker, struct yo_exchange *exchange,
                 struct yo_operator *operator)
{
    struct yo_ask *ask = yo_calloc(worker->mem, 1, sizeof(*ask));
    int rv;

    if (!ask) {
        yo_grants_free(operator->grants);
        refuse_error(worker, exchange, YOMO_ERR_NOMEM, NULL);
        return;
    }
    ask->worker = worker;
    ask->operator= * operator;
    ask->route = find(yo_exchange_path(exchange));
    yo_admin_args_init(&ask->args, worker->mem);
    yo_list_init(&ask->link);
    yo_list_push_back(&worker->asks, &ask->link);
    if (!fits(worker, exchange, ask->route)) {
        ask_free(ask);
        return;
    }
    rv = read_args(ask, exchange);
    if (rv == YOMO_OK && operator->grants && yo_grants_app(operator->grants).data) {
        rv = yo_admin_args_default_app(&ask->args, yo_grants_app(operator->grants));
    }
    if (rv != YOMO_OK) {
        refuse_error(worker, exchange, rv, ask->args.why);
        ask_free(ask);
        return;
    }
    carry_out(ask, exchange);
}

void yo_admin_answer(struct yo_worker *worker, struct yo_exchange *exchange,
                     yo_time now)
{
    struct yo_operator operator;
    const char *why = "";
    int status = yo_admin_authorise(worker->server, exchange, &operator, & why);
    struct yo_span address = yo_exchange_address(exchange);

    if (status != 0) {
        yo_metric_add(&worker->metrics->admin_refused, 1);
        YO_COMPLAIN(worker, YO_COMPLAINT_CONNECTION, now,
                    yo_log_number(YO_LOG_ADDRESS(address), "status", (uint64_t)status),
                    "not let in as an operator: %s", why);
        refuse(worker, exchange, status, status == 401 ? "AUTH" : "DENIED", why,
               status == 401 ? "WWW-Authenticate" : NULL,
               "Bearer realm=\"yomo admin\"");
        return;
    }
    if (!yo_quota_take(&worker->admin_quota, now)) {
        yo_metric_add(&worker->metrics->admin_refused, 1);
        yo_grants_free(operator.grants);
        refuse(worker, exchange, 429, "RATE", "too many requests (admin-rate)",
               "Retry-After", "1");
        return;
    }
    yo_metric_add(&worker->metrics->admin_requests, 1);
    take(worker, exchange, &operator);
}
