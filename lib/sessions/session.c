/* SPDX-License-Identifier: MIT */
/* session.c - one session's handle.
 *
 * The happy path: a client's is made when its request is connected and opens with the
 * engine's, a server's is made open; calls go to the engine, the engine's events to the
 * program; the engine's end is the handle's.
 *
 * What cannot be told at once, since the program may be inside a call, waits for the
 * engine's next turn (settle): fates of datagrams that gave way, and streams that could
 * not be opened. */
#include "base/check.h"
#include "sessions/house.h"

#define LOOK_TIME (100 * YO_MS) /* how old what other threads see may be */
#define DATAGRAM_MAX 65535      /* no path takes more */
#define FATES_MAX 4096          /* datagrams with a token that gave way, not told */

static void run_slip(struct yo_slip *slip, yo_time now);

/* --- Life ------------------------------------------------------------------------- */

int yo_session_create(struct yomo_wt_session **out, struct yo_hub *hub, bool server,
                      const yomo_wt_session_callbacks *callbacks, void *user)
{
    struct yomo_wt_session *session = yo_calloc(&hub->mem, 1, sizeof(*session));
    if (!session) {
        return YOMO_ERR_NOMEM;
    }
    session->hub = yo_hub_ref(hub);
    atomic_init(&session->refs, 1);
    session->server = server;
    session->user = user;
    session->datagrams_max = YO_SESSION_DATAGRAMS;
    session->full_at = SIZE_MAX;
    if (callbacks) {
        size_t size = callbacks->size;
        memcpy(&session->on, callbacks,
               size < sizeof(session->on) ? size : sizeof(session->on));
    }
    yo_slip_init(&session->slip, run_slip);
    yo_list_init(&session->outbox);
    yo_list_init(&session->fates);
    yo_list_init(&session->lost);
    yo_list_init(&session->in_house);
    yo_fields_init(&session->answer, &hub->mem);
    *out = session;
    return YOMO_OK;
}

static void free_datagram(struct yomo_wt_session *session,
                          struct yo_session_datagram *datagram)
{
    yo_list_remove(&datagram->link);
    yo_blob_unref(datagram->blob);
    yo_free(&session->hub->mem, datagram);
}

static void free_datagrams(struct yomo_wt_session *session, struct yo_link *list)
{
    while (!yo_list_empty(list)) {
        free_datagram(session,
                      YO_CONTAINER(list->next, struct yo_session_datagram, link));
    }
}

yomo_wt_session *yomo_wt_session_ref(yomo_wt_session *session)
{
    if (session) {
        atomic_fetch_add_explicit(&session->refs, 1, memory_order_relaxed);
    }
    return session;
}

void yomo_wt_session_unref(yomo_wt_session *session)
{
    if (!session ||
        atomic_fetch_sub_explicit(&session->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    struct yo_hub *hub = session->hub;
    free_datagrams(session, &session->outbox);
    free_datagrams(session, &session->fates);
    yo_fields_finish(&session->answer);
    yo_free(&hub->mem, session->protocol);
    yo_free(&hub->mem, session->close_reason);
    yo_free(&hub->mem, session);
    yo_hub_unref(hub);
}

void yo_session_post(struct yomo_wt_session *session)
{
    if (yo_hub_post(session->hub, &session->slip)) {
        yomo_wt_session_ref(session);
    }
}

/* With the lock. */
static void post_last(struct yomo_wt_session *session)
{
    if (yo_hub_post_last(session->hub, &session->slip)) {
        yomo_wt_session_ref(session);
    }
}

void yo_session_post_begin(struct yomo_wt_session *session)
{
    session->begin_due = true;
    yo_session_post(session);
}

/* --- What other threads see --------------------------------------------------------
 */

static void look(struct yomo_wt_session *session, yo_time now)
{
    struct yo_wt_session *engine = session->engine;
    char address[64];
    yomo_wt_stats stats = {.size = sizeof(stats)};
    size_t max = yo_wt_session_datagram_max(engine);
    yo_wt_session_address(engine, address);
    yo_session_read_stats(session, &stats);
    yo_hub_lock(session->hub);
    session->looked_at = now;
    session->datagram_max = max;
    session->stats = stats;
    memcpy(session->address, address, sizeof(address));
    yo_hub_leave(session->hub);
}

void yo_session_look(struct yomo_wt_session *session, yo_time now)
{
    if (session->engine && now - session->looked_at >= LOOK_TIME) {
        look(session, now);
    }
}

/* --- Datagrams of other threads -----------------------------------------------------
 */

/* Give the engine what it takes. What it refuses for good has that for its fate. */
static void empty_outbox(struct yomo_wt_session *session)
{
    yo_hub_lock(session->hub);
    while (session->engine && !yo_list_empty(&session->outbox)) {
        struct yo_session_datagram *datagram =
            YO_CONTAINER(session->outbox.next, struct yo_session_datagram, link);
        yo_list_remove(&datagram->link);
        yo_hub_leave(session->hub);
        int rv = yo_wt_session_send(session->engine, datagram->blob, datagram->token);
        yo_hub_lock(session->hub);
        if (rv == YOMO_ERR_AGAIN) {
            yo_list_push_front(&session->outbox, &datagram->link);
            break;
        }
        session->outbox_count--;
        datagram->error = rv;
        if (rv != YOMO_OK && datagram->token != 0) {
            yo_list_push_back(&session->fates, &datagram->link);
        } else {
            free_datagram(session, datagram);
        }
    }
    bool more = !yo_list_empty(&session->outbox);
    yo_hub_leave(session->hub);
    if (more && session->engine) {
        yo_wt_session_want_progress(session->engine);
    }
}

static void tell_fates(struct yomo_wt_session *session)
{
    struct yo_link due, *link;
    yo_list_init(&due);
    yo_hub_lock(session->hub);
    yo_list_splice(&due, &session->fates);
    session->fate_count = 0;
    yo_hub_leave(session->hub);
    while ((link = yo_list_pop_front(&due)) != NULL) {
        struct yo_session_datagram *datagram =
            YO_CONTAINER(link, struct yo_session_datagram, link);
        if (session->on.on_datagram_fate && session->engine) {
            session->on.on_datagram_fate(session->user, session, datagram->token,
                                         datagram->error);
        }
        free_datagram(session, datagram);
    }
}

static void tell_lost(struct yomo_wt_session *session)
{
    while (!yo_list_empty(&session->lost)) {
        yo_stream_tell_lost(
            YO_CONTAINER(session->lost.next, struct yomo_wt_stream, lost));
    }
}

static void tell_writable(struct yomo_wt_session *session)
{
    size_t queued =
        session->engine ? yo_wt_session_datagrams_queued(session->engine) : 0;
    yo_hub_lock(session->hub);
    bool due = session->want_writable && session->engine &&
               yo_list_empty(&session->outbox) &&
               (queued == 0 || queued < session->full_at);
    bool wait = session->want_writable && session->engine && !due;
    session->want_writable = session->want_writable && !due;
    yo_hub_leave(session->hub);
    if (wait) {
        yo_wt_session_want_progress(session->engine);
    }
    if (due) {
        session->full_at = SIZE_MAX;
    }
    if (due && session->on.on_writable) {
        session->on.on_writable(session->user, session);
    }
}

/* Tell what could not be told before. */
static void settle(struct yomo_wt_session *session, yo_time now)
{
    yomo_wt_session_ref(session);
    empty_outbox(session);
    tell_fates(session);
    tell_lost(session);
    tell_writable(session);
    yo_session_look(session, now);
    yomo_wt_session_unref(session);
}

/* --- What the engine tells ---------------------------------------------------------
 */

/* What waits, waits with the engine. */
static void apply_limits(struct yomo_wt_session *session)
{
    struct yo_datagram_limits limits;
    yo_hub_lock(session->hub);
    limits = (struct yo_datagram_limits){
        .count = session->datagrams_max,
        .age = session->age_ms * YO_MS,
        .drop_oldest = session->drop == YOMO_WT_DROP_OLDEST,
    };
    yo_hub_leave(session->hub);
    yo_wt_session_limit_datagrams(session->engine, &limits);
}

void yo_session_opened(struct yomo_wt_session *session, bool tell, yo_time now)
{
    look(session, now);
    yo_hub_lock(session->hub);
    session->phase = YO_SESSION_OPEN;
    yo_hub_leave(session->hub);
    session->was_open = true;
    apply_limits(session);
    if (tell && session->on.on_open) {
        session->on.on_open(session->user, session);
    }
}

int yo_session_read_answer(struct yomo_wt_session *session, struct yo_span fields,
                           const char *protocol)
{
    struct yo_session_fields answer;
    char *kept = NULL;
    yo_fields_init(&answer, &session->hub->mem);
    int rv = yo_fields_read(&answer, fields);
    if (rv == YOMO_OK && *protocol) {
        kept = yo_strndup(&session->hub->mem, protocol, strlen(protocol));
        rv = kept ? YOMO_OK : YOMO_ERR_NOMEM;
    }
    if (rv != YOMO_OK) {
        yo_fields_finish(&answer);
        return rv;
    }
    yo_hub_lock(session->hub);
    session->answer = answer; /* was empty */
    session->protocol = kept;
    yo_hub_leave(session->hub);
    return YOMO_OK;
}

void yo_session_answered(struct yomo_wt_session *session, yo_time now)
{
    struct yo_wt_session *engine = session->engine;
    if (yo_session_read_answer(session, yo_wt_session_fields(engine),
                               yo_wt_session_protocol(engine)) != YOMO_OK) {
        yo_wt_session_abort(engine); /* its end follows */
        return;
    }
    yo_session_opened(session, true, now);
}

static void on_open(void *user, yo_time now)
{
    yo_session_answered(user, now);
}

static void on_stream(void *user, struct yo_wt_stream *stream, yo_time now)
{
    yo_stream_announce(user, stream, now);
}

static void on_datagram(void *user, struct yo_span bytes, yo_time now)
{
    struct yomo_wt_session *session = user;
    yo_session_look(session, now);
    if (session->on.on_datagram) {
        session->on.on_datagram(session->user, session,
                                bytes.size > 0 ? (const void *)bytes.data : "",
                                bytes.size);
    }
}

static void on_fate(void *user, uint64_t token, enum yo_fate fate, yo_time now)
{
    struct yomo_wt_session *session = user;
    (void)now;
    if (session->on.on_datagram_fate) {
        session->on.on_datagram_fate(session->user, session, token,
                                     fate == YO_FATE_ACKED  ? YOMO_OK
                                     : fate == YO_FATE_LOST ? YOMO_ERR_TIMEOUT
                                                            : YOMO_ERR_AGAIN);
    }
}

static void on_progress(void *user, yo_time now)
{
    settle(user, now);
}

static void on_turn(void *user, yo_time now)
{
    settle(user, now);
}

static void on_drain(void *user, yo_time now)
{
    struct yomo_wt_session *session = user;
    (void)now;
    if (session->on.on_draining) {
        session->on.on_draining(session->user, session);
    }
}

static void on_end(void *user, const struct yo_wt_end *end, yo_time now)
{
    struct yomo_wt_session *session = user;
    struct yo_wt_session *engine = session->engine;
    if (session->phase == YO_SESSION_OPEN) {
        look(session, now); /* for the last time */
    } else if (session->joined && !session->close_asked && end->status == 0) {
        /* The connection that it joined had no room, or ended before the answer: then
         * the session has one of its own. */
        session->engine = NULL;
        yo_house_retry(session->house, session, now);
        return;
    } else {
        (void)yo_session_read_answer(session, yo_wt_session_fields(engine), "");
    }
    yo_session_over(session, end, now);
}

static const struct yo_wt_session_events events = {
    .on_open = on_open,
    .on_stream = on_stream,
    .on_datagram = on_datagram,
    .on_fate = on_fate,
    .on_progress = on_progress,
    .on_drain = on_drain,
    .on_turn = on_turn,
    .on_end = on_end,
};

void yo_session_bind(struct yomo_wt_session *session, struct yo_wt_session *engine)
{
    session->engine = engine;
    yo_wt_session_listen(engine, &events, session);
}

static void tell_end(struct yomo_wt_session *session, const struct yo_wt_end *end)
{
    char reason[YO_SESSION_REASON_MAX + 1];
    size_t size =
        end->text.size < YO_SESSION_REASON_MAX ? end->text.size : YO_SESSION_REASON_MAX;
    if (size > 0) {
        memcpy(reason, end->text.data, size);
    }
    reason[size] = '\0';
    int error = end->clean ? YOMO_OK : end->error ? end->error : YOMO_ERR_CLOSED;
    struct yomo_wt_end told = {
        .error = error,
        .remote = end->remote,
        .status = end->status,
        .code = end->code,
        .reason = error != YOMO_OK && size == 0 ? yomo_strerror(error) : reason,
    };
    if (session->on.on_closed) {
        session->on.on_closed(session->user, session, &told);
    }
}

void yo_session_over(struct yomo_wt_session *session, const struct yo_wt_end *end,
                     yo_time now)
{
    yo_hub_lock(session->hub);
    session->phase = YO_SESSION_OVER;
    yo_hub_leave(session->hub);
    session->engine = NULL;
    yo_hub_run(session->hub, now); /* streams that others wanted to open: none now */
    tell_fates(session);
    tell_lost(session);
    tell_end(session, end);
    yo_house_forget(session->house, session);
    yomo_wt_session_unref(session); /* the library's */
}

/* --- What is asked of it ------------------------------------------------------------
 */

void yo_session_close(struct yomo_wt_session *session, uint32_t code,
                      struct yo_span reason)
{
    if (session->engine && session->phase == YO_SESSION_OPEN) {
        if (session->abrupt) { /* set once, before this is asked for */
            yo_wt_session_break(session->engine, YO_H3_NO_ERROR, YO_SPAN_NONE);
        } else {
            yo_wt_session_close(session->engine, code, reason);
        }
    } else if (session->phase == YO_SESSION_ASKING) {
        yo_house_give_up(session->house, session);
    }
}

static void run_slip(struct yo_slip *slip, yo_time now)
{
    struct yomo_wt_session *session = YO_CONTAINER(slip, struct yomo_wt_session, slip);
    struct yo_hub *hub = session->hub;
    (void)now;
    yo_hub_lock(hub);
    bool begin = session->begin_due, policy = session->policy_due;
    bool send = session->datagrams_due, wanted = session->want_writable;
    bool drain = session->drain_due, close = session->close_due;
    bool look_due = session->look_due, fates = !yo_list_empty(&session->fates);
    uint32_t code = session->close_code;
    char *reason = session->close_reason;
    session->begin_due = session->datagrams_due = session->policy_due = false;
    session->drain_due = session->close_due = session->look_due = false;
    session->close_reason = NULL;
    yo_hub_leave(hub);

    if (begin && session->phase == YO_SESSION_ASKING) {
        yo_house_begin(session->house, session, now);
    }
    if (session->engine && session->phase == YO_SESSION_OPEN) {
        if (policy) {
            apply_limits(session);
        }
        if (send) {
            empty_outbox(session);
        }
        if (wanted || fates) {
            yo_wt_session_wake(session->engine);
        }
        if (look_due) {
            look(session, now);
        }
        if (drain) {
            (void)yo_wt_session_drain(session->engine);
        }
    }
    if (close && session->phase != YO_SESSION_OVER) {
        yo_session_close(session, code, yo_span_of(reason));
    }
    yo_free(&hub->mem, reason);
    yomo_wt_session_unref(session); /* the slip's */
}

/* With the lock. */
static int may_use(const struct yomo_wt_session *session)
{
    if (session->phase == YO_SESSION_OVER || session->close_asked) {
        return YOMO_ERR_CLOSED;
    }
    return session->phase == YO_SESSION_ASKING ? YOMO_ERR_STATE : YOMO_OK;
}

static int send_inside(struct yomo_wt_session *session, struct yo_blob *blob,
                       uint64_t token)
{
    if (!session->engine) {
        return YOMO_ERR_CLOSED;
    }
    /* What other threads have sent before and the engine has not taken is first. */
    int rv = yo_list_empty(&session->outbox)
                 ? yo_wt_session_send(session->engine, blob, token)
                 : YOMO_ERR_AGAIN;
    if (rv == YOMO_ERR_AGAIN) {
        yo_hub_lock(session->hub);
        session->want_writable = true;
        yo_hub_leave(session->hub);
        session->full_at = yo_wt_session_datagrams_queued(session->engine);
        yo_wt_session_want_progress(session->engine);
    }
    return rv;
}

/* With the lock: the oldest of the outbox makes room. */
static bool make_room(struct yomo_wt_session *session)
{
    struct yo_session_datagram *oldest =
        YO_CONTAINER(session->outbox.next, struct yo_session_datagram, link);
    if (session->drop == YOMO_WT_DROP_NEW ||
        (oldest->token != 0 && session->fate_count >= FATES_MAX)) {
        session->want_writable = true;
        return false;
    }
    session->outbox_count--;
    session->gave_way++;
    if (oldest->token == 0) {
        free_datagram(session, oldest);
        return true;
    }
    oldest->error = YOMO_ERR_AGAIN;
    yo_list_remove(&oldest->link);
    yo_list_push_back(&session->fates, &oldest->link);
    session->fate_count++;
    return true;
}

/* With the lock. */
static int put_outbox(struct yomo_wt_session *session,
                      struct yo_session_datagram *datagram)
{
    if (datagram->blob->size > session->datagram_max) {
        return YOMO_ERR_TOO_BIG;
    }
    if (session->outbox_count >= session->datagrams_max && !make_room(session)) {
        yo_session_post(session); /* so that on_writable follows */
        return YOMO_ERR_AGAIN;
    }
    yo_list_push_back(&session->outbox, &datagram->link);
    session->outbox_count++;
    session->datagrams_due = true;
    yo_session_post(session);
    return YOMO_OK;
}

int32_t yomo_wt_session_send(yomo_wt_session *session, const void *data, size_t size,
                             uint64_t token)
{
    YO_REQUIRE(session && (data || size == 0));
    const struct yomo_mem *mem = &session->hub->mem;
    if (size > DATAGRAM_MAX) {
        return YOMO_ERR_TOO_BIG;
    }
    struct yo_blob *blob = yo_blob_create(mem, yo_span(data ? data : "", size));
    if (!blob) {
        return YOMO_ERR_NOMEM;
    }
    struct yo_session_datagram *datagram = NULL;
    bool inside = yo_hub_enter(session->hub);
    int rv = may_use(session);
    if (rv == YOMO_OK && !inside) {
        datagram = yo_calloc(mem, 1, sizeof(*datagram));
        rv = datagram ? YOMO_OK : YOMO_ERR_NOMEM;
        if (datagram) {
            yo_list_init(&datagram->link);
            datagram->blob = blob;
            datagram->token = token;
            rv = put_outbox(session, datagram);
        }
    }
    yo_hub_leave(session->hub);
    if (rv == YOMO_OK && !inside) {
        return rv; /* the outbox has them now */
    }
    if (rv == YOMO_OK) {
        rv = send_inside(session, blob, token);
    }
    yo_blob_unref(blob);
    yo_free(mem, datagram);
    return rv;
}

int32_t yomo_wt_session_set_datagrams(yomo_wt_session *session, uint32_t count,
                                      uint32_t age_ms, int32_t drop)
{
    YO_REQUIRE(session && count > 0);
    YO_REQUIRE(drop == YOMO_WT_DROP_OLDEST || drop == YOMO_WT_DROP_NEW);
    bool inside = yo_hub_enter(session->hub);
    bool over = session->phase == YO_SESSION_OVER || session->close_asked;
    bool now = inside && session->phase == YO_SESSION_OPEN;
    if (!over) {
        session->datagrams_max = count;
        session->age_ms = age_ms;
        session->drop = drop;
        session->policy_due = !now;
        if (!now) {
            yo_session_post(session);
        }
    }
    yo_hub_leave(session->hub);
    if (!over && now && session->engine) {
        apply_limits(session);
    }
    return over ? YOMO_ERR_CLOSED : YOMO_OK;
}

int32_t yomo_wt_session_drain(yomo_wt_session *session)
{
    YO_REQUIRE(session);
    bool inside = yo_hub_enter(session->hub);
    int rv = may_use(session);
    if (rv == YOMO_OK && !inside) {
        session->drain_due = true;
        yo_session_post(session);
    }
    yo_hub_leave(session->hub);
    if (rv == YOMO_OK && inside) {
        rv = session->engine ? yo_wt_session_drain(session->engine) : YOMO_ERR_CLOSED;
    }
    return rv;
}

/* `text` cut to what fits, between characters. */
static char *keep_reason(const struct yomo_mem *mem, const char *text)
{
    struct yo_span reason = yo_span_of(text);
    if (reason.size == 0) {
        return NULL;
    }
    if (reason.size > YO_SESSION_REASON_MAX) {
        reason.size = YO_SESSION_REASON_MAX;
        while (reason.size > 0 && !yo_utf8_valid(reason)) {
            reason.size--;
        }
    }
    return yo_strndup(mem, reason.data, reason.size); /* or without, in need */
}

static void end(yomo_wt_session *session, bool abrupt, uint32_t code,
                const char *reason)
{
    struct yo_hub *hub = session->hub;
    char *kept = keep_reason(&hub->mem, reason);
    bool inside = yo_hub_enter(hub);
    bool first = session->phase != YO_SESSION_OVER && !session->close_asked;
    if (first) {
        session->close_asked = true;
        session->abrupt = abrupt;
        if (!inside) {
            session->close_due = true;
            session->close_code = code;
            session->close_reason = kept;
            post_last(session); /* behind what streams were asked for */
        }
    }
    yo_hub_leave(hub);
    if (first && inside) {
        yo_session_close(session, code, yo_span_of(kept));
    }
    if (!first || inside) {
        yo_free(&hub->mem, kept);
    }
}

void yomo_wt_session_close(yomo_wt_session *session, uint32_t code, const char *reason)
{
    if (session) {
        end(session, false, code, reason);
    }
}

void yomo_wt_session_abort(yomo_wt_session *session)
{
    if (session) {
        end(session, true, 0, NULL);
    }
}
