/* SPDX-License-Identifier: MIT */
/* transfer.h - a session on its way from one connection to another: what move.c and
 * resume.c share. */
#ifndef YO_SERVER_TRANSFER_H
#define YO_SERVER_TRANSFER_H

#include "server/letters.h"
#include "server/peer.h"

struct yo_transfer {
    struct yo_letter letter;
    const struct yomo_mem *mem;
    uint32_t taker_worker;
    uint64_t taker, session;
    uint8_t secret[YO_PEER_SECRET_SIZE];
    bool proven;
    char *id, *app;
    /* Of one whose connection broke. */
    bool resume;
    struct yo_link claims; /* of struct yo_claim: the seats that it wants back */
    uint32_t asked;        /* workers that do not have it */
    /* One that asked for the session while this one takes it: with the same token, so
     * that of the same client, back once more. It asks again when this has come to its
     * end. One is enough: a newer one takes its place. */
    struct yo_transfer *behind;
    /* The answer. */
    int error;
    struct yo_buf known; /* refused, but this is known of it (bygone.h) */
    struct yo_server_session *state;
    struct yo_outbox outbox;
    struct yo_buf tail; /* of struct yo_tail */
    uint64_t again;     /* yo_server_moved */
    size_t seats;
};

/* A room that a client wants to be back in, and what it has had of it. */
struct yo_claim {
    struct yo_link link;
    struct yo_position position;
    size_t size;
    uint8_t room[];
};

/* What the old transport gave back: in `tail`, with a reference each. */
struct yo_tail {
    struct yo_blob *message;
    uint32_t lane;
};

struct yo_transfer *yo_transfer_of(struct yo_letter *letter);
void yo_transfer_free(struct yo_transfer *transfer);

/* Give it away: to a worker that may have the session; back to the one that takes it,
 * as it is or with a reason why not. move.c opens it there. */
void yo_transfer_ask(struct yo_worker *worker, uint32_t to,
                     struct yo_transfer *transfer);
void yo_transfer_answer(struct yo_worker *worker, struct yo_transfer *transfer);
void yo_transfer_refuse(struct yo_worker *worker, struct yo_transfer *transfer,
                        int error);
void yo_transfer_open_ask(struct yo_letter *letter, void *box_user, yo_time now);
void yo_transfer_open_answer(struct yo_letter *letter, void *box_user, yo_time now);

/* It has come to its end, at this worker: what waits behind it asks again. Frees it. */
void yo_transfer_done(struct yo_worker *worker, struct yo_transfer *transfer);

/* Is the session in transit at this worker, on behalf of the same client? Then the
 * transfer waits for the end of that. Only who knows the token that serves just now may
 * wait; of several the newest. */
bool yo_transfer_wait(struct yo_worker *worker, struct yo_transfer *transfer);

/* In the same time, wherever they differ; YO_PEER_SECRET_SIZE bytes each. */
bool yo_secret_equal(const uint8_t *a, const uint8_t *b);

/* Is it asked for in the name of the user that has the session? */
bool yo_transfer_is_by(const struct yo_transfer *transfer, const struct yo_peer *peer);

/* Under which session a peer is found. YOMO_ERR_NOMEM: under none any more. */
int yo_transfer_adopt(struct yo_peer *peer, uint64_t session);

/* The session of the transfer becomes the peer's, whose own goes into it; the token is
 * another from here on, and the one that was used counts until the client has spoken.
 */
void yo_transfer_swap(struct yo_peer *peer, struct yo_transfer *transfer);

/* Ask the homes of the peer's rooms to hand over its seats: all of them, or those that
 * are claimed, and the others are left. YOMO_ERR_NOMEM, and some were not asked. */
int yo_transfer_ask_homes(struct yo_peer *peer, const struct yo_transfer *transfer);

#endif
