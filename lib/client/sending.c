/* SPDX-License-Identifier: MIT */
/* sending.c - a broadcast, from the call to what became of it.
 *
 * The happy path: the letter is opened, its blob goes into the room's outbox, the pump
 * sends it; if the program wants to know, the server's confirmation (or, without the
 * extension, the transport's acknowledgement) ends it with on_sent. Possible failure
 * modes: it is dropped for want of room (FULL), a newer LATEST takes its place
 * (EXISTS), its datagram is lost (TIMEOUT), the connection or the room ends before it
 * was confirmed (UNSURE: it may have arrived) or sent (CLOSED: it has not).
 *
 * A blob that nobody but its sending refers to any more has left the outbox: that is
 * how those are found that gave way. */
#include <yomo/error.h>

#include "client/inside.h"
#include "wire/decode.h"

static void destroy(struct yo_sending *sending)
{
    struct yomo_room *room = sending->room;
    yo_blob_unref(sending->blob);
    yo_free(&room->client->mem, sending);
    yomo_room_unref(room);
}

/* The program knows what became of it. */
static void done(struct yo_sending *sending, int error)
{
    struct yomo_room *room = sending->room;
    struct yomo_client *client = room->client;
    if (sending->by_number.key.data) {
        yo_map_remove(&client->pending, &sending->by_number);
        yo_list_remove(&sending->link);
        client->pending_reliable -= sending->delivery == YOMO_RELIABLE;
    }
    if (sending->asks && error != YOMO_OK) {
        yo_asking_failed(client, sending->number, error);
    } else if (sending->asks) {
        yo_asking_heard(client, sending->number);
    } else if (sending->number && !sending->asks && client->on.on_sent) {
        client->on.on_sent(client->user, room, sending->number, error);
    }
    destroy(sending);
}

static struct yo_sending *find(const struct yomo_client *client, uint64_t number)
{
    struct yo_map_node *node =
        number ? yo_map_get(&client->pending, yo_span(&number, sizeof(number))) : NULL;
    return node ? YO_CONTAINER(node, struct yo_sending, by_number) : NULL;
}

/* Does an outbox still have it? */
static bool is_queued(const struct yo_sending *sending)
{
    return atomic_load_explicit(&sending->blob->refs, memory_order_relaxed) > 1;
}

static bool gave_way(const struct yo_sending *sending)
{
    bool flying = sending->sent && sending->token && !sending->arrived &&
                  sending->delivery == YOMO_LATEST;
    return (!sending->sent || flying) && !is_queued(sending);
}

/* `error` 0: for want of room, or to a newer one. */
static void tell_those_that_gave_way(struct yomo_room *room, int error)
{
    YO_LIST_EACH(link, next, &room->pending) {
        struct yo_sending *sending = YO_CONTAINER(link, struct yo_sending, link);
        if (gave_way(sending)) {
            done(sending, error                               ? error
                          : sending->delivery == YOMO_LATEST ? YOMO_ERR_EXISTS
                                                             : YOMO_ERR_FULL);
        }
    }
}

/* Nobody will say more about it: one that nobody else was given has not arrived. */
static void lose(struct yo_sending *sending)
{
    done(sending, sending->sent ? YOMO_ERR_UNSURE : YOMO_ERR_CLOSED);
}

/* From here on it can be found by its number. */
static int remember(struct yo_sending *sending)
{
    struct yomo_room *room = sending->room;
    struct yomo_client *client = room->client;
    int rv = yo_map_put(&client->pending, &sending->by_number,
                        yo_span(&sending->number, sizeof(sending->number)));
    if (rv != YOMO_OK) {
        sending->by_number.key = YO_SPAN_NONE;
        return rv;
    }
    yo_list_push_back(&room->pending, &sending->link);
    client->pending_reliable += sending->delivery == YOMO_RELIABLE;
    return YOMO_OK;
}

/* Name the slot, and number the value. */
static int queue_latest(struct yo_sending *sending, struct yo_packed *packed,
                        struct yo_outgoing *out)
{
    struct yomo_room *room = sending->room;
    struct yo_buf *name = &room->client->scratch;
    struct yo_message data;
    struct yo_span event;
    packed->version = out->version = ++room->client->last_version;
    memcpy(sending->blob->data, packed, sizeof(*packed)); /* not shared yet */
    yo_sending_unpack(sending->blob, packed, &data);
    int rv = yo_check_data(data.payload, &event);
    yo_buf_clear(name);
    if (rv == YOMO_OK) {
        rv = yo_outbox_slot(name, yo_outbox_audience(data.targets), room->name, event,
                            data.key);
    }
    if (rv == YOMO_OK) {
        out->slot = yo_buf_span(name);
        rv = yo_outbox_put(&room->box, out);
    }
    return rv;
}

static int queue(struct yo_sending *sending, yo_time now)
{
    struct yomo_room *room = sending->room;
    struct yo_packed packed;
    memcpy(&packed, sending->blob->data, sizeof(packed));
    if (sending->ttl_ms > 0 && sending->ttl_ms <= YO_NEVER / YO_MS) {
        packed.expires = yo_time_after(now, sending->ttl_ms * YO_MS);
        memcpy(sending->blob->data, &packed, sizeof(packed)); /* not shared yet */
        room->client->expiry_due =
            yo_time_min(room->client->expiry_due, packed.expires);
    }
    struct yo_outgoing out = {
        .message = sending->blob,
        .delivery = sending->delivery,
        .lane = YO_LANE_ROOMS, /* which one is known when it is sent */
        .priority = packed.priority,
        .expires = packed.expires,
    };
    return sending->delivery == YOMO_LATEST ? queue_latest(sending, &packed, &out)
                                            : yo_outbox_put(&room->box, &out);
}

/* Take apart what stands in an outbox; `data` is lent from `blob`. */
void yo_sending_unpack(const struct yo_blob *blob, struct yo_packed *packed,
                       struct yo_message *data)
{
    struct yo_span rest = yo_span_skip(yo_blob_span(blob), sizeof(*packed));
    memcpy(packed, blob->data, sizeof(*packed));
    *data = (struct yo_message){.op = YO_OP_DATA,
                                .version = packed->version,
                                .number = packed->number,
                                .request = packed->request,
                                .reply = packed->reply,
                                .code = packed->code,
                                .priority = packed->priority,
                                .echo = packed->echo};
    data->key = yo_span(rest.data, packed->key_size);
    rest = yo_span_skip(rest, packed->key_size);
    if (packed->targeted) {
        data->targets = yo_span(rest.data, packed->targets_size);
    }
    rest = yo_span_skip(rest, packed->targets_size);
    data->text = yo_span(rest.data, packed->text_size);
    data->payload = yo_span_skip(rest, packed->text_size);
}

/* An UNRELIABLE message has no time to wait for a connection. */
static bool comes_too_early(const struct yo_sending *sending)
{
    return sending->delivery == YOMO_UNRELIABLE &&
           sending->room->client->phase != YO_PHASE_OPEN;
}

static int accept(struct yo_sending *sending, yo_time now)
{
    struct yomo_room *room = sending->room;
    if (room->state == YO_ROOM_OVER) {
        return YOMO_ERR_CLOSED;
    }
    if (comes_too_early(sending)) {
        yo_client_count(room->client, YOMO_COUNT_UNRELIABLE_AWAY, 1);
        return YOMO_ERR_CLOSED;
    }
    int rv = sending->number ? remember(sending) : YOMO_OK;
    return rv == YOMO_OK ? queue(sending, now) : rv;
}

void yo_sending_open(struct yo_letter *letter, void *user, yo_time now)
{
    struct yo_sending *sending = YO_CONTAINER(letter, struct yo_sending, letter);
    struct yomo_room *room = sending->room;
    struct yomo_client *client = user;
    size_t size = sending->blob->size;
    bool reliable = sending->delivery == YOMO_RELIABLE;
    if (sending->asks) {
        yo_asking_begun(client, sending->number, now);
    }
    int rv = accept(sending, now);
    if (rv == YOMO_OK && reliable) {
        room->held += size;
        room->held_count++;
    } else {
        yo_client_release(client, size, 1);
    }
    if (rv != YOMO_OK) {
        if (rv == YOMO_ERR_NOMEM) {
            YO_LOG(&client->log, YOMO_LOG_ERROR, "client",
                   "a message was lost: out of memory");
        }
        done(sending, rv);
        return;
    }
    if (!sending->number) {
        destroy(sending);
    }
    if (!reliable) {
        tell_those_that_gave_way(room, YOMO_OK);
        yo_client_count_box(room);
    }
    yo_room_push(room);
}

void yo_sending_discard(struct yo_letter *letter)
{
    struct yo_sending *sending = YO_CONTAINER(letter, struct yo_sending, letter);
    yo_client_release(sending->room->client, sending->blob->size, 1);
    destroy(sending);
}

void yo_sending_took(struct yomo_client *client, uint64_t number, uint64_t token)
{
    struct yo_sending *sending = find(client, number);
    if (!sending) {
        return;
    }
    sending->sent = true;
    sending->token = token;
    if (sending->asks) {
        yo_asking_sent(client, number);
    }
    if (!client->extension && !token) {
        done(sending, YOMO_OK); /* nobody will say more */
    }
}

void yo_sending_unread(struct yomo_client *client, uint64_t number)
{
    struct yo_sending *sending = find(client, number);
    if (sending) {
        sending->sent = sending->arrived = false;
        sending->token = 0;
    }
    if (sending && sending->asks) {
        yo_asking_unsent(client, number);
    }
}

void yo_sending_refused(struct yomo_client *client, uint64_t number, int error)
{
    struct yo_sending *sending = find(client, number);
    if (sending) {
        done(sending, error);
    }
}

void yo_sending_confirmed(struct yomo_client *client, uint64_t number, int error)
{
    struct yo_sending *sending = find(client, number);
    if (sending && sending->delivery == YOMO_RELIABLE) {
        yo_keep_answered(sending->room, number);
    }
    yo_sending_refused(client, number, error);
    yo_client_wake(client);
}

static void told(struct yo_sending *sending, enum yo_fate fate)
{
    if (fate == YO_FATE_ACKED) {
        sending->arrived = true;
        if (!sending->room->client->extension) {
            done(sending, YOMO_OK);
        }
    } else if (sending->delivery != YOMO_LATEST) {
        done(sending, YOMO_ERR_TIMEOUT); /* a LATEST one goes out again */
    }
}

static struct yo_sending *find_token(const struct yomo_room *room, uint64_t token)
{
    YO_LIST_EACH(link, next, &room->pending) {
        struct yo_sending *sending = YO_CONTAINER(link, struct yo_sending, link);
        if (sending->token == token) {
            return sending;
        }
    }
    return NULL;
}

/* What flew may wait again. */
static void note_end(struct yomo_room *room)
{
    struct yomo_client *client = room->client;
    client->expiry_due =
        yo_time_min(client->expiry_due, yo_outbox_deadline(&room->box));
}

void yo_sending_fate(struct yomo_client *client, uint64_t token, enum yo_fate fate)
{
    bool acked = fate == YO_FATE_ACKED;
    if (token & YO_TOKEN_NUMBER) {
        struct yo_sending *sending = find(client, token & ~YO_TOKEN_NUMBER);
        if (sending) {
            told(sending, fate);
        }
        return;
    }
    uint64_t serial = token >> YO_TOKEN_SERIAL_SHIFT;
    if (serial == 0) {
        (void)yo_outbox_fate(&client->control, token, acked);
        return;
    }
    struct yo_map_node *node =
        yo_map_get(&client->serials, yo_span(&serial, sizeof(serial)));
    if (!node) {
        return;
    }
    struct yomo_room *room = YO_CONTAINER(node, struct yomo_room, by_serial);
    struct yo_sending *sending = find_token(room, token);
    if (sending) {
        told(sending, fate);
    }
    if (yo_outbox_fate(&room->box, token, acked)) {
        note_end(room);
        yo_room_push(room);
    }
}

/* What waited in this room's outbox longer than it may. */
static void expire(struct yomo_room *room, yo_time now)
{
    size_t before = room->box.reliable_bytes;
    if (yo_outbox_expire(&room->box, now) == 0) {
        return;
    }
    size_t freed = before - room->box.reliable_bytes;
    size_t left = yo_outbox_reliable(&room->box);
    room->held -= freed;
    yo_client_release(room->client, freed, room->held_count - left);
    room->held_count = left;
    tell_those_that_gave_way(room, YOMO_ERR_TIMEOUT);
    yo_room_push(room); /* a leave may have waited for it */
}

void yo_sending_turn(struct yomo_client *client, yo_time now)
{
    if (client->expiry_due > now) {
        return;
    }
    client->expiry_due = YO_NEVER;
    YO_LIST_EACH(link, next, &client->room_list) {
        struct yomo_room *room = YO_CONTAINER(link, struct yomo_room, room_link);
        expire(room, now);
        client->expiry_due =
            yo_time_min(client->expiry_due, yo_outbox_deadline(&room->box));
    }
}

/* It goes out again. One that is RELIABLE and was sent is kept (keep.c), and may have
 * arrived all the same. */
static void wait_again(struct yo_sending *sending)
{
    sending->sent = sending->sent && sending->delivery == YOMO_RELIABLE;
    sending->arrived = false;
    sending->token = 0;
}

void yo_sending_lost(struct yomo_room *room)
{
    note_end(room);
    YO_LIST_EACH(link, next, &room->pending) {
        struct yo_sending *sending = YO_CONTAINER(link, struct yo_sending, link);
        if (is_queued(sending)) {
            wait_again(sending);
        } else {
            lose(sending);
        }
    }
}

void yo_sending_moved(struct yomo_room *room)
{
    note_end(room);
    YO_LIST_EACH(link, next, &room->pending) {
        struct yo_sending *sending = YO_CONTAINER(link, struct yo_sending, link);
        if (is_queued(sending)) {
            wait_again(sending);
        } else if (sending->delivery != YOMO_RELIABLE) {
            lose(sending);
        }
    }
}

void yo_sending_resumed(struct yomo_room *room, uint64_t read)
{
    yo_keep_read(room, read);
    yo_keep_again(room);
    YO_LIST_EACH(link, next, &room->pending) {
        struct yo_sending *sending = YO_CONTAINER(link, struct yo_sending, link);
        if (!is_queued(sending)) { /* read, and its answer is lost */
            lose(sending);
        }
    }
}

bool yo_sending_in_doubt(const struct yomo_client *client)
{
    YO_LIST_EACH(link, next, &client->room_list)
    {
        struct yomo_room *room = YO_CONTAINER(link, struct yomo_room, room_link);
        YO_LIST_EACH(pending, then, &room->pending)
        {
            struct yo_sending *sending = YO_CONTAINER(pending, struct yo_sending, link);
            if (sending->sent && sending->delivery == YOMO_RELIABLE) {
                return true;
            }
        }
    }
    return false;
}

void yo_sending_end(struct yomo_room *room)
{
    yo_outbox_finish(&room->box);
    yo_asking_end(room);
    yo_client_release(room->client, room->held, room->held_count);
    room->held = room->held_count = 0;
    (void)yo_keep_clear(room);
    YO_LIST_EACH(link, next, &room->pending) {
        lose(YO_CONTAINER(link, struct yo_sending, link));
    }
}
