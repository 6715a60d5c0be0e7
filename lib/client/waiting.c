/* SPDX-License-Identifier: MIT */
/* waiting.c - what waits to be sent, and what was given up: for the program to see. */
#include "base/check.h"
#include "client/inside.h"

void yo_client_release(struct yomo_client *client, size_t bytes, size_t messages)
{
    if (messages == 0) {
        return;
    }
    yo_client_lock(client);
    assert(client->held >= bytes && client->held_count >= messages);
    client->held -= bytes;
    client->held_count -= messages;
    yo_client_unlock(client);
}

void yo_client_count(struct yomo_client *client, int32_t what, uint64_t more)
{
    if (more > 0) {
        yo_client_lock(client);
        client->counts[what] += more;
        yo_client_unlock(client);
    }
}

/* What the room's outbox has given up since it was last looked at. */
void yo_client_count_box(struct yomo_room *room)
{
    const struct yo_outbox *box = &room->box;
    const uint64_t now[] = {box->dropped_unreliable, box->dropped_latest, box->replaced};
    static const int32_t what[] = {YOMO_COUNT_UNRELIABLE_DROPPED,
                                   YOMO_COUNT_LATEST_DROPPED,
                                   YOMO_COUNT_LATEST_REPLACED};
    for (int i = 0; i < 3; i++) {
        yo_client_count(room->client, what[i], now[i] - room->counted[i]);
        room->counted[i] = now[i];
    }
}

void yomo_client_waiting(const yomo_client *client, size_t *messages, size_t *bytes)
{
    size_t count = 0, size = 0;
    if (client) {
        yo_client_lock(client);
        count = client->held_count;
        size = client->held;
        yo_client_unlock(client);
    }
    if (messages) {
        *messages = count;
    }
    if (bytes) {
        *bytes = size;
    }
}

uint64_t yomo_client_counter(const yomo_client *client, int32_t what)
{
    if (!client || what < 0 || what >= YOMO_COUNTS) {
        return 0;
    }
    yo_client_lock(client);
    uint64_t count = client->counts[what];
    yo_client_unlock(client);
    return count;
}
