/* SPDX-License-Identifier: MIT */
/* broadcast.c - a message gets its place in the room and goes out: spelled once for
 * each dialect that somebody there speaks. */
#include "base/check.h"
#include "server/home.h"
#include "wire/encode.h"

enum { YOMO = YO_DIALECT_YOMO, PRESENCEJS = YO_DIALECT_PRESENCEJS };

static int encode_data(struct yo_home *home, struct yo_home_room *hr,
                       const struct yo_note *note, const struct yo_member *author,
                       uint64_t sequence, int dialect, struct yo_blob **out)
{
    struct yo_message message = {.op = YO_OP_DATA,
                                 .channel = hr->name,
                                 .payload = yo_blob_span(note->payload),
                                 .mesh = yo_span_of(home->config->mesh)};

    if (dialect == PRESENCEJS) {
        /* By the name under which presencejs has the sender among its peers. */
        message.peer = author ? yo_span_of(author->label) : note->id;
        return yo_encode_blob(out, home->mem, YO_DIALECT_PRESENCEJS, &message);
    }
    message.peer = author ? yo_span_of(author->id) : note->id;
    message.session = note->session;
    message.delivery = note->delivery;
    message.sequence = sequence;
    message.direct = note->targets != NULL;
    message.priority = note->priority;
    message.request = note->request;
    message.reply = note->reply;
    if (note->reply != 0 && note->error != 0) {
        message.code = note->error;
        message.text = note->label;
    }
    if (note->delivery == YOMO_LATEST) {
        message.key = note->key.size > 0 ? note->key : YO_SPAN_NONE;
        message.version = note->version;
    }
    return yo_encode_blob(out, home->mem, YO_DIALECT_YOMO, &message);
}

/* Is some worker that would have to hear this so far behind that it must not get more?
 */
static bool overloaded(struct yo_home *home, const struct yo_home_room *hr,
                       const struct yo_telling *telling)
{
    for (uint32_t w = 0; w < home->office->count; w++) {
        if (yo_telling_listeners(hr, w, YOMO, telling) +
                    yo_telling_listeners(hr, w, PRESENCEJS, telling) >
                0 &&
            yo_desk_full(&home->office->desks[w])) {
            return true;
        }
    }
    return false;
}

static bool anybody(struct yo_home *home, const struct yo_home_room *hr, int dialect,
                    const struct yo_telling *telling)
{
    for (uint32_t w = 0; w < home->office->count; w++) {
        if (yo_telling_listeners(hr, w, dialect, telling) > 0) {
            return true;
        }
    }
    return false;
}

static int publish_in(struct yo_home *home, struct yo_home_room *hr,
                      struct yo_note *note, const struct yo_member *author,
                      uint64_t *sequence)
{
    struct yo_telling telling = {.author = note->echo ? NULL : author,
                                 .priority = note->priority,
                                 .expires = note->expires,
                                 .came = note->came,
                                 .delivery = note->delivery,
                                 .version = note->version,
                                 /* What a program sent as reliable is repeated towards
                                  * presencejs too; a page expects of its own datagrams,
                                  * and of those of other pages, what datagrams do. */
                                 .insist = note->delivery == YOMO_RELIABLE &&
                                           !note->presencejs};
    int rv = note->targets ? yo_home_name(home, hr, note, &telling) : YOMO_OK;

    if (rv == YOMO_OK && overloaded(home, hr, &telling)) {
        rv = YOMO_ERR_FULL;
    }
    if (rv == YOMO_OK && note->delivery == YOMO_LATEST) {
        yo_buf_clear(&home->slot);
        rv = yo_outbox_slot(&home->slot, note->session, hr->name, note->event,
                            note->key);
        telling.slot = yo_buf_span(&home->slot);
    }
    /* The number is given last, so that what failed leaves no gap. */
    *sequence = note->delivery == YOMO_RELIABLE ? hr->room.sequence + 1 : 0;
    for (int d = 0; d < YO_DIALECTS && rv == YOMO_OK; d++) {
        bool kept = d == YOMO && *sequence != 0 && yo_home_keeps(hr);
        if (kept || anybody(home, hr, d, &telling)) {
            rv = encode_data(home, hr, note, author, *sequence, d, &telling.encoded[d]);
        }
    }
    if (rv == YOMO_OK) {
        uint64_t given =
            yo_room_place(&hr->room, note->session, note->delivery == YOMO_RELIABLE);
        assert(given == *sequence);
        (void)given;
        yo_home_tell(home, hr, &telling);
        if (*sequence != 0) {
            yo_home_keep(home, hr, note, *sequence, telling.encoded[YOMO], &telling);
        }
    }
    yo_telling_finish(&telling);
    return rv;
}

void yo_home_publish(struct yo_home *home, struct yo_note *note)
{
    struct yo_home_room *hr = yo_home_find(home, note->room);
    const struct yo_member *author = NULL;
    uint64_t sequence = 0;
    int rv = YOMO_ERR_NOT_FOUND;
    bool broken;

    if (hr && note->session != 0) {
        author = yo_room_find(&hr->room, note->session);
    }
    if (author) {
        rv = yo_home_take_quota(home, hr, &hr->messages);
    } else if (hr && note->session == 0) {
        rv = YOMO_OK;
    }
    if (rv == YOMO_OK && note->delivery == YOMO_RELIABLE) {
        yo_home_tell_before(home, hr, author);
    }
    if (rv == YOMO_OK) {
        rv = publish_in(home, hr, note, author, &sequence);
    } else if (note->session == 0) {
        yo_note_free(note); /* the host speaks to a room that is not there */
        return;
    }
    if (rv != YOMO_OK) {
        yo_metric_add(rv == YOMO_ERR_RATE    ? &home->metrics->dropped_rate
                      : rv == YOMO_ERR_FULL  ? &home->metrics->dropped_overload
                      : rv == YOMO_ERR_NOMEM ? &home->metrics->dropped_memory
                                             : &home->metrics->dropped_not_joined,
                      1);
    }
    /* A RELIABLE message that is lost without a word would break its promise, so its
     * sender is told in any case: the local side closes it when it cannot say more. */
    broken = note->delivery == YOMO_RELIABLE &&
             (rv == YOMO_ERR_FULL || rv == YOMO_ERR_NOMEM);
    if (note->session != 0 && (note->number != 0 || broken)) {
        yo_home_answer(home, note, YO_NOTE_CONFIRM, rv, sequence);
    } else {
        yo_note_free(note);
    }
}
