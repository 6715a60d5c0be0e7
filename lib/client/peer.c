/* SPDX-License-Identifier: MIT */
#include "client/peer.h"

const char *yomo_peer_id(const yomo_peer *peer)
{
    return peer ? peer->id : "";
}

uint64_t yomo_peer_session(const yomo_peer *peer)
{
    return peer ? peer->session : 0;
}

const char *yomo_peer_state(const yomo_peer *peer, size_t *size)
{
    if (size) {
        *size = peer ? peer->state_size : 2;
    }
    return peer ? peer->state : "{}";
}

const char *yomo_peer_data(const yomo_peer *peer, size_t *size)
{
    if (size) {
        *size = peer ? peer->data_size : 2;
    }
    return peer ? peer->data : "{}";
}

const void *yomo_peer_state_bytes(const yomo_peer *peer, size_t *size)
{
    if (size) {
        *size = peer ? peer->bytes_size : 0;
    }
    return peer ? peer->bytes : NULL;
}

uint64_t yomo_peer_since_ms(const yomo_peer *peer)
{
    return peer ? peer->since_ms : 0;
}

int32_t yomo_peer_stale(const yomo_peer *peer)
{
    return peer && peer->stale;
}

size_t yomo_peers_count(const yomo_peers *peers)
{
    return peers ? peers->count : 0;
}

const yomo_peer *yomo_peers_at(const yomo_peers *peers, size_t index)
{
    return peers && index < peers->count ? &peers->list[index] : NULL;
}

void yomo_peers_free(yomo_peers *peers)
{
    if (peers) {
        struct yomo_mem mem = peers->mem;
        yo_free(&mem, peers);
    }
}

static size_t text_size(const struct yomo_peer *peer)
{
    return peer->id_size + 1 + peer->state_size + 1 + peer->data_size + 1 +
           (peer->bytes ? peer->bytes_size + 1 : 0);
}

size_t yo_roster_copy_size(const struct yo_roster *roster)
{
    size_t size = sizeof(struct yomo_peers);
    for (const struct yo_link *link = roster->order.next; link != &roster->order;
         link = link->next) {
        const struct yo_roster_entry *entry =
            YO_CONTAINER(link, struct yo_roster_entry, order);
        size += sizeof(struct yomo_peer) + text_size(&entry->peer);
    }
    return size;
}

/* Copy `size` bytes and the NUL behind them to `*at`. */
static const char *copy_text(char **at, const void *from, size_t size)
{
    char *to = *at;
    memcpy(to, from, size + 1);
    *at = to + size + 1;
    return to;
}

yomo_peers *yo_roster_copy(const struct yo_roster *roster, const struct yomo_mem *mem,
                           void *memory)
{
    struct yomo_peers *peers = memory;
    peers->mem = *mem;
    peers->count = roster->members.count;
    char *at = (char *)&peers->list[peers->count];
    struct yomo_peer *to = peers->list;
    for (const struct yo_link *link = roster->order.next; link != &roster->order;
         link = link->next, to++) {
        const struct yomo_peer *from =
            &YO_CONTAINER(link, struct yo_roster_entry, order)->peer;
        *to = *from;
        to->id = copy_text(&at, from->id, from->id_size);
        to->state = copy_text(&at, from->state, from->state_size);
        to->data = copy_text(&at, from->data, from->data_size);
        if (from->bytes) {
            to->bytes = copy_text(&at, from->bytes, from->bytes_size);
        }
    }
    return peers;
}
