/* SPDX-License-Identifier: MIT */
/* tell.c - from something that happened in a room to the workers that must hear it: one
 * encoded message for each dialect, one note for each worker. Where there is no memory
 * for a note that must not be missing, the note that was kept for that takes its place
 * (home.c). */
#include "base/check.h"
#include "server/home.h"
#include "wire/encode.h"

enum { YOMO = YO_DIALECT_YOMO, PRESENCEJS = YO_DIALECT_PRESENCEJS };

uint32_t yo_home_listeners(const struct yo_home_room *hr, uint32_t w, int dialect,
                           const struct yo_member *author)
{
    uint32_t count = hr->at[w].members[dialect];
    bool itself = author && yo_home_worker_of(author) == w &&
                  dialect == (author->presencejs ? PRESENCEJS : YOMO);

    assert(count >= (itself ? 1u : 0u));
    return count - (itself ? 1 : 0);
}

bool yo_home_anybody(const struct yo_home *home, const struct yo_home_room *hr,
                     int dialect, const struct yo_member *author)
{
    for (uint32_t w = 0; w < home->office->count; w++) {
        if (yo_home_listeners(hr, w, dialect, author) > 0) {
            return true;
        }
    }
    return false;
}

static void lose(struct yo_home *home, struct yo_home_room *hr, uint32_t w)
{
    if (hr->at[w].lost) {
        yo_office_put(home->office, w, hr->at[w].lost);
        hr->at[w].lost = NULL;
    }
}

void yo_home_lose(struct yo_home *home, struct yo_home_room *hr, int dialect,
                  const struct yo_member *author)
{
    for (uint32_t w = 0; w < home->office->count; w++) {
        if (yo_home_listeners(hr, w, dialect, author) > 0) {
            lose(home, hr, w);
        }
    }
}

void yo_telling_finish(struct yo_telling *telling)
{
    for (int d = 0; d < YO_DIALECTS; d++) {
        yo_blob_unref(telling->encoded[d]);
    }
}

/* A note for worker `w`, or NULL with `*failed` when there is no memory; NULL also when
 * nobody there listens. */
static struct yo_note *tell_note(struct yo_home *home, struct yo_home_room *hr,
                                 uint32_t w, const struct yo_telling *telling,
                                 bool *failed)
{
    struct yo_note *note;
    bool wanted = false;

    for (int d = 0; d < YO_DIALECTS; d++) {
        wanted |= telling->encoded[d] && yo_telling_listeners(hr, w, d, telling) > 0;
    }
    if (!wanted) {
        return NULL;
    }
    note = yo_note_create(home->mem, YO_NOTE_DELIVER, hr->key, YO_SPAN_NONE,
                          YO_SPAN_NONE, YO_SPAN_NONE, telling->slot);
    if (!note) {
        *failed = true;
        return NULL;
    }
    if (telling->named && !(note->targets = yo_telling_sessions(home, w, telling))) {
        yo_note_free(note);
        *failed = true;
        return NULL;
    }
    note->session = telling->author ? telling->author->session : 0;
    note->priority = telling->priority;
    note->expires = telling->expires;
    note->came = telling->came;
    note->delivery = telling->delivery;
    note->version = telling->version;
    note->insist = telling->insist;
    note->control = telling->control;
    for (int d = 0; d < YO_DIALECTS; d++) {
        if (telling->encoded[d] && yo_telling_listeners(hr, w, d, telling) > 0) {
            note->encoded[d] = yo_blob_ref(telling->encoded[d]);
        }
    }
    return note;
}

void yo_home_tell(struct yo_home *home, struct yo_home_room *hr,
                  const struct yo_telling *telling)
{
    for (uint32_t w = 0; w < home->office->count; w++) {
        bool failed = false;
        struct yo_note *note = tell_note(home, hr, w, telling, &failed);
        if (note) {
            yo_office_put(home->office, w, note);
        } else if (failed && telling->delivery == YOMO_RELIABLE) {
            lose(home, hr, w);
        } else if (failed) {
            yo_metric_add(&home->metrics->dropped_memory, 1);
        }
    }
}
