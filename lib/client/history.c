/* SPDX-License-Identifier: MIT */
/* history.c - what was said in a room before: questions, their answers, and what is
 * missing.
 *
 * The happy path: a question waits until its room is joined, is asked, and its answer
 * is put together from its pages; then on_history. Reading changes nothing, so a
 * question that a lost connection left without an answer is asked again. Possible
 * failure modes: the server refuses it, or knows no history (STATE); its answer is
 * larger than any honest one (TOO_BIG); the room is over (CLOSED).
 *
 * The other half is the room's position: the place of the last message that the program
 * was told. A room that is joined again names it, and hears what came since. */
#include <yomo/error.h>

#include "base/check.h"
#include "client/inside.h"
#include "session/told.h"
#include "wire/decode.h"
#include "wire/json.h"

#define QUESTIONS_MAX 64 /* of one room at a time */
#define ANSWER_SIZE_MAX (2u * YO_MESSAGE_SIZE_MAX)

struct question {
    struct yo_letter letter;
    struct yo_link link; /* in room->questions */
    struct yomo_room *room;
    uint64_t number, before, max;
    bool asked;
    struct yo_buf pages; /* encoded messages, one behind the other */
    uint32_t count;      /* of them */
    uint64_t last;       /* the place of the last one */
};

struct yomo_history {
    struct yomo_room *room;
    uint64_t number, before;
    int32_t error;
    size_t count;
    struct yo_effect *list; /* [count], of kind MESSAGE */
    struct yomo_message message;
};

struct yomo_gap {
    uint64_t first, last;
};

static struct question *of_link(struct yo_link *link)
{
    return YO_CONTAINER(link, struct question, link);
}

static void destroy(struct question *question)
{
    struct yomo_room *room = question->room;
    yo_client_lock(room->client);
    room->question_count--;
    yo_client_unlock(room->client);
    yo_list_remove(&question->link);
    yo_buf_finish(&question->pages);
    yo_free(&room->client->mem, question);
    yomo_room_unref(room);
}

/* --- the call -------------------------------------------------------------------- */

static void open_question(struct yo_letter *letter, void *user, yo_time now)
{
    struct question *question = YO_CONTAINER(letter, struct question, letter);
    struct yomo_room *room = question->room;
    (void)user, (void)now;
    if (room->state == YO_ROOM_OVER) {
        destroy(question); /* on_left was the last word */
        return;
    }
    yo_list_push_back(&room->questions, &question->link);
    yo_room_push(room);
}

static void discard_question(struct yo_letter *letter)
{
    destroy(YO_CONTAINER(letter, struct question, letter));
}

int32_t yomo_room_history(yomo_room *room, uint64_t before, uint32_t max, uint64_t *id)
{
    YO_REQUIRE(room);
    struct yomo_client *client = room->client;
    struct question *question = yo_calloc(&client->mem, 1, sizeof(*question));
    if (!question) {
        return YOMO_ERR_NOMEM;
    }
    question->letter =
        (struct yo_letter){.open = open_question, .discard = discard_question};
    yo_list_init(&question->link);
    yo_buf_init(&question->pages, &client->mem);
    question->room = room;
    question->before = before;
    question->max = max;
    int rv = YOMO_OK;
    yo_client_lock(client);
    if (client->closing || room->over || room->leave_asked) {
        rv = YOMO_ERR_CLOSED;
    } else if (room->question_count >= QUESTIONS_MAX) {
        rv = YOMO_ERR_FULL;
    } else {
        room->question_count++;
        question->number = ++client->next_number;
        if (id) {
            *id = question->number;
        }
        yomo_room_ref(room);
        yo_client_post(client, &question->letter);
    }
    yo_client_unlock(client);
    if (rv != YOMO_OK) {
        yo_free(&client->mem, question);
    }
    return rv;
}

/* --- telling --------------------------------------------------------------------- */

/* One that the program could not read is left out. */
static bool readable(const struct yo_wire_past *past)
{
    struct yo_content content;
    if (yo_content_read(past->payload, &content) != YOMO_OK) {
        return false;
    }
    return content.in_mp || content.encoding != YOMO_JSON ||
           yo_json_check(content.bytes) == YOMO_OK;
}

static int list_messages(struct yomo_history *history, const struct question *question)
{
    struct yo_mp_reader reader;
    struct yo_wire_past past;
    struct yo_span event;
    if (question->count == 0) {
        return YOMO_OK;
    }
    history->list = yo_calloc(&question->room->client->mem, question->count,
                              sizeof(*history->list));
    if (!history->list) {
        return YOMO_ERR_NOMEM;
    }
    yo_mp_reader_init(&reader, yo_buf_span(&question->pages));
    for (uint32_t i = 0; i < question->count; i++) {
        if (yo_past_next(&reader, &past, &event) != YOMO_OK || !readable(&past)) {
            continue;
        }
        history->list[history->count++] =
            (struct yo_effect){.kind = YO_EFFECT_MESSAGE,
                               .room = question->room->name,
                               .session = past.session,
                               .peer = past.peer,
                               .payload = past.payload,
                               .event = event,
                               .delivery = YOMO_RELIABLE,
                               .sequence = past.sequence,
                               .since_ms = past.at_ms,
                               .past = true};
    }
    return YOMO_OK;
}

/* The question has its answer, or never will. */
static void done(struct question *question, int error, uint64_t before)
{
    struct yomo_room *room = question->room;
    struct yomo_client *client = room->client;
    struct yomo_history history = {
        .room = room, .number = question->number, .before = before};
    if (error == YOMO_OK) {
        error = list_messages(&history, question);
    }
    history.error = error;
    history.before = error == YOMO_OK ? before : 0;
    if (client->on.on_history) {
        client->on.on_history(client->user, room, &history);
    }
    yo_free(&client->mem, history.list);
    yo_message_clear(client);
    destroy(question);
}

static struct question *find(const struct yomo_room *room, uint64_t number)
{
    YO_LIST_EACH(link, next, &room->questions)
    {
        if (of_link(link)->number == number && of_link(link)->asked) {
            return of_link(link);
        }
    }
    return NULL;
}

/* What of the page was not there before: after a move it may come twice. */
static int take_page(struct question *question, struct yo_span messages)
{
    struct yo_mp_reader reader;
    struct yo_wire_past past;
    struct yo_span event;
    uint32_t count;
    int rv = yo_members_init(&reader, messages, &count);
    while (rv == YOMO_OK && count-- > 0) {
        struct yo_span rest = reader.rest;
        rv = yo_past_next(&reader, &past, &event);
        if (rv != YOMO_OK || past.sequence <= question->last) {
            continue;
        }
        rest.size -= reader.rest.size;
        if (question->pages.size + rest.size > ANSWER_SIZE_MAX) {
            return YOMO_ERR_TOO_BIG;
        }
        rv = yo_buf_append_span(&question->pages, rest);
        question->last = past.sequence;
        question->count++;
    }
    return rv;
}

void yo_history_page(struct yomo_room *room, const struct yo_effect *effect)
{
    struct question *question = find(room, effect->number);
    if (!question) {
        return;
    }
    int rv = take_page(question, effect->payload);
    if (rv != YOMO_OK || !effect->more) {
        done(question, rv, effect->sequence);
    }
}

bool yo_history_refused(struct yomo_room *room, uint64_t number, int error)
{
    struct question *question = find(room, number);
    if (question) {
        done(question, error, 0);
    }
    return question != NULL;
}

/* --- asking ---------------------------------------------------------------------- */

void yo_history_ask(struct yomo_room *room, yo_time now)
{
    struct yomo_client *client = room->client;
    YO_LIST_EACH(link, next, &room->questions)
    {
        struct question *question = of_link(link);
        if (question->asked) {
            continue;
        }
        yo_effects_clear(&client->effects);
        int rv = yo_client_history(client->session, room->name, question->number,
                                   question->before, question->max, &client->effects);
        if (rv == YOMO_OK) {
            question->asked = true;
            yo_dispatch(client, now);
        } else {
            question->asked = true; /* so that it is found */
            done(question, rv, 0);
        }
        if (client->ending || room->state != YO_ROOM_JOINED) {
            return;
        }
    }
}

/* The connection is gone: ask again on the next one. */
void yo_history_lost(struct yomo_room *room)
{
    YO_LIST_EACH(link, next, &room->questions)
    {
        struct question *question = of_link(link);
        question->asked = false;
        yo_buf_clear(&question->pages);
        question->count = 0;
        question->last = 0;
    }
}

void yo_history_end(struct yomo_room *room)
{
    struct yo_link *link;
    while ((link = yo_list_pop_front(&room->questions)) != NULL) {
        done(of_link(link), YOMO_ERR_CLOSED, 0);
    }
}

/* --- the position ---------------------------------------------------------------- */

/* With the lock: nothing before `place` is missing any more. */
static void up_to(struct yomo_room *room, uint64_t place)
{
    for (size_t i = 0; i < sizeof(room->places) / sizeof(room->places[0]); i++) {
        room->places[i] = room->places[i] > place ? room->places[i] : place;
    }
}

void yo_history_joined(struct yomo_room *room, const struct yo_effect *effect)
{
    struct yomo_client *client = room->client;
    yo_client_lock(client);
    /* In the same order the position stays: what came since is told now. */
    if (room->places[YOMO_NORMAL] == 0 || effect->epoch != room->order) {
        memset(room->places, 0, sizeof(room->places));
        up_to(room, effect->sequence);
        room->order = effect->epoch;
    }
    room->former_session = room->own_session;
    room->own_session = client->session_id;
    yo_client_unlock(client);
}

void yo_history_wish(struct yomo_room *room, struct yo_join_wishes *wishes)
{
    if (room->known && room->order != 0) {
        memcpy(wishes->since, room->places, sizeof(wishes->since));
        wishes->epoch = room->order;
        wishes->former = room->own_session;
        wishes->hist = 0;
    }
}

bool yo_history_had(struct yomo_room *room, const struct yo_effect *effect)
{
    yo_client_lock(room->client);
    if (effect->past) { /* pages have all priorities in one order */
        up_to(room, effect->sequence);
    } else if (effect->sequence > room->places[effect->priority]) {
        room->places[effect->priority] = effect->sequence;
    }
    yo_client_unlock(room->client);
    return effect->past && effect->session != 0 &&
           effect->session == room->former_session;
}

void yo_history_gap(struct yomo_room *room, const struct yo_effect *effect)
{
    struct yomo_client *client = room->client;
    const struct yomo_gap gap = {.first = effect->from, .last = effect->sequence};
    if (effect->from != 0) { /* else they are places of another order */
        yo_client_lock(client);
        up_to(room, effect->sequence);
        yo_client_unlock(client);
    }
    if (client->on.on_gap) {
        client->on.on_gap(client->user, room, &gap);
    }
}

uint64_t yomo_room_position(const yomo_room *room, uint64_t *epoch)
{
    uint64_t position = 0, order = 0;
    if (room) {
        yo_client_lock(room->client);
        for (size_t i = 0; i < sizeof(room->places) / sizeof(room->places[0]); i++) {
            position = room->places[i] > position ? room->places[i] : position;
        }
        order = room->order;
        yo_client_unlock(room->client);
    }
    if (epoch) {
        *epoch = order;
    }
    return position;
}

uint64_t yomo_room_position_of(const yomo_room *room, int32_t priority, uint64_t *epoch)
{
    uint64_t position = 0, order = 0;
    if (room && priority >= YOMO_NORMAL && priority <= YOMO_BULK) {
        yo_client_lock(room->client);
        position = room->places[priority];
        order = room->order;
        yo_client_unlock(room->client);
    }
    if (epoch) {
        *epoch = order;
    }
    return position;
}

uint64_t yomo_gap_first(const yomo_gap *gap)
{
    return gap ? gap->first : 0;
}

uint64_t yomo_gap_last(const yomo_gap *gap)
{
    return gap ? gap->last : 0;
}

/* --- an answer, inside on_history ------------------------------------------------ */

uint64_t yomo_history_id(const yomo_history *history)
{
    return history ? history->number : 0;
}

int32_t yomo_history_error(const yomo_history *history)
{
    return history ? history->error : YOMO_ERR_INVALID;
}

size_t yomo_history_count(const yomo_history *history)
{
    return history ? history->count : 0;
}

uint64_t yomo_history_before(const yomo_history *history)
{
    return history ? history->before : 0;
}

const yomo_message *yomo_history_at(yomo_history *history, size_t index)
{
    if (!history || index >= history->count ||
        yo_message_make(history->room->client, &history->message,
                        &history->list[index]) != YOMO_OK) {
        return NULL;
    }
    return &history->message;
}
