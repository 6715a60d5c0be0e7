/* SPDX-License-Identifier: MIT */
/* requests.c
 *
 * The happy path: a request comes to the hook on the worker of who asks; the host
 * answers inside, or later from any thread; the answer is a message to that session
 * alone and goes to the room's home like any other of the host's.
 *
 * Possible failures: there is no hook (NOT_FOUND), or too many wait (FULL): the one who
 * asks is told at once. The session or the room is gone when the answer comes: it goes
 * nowhere. */
#include "server/requests.h"

#include "base/check.h"
#include "server/handle.h"
#include "server/hooks.h"
#include "session/request.h"
#include "wire/decode.h"
#include "wire/encode.h"

struct request {
    struct yomo_request base; /* first */
    yomo_server *server;      /* a reference */
    struct yo_tally *tally;   /* likewise */
    struct yo_blob *room;     /* yo_room_key */
    uint64_t session, number;
    size_t event_size;
    uint8_t event[];
};

static void tally_drop(yomo_server *server, struct yo_tally *tally)
{
    bool last;

    pthread_mutex_lock(&server->lock);
    last = --tally->refs == 0;
    pthread_mutex_unlock(&server->lock);
    if (last) {
        yo_free(server->config.mem, tally);
    }
}

void yo_tally_unref(yomo_server *server, struct yo_tally *tally)
{
    if (tally) {
        tally_drop(server, tally);
    }
}

static void request_free(yomo_request *base)
{
    struct request *request = (struct request *)base;
    yomo_server *server = request->server;

    pthread_mutex_lock(&server->lock);
    request->tally->waiting--;
    pthread_mutex_unlock(&server->lock);
    tally_drop(server, request->tally);
    yo_blob_unref(request->room);
    yo_free(server->config.mem, request);
    yo_server_unref(server);
}

static struct yo_blob *write_payload(const struct request *request,
                                     const struct yo_answer *answer)
{
    const struct yomo_mem *mem = request->server->config.mem;
    struct yo_blob *blob = NULL;
    struct yo_buf payload;

    yo_buf_init(&payload, mem);
    if (yo_content_write(&payload, yo_span(request->event, request->event_size),
                         answer->encoding, answer->data) == YOMO_OK) {
        blob = yo_blob_create(mem, yo_buf_span(&payload));
    }
    yo_buf_finish(&payload);
    return blob;
}

static struct yo_note *write_note(const struct request *request,
                                  const struct yo_answer *answer)
{
    const struct yomo_mem *mem = request->server->config.mem;
    uint8_t to[YO_TARGET_SIZE_MAX];
    struct yo_note *note =
        yo_note_create(mem, YO_NOTE_PUBLISH, request->room, YO_SPAN_NONE, answer->text,
                       YO_SPAN_NONE, YO_SPAN_NONE);

    if (!note) {
        return NULL;
    }
    note->reply = request->number;
    note->error = answer->error;
    note->payload = write_payload(request, answer);
    note->targets = yo_blob_create(mem, yo_target_one(to, request->session));
    if (!note->payload || !note->targets) {
        yo_note_free(note);
        return NULL;
    }
    return note;
}

static int answer(yomo_request *base, const struct yo_answer *answer)
{
    struct request *request = (struct request *)base;
    yomo_server *server = request->server;
    struct yo_desk *desk = yo_server_home_desk(server, yo_blob_span(request->room));
    struct yo_note *note;
    bool serves;

    if (answer->data.size > server->config.limits.message_size) {
        return YOMO_ERR_TOO_BIG;
    }
    pthread_mutex_lock(&server->lock);
    serves = server->state < YO_SERVER_CLOSING;
    pthread_mutex_unlock(&server->lock);
    if (!serves) {
        return YOMO_ERR_CLOSED;
    }
    if (yo_desk_full(desk)) {
        return YOMO_ERR_FULL;
    }
    note = write_note(request, answer);
    if (!note) {
        return YOMO_ERR_NOMEM;
    }
    yo_desk_post(desk, note);
    return YOMO_OK;
}

static const struct yo_request_ops ops = {.answer = answer, .free = request_free};

/* One more that waits; with the connection's first one its tally is made. */
static int count_in(struct yo_peer *peer, yomo_server *server)
{
    int rv = YOMO_OK;

    if (!peer->tally) {
        peer->tally = yo_calloc(server->config.mem, 1, sizeof(*peer->tally));
        if (!peer->tally) {
            return YOMO_ERR_NOMEM;
        }
        peer->tally->refs = 1;
    }
    pthread_mutex_lock(&server->lock);
    if (peer->tally->waiting >= server->config.requests_max) {
        rv = YOMO_ERR_FULL;
    } else {
        peer->tally->waiting++;
        peer->tally->refs++;
    }
    pthread_mutex_unlock(&server->lock);
    return rv;
}

static int request_make(struct yo_local *local, const struct yo_seat *seat,
                        const struct yo_effect *effect, struct request **out)
{
    yomo_server *server = local->worker->server;
    struct request *request =
        yo_calloc(server->config.mem, 1, sizeof(*request) + effect->event.size);
    int rv = request ? count_in(seat->peer, server) : YOMO_ERR_NOMEM;

    if (rv != YOMO_OK) {
        yo_free(server->config.mem, request);
        return rv;
    }
    request->base.ops = &ops;
    request->server = yo_server_ref(server);
    request->tally = seat->peer->tally;
    request->room = yo_blob_ref(seat->room->key);
    request->session = yo_peer_seated_as(seat->peer);
    request->number = effect->request;
    request->event_size = effect->event.size;
    memcpy(request->event, effect->event.data, effect->event.size);
    *out = request;
    return YOMO_OK;
}

/* What the hook has made of it. */
static void finish(struct request *request, int rv)
{
    struct yo_answer last = {.data = yo_span_of("null")};

    if (rv == YOMO_LATER) {
        return; /* it is the host's */
    }
    if (rv != YOMO_OK) {
        last.error = rv < 0 && rv > -1000 ? rv : YOMO_ERR_DENIED;
        last.text = yo_span_of(yomo_strerror(last.error));
    }
    (void)answer(&request->base,
                 &last); /* else whoever asked waits until he gives up */
    request_free(&request->base);
}

int yo_request_ask(struct yo_local *local, const struct yo_seat *seat,
                   const struct yo_effect *effect)
{
    const struct yo_config *config = local->worker->config;
    struct yo_content content;
    struct yomo_member member;
    char event[YO_EVENT_SIZE_MAX + 1];
    struct request *request;
    int rv;

    if (!config->hooks.on_request) {
        return YOMO_ERR_NOT_FOUND;
    }
    rv = yo_local_content(local, effect->payload, &content);
    if (rv == YOMO_OK) {
        rv = request_make(local, seat, effect, &request);
    }
    if (rv != YOMO_OK) {
        return rv;
    }
    yo_metric_add(&local->worker->metrics->requests_host, 1);
    memcpy(event, content.event.data, content.event.size);
    event[content.event.size] = '\0';
    yo_seat_member(seat, &member);
    finish(request, config->hooks.on_request(config->hooks_user, &member, event,
                                             content.bytes.data, content.bytes.size,
                                             content.encoding, &request->base));
    return YOMO_OK;
}
