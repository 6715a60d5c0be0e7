/* SPDX-License-Identifier: MIT */
/* snapshot.c - who is in a room, for one who comes: in pages for the extension, as one
 * peer_state for each peer for presencejs, which knows nothing else. */
#include "base/check.h"
#include "server/home.h"
#include "session/pages.h"
#include "wire/encode.h"
#include "wire/msgpack.h"

int yo_home_add_parcel(struct yo_home *home, struct yo_note *join, struct yo_blob *blob)
{
    size_t count = join->parcel_count;

    /* Room doubles at each power of two. */
    if ((count & (count - 1)) == 0) {
        size_t capacity = count == 0 ? 1 : count * 2;
        struct yo_blob **parcels =
            yo_realloc(home->mem, join->parcels, capacity * sizeof(*parcels));
        if (!parcels) {
            yo_blob_unref(blob);
            return YOMO_ERR_NOMEM;
        }
        join->parcels = parcels;
    }
    join->parcels[join->parcel_count++] = blob;
    return YOMO_OK;
}

static int add_sheet(struct yo_pages *pages, const struct yo_sheet *sheet)
{
    int rv = YOMO_OK;

    YO_LIST_EACH(link, next, &sheet->members)
    {
        const struct yo_member *member = YO_CONTAINER(link, struct yo_member, on_sheet);
        struct yo_wire_member entry = {
            .session = member->session,
            .peer = yo_span_of(member->id),
            .state = member->state ? yo_blob_span(member->state) : YO_SPAN_NONE,
            .data = member->data ? yo_blob_span(member->data) : YO_SPAN_NONE,
            .version = member->version,
            .since_ms = member->since_ms,
            .stale = member->stale};
        rv = yo_pages_add(pages, &entry);
        if (rv != YOMO_OK) {
            break;
        }
    }
    return rv;
}

/* A sheet that others follow keeps its text for the next one who comes. */
static int spell_sheet(struct yo_home *home, struct yo_home_room *hr,
                       struct yo_sheet *sheet)
{
    struct yo_pages part;
    int rv;

    if (sheet->text) {
        return YOMO_OK;
    }
    yo_pages_begin_part(&part, home->mem, hr->name);
    rv = add_sheet(&part, sheet);
    rv = rv == YOMO_OK ? yo_pages_end(&part) : rv;
    if (rv == YOMO_OK) {
        yo_sheet_keep(&hr->room, sheet, part.list, part.count);
        part.list = NULL;
        part.count = 0;
    }
    yo_pages_finish(&part);
    return rv;
}

int yo_home_pages(struct yo_home *home, struct yo_home_room *hr, struct yo_pages *pages)
{
    struct yo_sheet *sheet = NULL;
    int rv = YOMO_OK;

    yo_pages_begin(pages, home->mem, hr->name, hr->room.sequence);
    while (rv == YOMO_OK && (sheet = yo_room_next_sheet(&hr->room, sheet)) != NULL) {
        if (yo_sheet_is_last(&hr->room, sheet)) {
            rv = add_sheet(pages, sheet);
        } else {
            rv = spell_sheet(home, hr, sheet);
            rv = rv == YOMO_OK ? yo_pages_put(pages, sheet->text, sheet->text_count)
                               : rv;
        }
    }
    yo_room_show(&hr->room);
    return rv == YOMO_OK ? yo_pages_end(pages) : rv;
}

static int pages_for(struct yo_home *home, struct yo_home_room *hr,
                     struct yo_note *join)
{
    struct yo_pages pages;
    int rv = yo_home_pages(home, hr, &pages);

    if (rv == YOMO_OK) {
        join->parcels = pages.list;
        join->parcel_count = pages.count;
        pages.list = NULL;
        pages.count = 0;
    }
    yo_pages_finish(&pages);
    return rv;
}

int yo_home_peer_state(struct yo_home *home, const struct yo_home_room *hr,
                       const char *label, const struct yo_blob *state,
                       struct yo_blob **out)
{
    struct yo_message message = {.op = YO_OP_PEER_STATE,
                                 .channel = hr->name,
                                 .peer = yo_span_of(label),
                                 .mesh = yo_span_of(home->config->mesh)};
    struct yo_buf bare;
    int rv;

    yo_buf_init(&bare, home->mem);
    if (!state) {
        yo_mp_put_map(&bare, 1);
        yo_mp_put_cstr(&bare, "id");
        yo_mp_put_cstr(&bare, label);
    }
    message.payload = state ? yo_blob_span(state) : yo_buf_span(&bare);
    rv = bare.failed ? YOMO_ERR_NOMEM
                     : yo_encode_blob(out, home->mem, YO_DIALECT_PRESENCEJS, &message);
    yo_buf_finish(&bare);
    return rv;
}

static int peer_states(struct yo_home *home, const struct yo_home_room *hr,
                       struct yo_note *join)
{
    struct yo_span own = join->label.data ? join->label : join->id;
    const struct yo_member *member = NULL;

    while (join->parcel_count < home->config->legacy_members_max &&
           (member = yo_room_next_label(&hr->room, member, join->session)) != NULL) {
        struct yo_blob *blob = NULL;
        int rv;
        if (yo_span_is(own, member->label)) {
            continue; /* another device of the same peer */
        }
        rv = yo_home_peer_state(home, hr, member->label, member->state, &blob);
        rv = rv == YOMO_OK ? yo_home_add_parcel(home, join, blob) : rv;
        if (rv != YOMO_OK) {
            return rv;
        }
    }
    return YOMO_OK;
}

int yo_home_snapshot(struct yo_home *home, struct yo_home_room *hr,
                     struct yo_note *join)
{
    struct yo_pages pages;
    int rv;

    if (join->presencejs) {
        return peer_states(home, hr, join);
    }
    if (hr->values.count == 0) {
        return pages_for(home, hr, join);
    }
    /* What is shared comes first, so that the last page of members ends it all. */
    rv = yo_home_show_values(home, hr, join);
    if (rv != YOMO_OK) {
        return rv;
    }
    rv = yo_home_pages(home, hr, &pages);
    for (size_t i = 0; rv == YOMO_OK && i < pages.count; i++) {
        rv = yo_home_add_parcel(home, join, yo_blob_ref(pages.list[i]));
    }
    yo_pages_finish(&pages);
    return rv;
}
