/* SPDX-License-Identifier: MIT */
/* direct.c - a message to some members of a room: found at its home, which alone knows
 * who is there, and told to the workers that have them, with their sessions. Nobody
 * else's outbox ever has it. */
#include "base/check.h"
#include "presence/named.h"
#include "server/home.h"
#include "wire/decode.h"

enum { YOMO = YO_DIALECT_YOMO, PRESENCEJS = YO_DIALECT_PRESENCEJS };

static int find(struct yo_home *home, struct yo_room *room, struct yo_span targets)
{
    struct yo_mp_reader reader;
    struct yo_wire_target target;
    int rv = YOMO_OK;

    yo_buf_clear(&home->named);
    yo_named_begin(room);
    yo_targets_init(&reader, targets);
    while (rv == YOMO_OK && yo_targets_next(&reader, &target)) {
        rv = target.session != 0 ? yo_named_session(room, target.session, &home->named)
                                 : yo_named_user(room, target.user, &home->named);
    }
    return rv;
}

int yo_home_name(struct yo_home *home, struct yo_home_room *hr, struct yo_note *note,
                 struct yo_telling *telling)
{
    int rv = find(home, &hr->room, yo_blob_span(note->targets));

    if (rv == YOMO_OK && home->named.size == 0) {
        rv = YOMO_ERR_NOT_FOUND;
    }
    if (rv == YOMO_OK && note->echo) {
        rv = yo_named_session(&hr->room, note->session, &home->named);
    }
    if (rv != YOMO_OK) {
        return rv;
    }
    telling->named = (struct yo_member **)(void *)home->named.data;
    telling->named_count = home->named.size / sizeof(*telling->named);
    telling->author = NULL; /* who named himself hears himself */
    return YOMO_OK;
}

static bool speaks(const struct yo_member *member, int dialect)
{
    return member->presencejs == (dialect == PRESENCEJS);
}

uint32_t yo_telling_listeners(const struct yo_home_room *hr, uint32_t w, int dialect,
                              const struct yo_telling *telling)
{
    uint32_t count = 0;

    if (!telling->named) {
        return yo_home_listeners(hr, w, dialect, telling->author);
    }
    for (size_t i = 0; i < telling->named_count; i++) {
        count += yo_home_worker_of(telling->named[i]) == w &&
                 speaks(telling->named[i], dialect);
    }
    return count;
}

struct yo_blob *yo_telling_sessions(struct yo_home *home, uint32_t w,
                                    const struct yo_telling *telling)
{
    size_t count = yo_telling_listeners(NULL, w, YOMO, telling) +
                   yo_telling_listeners(NULL, w, PRESENCEJS, telling);
    struct yo_blob *blob = yo_blob_alloc(home->mem, count * sizeof(uint64_t));
    size_t at = 0;

    if (!blob) {
        return NULL;
    }
    for (size_t i = 0; i < telling->named_count; i++) {
        const struct yo_member *member = telling->named[i];
        if (yo_home_worker_of(member) == w) {
            memcpy(blob->data + at, &member->session, sizeof(member->session));
            at += sizeof(member->session);
        }
    }
    assert(at == blob->size);
    return blob;
}
