/* SPDX-License-Identifier: MIT */
/* locks.c - the locks that a program wants or holds.
 *
 * The happy path: the server is asked, at once says which place the lock has (its
 * version), or that others are before; then it tells that this member has it, and is
 * asked again, so that the lease is measured from a moment of our own. While the
 * program holds it the lease is begun anew three times in its length. Possible failure
 * modes: somebody else has it (CONFLICT), or had it for as long as the program would
 * wait (TIMEOUT); the lease runs out because the server cannot be reached; another
 * connection is another session, to which the lock does not belong.
 *
 * A lease counts from when it was asked for, by the loop's clock: it ends here before
 * it ends at the server, so that two never believe to have it. What may be under way
 * when one is given up is followed by an unlock on the same way.
 *
 * Invariants: a claim is in its room's list and in the client's from when its letter is
 * opened; `held` is what the program was told last. */
#include <yomo/error.h>

#include "base/check.h"
#include "client/inside.h"

#define CLAIMS_MAX 256 /* of one room at a time */

struct claim {
    struct yo_letter letter;
    struct yo_link link; /* in room->claims */
    struct yo_link all;  /* in client->claims */
    struct yomo_room *room;
    uint64_t number, ask; /* the program's; of the question that has no answer yet */
    uint64_t lease_ms, wait_ms;
    yo_time wait_until;
    bool told;                /* the program wants to know what became of it */
    bool due, asked, in_line; /* to be asked for; it was, by this connection */
    bool given; /* told that it is ours now, maybe before the answer: lanes overtake */
    bool held;
    uint64_t version, session; /* held: since which place, by which session of ours */
    yo_time asked_at, valid_until, renew_at;
    size_t key_size;
    char key[]; /* NUL behind it */
};

static struct claim *of_link(struct yo_link *link)
{
    return YO_CONTAINER(link, struct claim, link);
}

static struct claim *of_all(struct yo_link *link)
{
    return YO_CONTAINER(link, struct claim, all);
}

static struct yo_span key_of(const struct claim *claim)
{
    return yo_span(claim->key, claim->key_size);
}

static void destroy(struct claim *claim)
{
    struct yomo_room *room = claim->room;
    yo_client_lock(room->client);
    room->claim_count--;
    yo_client_unlock(room->client);
    yo_list_remove(&claim->link);
    yo_list_remove(&claim->all);
    yo_free(&room->client->mem, claim);
    yomo_room_unref(room);
}

static void tell_lock(const struct claim *claim, bool held)
{
    struct yomo_room *room = claim->room;
    struct yomo_client *client = room->client;
    if (client->on.on_lock) {
        client->on.on_lock(client->user, room, claim->key, held, claim->version);
    }
}

/* What became of the call; once. */
static void tell_sent(struct claim *claim, int error)
{
    struct yomo_room *room = claim->room;
    struct yomo_client *client = room->client;
    bool told = claim->told;
    claim->told = false;
    if (told && client->on.on_sent) {
        client->on.on_sent(client->user, room, claim->number, error);
    }
}

/* It is over: the program is told what it must know. */
static void end(struct claim *claim, int error)
{
    bool held = claim->held;
    yo_list_remove(&claim->link);
    yo_list_remove(&claim->all);
    if (held) {
        tell_lock(claim, false);
    }
    tell_sent(claim, error);
    destroy(claim);
}

static struct claim *find(const struct yomo_room *room, struct yo_span key)
{
    YO_LIST_EACH(link, next, &room->claims)
    {
        if (yo_span_equal(key_of(of_link(link)), key)) {
            return of_link(link);
        }
    }
    return NULL;
}

/* --- the call --- */

static void open_claim(struct yo_letter *letter, void *user, yo_time now)
{
    struct claim *claim = YO_CONTAINER(letter, struct claim, letter);
    struct yomo_room *room = claim->room;
    struct yomo_client *client = user;
    if (room->state == YO_ROOM_OVER) {
        destroy(claim); /* on_left was the last word */
        return;
    }
    if (find(room, key_of(claim))) {
        tell_sent(claim, YOMO_ERR_EXISTS);
        destroy(claim);
        return;
    }
    if (claim->wait_ms > 0) {
        claim->wait_until = claim->wait_ms > YO_NEVER / YO_MS
                                ? YO_NEVER
                                : yo_time_after(now, claim->wait_ms * YO_MS);
    }
    claim->due = true;
    yo_list_push_back(&room->claims, &claim->link);
    yo_list_push_back(&client->claims, &claim->all);
    yo_room_push(room);
}

static void discard_claim(struct yo_letter *letter)
{
    destroy(YO_CONTAINER(letter, struct claim, letter));
}

int32_t yomo_room_lock(yomo_room *room, const char *key, uint64_t lease_ms,
                       uint64_t wait_ms, uint64_t *id)
{
    YO_REQUIRE(room && key && lease_ms > 0);
    struct yomo_client *client = room->client;
    struct yo_span name = yo_span_of(key);
    struct claim *claim;
    int rv = YOMO_OK;
    YO_REQUIRE(yo_client_name_valid(name, YO_VALUE_KEY_MAX));
    claim = yo_calloc(&client->mem, 1, sizeof(*claim) + name.size + 1);
    if (!claim) {
        return YOMO_ERR_NOMEM;
    }
    claim->letter = (struct yo_letter){.open = open_claim, .discard = discard_claim};
    yo_list_init(&claim->link);
    yo_list_init(&claim->all);
    claim->room = room;
    claim->lease_ms = lease_ms < YO_LEASE_MS_MAX ? lease_ms : YO_LEASE_MS_MAX;
    claim->wait_ms = wait_ms;
    claim->wait_until = claim->valid_until = claim->renew_at = YO_NEVER;
    claim->key_size = name.size;
    memcpy(claim->key, name.data, name.size);
    yo_client_lock(client);
    if (yo_room_closed(room)) {
        rv = YOMO_ERR_CLOSED;
    } else if (room->claim_count >= CLAIMS_MAX) {
        rv = YOMO_ERR_FULL;
    } else {
        room->claim_count++;
        claim->number = ++client->next_number;
        claim->told = id != NULL;
        if (id) {
            *id = claim->number;
        }
        yomo_room_ref(room);
        yo_client_post(client, &claim->letter);
    }
    yo_client_unlock(client);
    if (rv != YOMO_OK) {
        yo_free(&client->mem, claim);
    }
    return rv;
}

/* --- the loop's side --- */

static int send(struct yomo_room *room, const struct yo_message *message, yo_time now)
{
    struct yomo_client *client = room->client;
    yo_effects_clear(&client->effects);
    int rv = yo_client_share(client->session, message, &client->effects);
    if (rv == YOMO_OK) {
        yo_dispatch(client, now);
    } else if (rv == YOMO_ERR_NOMEM) {
        yo_link_drop(client, rv, "");
    }
    return rv;
}

/* It is not wanted any more, whatever is under way. */
static void release(struct claim *claim, yo_time now)
{
    struct yomo_room *room = claim->room;
    const struct yo_message message = {
        .op = YO_OP_UNLOCK, .channel = room->name, .key = key_of(claim)};
    if (room->state == YO_ROOM_JOINED && room->client->conn && !room->client->ending) {
        (void)send(room, &message, now);
    }
}

static uint64_t next_number(struct yomo_client *client)
{
    yo_client_lock(client);
    uint64_t number = ++client->next_number;
    yo_client_unlock(client);
    return number;
}

void yo_claim_give(struct yomo_room *room, yo_time now)
{
    struct yomo_client *client = room->client;
    YO_LIST_EACH(link, next, &room->claims)
    {
        struct claim *claim = of_link(link);
        if (!claim->due || claim->ask != 0) {
            continue;
        }
        uint64_t ask = next_number(client);
        const struct yo_message message = {.op = YO_OP_LOCK,
                                           .channel = room->name,
                                           .key = key_of(claim),
                                           .timestamp = claim->lease_ms,
                                           .wait = claim->wait_ms > 0 && !claim->held,
                                           .number = ask};
        claim->due = false;
        claim->ask = ask;
        claim->asked = true;
        claim->given = false;
        claim->asked_at = now;
        int rv = send(room, &message, now);
        if (rv != YOMO_OK && rv != YOMO_ERR_NOMEM) {
            end(claim, rv);
        }
        if (client->ending || room->state != YO_ROOM_JOINED) {
            return;
        }
    }
}

static void got(struct claim *claim, uint64_t version, yo_time now)
{
    yo_time lease = claim->lease_ms * YO_MS;
    bool news = !claim->held || claim->version != version;
    claim->in_line = false;
    bool late = yo_time_after(claim->asked_at, lease) <= now;
    if (late && !claim->held && claim->wait_ms == 0) {
        release(claim, now);
        end(claim, YOMO_ERR_TIMEOUT); /* and so would be the next one */
        return;
    }
    if (late) {
        claim->due = true; /* the answer took longer than the lease */
        yo_room_push(claim->room);
        return;
    }
    if (claim->held && news) { /* lost and got again, unnoticed */
        tell_lock(claim, false);
    }
    claim->held = true;
    claim->version = version;
    claim->session = claim->room->client->session_id;
    claim->valid_until = yo_time_after(claim->asked_at, lease);
    claim->renew_at = yo_time_after(claim->asked_at, lease / 3);
    if (news) {
        tell_lock(claim, true);
    }
    tell_sent(claim, YOMO_OK);
    yo_client_wake(claim->room->client);
}

void yo_claim_confirmed(struct yomo_room *room, const struct yo_effect *effect,
                        yo_time now)
{
    struct claim *claim = NULL;
    YO_LIST_EACH(link, next, &room->claims)
    {
        claim = of_link(link)->ask == effect->number ? of_link(link) : claim;
    }
    if (!claim || effect->number == 0) {
        return;
    }
    claim->ask = 0;
    if (effect->error == YOMO_OK && effect->sequence != 0) {
        got(claim, effect->sequence, now);
    } else if (effect->error == YOMO_OK) {
        claim->in_line = true;
        claim->due = claim->given;
        yo_room_push(room);
    } else if (claim->held && effect->error != YOMO_ERR_CONFLICT &&
               effect->error != YOMO_ERR_NOT_FOUND &&
               effect->error != YOMO_ERR_DENIED) { /* too often, too much: again */
        claim->renew_at = yo_time_after(now, claim->lease_ms * YO_MS / 10);
    } else {
        end(claim, effect->error);
    }
}

void yo_claim_told(struct yomo_room *room, const struct yo_effect *effect)
{
    struct claim *claim = find(room, effect->key);
    bool ours = effect->session != 0 && effect->session == room->client->session_id;
    if (!claim) {
        return;
    }
    claim->given = ours;
    if (claim->held && effect->version > claim->version && !ours) {
        end(claim, YOMO_ERR_CONFLICT);
    } else if (claim->in_line && ours) {
        claim->due = true; /* from now on, so that we know since when */
        yo_room_push(room);
    }
}

void yo_claim_joined(struct yomo_room *room)
{
    YO_LIST_EACH(link, next, &room->claims)
    {
        struct claim *claim = of_link(link);
        if (claim->held && claim->session != room->client->session_id) {
            end(claim, YOMO_ERR_CLOSED); /* it is the other session's */
        } else {
            claim->due = true;
        }
    }
}

void yo_claim_away(struct yomo_room *room)
{
    YO_LIST_EACH(link, next, &room->claims)
    {
        of_link(link)->ask = 0;
        of_link(link)->asked = of_link(link)->in_line = of_link(link)->due = false;
        of_link(link)->given = false;
    }
}

void yo_claim_drop(struct yomo_room *room, struct yo_span key)
{
    struct claim *claim = find(room, key);
    if (claim) {
        claim->held = false; /* the program knows */
        end(claim, YOMO_ERR_CLOSED);
    }
}

void yo_claim_end(struct yomo_room *room)
{
    while (!yo_list_empty(&room->claims)) {
        end(of_link(room->claims.next), YOMO_ERR_CLOSED);
    }
}

void yo_claims_turn(struct yomo_client *client, yo_time now)
{
    YO_LIST_EACH(link, next, &client->claims)
    {
        struct claim *claim = of_all(link);
        if (claim->held && claim->valid_until <= now) {
            release(claim, now);
            end(claim, YOMO_ERR_TIMEOUT);
        } else if (!claim->held && claim->wait_until <= now) {
            if (claim->asked) {
                release(claim, now);
            }
            end(claim, YOMO_ERR_TIMEOUT);
        } else if (claim->held && claim->renew_at <= now) {
            claim->renew_at = YO_NEVER;
            claim->due = true;
            yo_room_push(claim->room);
        }
    }
}

yo_time yo_claims_deadline(const struct yomo_client *client)
{
    yo_time due = YO_NEVER;
    YO_LIST_EACH(link, next, &client->claims)
    {
        const struct claim *claim = of_all(link);
        due = yo_time_min(due, claim->held
                                   ? yo_time_min(claim->valid_until, claim->renew_at)
                                   : claim->wait_until);
    }
    return due;
}
