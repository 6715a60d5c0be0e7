/* SPDX-License-Identifier: MIT */
/* past.c - what was said in a room is kept at its home, for those who come later and
 * those whose connection broke. */
#include "base/check.h"
#include "loop/loop.h"
#include "server/home.h"

/* With nobody there who speaks the extension nobody can come back to what is recent. */
bool yo_home_keeps(const struct yo_home_room *hr)
{
    return hr->history.shown.bounds.bytes > 0 ||
           (hr->history.recent.bounds.bytes > 0 &&
            hr->room.count > hr->room.count_presencejs);
}

void yo_home_keep(struct yo_home *home, struct yo_home_room *hr,
                  const struct yo_note *note, uint64_t place, struct yo_blob *message)
{
    struct yo_past past = {.place = place,
                           .session = note->session,
                           .number = note->number,
                           .at_ms = yo_wall_ms(),
                           .until = YO_NEVER,
                           .message = yo_home_keeps(hr) ? message : NULL};

    yo_history_put(&hr->history, &past, home->now);
    if (yo_list_empty(&hr->keep) && yo_history_deadline(&hr->history) != YO_NEVER) {
        yo_list_push_back(&home->keeping, &hr->keep);
    }
}
