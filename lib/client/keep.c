/* SPDX-License-Identifier: MIT */
/* keep.c - RELIABLE messages that were sent are kept until the server has read them: an
 * acknowledgement of the transport is not enough, since a server may be gone with what
 * it had not read. After a break exactly those go out again that it had not, also where
 * the session is lost but the server still knows how much it had read.
 *
 * They count as the client's `held` bytes. Invariants:
 *  1. a room's `kept` are in the order in which they were sent, the last of them the
 * `sent`-th since the room was joined;
 *  2. `again` is NULL or one of them: it and those behind it are to be sent again. */
#include "base/check.h"
#include "client/inside.h"

struct yo_kept {
    struct yo_link link;
    struct yo_blob *message; /* as in an outbox: struct yo_packed, key, payload */
};

static struct yo_kept *of_link(const struct yo_link *link)
{
    return YO_CONTAINER(link, struct yo_kept, link);
}

bool yo_keep_wanted(const struct yomo_client *client, enum yomo_delivery delivery)
{
    return client->keeps && delivery == YOMO_RELIABLE;
}

struct yo_kept *yo_keep_make(struct yomo_client *client, struct yo_blob *message)
{
    struct yo_kept *kept = yo_malloc(&client->mem, sizeof(*kept));
    if (kept) {
        yo_list_init(&kept->link);
        kept->message = yo_blob_ref(message);
    }
    return kept;
}

void yo_keep_free(struct yomo_client *client, struct yo_kept *kept)
{
    if (kept) {
        yo_list_remove(&kept->link);
        yo_blob_unref(kept->message);
        yo_free(&client->mem, kept);
    }
}

/* The server tells how much it has read when it is pinged. */
static void ask(struct yomo_client *client)
{
    if (!client->kept_asked && client->kept_bytes > client->settings.queue_size / 4) {
        client->kept_asked = true;
        client->ping_at = 0;
        yo_client_wake(client);
    }
}

void yo_keep_add(struct yomo_room *room, struct yo_kept *kept)
{
    struct yomo_client *client = room->client;
    yo_list_push_back(&room->kept, &kept->link);
    room->kept_count++;
    room->sent++;
    room->held -= kept->message->size;
    client->kept_bytes += kept->message->size;
    ask(client);
}

static void drop_first(struct yomo_room *room)
{
    struct yomo_client *client = room->client;
    struct yo_kept *kept = of_link(room->kept.next);
    size_t size = kept->message->size;
    if (room->again == &kept->link) {
        room->again = kept->link.next == &room->kept ? NULL : kept->link.next;
    }
    yo_keep_free(client, kept);
    room->kept_count--;
    client->kept_bytes -= size;
    yo_client_release(client, size, 1);
}

void yo_keep_read(struct yomo_room *room, uint64_t read)
{
    while (room->kept_count > 0 && room->sent - room->kept_count < read) {
        drop_first(room);
    }
    yo_room_push(room); /* it may wait for that, to be left */
}

void yo_keep_answered(struct yomo_room *room, uint64_t number)
{
    uint64_t before = room->sent - room->kept_count;
    for (const struct yo_link *link = room->kept.next; link != &room->kept;
         link = link->next) {
        struct yo_packed packed;
        before++;
        memcpy(&packed, of_link(link)->message->data, sizeof(packed));
        if (packed.number == number) {
            yo_keep_read(room, before);
            return;
        }
    }
}

void yo_keep_again(struct yomo_room *room)
{
    room->again = yo_list_empty(&room->kept) ? NULL : room->kept.next;
}

struct yo_blob *yo_keep_next(const struct yomo_room *room)
{
    return room->again ? of_link(room->again)->message : NULL;
}

void yo_keep_went(struct yomo_room *room)
{
    room->again = room->again->next == &room->kept ? NULL : room->again->next;
}

void yo_keep_skip(struct yomo_room *room)
{
    struct yomo_client *client = room->client;
    struct yo_kept *kept = of_link(room->again);
    size_t size = kept->message->size;
    yo_keep_went(room);
    yo_keep_free(client, kept);
    room->kept_count--;
    room->sent--; /* the server counts on with what follows */
    client->kept_bytes -= size;
    yo_client_release(client, size, 1);
}

/* Not read, so it is as if it had never been sent. */
static void give_back(struct yomo_room *room, struct yo_kept *kept)
{
    struct yomo_client *client = room->client;
    struct yo_packed packed;
    memcpy(&packed, kept->message->data, sizeof(packed));
    const struct yo_outgoing out = {.message = kept->message,
                                    .delivery = YOMO_RELIABLE,
                                    .lane = YO_LANE_ROOMS,
                                    .first = true,
                                    .priority = packed.priority,
                                    .expires = packed.expires};
    size_t size = kept->message->size;
    int rv = yo_outbox_put(&room->box, &out);
    yo_keep_free(client, kept);
    room->kept_count--;
    client->kept_bytes -= size;
    if (rv == YOMO_OK) {
        room->held += size;
        room->held_count++;
        yo_sending_unread(client, packed.number);
        return;
    }
    YO_LOG(&client->log, YOMO_LOG_ERROR, "client", "a message was lost: out of memory");
    yo_client_release(client, size, 1);
    yo_sending_refused(client, packed.number, rv);
}

void yo_keep_unread(struct yomo_room *room)
{
    while (room->kept_count > 0) { /* each in front of those that were sent after it */
        give_back(room, of_link(room->kept.prev));
    }
    room->again = NULL;
    room->sent = 0;
}

size_t yo_keep_clear(struct yomo_room *room)
{
    size_t count = room->kept_count;
    while (room->kept_count > 0) {
        drop_first(room);
    }
    room->again = NULL;
    room->sent = 0;
    return count;
}
