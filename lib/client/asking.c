/* SPDX-License-Identifier: MIT */
/* asking.c - requests of this client that have had no outcome.
 *
 * The happy path: the call puts it on record, the message goes out, the reply comes
 * from who was asked, the program is told, once. Possible failure modes: the message
 * cannot be sent or nobody is there to be asked (what became of the message says so),
 * nobody answers in time (TIMEOUT), the connection that carried it is gone and another
 * session took its place, to which no reply can come (UNSURE), who was asked has left
 * (UNSURE: it may have been heard), the room is over
 * (CLOSED). A reply that is none of this, from somebody else, a second one or a late
 * one, is dropped and counted.
 *
 * Invariants, with the client's lock: an asking is in `askings` and in its room's list
 * until it is taken out, and whoever takes it out tells its outcome; it is in
 * `asking_due` once its letter has been opened, which has room for all. */
#include <yomo/error.h>

#include "base/check.h"
#include "client/inside.h"

#define TIMEOUT_MS 10000 /* when the program does not say */

struct asking {
    struct yo_map_node by_number;
    struct yo_heap_node due;
    struct yo_link link; /* in room->askings */
    struct yomo_room *room;
    struct yo_question question;
    uint64_t number;
    uint64_t sent_as; /* the session of the connection that took it; 0: none has */
    bool sent;
    bool
        heard; /* the server gave it its place: it is on its way to who is asked, ... */
    bool left; /* ... who has left: no answer comes */
    uint64_t session; /* who is asked; 0: ... */
    size_t user_size; /* ... a user, or (0) the host */
    uint8_t user[];
};

static struct asking *of_node(struct yo_map_node *node)
{
    return node ? YO_CONTAINER(node, struct asking, by_number) : NULL;
}

int yo_asking_add(struct yomo_room *room, const struct yo_question *question,
                  const struct yo_manner *manner, uint64_t number)
{
    struct yomo_client *client = room->client;
    struct yo_wire_target target;
    bool single = yo_manner_single(manner, &target);
    assert(single);
    (void)single;
    if (client->askings.count >= client->settings.requests_max) {
        return YOMO_ERR_FULL;
    }
    struct asking *asking =
        yo_calloc(&client->mem, 1, sizeof(*asking) + target.user.size);
    if (!asking ||
        yo_heap_reserve(&client->asking_due, client->askings.count + 1) != YOMO_OK) {
        yo_free(&client->mem, asking);
        return YOMO_ERR_NOMEM;
    }
    asking->room = room;
    asking->question = *question;
    asking->number = number;
    asking->session = target.session;
    asking->user_size = target.user.size;
    if (target.user.size > 0) {
        memcpy(asking->user, target.user.data, target.user.size);
    }
    if (yo_map_put(&client->askings, &asking->by_number,
                   yo_span(&asking->number, sizeof(asking->number))) != YOMO_OK) {
        yo_free(&client->mem, asking);
        return YOMO_ERR_NOMEM;
    }
    yo_list_push_back(&room->askings, &asking->link);
    return YOMO_OK;
}

static struct asking *find(const struct yomo_client *client, uint64_t number)
{
    return of_node(yo_map_get(&client->askings, yo_span(&number, sizeof(number))));
}

/* With the lock: from here on it is the caller's. */
static void take_out(struct yomo_client *client, struct asking *asking)
{
    yo_map_remove(&client->askings, &asking->by_number);
    yo_heap_remove(&client->asking_due, &asking->due);
    yo_list_remove(&asking->link);
}

static void tell(struct asking *asking, int error)
{
    struct yomo_client *client = asking->room->client;
    asking->question.fn(asking->question.user, asking->room, error, NULL);
    yo_free(&client->mem, asking);
}

void yo_asking_begun(struct yomo_client *client, uint64_t number, yo_time now)
{
    yo_client_lock(client);
    struct asking *asking = find(client, number);
    if (asking) {
        uint64_t ms = asking->question.timeout_ms;
        ms = ms == 0 ? TIMEOUT_MS : ms;
        yo_time span = ms > YO_NEVER / YO_MS ? YO_NEVER : ms * YO_MS;
        (void)yo_heap_set(&client->asking_due, &asking->due, yo_time_after(now, span));
    }
    yo_client_unlock(client);
}

void yo_asking_sent(struct yomo_client *client, uint64_t number)
{
    yo_client_lock(client);
    struct asking *asking = find(client, number);
    if (asking) {
        asking->sent = true;
        asking->sent_as = client->session_id;
    }
    yo_client_unlock(client);
}

void yo_asking_unsent(struct yomo_client *client, uint64_t number)
{
    yo_client_lock(client);
    struct asking *asking = find(client, number);
    if (asking) {
        asking->sent = asking->left = false;
    }
    yo_client_unlock(client);
}

void yo_asking_heard(struct yomo_client *client, uint64_t number)
{
    yo_client_lock(client);
    struct asking *asking = find(client, number);
    bool over = asking && asking->left;
    if (over) {
        take_out(client, asking);
    } else if (asking) {
        asking->heard = true;
    }
    yo_client_unlock(client);
    if (over) {
        tell(asking, YOMO_ERR_UNSURE);
    }
}

/* Is it the one who has left that is asked, or the last device of the user who is? */
static bool asks(const struct asking *asking, uint64_t session, struct yo_span user)
{
    if (asking->session != 0) {
        return asking->session == session;
    }
    return user.data && asking->user_size > 0 &&
           yo_span_equal(user, yo_span(asking->user, asking->user_size));
}

/* One that waits for somebody who is gone; others may be added meanwhile. */
static struct asking *next_left(struct yomo_room *room, uint64_t session,
                                struct yo_span user)
{
    YO_LIST_EACH(link, next, &room->askings)
    {
        struct asking *asking = YO_CONTAINER(link, struct asking, link);
        if (asking->sent && !asking->left && asks(asking, session, user)) {
            return asking;
        }
    }
    return NULL;
}

void yo_asking_left(struct yomo_room *room, uint64_t session, struct yo_span user)
{
    struct yomo_client *client = room->client;
    struct asking *asking;
    do {
        bool over = false;
        yo_client_lock(client);
        asking = next_left(room, session, user);
        if (asking) {
            asking->left = true; /* its place may still be told, or NOT_FOUND */
            over = asking->heard;
        }
        if (over) {
            take_out(client, asking);
        }
        yo_client_unlock(client);
        if (over) {
            tell(asking, YOMO_ERR_UNSURE);
        }
    } while (asking);
}

void yo_asking_failed(struct yomo_client *client, uint64_t number, int error)
{
    yo_client_lock(client);
    struct asking *asking = find(client, number);
    if (asking) {
        take_out(client, asking);
    }
    yo_client_unlock(client);
    if (asking) {
        tell(asking, error);
    }
}

/* Did the one answer who was asked? The host has no session. */
static bool is_asked(const struct asking *asking, const struct yo_effect *effect)
{
    if (asking->session != 0) {
        return effect->session == asking->session;
    }
    if (asking->user_size > 0) {
        return effect->session != 0 &&
               yo_span_equal(effect->peer, yo_span(asking->user, asking->user_size));
    }
    return effect->session == 0;
}

void yo_asking_reply(struct yomo_room *room, const struct yo_effect *effect)
{
    struct yomo_client *client = room->client;
    yo_client_lock(client);
    struct asking *asking = find(client, effect->reply);
    if (asking && asking->room == room && asking->sent && is_asked(asking, effect)) {
        take_out(client, asking);
    } else {
        asking = NULL;
        client->replies_dropped++;
    }
    yo_client_unlock(client);
    if (!asking) {
        YO_LOG(&client->log, YOMO_LOG_DEBUG, "client",
               "a reply was dropped: nobody waits for it");
        return;
    }
    yo_message_answer(room, effect, asking->question.fn, asking->question.user);
    yo_free(&client->mem, asking);
}

void yo_asking_session(struct yomo_client *client)
{
    struct asking *asking;
    do {
        asking = NULL;
        yo_client_lock(client);
        for (struct yo_map_node *node = yo_map_next(&client->askings, NULL);
             node && !asking; node = yo_map_next(&client->askings, node)) {
            struct asking *each = of_node(node);
            if (each->sent && each->sent_as != client->session_id) {
                asking = each;
            }
        }
        if (asking) {
            take_out(client, asking);
        }
        yo_client_unlock(client);
        if (asking) {
            tell(asking, YOMO_ERR_UNSURE);
        }
    } while (asking);
}

void yo_asking_turn(struct yomo_client *client, yo_time now)
{
    yo_client_lock(client);
    bool another = client->asking_session != client->session_id;
    client->asking_session = client->session_id;
    yo_client_unlock(client);
    if (another) { /* whoever gave it: a hello, or the refusal of the old one */
        yo_asking_session(client);
    }
    for (;;) {
        yo_client_lock(client);
        struct yo_heap_node *node = yo_heap_first(&client->asking_due);
        struct asking *asking =
            node && node->when <= now ? YO_CONTAINER(node, struct asking, due) : NULL;
        if (asking) {
            take_out(client, asking);
        }
        yo_client_unlock(client);
        if (!asking) {
            return;
        }
        tell(asking, YOMO_ERR_TIMEOUT);
    }
}

yo_time yo_asking_deadline(const struct yomo_client *client)
{
    yo_client_lock(client);
    const struct yo_heap_node *node = yo_heap_first(&client->asking_due);
    yo_time due = node ? node->when : YO_NEVER;
    yo_client_unlock(client);
    return due;
}

void yo_asking_end(struct yomo_room *room)
{
    struct yomo_client *client = room->client;
    for (;;) {
        yo_client_lock(client);
        struct asking *asking =
            yo_list_empty(&room->askings)
                ? NULL
                : YO_CONTAINER(room->askings.next, struct asking, link);
        if (asking) {
            take_out(client, asking);
        }
        yo_client_unlock(client);
        if (!asking) {
            return;
        }
        tell(asking, YOMO_ERR_CLOSED);
    }
}

uint64_t yomo_client_replies_dropped(const yomo_client *client)
{
    if (!client) {
        return 0;
    }
    yo_client_lock(client);
    uint64_t count = client->replies_dropped;
    yo_client_unlock(client);
    return count;
}
