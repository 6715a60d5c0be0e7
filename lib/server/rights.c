/* SPDX-License-Identifier: MIT */
/* rights.c - what a peer may do, and until when, by its token; and another token in its
 * place, without another connection.
 *
 * Failure modes: a token that is not good, or is somebody else's, is refused and the
 * old one counts on. A room that the new one does not allow is left at once. */
#include "base/check.h"
#include "server/log.h"
#include "server/peer.h"
#include "server/tokens.h"
#include "server/worker.h"

/* Milliseconds until what `grants` allow is over, leeway included; 0: never. */
static uint64_t left_ms(const struct yo_peer *peer)
{
    const yomo_options *options = peer->worker->config->options;
    uint64_t leeway = yo_options_ms(options, "token-leeway");
    uint64_t expiry_s = yo_grants_expiry_s(peer->grants);
    uint64_t now = yo_wall_ms();

    if (expiry_s > UINT64_MAX / 4000) {
        return 0;
    }
    expiry_s = expiry_s * 1000 + leeway;
    return expiry_s > now ? expiry_s - now : 1;
}

uint64_t yo_peer_note_expiry(struct yo_peer *peer, yo_time now)
{
    uint64_t ms = peer->grants ? left_ms(peer) : 0;

    if (ms > YO_NEVER / YO_MS / 2) {
        ms = 0;
    }
    peer->expiry = ms ? yo_time_after(now, ms * YO_MS) : YO_NEVER;
    return ms;
}

int yo_peer_take_data(struct yo_peer *peer)
{
    struct yo_span data = peer->grants ? yo_grants_data(peer->grants) : YO_SPAN_NONE;
    struct yo_blob *blob = NULL;

    if (peer->data_is_hosts) {
        return YOMO_OK;
    }
    if (data.data) {
        blob = yo_blob_create(peer->worker->mem, data);
        if (!blob) {
            return YOMO_ERR_NOMEM;
        }
    }
    yo_blob_unref(peer->data);
    peer->data = blob;
    return YOMO_OK;
}

/* Is it for the same person as the one before, and for this application? The host may
 * have named the peer otherwise than its token does. */
static bool same(const struct yo_peer *peer, const struct yo_grants *grants)
{
    struct yo_span id = yo_grants_id(grants), before = yo_grants_id(peer->grants);
    struct yo_span app = yo_grants_app(grants);

    return !id.data == !before.data && yo_span_equal(id, before) &&
           (!app.data || yo_span_is(app, peer->app) ||
            yo_span_equal(app, yo_grants_app(peer->grants)));
}

static int check(struct yo_peer *peer, struct yo_span token, struct yo_grants **grants,
                 yo_time now)
{
    struct yo_worker *worker = peer->worker;
    const char *why = "there are no keys for tokens here";
    int rv = YOMO_ERR_AUTH;

    if (worker->config->tokens && peer->grants) {
        rv = yo_server_check_token(worker->server, token, grants, &why);
    }
    if (rv == YOMO_OK && !same(peer, *grants)) {
        yo_grants_free(*grants);
        why = "it is for another user, or another application";
        rv = YOMO_ERR_DENIED;
    }
    if (rv != YOMO_OK) {
        YO_COMPLAIN(worker, YO_COMPLAINT_CONNECTION, now,
                    yo_log_error(YO_LOG_PEER(peer), rv), "a new token was refused: %s",
                    rv == YOMO_ERR_NOMEM ? yomo_strerror(rv) : why);
    }
    return rv;
}

void yo_peer_take_token(struct yo_peer *peer, struct yo_span token, yo_time now)
{
    struct yo_worker *worker = peer->worker;
    struct yo_grants *grants;
    struct yo_effects answer; /* not the worker's: those are being carried out */
    uint64_t ms = 0;
    int rv = check(peer, token, &grants, now);

    if (rv == YOMO_OK) {
        yo_grants_free(peer->grants);
        peer->grants = grants;
        ms = yo_peer_note_expiry(peer, now);
        if (yo_peer_take_data(peer) != YOMO_OK) {
            yo_peer_end(peer, YO_CODE_TRY_LATER, YOMO_ERR_NOMEM, "out of memory");
            return;
        }
    }
    yo_effects_init(&answer, worker->mem);
    if (yo_server_token(peer->session, ms, rv, &answer) == YOMO_OK) {
        yo_peer_carry_out(peer, &answer, now);
    } else {
        yo_peer_end(peer, YO_CODE_TRY_LATER, YOMO_ERR_NOMEM, "out of memory");
    }
    yo_effects_finish(&answer);
    if (rv == YOMO_OK && !peer->closing) {
        yo_local_recheck(&worker->local, peer, now);
    }
}
