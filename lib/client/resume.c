/* SPDX-License-Identifier: MIT */
/* resume.c - coming back after a break: the same session, the same seats, and what was
 * missed (docs/protocol.md, "Resuming").
 *
 * The happy path: the connection breaks, its session is kept with its token; the next
 * connection is to the same run of the server, which is asked for the session with all
 * rooms that are still wanted. Room by room it says what it had read and what was
 * missed; what it had not read goes out again, and all is as before.
 *
 * Possible failure modes: there is no grace time, or it is over, or the server is
 * another one: rooms are joined anew. The server may still know how much it had read:
 * what it had not goes out again there. Else what was sent and not known to be read is
 * told as UNSURE. The next connection breaks too: the session is kept on.
 *
 * Invariants:
 *  1. `kept` is set only between connections, and on one whose hello has not come or is
 *     to be acted on at the end of this turn;
 *  2. a room is `resumable` while its seat may be had back: from the break until it is,
 *     or is not. */
#include "base/check.h"
#include "client/inside.h"

#define TAKE_TIME (5 * YO_SECOND) /* for the server to answer */

void yo_resume_init(struct yomo_client *client)
{
    yo_buf_init(&client->kept_token, &client->mem);
    client->resume_until = YO_NEVER;
}

void yo_resume_finish(struct yomo_client *client)
{
    yo_client_session_destroy(client->kept);
    client->kept = NULL;
    yo_buf_finish(&client->kept_token);
}

/* It cannot be had back any more. */
static void lose(struct yomo_room *room)
{
    struct yomo_client *client = room->client;
    if (!room->resumable) {
        return;
    }
    room->resumable = false;
    if (room->unread) { /* they have certainly not arrived */
        room->unread = false;
        yo_keep_unread(room);
    }
    yo_client_count(client, YOMO_COUNT_UNSURE, yo_keep_clear(room));
    yo_sending_lost(room);
}

static void give_up(struct yomo_client *client)
{
    yo_client_session_destroy(client->kept);
    client->kept = NULL;
    yo_buf_clear(&client->kept_token);
    YO_LIST_EACH(link, next, &client->room_list)
    {
        lose(YO_CONTAINER(link, struct yomo_room, room_link));
    }
}

void yo_resume_keep(struct yomo_client *client, const struct yo_reason *why)
{
    bool wanted = client->phase < YO_PHASE_ENDING && !client->lingering &&
                  !client->goaway && why->kind != YO_CLOSE_FINAL;
    bool under_way = client->resuming; /* the token in use is the one that was kept */
    client->resume_due = client->resuming = false;
    client->resume_until = YO_NEVER;
    if (!wanted) {
        give_up(client);
        return;
    }
    if (client->kept || !client->session || !client->keeps ||
        (under_way ? &client->kept_token : &client->token)->size == 0 ||
        !yo_client_session_may_resume(client->session)) {
        return;
    }
    if (!under_way) {
        yo_buf_swap(&client->kept_token, &client->token);
        client->kept_epoch = client->epoch;
    }
    client->kept = client->session;
    client->session = NULL;
}

bool yo_resume_greeted(struct yomo_client *client)
{
    if (!client->kept) {
        return false;
    }
    client->resume_due =
        client->extension && client->keeps && client->epoch == client->kept_epoch;
    if (!client->resume_due) {
        YO_LOG(&client->log, YOMO_LOG_INFO, "client",
               "not the server that has the session: all rooms are joined anew");
        give_up(client);
    }
    return client->resume_due;
}

/* Those that are still wanted. */
static int claim_rooms(struct yomo_client *client, yo_time now)
{
    YO_LIST_EACH(link, next, &client->room_list)
    {
        struct yomo_room *room = YO_CONTAINER(link, struct yomo_room, room_link);
        if (!room->resumable || room->leaving || room->state != YO_ROOM_WAITING) {
            continue;
        }
        yo_effects_clear(&client->effects);
        int rv = yo_client_resume_room(client->session, room->name, &client->effects);
        if (rv == YOMO_OK) {
            room->state = YO_ROOM_ASKED;
            yo_dispatch(client, now);
        } else if (rv == YOMO_ERR_NOT_FOUND) {
            lose(room);
        } else {
            return rv;
        }
    }
    return YOMO_OK;
}

static void begin(struct yomo_client *client, yo_time now)
{
    struct yo_client_session *hello = client->session;
    client->resume_due = false;
    client->resuming = true;
    client->resume_until = yo_time_after(now, TAKE_TIME);
    client->session = client->kept;
    client->kept = NULL;
    yo_client_resume_begin(client->session, hello, client->datagrams_only, now);
    yo_client_session_destroy(hello);
    int rv = claim_rooms(client, now);
    if (rv == YOMO_OK) {
        yo_effects_clear(&client->effects);
        rv = yo_client_resume(client->session, yo_buf_span(&client->kept_token),
                              &client->effects);
    }
    if (rv == YOMO_OK) {
        yo_dispatch(client, now);
    } else {
        yo_link_drop(client, rv, "");
    }
}

void yo_resume_turn(struct yomo_client *client, yo_time now)
{
    if (client->resume_due) {
        begin(client, now);
    } else if (client->resume_until <= now) {
        client->resume_until = YO_NEVER;
        client->keeps = false; /* this server does not do what it promised */
        yo_link_drop(client, YOMO_ERR_TIMEOUT, "the server did not resume the session");
    }
}

void yo_resume_told(struct yomo_client *client, yo_time now)
{
    if (client->resuming && client->phase != YO_PHASE_OPEN) {
        yo_engine_open(client, true, now);
    }
}

void yo_resume_answer(struct yomo_client *client, const struct yo_effect *effect,
                      yo_time now)
{
    bool resumed = effect->error == YOMO_OK;
    client->resuming = false;
    client->resume_until = YO_NEVER;
    yo_buf_clear(&client->kept_token);
    if (resumed) { /* without memory it cannot be moved or resumed, and that is all */
        yo_buf_clear(&client->token);
        (void)yo_buf_append_span(&client->token, effect->token);
        client->keeps = client->token.size > 0;
        yo_client_count(client, YOMO_COUNT_RESUMED, 1);
    } else {
        YO_LOG(&client->log, YOMO_LOG_INFO, "client",
               "the server does not have the session any more: rooms are joined anew");
    }
    yo_client_lock(client);
    client->session_id = effect->session;
    yo_client_unlock(client);
    YO_LIST_EACH(link, next, &client->room_list)
    {
        struct yomo_room *room = YO_CONTAINER(link, struct yomo_room, room_link);
        if (room->state == YO_ROOM_ASKED) {
            room->state = YO_ROOM_WAITING;
        }
        if (room->state == YO_ROOM_WAITING) {
            lose(room);
        }
        room->resumable = false;
        yo_room_push(room);
    }
    if (client->phase != YO_PHASE_OPEN) {
        yo_engine_open(client, resumed, now);
    }
}

yo_time yo_resume_deadline(const struct yomo_client *client)
{
    return client->resume_due ? 0 : client->resume_until;
}
