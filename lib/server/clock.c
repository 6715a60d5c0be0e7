/* SPDX-License-Identifier: MIT */
/* clock.c - somebody sets the wall clock while a server runs, or the machine slept.
 *
 * Whatever lasts a time goes by the clock of the loop and does not notice. What ends at
 * a date, tokens, is looked at again: by the wall clock as it stands now, as it would
 * be of somebody who comes now. Their holders are told how long they have, and never
 * have less than NOTICE, or than they had before, to bring another: else a clock that
 * was set wrong for a moment would put everybody out for good. */
#include "base/check.h"
#include "server/bans_writer.h"
#include "server/handle.h"
#include "server/peer.h"
#include "server/worker.h"

#define JUMP_MS 1000 /* less is a clock that is being slowed down or sped up */
#define NOTICE (30 * YO_SECOND)

static void look_again(struct yo_peer *peer, yo_time now)
{
    yo_time before = peer->expiry, least = yo_time_min(before, now + NOTICE);
    struct yo_effects tell; /* the worker's may be in use */

    (void)yo_peer_note_expiry(peer, now);
    if (peer->expiry < least) {
        peer->expiry = least;
    }
    if (peer->parked) {
        yo_park_set_timer(peer);
        return;
    }
    if (peer->closing || peer->departing || peer->presencejs || !peer->session) {
        yo_peer_set_timer(peer);
        return;
    }
    yo_effects_init(&tell, peer->worker->mem);
    if (yo_server_token(peer->session, (peer->expiry - now) / YO_MS, YOMO_OK, &tell) ==
        YOMO_OK) {
        yo_peer_carry_out(peer, &tell, now);
    } else {
        yo_peer_end(peer, YO_CODE_TRY_LATER, YOMO_ERR_NOMEM, "out of memory");
    }
    yo_effects_finish(&tell);
}

static void look_at_all(struct yo_link *peers, yo_time now)
{
    YO_LIST_EACH(link, next, peers)
    {
        struct yo_peer *peer = YO_CONTAINER(link, struct yo_peer, in_worker);
        if (peer->grants && peer->expiry != YO_NEVER) {
            look_again(peer, now);
        }
    }
}

void yo_clock_look(struct yo_worker *worker, yo_time now)
{
    int64_t offset = (int64_t)yo_wall_ms() - (int64_t)(now / YO_MS);
    int64_t jump = offset - worker->wall_offset;
    bool known = worker->wall_known;

    if (known && jump < JUMP_MS && jump > -JUMP_MS) {
        return;
    }
    worker->wall_offset = offset;
    worker->wall_known = true;
    if (!known) {
        return;
    }
    look_at_all(&worker->peers, now);
    look_at_all(&worker->due, now);
    if (worker->index == 0) {
        yo_metric_add(&worker->metrics->clock_jumps, 1);
        YO_LOG(worker->log, YOMO_LOG_WARN, "server",
               "the wall clock was set %s by %lld s", jump < 0 ? "back" : "forward",
               (long long)((jump < 0 ? -jump : jump) / 1000));
        if (worker->server->bans_writer) {
            yo_bans_writer_touch(worker->server->bans_writer);
        } else {
            (void)yo_server_write_bans(worker->server); /* their ends are dates there */
        }
    }
}
