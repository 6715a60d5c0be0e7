/* SPDX-License-Identifier: MIT */
/* catch_up.c - what a member has missed while its connection was away, from the room's
 * history and roster: put together at the home in the moment in which its seat is
 * handed over, so that nothing is missing and nothing comes twice. */
#include "base/check.h"
#include "server/home.h"
#include "session/pages.h"
#include "session/told.h"
#include "wire/encode.h"

static bool is_for(const struct yo_past *past, const struct yo_member *member)
{
    for (uint32_t i = 0; i < past->to_count; i++) {
        if (past->to[i] == member->session) {
            return true; /* the author too, if he is named */
        }
    }
    return !past->to && (past->session != member->session || past->author_too);
}

static int add(struct yo_home *home, struct yo_note *arrived,
               const struct yo_message *message)
{
    struct yo_blob *blob;
    int rv = yo_encode_blob(&blob, home->mem, YO_DIALECT_YOMO, message);

    return rv == YOMO_OK ? yo_home_add_parcel(home, arrived, blob) : rv;
}

/* What it said itself has its place, which it may not have been told. */
static int add_answers(struct yo_home *home, struct yo_home_room *hr,
                       const struct yo_member *member,
                       const struct yo_position *position, struct yo_note *arrived)
{
    const struct yo_past *past;
    size_t i = 0;
    int rv = YOMO_OK;

    while (rv == YOMO_OK &&
           (past = yo_record_next(&hr->history.recent, position, &i)) != NULL) {
        const struct yo_message ack = {.op = YO_OP_ACK,
                                       .channel = hr->name,
                                       .number = past->number,
                                       .sequence = past->place};
        if (past->session == member->session && past->number != 0) {
            rv = add(home, arrived, &ack);
        }
    }
    return rv;
}

static int add_pages(struct yo_home *home, struct yo_home_room *hr,
                     struct yo_note *arrived)
{
    struct yo_pages pages;
    int rv = yo_home_pages(home, hr, &pages);

    for (size_t i = 0; rv == YOMO_OK && i < pages.count; i++) {
        rv = yo_home_add_parcel(home, arrived, yo_blob_ref(pages.list[i]));
    }
    yo_pages_finish(&pages);
    return rv;
}

static int tell_gap(struct yo_home *home, const struct yo_message *gap,
                    struct yo_told *told)
{
    struct yo_blob *blob;
    int rv = yo_encode_blob(&blob, home->mem, YO_DIALECT_YOMO, gap);

    if (rv == YOMO_OK) {
        rv = yo_told_add_other(told, blob);
        yo_blob_unref(blob);
    }
    return rv;
}

static int add_missed(struct yo_home *home, struct yo_home_room *hr,
                      const struct yo_member *member,
                      const struct yo_position *position, struct yo_note *arrived)
{
    struct yo_message gap = {.op = YO_OP_GAP, .channel = hr->name};
    const struct yo_record *record = &hr->history.recent;
    const struct yo_past *past;
    struct yo_told told;
    size_t i = 0;
    int rv = YOMO_OK;

    yo_told_begin(&told, home->mem, hr->name, 0);
    if (yo_record_gap_for(record, position, member->session, &member->gone, &gap.from,
                          &gap.sequence)) {
        yo_metric_add(&home->metrics->resumed_gaps, 1);
        rv = tell_gap(home, &gap, &told);
    }
    while (rv == YOMO_OK && (past = yo_record_next(record, position, &i)) != NULL) {
        if (is_for(past, member) && past->until > home->now) {
            rv = yo_told_add_other(&told, past->message);
        }
    }
    rv = rv == YOMO_OK ? yo_home_tell_values(home, hr, &told) : rv;
    if (rv == YOMO_OK) {
        yo_home_hand_over(&told, arrived);
    }
    yo_told_finish(&told);
    return rv;
}

int yo_home_catch_up(struct yo_home *home, struct yo_home_room *hr,
                     const struct yo_member *member, const struct yo_note *move,
                     struct yo_note *arrived)
{
    struct yo_position from = move->position;
    const struct yo_position *position = &from;
    struct yo_changes changes = {0};
    int rv;

    for (int p = 0; p < YO_PRIORITIES; p++) { /* whoever names a place may make it up */
        if (from.place[p] < member->joined_at) {
            from.place[p] = member->joined_at;
        }
    }

    yo_history_expire(&hr->history, home->now); /* of this whoever reads takes care */
    rv = add_answers(home, hr, member, position, arrived);
    if (rv == YOMO_OK &&
        yo_room_set_stale(&hr->room, member->session, false, &changes) == YOMO_OK) {
        yo_home_tell_changes(home, hr, &changes, member);
        yo_changes_finish(&changes);
    }
    rv = rv == YOMO_OK ? add_pages(home, hr, arrived) : rv;
    return rv == YOMO_OK ? add_missed(home, hr, member, position, arrived) : rv;
}
