/* SPDX-License-Identifier: MIT */
/* roster.c - invariants:
 *  1. an entry is in `members` and in `order`, or in neither;
 *  2. an entry that is in is a device of the user with its id; each user has one;
 *  3. its key is 'S' and the session where there is one, else 'P' and the id. */
#include "client/roster.h"

#include <yomo/error.h>

#include "wire/json.h"
#include "wire/msgpack.h"

#define ID_SIZE_MAX 1024 /* of a peer; the protocol has YO_ID_SIZE_MAX */
#define KEY_SIZE_MAX (1 + ID_SIZE_MAX)

void yo_roster_init(struct yo_roster *roster, const struct yomo_mem *mem)
{
    *roster = (struct yo_roster){.mem = mem};
    yo_map_init(&roster->members, mem);
    yo_map_init(&roster->users, mem);
    yo_list_init(&roster->order);
    yo_list_init(&roster->user_order);
}

void yo_roster_finish(struct yo_roster *roster)
{
    if (!roster->mem) {
        return;
    }
    YO_LIST_EACH(link, next, &roster->order)
    {
        struct yo_roster_entry *entry =
            YO_CONTAINER(link, struct yo_roster_entry, order);
        yo_roster_remove(roster, entry);
        yo_roster_entry_destroy(roster, entry);
    }
    yo_map_finish(&roster->members);
    yo_map_finish(&roster->users);
}

void yo_roster_begin(struct yo_roster *roster)
{
    roster->round++;
}

/* Write the key into `out`; returns its size. */
static size_t make_key(char *out, uint64_t session, struct yo_span id)
{
    if (session) {
        out[0] = 'S';
        memcpy(out + 1, &session, sizeof(session));
        return 1 + sizeof(session);
    }
    out[0] = 'P';
    if (id.size > 0) {
        memcpy(out + 1, id.data, id.size);
    }
    return 1 + id.size;
}

/* Append `bytes` and a NUL to what was written at `*at`; returns where they are. */
static const char *put_text(char **at, struct yo_span bytes)
{
    char *start = *at;
    if (bytes.size > 0) {
        memcpy(start, bytes.data, bytes.size);
    }
    start[bytes.size] = '\0';
    *at = start + bytes.size + 1;
    return start;
}

/* The bytes of yomo_room_set_state_bytes in `payload`, or an absent span. */
static struct yo_span state_bytes(struct yo_span payload)
{
    struct yo_span value = yo_mp_map_get(payload, "bytes");
    if (!value.data) {
        return YO_SPAN_NONE;
    }
    struct yo_mp_reader reader;
    yo_mp_reader_init(&reader, value);
    struct yo_mp_value bin = yo_mp_read(&reader);
    return !reader.error && bin.kind == YO_MP_BIN ? bin.bytes : YO_SPAN_NONE;
}

static void fill(struct yo_roster_entry *entry, struct yo_span id, struct yo_span state,
                 struct yo_span data, struct yo_span bytes)
{
    struct yomo_peer *peer = &entry->peer;
    char *at = entry->text;
    size_t key_size = make_key(at, peer->session, id);
    entry->node.key = yo_span(at, key_size);
    at += key_size;
    peer->id = put_text(&at, id);
    peer->id_size = id.size;
    peer->state = put_text(&at, state);
    peer->state_size = state.size;
    peer->data = put_text(&at, data);
    peer->data_size = data.size;
    if (bytes.data) {
        peer->bytes = put_text(&at, bytes);
        peer->bytes_size = bytes.size;
    }
}

/* The JSON of a map, or `absent`. */
static int write_json(struct yo_buf *out, struct yo_span map, struct yo_span absent)
{
    return map.data ? yo_mp_to_json(out, map) : yo_buf_append_span(out, absent);
}

static struct yo_roster_entry *entry_alloc(const struct yo_roster *roster, size_t text)
{
    struct yo_roster_entry *entry = yo_malloc(roster->mem, sizeof(*entry) + text);
    if (entry) {
        memset(entry, 0, sizeof(*entry));
        yo_list_init(&entry->order);
        yo_list_init(&entry->of_user);
    }
    return entry;
}

int yo_roster_entry_create(const struct yo_roster *roster, struct yo_roster_entry **out,
                           uint64_t session, struct yo_span id, struct yo_span payload,
                           struct yo_span data, const struct yo_roster_entry *old,
                           uint64_t since_ms)
{
    struct yo_span none = yo_span_of("{}");
    struct yo_span before = old ? yo_span(old->peer.data, old->peer.data_size) : none;
    struct yo_span bytes = state_bytes(payload);
    struct yo_roster_entry *entry = NULL;
    struct yo_buf state, told;
    if (id.size > ID_SIZE_MAX) {
        return YOMO_ERR_MALFORMED;
    }
    yo_buf_init(&state, roster->mem);
    yo_buf_init(&told, roster->mem);
    int rv = write_json(&state, payload, none);
    rv = rv == YOMO_OK ? write_json(&told, data, before) : rv;
    if (rv == YOMO_OK) {
        entry = entry_alloc(roster, 1 + sizeof(session) + id.size * 2 + 1 + state.size +
                                        1 + told.size + 1 + bytes.size + 1);
        rv = entry ? YOMO_OK : YOMO_ERR_NOMEM;
    }
    if (rv == YOMO_OK) {
        entry->peer.session = session;
        entry->peer.since_ms = since_ms;
        fill(entry, id, yo_buf_span(&state), yo_buf_span(&told), bytes);
        *out = entry;
    }
    yo_buf_finish(&state);
    yo_buf_finish(&told);
    return rv;
}

void yo_roster_entry_destroy(const struct yo_roster *roster,
                             struct yo_roster_entry *entry)
{
    yo_free(roster->mem, entry);
}

struct yo_roster_entry *yo_roster_find(const struct yo_roster *roster, uint64_t session,
                                       struct yo_span id)
{
    char key[KEY_SIZE_MAX];
    if (id.size > ID_SIZE_MAX) {
        return NULL;
    }
    struct yo_span span = yo_span(key, make_key(key, session, id));
    struct yo_map_node *node = yo_map_get(&roster->members, span);
    return node ? YO_CONTAINER(node, struct yo_roster_entry, node) : NULL;
}

bool yo_roster_same(const struct yo_roster_entry *old,
                    const struct yo_roster_entry *entry)
{
    if (!old) {
        return false;
    }
    const struct yomo_peer *a = &old->peer;
    const struct yomo_peer *b = &entry->peer;
    return yo_span_equal(yo_span(a->id, a->id_size), yo_span(b->id, b->id_size)) &&
           yo_span_equal(yo_span(a->state, a->state_size),
                         yo_span(b->state, b->state_size)) &&
           yo_span_equal(yo_span(a->data, a->data_size),
                         yo_span(b->data, b->data_size));
}

/* In the place of `old`, or at the end. */
static int place(struct yo_roster *roster, struct yo_roster_entry *old,
                 struct yo_roster_entry *entry)
{
    if (old) {
        /* The place that the old one gives up is enough: this cannot fail. */
        yo_list_push_back(&old->order, &entry->order); /* in front of it */
        yo_roster_remove(roster, old);
        if (!entry->peer.since_ms) {
            entry->peer.since_ms = old->peer.since_ms;
        }
        entry->peer.stale = old->peer.stale;
    }
    int rv = yo_map_put(&roster->members, &entry->node, entry->node.key);
    if (rv == YOMO_OK && !old) {
        yo_list_push_back(&roster->order, &entry->order);
    }
    return rv;
}

int yo_roster_put(struct yo_roster *roster, struct yo_roster_entry *old,
                  struct yo_roster_entry *entry)
{
    if (!old && roster->members.count >= YO_ROSTER_MAX) {
        return YOMO_ERR_FULL;
    }
    struct yo_roster_user *user =
        old ? old->user
            : yo_roster_user_take(roster, yo_span(entry->peer.id, entry->peer.id_size));
    if (!user) {
        return YOMO_ERR_NOMEM;
    }
    user->count++; /* so that it stays */
    int rv = place(roster, old, entry);
    if (rv != YOMO_OK) {
        user->count--;
        yo_roster_user_drop(roster, user);
        return rv;
    }
    entry->user = user;
    yo_list_push_front(&user->devices, &entry->of_user);
    entry->seen = roster->round;
    return YOMO_OK;
}

void yo_roster_touch(struct yo_roster *roster, struct yo_roster_entry *entry)
{
    entry->seen = roster->round;
}

void yo_roster_remove(struct yo_roster *roster, struct yo_roster_entry *entry)
{
    yo_map_remove(&roster->members, &entry->node);
    yo_list_remove(&entry->order);
    yo_list_remove(&entry->of_user);
    entry->user->count--;
    yo_roster_user_drop(roster, entry->user);
    entry->user = NULL;
}
