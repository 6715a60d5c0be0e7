/* SPDX-License-Identifier: MIT */
/* goaway.c - a server that is about to close has asked its clients to go
 * (docs/protocol.md, "goaway").
 *
 * The happy path: where the server named another one, the client stays until the moment
 * that it was given, so that it is away for no longer than it takes to connect; where
 * it is to come back to the same one, it goes at once, since that one cannot start anew
 * before all have gone. Either way it parts first: it sends no more, and asks until the
 * server has read all that was sent, so that nothing is in doubt.
 *
 * Possible failure modes: the server does not say so within PART_TIME: what it may not
 * have read is told as UNSURE. It closes before: the client waits for the rest of its
 * time. A program that closes the client meanwhile: what waits is still sent. */
#include "client/inside.h"

#define GOAWAY_MS_MAX 3600000 /* a server may keep its clients away for an hour */
#define PART_TIME YO_SECOND   /* for the server to say what it has read */
#define ASK_TIME (50 * YO_MS) /* between two questions */

void yo_goaway_told(struct yomo_client *client, const struct yo_effect *effect,
                    yo_time now)
{
    uint64_t ms = effect->after_ms < GOAWAY_MS_MAX ? effect->after_ms : GOAWAY_MS_MAX;
    client->goaway = true;
    client->goaway_at = yo_time_after(now, ms * YO_MS);
    client->part_at = client->parting ? client->part_at : now;
    yo_target_finish(&client->redirect);
    if (effect->text.size == 0) {
        return;
    }
    if (yo_settings_retarget(&client->settings, &client->redirect, effect->text) !=
        YOMO_OK) {
        YO_LOG(&client->log, YOMO_LOG_WARN, "client",
               "the server named a URL that this client does not follow");
    } else if (!client->parting) {
        client->part_at = client->goaway_at;
    }
}

/* May something that was sent not have been read? */
static bool in_doubt(const struct yomo_client *client)
{
    return client->phase == YO_PHASE_OPEN && !client->resuming &&
           (client->kept_bytes > 0 || yo_sending_in_doubt(client));
}

void yo_goaway_turn(struct yomo_client *client, yo_time now)
{
    if (client->lingering) { /* what waits goes out, and then it is over anyway */
        client->parting = false;
        return;
    }
    if (!client->goaway || client->part_at > now) {
        return;
    }
    if (!client->parting) {
        client->parting = true;
        client->part_until = yo_time_after(now, PART_TIME);
        client->ping_at = 0;
    }
    if (in_doubt(client)) {
        client->ping_at = yo_time_min(client->ping_at, yo_time_after(now, ASK_TIME));
    }
}

bool yo_goaway_over(const struct yomo_client *client, yo_time now)
{
    return client->parting && (client->part_until <= now || !in_doubt(client));
}

yo_time yo_goaway_deadline(const struct yomo_client *client)
{
    return !client->goaway || client->lingering ? YO_NEVER
           : client->parting                    ? client->part_until
                                                : client->part_at;
}

uint64_t yo_goaway_wait(struct yomo_client *client, yo_time now)
{
    uint64_t ms =
        client->goaway_at > now ? (client->goaway_at - now + YO_MS - 1) / YO_MS : 0;
    /* Servers that name another one pace their clients themselves. */
    return client->redirect.mem ? ms : yo_backoff_asked(&client->backoff, ms);
}

void yo_goaway_forget(struct yomo_client *client)
{
    client->goaway = client->parting = false;
    client->part_at = client->part_until = YO_NEVER;
}
