/* SPDX-License-Identifier: MIT */
/* bygone.c - invariants:
 *  1. each is in the map and in the list;
 *  2. `bytes` is the sum of their sizes, and within the bound. */
#include "server/bygone.h"

#include "base/check.h"
#include "server/transfer.h"
#include "server/worker.h"

struct bygone {
    struct yo_map_node by_session;
    struct yo_link link;
    uint64_t session;
    uint8_t secret[YO_PEER_SECRET_SIZE], secret_before[YO_PEER_SECRET_SIZE];
    bool before_counts, proven;
    size_t size;              /* of all of it */
    size_t id_size, app_size; /* with their NULs, in `bytes`; behind them ... */
    size_t known_size;        /* ... RESUMED for each room: their lengths, and they */
    char bytes[];
};

static struct bygone *of_link(const struct yo_link *link)
{
    return YO_CONTAINER(link, struct bygone, link);
}

void yo_bygones_init(struct yo_bygones *bygones, const struct yomo_mem *mem)
{
    yo_map_init(&bygones->sessions, mem);
    yo_list_init(&bygones->list);
    bygones->bytes = 0;
}

static void drop(struct yo_bygones *bygones, const struct yomo_mem *mem,
                 struct bygone *bygone)
{
    yo_map_remove(&bygones->sessions, &bygone->by_session);
    yo_list_remove(&bygone->link);
    bygones->bytes -= bygone->size;
    yo_free(mem, bygone);
}

void yo_bygones_finish(struct yo_bygones *bygones, const struct yomo_mem *mem)
{
    while (!yo_list_empty(&bygones->list)) {
        drop(bygones, mem, of_link(bygones->list.next));
    }
    yo_map_finish(&bygones->sessions);
}

/* The messages that will be told: for each room, how much of it was read. */
static int write_known(const struct yo_peer *peer, struct yo_buf *out)
{
    struct yo_effects effects; /* not the worker's: those may be being carried out */
    int rv;

    yo_effects_init(&effects, peer->worker->mem);
    rv = yo_server_bygone(peer->session, &effects);
    for (size_t i = 0; rv == YOMO_OK && i < effects.count; i++) {
        uint32_t size = (uint32_t)effects.list[i].bytes.size;
        yo_buf_append(out, &size, sizeof(size));
        yo_buf_append_span(out, effects.list[i].bytes);
    }
    yo_effects_finish(&effects);
    return rv == YOMO_OK && out->failed ? YOMO_ERR_NOMEM : rv;
}

static struct bygone *make(const struct yo_peer *peer, struct yo_span known)
{
    size_t id = strlen(peer->id) + 1, app = strlen(peer->app) + 1;
    size_t size = sizeof(struct bygone) + id + app + known.size;
    struct bygone *bygone = yo_calloc(peer->worker->mem, 1, size);

    if (!bygone) {
        return NULL;
    }
    bygone->session = peer->session_id;
    memcpy(bygone->secret, peer->secret, sizeof(bygone->secret));
    memcpy(bygone->secret_before, peer->secret_before, sizeof(bygone->secret_before));
    bygone->before_counts = peer->before_counts;
    bygone->proven = peer->proven;
    bygone->size = size;
    bygone->id_size = id;
    bygone->app_size = app;
    bygone->known_size = known.size;
    memcpy(bygone->bytes, peer->id, id);
    memcpy(bygone->bytes + id, peer->app, app);
    if (known.size > 0) {
        memcpy(bygone->bytes + id + app, known.data, known.size);
    }
    yo_list_init(&bygone->link);
    return bygone;
}

static void trim(struct yo_worker *worker)
{
    struct yo_bygones *bygones = &worker->bygones;

    while (bygones->sessions.count > worker->config->parked_max ||
           bygones->bytes > worker->config->parked_bytes / 8) {
        drop(bygones, worker->mem, of_link(bygones->list.next));
    }
}

void yo_bygone_keep(struct yo_peer *peer)
{
    struct yo_worker *worker = peer->worker;
    struct yo_bygones *bygones = &worker->bygones;
    struct bygone *bygone = NULL;
    struct yo_buf known;

    yo_buf_init(&known, worker->mem);
    if (peer->session && write_known(peer, &known) == YOMO_OK) {
        bygone = make(peer, yo_buf_span(&known));
    }
    yo_buf_finish(&known);
    if (!bygone) {
        return;
    }
    if (yo_map_put(&bygones->sessions, &bygone->by_session,
                   yo_span(&bygone->session, sizeof(bygone->session))) != YOMO_OK) {
        yo_free(worker->mem, bygone);
        return;
    }
    yo_list_push_back(&bygones->list, &bygone->link);
    bygones->bytes += bygone->size;
    trim(worker);
}

bool yo_bygone_find(const struct yo_worker *worker, struct yo_transfer *transfer)
{
    struct yo_map_node *node =
        yo_map_get(&worker->bygones.sessions,
                   yo_span(&transfer->session, sizeof(transfer->session)));
    const struct bygone *bygone;
    const char *app;
    bool now, before;

    if (!node) {
        return false;
    }
    bygone = YO_CONTAINER(node, struct bygone, by_session);
    app = bygone->bytes + bygone->id_size;
    now = yo_secret_equal(bygone->secret, transfer->secret);
    before = yo_secret_equal(bygone->secret_before, transfer->secret);
    if (!(now || (bygone->before_counts && before)) ||
        strcmp(bygone->bytes, transfer->id) != 0 || strcmp(app, transfer->app) != 0 ||
        (bygone->proven && !transfer->proven)) {
        return false;
    }
    (void)yo_buf_append(&transfer->known, app + bygone->app_size, bygone->known_size);
    return true;
}
