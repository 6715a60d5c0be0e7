/* SPDX-License-Identifier: MIT */
#include "server/letters.h"

#include <string.h>
#include <yomo/error.h>

#include "base/check.h"

static void discard(struct yo_letter *letter)
{
    yo_note_free(YO_CONTAINER(letter, struct yo_note, letter));
}

static struct yo_span keep(uint8_t **at, struct yo_span text)
{
    struct yo_span copy = YO_SPAN_NONE;

    if (text.data) {
        if (text.size > 0) {
            memcpy(*at, text.data, text.size);
        }
        copy = yo_span(*at, text.size);
        *at += text.size;
    }
    return copy;
}

struct yo_note *yo_note_create(const struct yomo_mem *mem, enum yo_note_kind kind,
                               struct yo_blob *room, struct yo_span id,
                               struct yo_span label, struct yo_span event,
                               struct yo_span key)
{
    size_t size = id.size + label.size + event.size + key.size;
    struct yo_note *note = yo_malloc(mem, sizeof(*note) + size);
    uint8_t *at;

    if (!note) {
        return NULL;
    }
    memset(note, 0, sizeof(*note));
    note->letter.open = yo_note_open;
    note->letter.discard = discard;
    yo_list_init(&note->letter.link);
    note->mem = mem;
    note->kind = kind;
    note->room = yo_blob_ref(room);
    note->expires = YO_NEVER;
    at = note->text;
    note->id = keep(&at, id);
    note->label = keep(&at, label);
    note->event = keep(&at, event);
    note->key = keep(&at, key);
    return note;
}

static void unweigh(struct yo_note *note)
{
    if (note->weighed) {
        atomic_fetch_sub_explicit(note->weighed, note->weight, memory_order_relaxed);
        note->weighed = NULL;
    }
}

void yo_note_free(struct yo_note *note)
{
    if (!note) {
        return;
    }
    unweigh(note);
    yo_note_free(note->twin);
    for (size_t i = 0; i < note->parcel_count; i++) {
        yo_blob_unref(note->parcels[i]);
    }
    yo_free(note->mem, note->parcels);
    for (size_t i = 0; i < note->said_count; i++) {
        yo_blob_unref(note->said[i]);
    }
    yo_free(note->mem, note->said);
    for (size_t i = 0; i < YO_DIALECTS; i++) {
        yo_blob_unref(note->encoded[i]);
    }
    yo_blob_unref(note->targets);
    yo_blob_unref(note->payload);
    yo_blob_unref(note->data);
    yo_blob_unref(note->room);
    yo_free(note->mem, note);
}

void yo_note_turn(struct yo_note *note, enum yo_note_kind kind, int error,
                  uint64_t sequence)
{
    unweigh(note);
    yo_blob_unref(note->payload);
    note->payload = NULL;
    yo_blob_unref(note->targets);
    note->targets = NULL;
    note->kind = kind;
    note->error = error;
    note->sequence = sequence;
}

int yo_office_init(struct yo_office *office, const struct yomo_mem *mem, uint32_t self,
                   uint32_t count, struct yo_desk *desks, void (*on_due)(void *user),
                   void *user)
{
    memset(office, 0, sizeof(*office));
    office->self = self;
    office->count = count;
    office->desks = desks;
    office->on_due = on_due;
    office->user = user;
    office->out = yo_calloc(mem, count, sizeof(*office->out));
    if (!office->out) {
        return YOMO_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        yo_list_init(&office->out[i]);
    }
    return YOMO_OK;
}

void yo_office_finish(struct yo_office *office, const struct yomo_mem *mem)
{
    struct yo_link *link;

    for (uint32_t i = 0; office->out && i < office->count; i++) {
        while ((link = yo_list_pop_front(&office->out[i])) != NULL) {
            discard(YO_CONTAINER(link, struct yo_letter, link));
        }
    }
    yo_free(mem, office->out);
    memset(office, 0, sizeof(*office));
}

static size_t weight_of(const struct yo_note *note)
{
    size_t weight = sizeof(*note) + (note->payload ? note->payload->size : 0) +
                    (note->targets ? note->targets->size : 0);

    for (size_t i = 0; i < YO_DIALECTS; i++) {
        weight += note->encoded[i] ? note->encoded[i]->size : 0;
    }
    return weight;
}

static void weigh(struct yo_note *note, struct yo_desk *desk)
{
    if (note->kind == YO_NOTE_PUBLISH || note->kind == YO_NOTE_DELIVER) {
        note->weight = weight_of(note);
        note->weighed = &desk->weight;
        atomic_fetch_add_explicit(note->weighed, note->weight, memory_order_relaxed);
    }
}

void yo_desk_post(struct yo_desk *desk, struct yo_note *note)
{
    weigh(note, desk);
    yo_mailbox_post(desk->box, &note->letter);
}

void yo_office_put(struct yo_office *office, uint32_t to, struct yo_note *note)
{
    note->from = office->self;
    weigh(note, &office->desks[to]);
    yo_list_push_back(&office->out[to], &note->letter.link);
    if (!office->due) {
        office->due = true;
        office->on_due(office->user);
    }
}

void yo_office_send(struct yo_office *office, void *self_user, yo_time now)
{
    struct yo_link *link;

    while ((link = yo_list_pop_front(&office->out[office->self])) != NULL) {
        struct yo_letter *letter = YO_CONTAINER(link, struct yo_letter, link);
        letter->open(letter, self_user, now);
    }
    for (uint32_t i = 0; i < office->count; i++) {
        if (!yo_list_empty(&office->out[i])) {
            yo_mailbox_post_list(office->desks[i].box, &office->out[i]);
        }
    }
    office->due = false;
}

struct yo_span yo_room_key_write(uint8_t out[YO_ROOM_KEY_MAX], struct yo_span app,
                                 struct yo_span name)
{
    assert(app.size + 1 + name.size <= YO_ROOM_KEY_MAX);
    memcpy(out, app.data, app.size);
    out[app.size] = '\0';
    if (name.size > 0) {
        memcpy(out + app.size + 1, name.data, name.size);
    }
    return yo_span(out, app.size + 1 + name.size);
}

struct yo_blob *yo_room_key(const struct yomo_mem *mem, struct yo_span key)
{
    struct yo_blob *blob = yo_blob_alloc(mem, key.size + 1);

    if (blob) {
        memcpy(blob->data, key.data, key.size);
        blob->data[key.size] = '\0';
        blob->size = key.size;
    }
    return blob;
}

struct yo_span yo_room_key_app(const struct yo_blob *key)
{
    const uint8_t *nul = memchr(key->data, '\0', key->size);

    return yo_span(key->data, (size_t)(nul - key->data));
}

struct yo_span yo_room_key_name(const struct yo_blob *key)
{
    return yo_span_skip(yo_blob_span(key), yo_room_key_app(key).size + 1);
}
