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
    /* The answer. */
    int error;
    struct yo_server_session *state;
    struct yo_outbox outbox;
    struct yo_buf tail; /* of struct tail (move.c): what the old transport gave back */
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

/* Under which session a peer is found. YOMO_ERR_NOMEM: under none any more. */
int yo_transfer_adopt(struct yo_peer *peer, uint64_t session);

/* The session of the transfer becomes the peer's, whose own goes into it; the token is
 * another from here on. */
void yo_transfer_swap(struct yo_peer *peer, struct yo_transfer *transfer);

/* Ask the homes of the peer's rooms to hand over its seats: all of them, or those that
 * are claimed, and the others are left. YOMO_ERR_NOMEM, and some were not asked. */
int yo_transfer_ask_homes(struct yo_peer *peer, const struct yo_transfer *transfer);

#endif
