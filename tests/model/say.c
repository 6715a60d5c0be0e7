/* SPDX-License-Identifier: MIT */
/* say.c - messages: who must hear them, who must not, once, in which order, how long.
 *
 * - RELIABLE: what got its place is heard by all who were there, in the order of its
 *   priority and in the room's, or they are told that they miss it, and then do not
 * hear it. While nothing is kept too small a session that goes on misses nothing.
 * - With a time to live: not heard when it is over, and not left out before.
 * - LATEST: never an older value after a newer one, and the last one arrives.
 * - To somebody: by all his devices, and by nobody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "chance.h"
#include "model.h"

/* The time on the way is not counted in a time to live: both connections may be slow.
 */
#define ON_THE_WAY (8 * YO_SECOND)
#define PACE_JITTER (5 * YO_MS)

static const char *kind_of(const struct said *said)
{
    static const char *const names[RANKS][3] = {
        [YOMO_NORMAL] = {"message", "datagram", "value"},
        [YOMO_URGENT] = {"urgent message", "urgent datagram", "urgent value"},
        [YOMO_BULK] = {"bulk message", "bulk datagram", "bulk value"},
    };
    return names[said->priority][said->delivery == YOMO_RELIABLE     ? 0
                                 : said->delivery == YOMO_UNRELIABLE ? 1
                                                                     : 2];
}

/* --- saying ------------------------------------------------------------------------
 */

struct said *say_new(struct member *member, uint32_t room)
{
    struct model *model = member->model;
    struct said *said = &model->said[model->said_count];
    if (model->said_count == SAID_MAX) {
        return NULL;
    }
    *said = (struct said){.author = member->index,
                          .room = room,
                          .only = -1,
                          .event = model->event,
                          .at = model_now,
                          .crashes = model->crashes};
    return said;
}

static yomo_send *manner(struct member *member, const struct said *said)
{
    yomo_send *how;
    assert_int_equal(yomo_send_create(&how, member->client), YOMO_OK);
    yomo_send_set_delivery(how, said->delivery);
    yomo_send_set_priority(how, said->priority);
    yomo_send_set_ttl(how, said->ttl / YO_MS);
    if (said->delivery == YOMO_LATEST) {
        yomo_send_set_key(how, "k");
    }
    if (said->only >= 0) {
        yomo_send_to_user(how, member->model->members[said->only]->id);
    }
    return how;
}

/* Who is there, and to whom nothing stands in the way. */
static void mark(const struct member *member, struct said *said)
{
    const struct model *model = member->model;
    for (uint32_t i = 0; i < model->member_count; i++) {
        const struct member *other = model->members[i];
        bool there =
            member_is_there(other, said->room) && !other->seats[said->room].away;
        bool free = there && !other->narrow && !other->troubled;
        if (other->transport != YOMO_TRANSPORT_WEBTRANSPORT && other->troubled) {
            there = false; /* a value on its way may be lost with the connection */
        }
        said->same |= (uint32_t)there << i;
        said->calm |= (uint32_t)free << i;
    }
    if (!(said->calm & 1u << member->index) || model->faulty) { /* nor does it go far */
        said->calm = 0;
    }
    if (model->faulty) { /* without memory a value gives way to nothing */
        said->same = 0;
    }
}

static void say(struct member *member, const struct said *said)
{
    struct model *model = member->model;
    struct seat *seat = &member->seats[said->room];
    struct said *kept = say_new(member, said->room);
    char text[400], ttl[32] = "";
    if (!kept) {
        return;
    }
    kept->delivery = said->delivery;
    kept->priority = said->priority;
    kept->only = said->only;
    kept->ttl = said->ttl;
    kept->serial = ++seat->mine;
    mark(member, kept);
    int size =
        snprintf(text, sizeof(text), "{\"id\":%u,\"pad\":\"%.*s\"}", model->said_count,
                 (int)chance_below(200),
                 "................................................................"
                 "................................................................"
                 "................................................................"
                 "........");
    yomo_send *how = manner(member, kept);
    int32_t rv = yomo_room_send_with(seat->room, how, "event", text, (size_t)size,
                                     YOMO_JSON, &kept->number);
    yomo_send_free(how);
    if (kept->ttl > 0) {
        snprintf(ttl, sizeof(ttl), ", good for %.1f s", (double)kept->ttl / 1e9);
    }
    model_tell(model, "%s says %s %u in %s%s%s%s%s%s", member->name, kind_of(kept),
               kept->serial, room_name(said->room), kept->only >= 0 ? " to " : "",
               kept->only >= 0 ? model->members[kept->only]->id : "", ttl,
               rv ? ": " : "", rv ? yomo_error_name(rv) : "");
    if (rv == YOMO_OK) {
        model->said_count++;
    } else if (rv != YOMO_ERR_FULL && rv != YOMO_ERR_CLOSED) {
        model_fail(model, "it could not be sent");
    }
}

void say_something(struct member *member, uint32_t room)
{
    static const int32_t deliveries[] = {YOMO_RELIABLE, YOMO_RELIABLE, YOMO_RELIABLE,
                                         YOMO_UNRELIABLE, YOMO_LATEST};
    static const yo_time lives[] = {100 * YO_MS, YO_SECOND, 8 * YO_SECOND};
    struct said said = {.room = room, .delivery = deliveries[chance_below(5)]};
    uint64_t times = 1 + chance_below(5);
    for (uint64_t i = 0; i < times; i++) {
        const struct member *to = chance_of(15) ? model_anybody(member->model) : NULL;
        bool named = to && to != member && said.delivery != YOMO_LATEST;
        said.only = named ? (int32_t)to->index : -1;
        said.priority = member->model->ranks && chance_of(30)
                            ? (int32_t)chance_below(RANKS)
                            : YOMO_NORMAL;
        said.ttl =
            said.delivery != YOMO_LATEST && chance_of(20) ? lives[chance_below(3)] : 0;
        say(member, &said);
    }
}

/* --- what becomes of it ------------------------------------------------------------
 */

void say_sent(struct member *member, uint64_t id, int32_t error)
{
    struct model *model = member->model;
    struct said *said = NULL;
    for (uint32_t i = 0; i < model->said_count && !said; i++) {
        if (model->said[i].author == member->index && model->said[i].number == id) {
            said = &model->said[i];
        }
    }
    if (!said) {
        model_fail(model, "%s was told of a message that it did not send",
                   member->name);
    }
    model_tell(model, "%s's %u: %s", member->name, said->serial,
               yomo_error_name(error));
    if (said->answered) {
        model_fail(model, "%s was told before", member->name);
    }
    if (error == YOMO_ERR_TIMEOUT && said->what == SAID_MESSAGE &&
        said->delivery == YOMO_RELIABLE &&
        (said->ttl == 0 || model_now < said->at + said->ttl)) {
        model_fail(model, "its time was not over");
    }
    model->tally.expired += error == YOMO_ERR_TIMEOUT && said->what == SAID_MESSAGE;
    said->answered = true;
    said->outcome = error;
    if (said->what == SAID_LOCK) {
        locks_sent(member, said);
    }
}

/* Who and what comes in the way of what is on its way. */
static void clear_masks(struct member *member, bool session)
{
    struct model *model = member->model;
    for (uint32_t i = 0; i < model->said_count; i++) {
        struct said *said = &model->said[i];
        uint32_t mask = said->author == member->index ? 0 : ~(1u << member->index);
        if (session) {
            said->same &= mask;
        } else if (model_now < said->at + said->ttl + ON_THE_WAY) {
            said->calm &= mask;
        }
    }
}

void say_disturbed(struct member *member)
{
    member->troubled = true;
    clear_masks(member, false);
}

void say_another_session(struct member *member)
{
    clear_masks(member, true);
}

/* --- hearing -----------------------------------------------------------------------
 */

struct said *say_find(struct model *model, const yomo_message *message)
{
    unsigned index;
    if (sscanf(yomo_message_json(message, NULL), "{\"id\":%u", &index) != 1 ||
        index >= model->said_count) {
        model_fail(model, "a message that nobody sent: %s",
                   yomo_message_json(message, NULL));
    }
    return &model->said[index];
}

static bool is_for(const struct said *said, const struct member *member)
{
    const struct model *model = member->model;
    return said->only < 0 ? said->author != member->index
                          : strcmp(model->members[said->only]->id, member->id) == 0;
}

/* Once, and from whom and how it was said. */
static void check_said(struct member *member, struct said *said,
                       const yomo_message *message)
{
    struct model *model = member->model;
    uint32_t bit = 1u << member->index;
    if (!is_for(said, member) &&
        !(said->author == member->index && yomo_message_past(message))) {
        model_fail(model, "it was not for %s", member->name);
    }
    /* The newest value may be told again, when its author has come back. */
    if (said->heard & bit && said->delivery != YOMO_LATEST) {
        model_fail(model, "%s has had it before", member->name);
    }
    said->heard |= bit;
    if (strcmp(yomo_message_from(message), model->members[said->author]->id) != 0 ||
        yomo_message_delivery(message) != said->delivery ||
        yomo_message_priority(message) != said->priority ||
        (yomo_message_direct(message) != 0) != (said->only >= 0)) {
        model_fail(model, "it is told as what it is not");
    }
    if (said->ttl > 0 && model_now > said->at + 2 * said->ttl + ON_THE_WAY) {
        model_fail(model, "its time was over");
    }
}

/* No more often than it wants, where none is lost, and told later, or waits on the way.
 */
static void check_pace(struct member *member, const struct said *said)
{
    const struct model *model = member->model;
    struct seat *seat = &member->seats[said->room];
    yo_time last = seat->latest_at[said->author];
    bool even =
        member->transport == YOMO_TRANSPORT_WEBSOCKET || model->net.loss_percent == 0;
    if (even && !member->narrow && !member->troubled &&
        last > member->open_at + YO_SECOND && /* not what waited while it was away */
        model_now + PACE_JITTER < last + seat->pace_ms * YO_MS) {
        model_fail(member->model, "%s does not want values more often than in %llu ms",
                   member->name, (unsigned long long)seat->pace_ms);
    }
    seat->latest_at[said->author] = model_now;
}

static void check_order(struct member *member, const struct said *said,
                        const yomo_message *message)
{
    struct model *model = member->model;
    struct seat *seat = &member->seats[said->room];
    uint32_t *last = said->delivery == YOMO_RELIABLE
                         ? &seat->last[said->author][said->priority]
                     : said->delivery == YOMO_LATEST ? &seat->latest[said->author]
                                                     : NULL;
    if (said->delivery == YOMO_LATEST &&
        yomo_message_session(message) != model->members[said->author]->session) {
        last = NULL; /* of a session that is over: another device's, for all that one
                        knows */
    }
    if (said->delivery == YOMO_LATEST) {
        check_pace(member, said);
    }
    if (last && said->serial < *last + (said->delivery == YOMO_RELIABLE)) {
        model_fail(model, "%s has heard %u of it already", member->name, *last);
    }
    if (last) {
        *last = said->serial;
    }
}

/* Its place is the same to all, behind those before, and not one that is missing. */
static void check_place(struct member *member, struct said *said, yomo_room *room,
                        uint64_t place)
{
    struct model *model = member->model;
    struct seat *seat = &member->seats[said->room];
    uint64_t order;
    (void)yomo_room_position(room, &order);
    if (said->place != 0 && said->order == order && said->place != place) {
        model_fail(model, "its place was %llu", (unsigned long long)said->place);
    }
    said->place = place;
    said->order = order;
    if (place == 0) {
        return;
    }
    for (size_t i = 0; !model->ranks && i < seat->gap_count; i++) {
        const struct missing *gap = &seat->gaps[i];
        if (gap->order == order && gap->first <= place && place <= gap->last) {
            model_fail(model, "%s was told that it misses it", member->name);
        }
    }
    if (seat->order != order) {
        memset(seat->place, 0, sizeof(seat->place));
    }
    if (place <= seat->place[said->priority]) {
        model_fail(model, "%s has heard place %llu of that priority", member->name,
                   (unsigned long long)seat->place[said->priority]);
    }
    seat->order = order;
    seat->place[said->priority] = place;
}

/* What is urgent and was said now may come before what is told of the past. */
static bool overtaken(const struct seat *seat, const struct said *said,
                      const yomo_message *message)
{
    return yomo_message_past(message) && said->priority == YOMO_URGENT &&
           seat->urgent_now;
}

void say_heard(struct member *member, yomo_room *room, const yomo_message *message)
{
    struct model *model = member->model;
    const struct seat *seat = &member->seats[room_of(room)];
    struct said *said = say_find(model, message);
    uint64_t place = yomo_message_sequence(message);
    model_tell(model, "%s hears %s's %s %u%s in %s, place %llu", member->name,
               model->members[said->author]->name, kind_of(said), said->serial,
               yomo_message_past(message) ? " again" : "", yomo_room_name(room),
               (unsigned long long)place);
    if (!seat->joined || said->room != room_of(room)) {
        model_fail(model, "%s heard it where it is not", member->name);
    }
    check_said(member, said, message);
    if (!overtaken(seat, said, message)) {
        check_order(member, said, message);
        check_place(member, said, room, place);
    }
    if (place != 0) {
        if (said->priority == YOMO_URGENT && !yomo_message_past(message)) {
            member->seats[said->room].urgent_now = true;
        }
        if (yomo_message_past(message)) {
            history_heard(member, said->room, place);
        } else {
            member->seats[said->room].heard_now = true;
        }
    }
    model->tally.heard++;
}

void say_gap(struct member *member, yomo_room *room, const yomo_gap *gap)
{
    struct model *model = member->model;
    struct seat *seat = &member->seats[room_of(room)];
    struct missing missing = {.first = yomo_gap_first(gap),
                              .last = yomo_gap_last(gap),
                              .event = model->event};
    (void)yomo_room_position(room, &missing.order);
    model_tell(model, "%s misses %llu to %llu of %s", member->name,
               (unsigned long long)missing.first, (unsigned long long)missing.last,
               yomo_room_name(room));
    if (missing.first > missing.last) {
        model_fail(model, "that is nothing");
    }
    if (member->was_resumed && seat->joined_at < member->open_at && !model->log_small &&
        !model->faulty) {
        model_fail(model, "its session went on, and the server has room for all of it");
    }
    /* With priorities it is the range in which some are missing. */
    for (uint32_t i = 0; !model->ranks && i < model->said_count; i++) {
        const struct said *said = &model->said[i];
        if (said->heard & 1u << member->index && said->room == room_of(room) &&
            said->place != 0 && said->order == missing.order && missing.first > 0 &&
            missing.first <= said->place && said->place <= missing.last) {
            model_fail(model, "%s has heard %s's %u, which has place %llu",
                       member->name, model->members[said->author]->name, said->serial,
                       (unsigned long long)said->place);
        }
    }
    assert_true(seat->gap_count < GAPS_MAX);
    seat->gaps[seat->gap_count++] = missing;
    model->tally.gaps++;
}

/* What it hears from now on it may have heard before. */
void say_joined(struct member *member, uint32_t room)
{
    struct model *model = member->model;
    uint32_t bit = 1u << member->index;
    for (uint32_t i = 0; i < model->said_count; i++) {
        if (model->said[i].room == room) {
            model->said[i].heard &= ~bit;
            model->said[i].calm &= ~bit;
            model->said[i].same &= ~bit;
        }
    }
}

/* --- in the end --------------------------------------------------------------------
 */

static bool is_excused(const struct seat *seat, const struct said *said)
{
    for (size_t i = 0; i < seat->gap_count; i++) {
        const struct missing *gap = &seat->gaps[i];
        bool since = gap->event >= said->event;
        if (said->place == 0 || gap->first == 0
                ? since
                : gap->order == said->order && gap->first <= said->place &&
                      said->place <= gap->last) {
            return true;
        }
    }
    return false;
}

/* What is for one member is for one session of it. */
static bool must_hear(const struct said *said, const struct member *member)
{
    const struct seat *seat = &member->seats[said->room];
    if (!is_for(said, member) || !member_is_there(member, said->room) ||
        (seat->event >= said->event &&
         !(said->only < 0 && said->ttl == 0 && history_owes(seat, said)))) {
        return false;
    }
    if (said->delivery == YOMO_LATEST) {
        return said->same & 1u << member->index;
    }
    if (said->ttl > 0) {
        return said->ttl >= YO_SECOND && said->calm & 1u << member->index;
    }
    return (said->only < 0 || member->session_event < said->event) &&
           !is_excused(seat, said);
}

static void check_heard(struct model *model, const struct said *said)
{
    for (uint32_t i = 0; i < model->member_count; i++) {
        const struct member *member = model->members[i];
        if (must_hear(said, member) && !(said->heard & 1u << i)) {
            model_fail(model, "%s never heard %s's %u of room %u, nor of a gap",
                       member->name, model->members[said->author]->name, said->serial,
                       said->room);
        }
    }
}

/* Has its author said another one since? */
static bool is_replaced(const struct model *model, uint32_t index)
{
    const struct said *said = &model->said[index];
    for (uint32_t i = index + 1; i < model->said_count; i++) {
        const struct said *later = &model->said[i];
        if (later->what == SAID_MESSAGE && later->delivery == YOMO_LATEST &&
            later->author == said->author && later->room == said->room) {
            return true;
        }
    }
    return false;
}

void say_check(struct model *model)
{
    for (uint32_t i = 0; i < model->said_count; i++) {
        const struct said *said = &model->said[i];
        if (said->what != SAID_MESSAGE || !said->answered || said->outcome != YOMO_OK) {
            continue;
        }
        if (said->delivery == YOMO_RELIABLE ||
            (said->delivery == YOMO_LATEST && !is_replaced(model, i))) {
            check_heard(model, said);
        }
    }
}
