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

/* The sessions of those who were named; false: no memory. */
static bool list_sessions(struct yo_home *home, const struct yo_telling *telling)
{
    yo_buf_clear(&home->sessions);
    for (size_t i = 0; i < telling->named_count; i++) {
        yo_buf_append(&home->sessions, &telling->named[i]->session, sizeof(uint64_t));
    }
    return !home->sessions.failed;
}

void yo_home_keep(struct yo_home *home, struct yo_home_room *hr,
                  const struct yo_note *note, uint64_t place, struct yo_blob *message,
                  const struct yo_telling *telling)
{
    struct yo_past past = {.place = place,
                           .session = note->session,
                           .number = note->number,
                           .at_ms = yo_wall_ms(),
                           .until = note->expires,
                           .priority = (uint8_t)note->priority,
                           .author_too = note->echo,
                           .message = yo_home_keeps(hr) ? message : NULL};

    if (telling->named) {
        if (!list_sessions(home, telling)) {
            past.message = NULL;
        }
        past.to = (uint64_t *)(void *)home->sessions.data;
        past.to_count = (uint32_t)(home->sessions.size / sizeof(uint64_t));
    }

    yo_history_put(&hr->history, &past, home->now);
    if (yo_list_empty(&hr->keep) && yo_history_deadline(&hr->history) != YO_NEVER) {
        yo_list_push_back(&home->keeping, &hr->keep);
    }
}
