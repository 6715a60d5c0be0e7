/* SPDX-License-Identifier: MIT */
/* client.c - yomo_wt_client: a loop with sessions that this side asks for.
 *
 * The happy path: a request that is connected becomes a session, which begins when the
 * loop comes to it: its server is reached, and from then on the session speaks for
 * itself. Closing ends all of them; when the last is over, and nothing of the attempts
 * is left, so is the client.
 *
 * Invariants:
 *  1. a session begins only while the client is not closing (under `lock`), so that the
 *     letter that closes finds all of them;
 *  2. the loop is closed when the house is empty, `reaches` is 0 and no line is left.
 */
#include "base/check.h"
#include "loop/runner.h"
#include "sessions/reach.h"
#include "sessions/request.h"
#include "sessions/trust.h"

#define SHARED_SESSIONS 100 /* that a connection may have which is shared */

struct yomo_wt_client {
    struct yomo_mem mem;
    atomic_uint refs; /* the program's and the runner's */
    yomo_options *options;
    struct yo_log log;
    struct yo_tls_client *tls;
    void (*on_closed)(void *user, yomo_wt_client *client);
    void *user;

    pthread_mutex_t lock;
    bool closing; /* with the lock */
    struct yo_letter close_letter;

    struct yo_runner runner;
    struct yo_house house;
    size_t reaches;       /* of which something is left on the loop */
    struct yo_link lines; /* connections on which there are sessions */
    bool ending, hurry;
};

/* A connection with one session, or with several. */
struct line {
    struct yo_link link; /* in client->lines */
    struct yomo_wt_client *client;
    struct yo_dialed *dialed;
    bool shared; /* others may come onto it */
    uint16_t port;
    char host[];
};

/* --- Reaching servers ---------------------------------------------------------------
 */

static bool is_over(const struct yomo_wt_client *client)
{
    return client->ending && client->house.count == 0 && client->reaches == 0 &&
           yo_list_empty(&client->lines);
}

static void check_over(struct yomo_wt_client *client)
{
    if (is_over(client)) {
        yo_runner_wake(&client->runner);
    }
}

static void on_reach_gone(void *owner)
{
    struct yomo_wt_client *client = owner;
    client->reaches--;
    check_over(client);
}

static void on_line_gone(void *user)
{
    struct line *line = user;
    struct yomo_wt_client *client = line->client;
    yo_list_remove(&line->link);
    yo_free(&client->mem, line);
    check_over(client);
}

static int keep_line(struct yomo_wt_client *client, struct yo_dialed *dialed,
                     const struct yomo_wt_request *request)
{
    size_t size = strlen(request->host) + 1;
    struct line *line = yo_calloc(&client->mem, 1, sizeof(*line) + size);
    if (!line) {
        return YOMO_ERR_NOMEM;
    }
    line->client = client;
    line->dialed = dialed;
    line->shared = request->share;
    line->port = request->port;
    memcpy(line->host, request->host, size);
    yo_list_push_back(&client->lines, &line->link);
    yo_dialed_listen(dialed, on_line_gone, line);
    return YOMO_OK;
}

static void on_reached(void *user, struct yo_wt_session *engine,
                       struct yo_dialed *dialed, yo_time now)
{
    struct yomo_wt_session *session = user;
    struct yomo_wt_client *client = session->house->user;
    session->reach = NULL;
    yo_session_bind(session, engine);
    /* A connection that nobody keeps goes by itself, but the loop must not go before.
     */
    if (keep_line(client, dialed, session->request) != YOMO_OK) {
        client->reaches++;
        yo_dialed_listen(dialed, on_reach_gone, client);
        yo_wt_session_abort(engine); /* its end follows */
        return;
    }
    yo_session_answered(session, now);
}

static void on_failed(void *user, const struct yo_wt_end *end, struct yo_span fields,
                      yo_time now)
{
    struct yomo_wt_session *session = user;
    session->reach = NULL;
    (void)yo_session_read_answer(session, fields, ""); /* or without, in need */
    yo_session_over(session, end, now);
}

/* A connection that the session may share, and that has room for it. */
static bool join_line(struct yomo_wt_client *client, struct yomo_wt_session *session,
                      const struct yo_dial_options *options)
{
    struct yo_wt_session *engine;
    YO_LIST_EACH(link, next, &client->lines)
    {
        struct line *line = YO_CONTAINER(link, struct line, link);
        if (line->shared && line->port == options->port &&
            yo_span_equal_nocase(yo_span_of(line->host), yo_span_of(options->host)) &&
            yo_dialed_session(line->dialed, options, &engine) == YOMO_OK) {
            session->joined = true;
            yo_session_bind(session, engine);
            return true;
        }
    }
    return false;
}

static const struct yo_reach_events reach_events = {on_reached, on_failed,
                                                    on_reach_gone};

static const char *text(const yomo_options *options, const char *name)
{
    const char *value = yo_options_text(options, name);
    return value && *value ? value : NULL;
}

/* Who wants to share says so, or there would be nothing to share. */
static uint32_t sessions_wanted(const struct yomo_wt_client *client,
                                const struct yomo_wt_request *request)
{
    uint64_t most = yo_options_number(client->options, "webtransport-sessions");
    return request->share && most < SHARED_SESSIONS ? SHARED_SESSIONS : (uint32_t)most;
}

static int reach(void *user, struct yomo_wt_session *session, yo_time now)
{
    struct yomo_wt_client *client = user;
    const struct yomo_wt_request *request = session->request;
    const yomo_options *o = client->options;
    struct yo_dial_options options = {
        .transport = YOMO_TRANSPORT_WEBTRANSPORT,
        .secure = true,
        .host = request->host,
        .port = request->port,
        .path = request->path,
        .origin = text(o, "origin"),
        .tls = client->tls,
        .message_size_max = yo_options_number(o, "message-size-max"),
        .handshake_ms = yo_options_ms(o, "connect-timeout"),
        .idle_ms = yo_options_ms(o, "idle-timeout"),
        .keepalive_ms = yo_options_ms(o, "keep-alive"),
        .silence_ms = yo_options_ms(o, "silence-timeout"),
        .congestion = (enum yo_congestion)yo_options_choice(o, "congestion-control"),
        .key_update_packets = yo_options_number(o, "key-update-packets"),
        .webtransport_sessions = sessions_wanted(client, request),
        .qlog_dir = text(o, "qlog-dir"),
        .migrate = yo_options_switch(o, "migrate"),
    };
    struct yo_buf fields, protocols;
    (void)now;
    yo_buf_init(&fields, &client->mem);
    yo_buf_init(&protocols, &client->mem);
    int rv = yo_fields_write(&request->sent, &fields);
    rv = rv == YOMO_OK ? yo_request_list_offers(request, &protocols) : rv;
    if (rv == YOMO_OK) {
        options.fields = yo_buf_span(&fields);
        options.protocols = yo_buf_span(&protocols);
    }
    /* One that has been sent away from a shared connection has its own. */
    bool may_join = request->share && !session->joined;
    if (rv == YOMO_OK && !(may_join && join_line(client, session, &options))) {
        rv = yo_reach_begin(&session->reach, client->runner.loop, &options,
                            &reach_events, session, client);
        client->reaches += rv == YOMO_OK;
    }
    yo_buf_finish(&fields);
    yo_buf_finish(&protocols);
    return rv;
}

static void forgotten(void *user, struct yomo_wt_session *session)
{
    (void)session;
    check_over(user);
}

static const struct yo_house_ops house_ops = {reach, forgotten};

/* --- Running ------------------------------------------------------------------------
 */

static void destroy(struct yomo_wt_client *client)
{
    struct yomo_mem mem = client->mem;
    yo_house_finish(&client->house);
    yo_tls_client_unref(client->tls);
    yomo_options_free(client->options);
    pthread_mutex_destroy(&client->lock);
    yo_free(&mem, client);
}

static void ref(void *user)
{
    struct yomo_wt_client *client = user;
    atomic_fetch_add_explicit(&client->refs, 1, memory_order_relaxed);
}

static void unref(void *user)
{
    struct yomo_wt_client *client = user;
    if (atomic_fetch_sub_explicit(&client->refs, 1, memory_order_acq_rel) == 1) {
        destroy(client);
    }
}

static void begun(void *user, struct yo_loop *loop, struct yo_mailbox *box)
{
    struct yomo_wt_client *client = user;
    yo_house_open(&client->house, loop, box);
}

static void open_close(struct yo_letter *letter, void *box_user, yo_time now)
{
    struct yomo_wt_client *client =
        YO_CONTAINER(letter, struct yomo_wt_client, close_letter);
    (void)box_user;
    yo_hub_run(client->house.hub, now); /* what was asked for before */
    client->ending = client->house.closed = true;
    if (client->hurry) {
        yo_house_abort_all(&client->house);
    } else {
        yo_house_close_all(&client->house, 0, YO_SPAN_NONE);
    }
    check_over(client);
}

static void discard_close(struct yo_letter *letter)
{
    (void)letter;
}

static bool turn(void *user, yo_time now)
{
    struct yomo_wt_client *client = user;
    if (!is_over(client)) {
        return true;
    }
    yo_house_close(&client->house, now);
    return false;
}

static yo_time deadline(void *user)
{
    (void)user;
    return YO_NEVER;
}

static void hurry(void *user)
{
    struct yomo_wt_client *client = user;
    client->hurry = true;
    yo_house_abort_all(&client->house);
}

static void end_now(void *user)
{
    struct yomo_wt_client *client = user;
    client->ending = client->house.closed = true;
    yo_house_close(&client->house, 0);
}

static void on_closed(void *user)
{
    struct yomo_wt_client *client = user;
    if (client->on_closed) {
        client->on_closed(client->user, client);
    }
}

static void close_client(void *user)
{
    yomo_wt_client_close(user);
}

static const struct yo_runner_ops runner_ops = {
    .thread_name = "yomo-sessions",
    .begun = begun,
    .turn = turn,
    .deadline = deadline,
    .hurry = hurry,
    .end_now = end_now,
    .on_closed = on_closed,
    .close = close_client,
    .ref = ref,
    .unref = unref,
};

/* --- What a program may call --------------------------------------------------------
 */

int32_t yomo_wt_client_create(yomo_wt_client **out, const yomo_options *options,
                              void (*closed)(void *user, yomo_wt_client *client),
                              void *user)
{
    YO_REQUIRE(out && options);
    if (yo_options_scope(options) != YOMO_SCOPE_CLIENT) {
        return YOMO_ERR_OPTION;
    }
    const struct yomo_mem *mem = yo_options_mem(options);
    struct yomo_wt_client *client = yo_calloc(mem, 1, sizeof(*client));
    if (!client) {
        return YOMO_ERR_NOMEM;
    }
    client->mem = *mem;
    client->on_closed = closed;
    client->user = user;
    client->close_letter =
        (struct yo_letter){.open = open_close, .discard = discard_close};
    yo_list_init(&client->close_letter.link);
    atomic_init(&client->refs, 1);
    yo_list_init(&client->lines);
    if (pthread_mutex_init(&client->lock, NULL) != 0) {
        yo_free(mem, client);
        return YOMO_ERR_SYSTEM;
    }
    yo_runner_init(&client->runner, &runner_ops, client, &client->mem, &client->log,
                   &client->lock);
    client->options = yo_options_copy(options);
    int rv = client->options ? YOMO_OK : YOMO_ERR_NOMEM;
    if (rv == YOMO_OK) {
        client->log = *yo_options_log(client->options);
        rv = yo_house_init(&client->house, &client->mem, &house_ops, client);
    }
    if (rv == YOMO_OK) {
        rv = yo_trust_create(&client->tls, &client->mem, client->options);
    }
    if (rv != YOMO_OK) {
        destroy(client);
        return rv;
    }
    *out = client;
    return YOMO_OK;
}

int32_t yomo_wt_client_start(yomo_wt_client *client)
{
    YO_REQUIRE(client);
    return yo_runner_start(&client->runner);
}

int32_t yomo_wt_client_start_on(yomo_wt_client *client, struct uv_loop_s *loop)
{
    YO_REQUIRE(client && loop);
    return yo_runner_start_on(&client->runner, loop);
}

int32_t yomo_wt_client_poll(yomo_wt_client *client)
{
    YO_REQUIRE(client);
    return yo_runner_poll(&client->runner);
}

int32_t yomo_wt_client_fd(yomo_wt_client *client)
{
    YO_REQUIRE(client);
    return yo_runner_fd(&client->runner);
}

int32_t yomo_wt_client_timeout_ms(yomo_wt_client *client)
{
    YO_REQUIRE(client);
    return yo_runner_timeout_ms(&client->runner);
}

void yomo_wt_client_close(yomo_wt_client *client)
{
    if (!client) {
        return;
    }
    pthread_mutex_lock(&client->lock);
    if (!client->closing) {
        client->closing = true;
        yo_runner_post(&client->runner, &client->close_letter);
    }
    pthread_mutex_unlock(&client->lock);
}

void yomo_wt_client_free(yomo_wt_client *client)
{
    if (client) {
        yo_runner_free(&client->runner);
    }
}

int32_t yomo_wt_request_connect(yomo_wt_request *request, yomo_wt_client *client,
                                const yomo_wt_session_callbacks *callbacks, void *user,
                                yomo_wt_session **out)
{
    YO_REQUIRE(request && !request->hub && client);
    YO_REQUIRE(!callbacks || callbacks->size >= sizeof(callbacks->size));
    struct yomo_wt_session *session;
    int rv = yo_session_create(&session, client->house.hub, false, callbacks, user);
    if (rv != YOMO_OK) {
        return rv;
    }
    session->house = &client->house;
    pthread_mutex_lock(&client->lock);
    rv = client->closing ? YOMO_ERR_CLOSED : YOMO_OK;
    if (rv == YOMO_OK) {
        session->request = request;
        if (out) {
            *out = session; /* before the loop can give it up */
        }
        yo_hub_lock(session->hub);
        yo_session_post_begin(session);
        yo_hub_leave(session->hub);
    }
    pthread_mutex_unlock(&client->lock);
    if (rv != YOMO_OK) {
        yomo_wt_session_unref(session);
    }
    return rv;
}
