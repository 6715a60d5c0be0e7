/* SPDX-License-Identifier: MIT */
/* golden.h - messages of presencejs 2 byte for byte, with what they say.
 *
 * The first five were captured from the published client, the last two are what its
 * backend (mesh "dev") sends. */
#ifndef TESTS_WIRE_GOLDEN_H
#define TESTS_WIRE_GOLDEN_H

#include <stdbool.h>

#include "wire/message.h"

struct golden {
    const char *digits;
    enum yo_op op;
    const char *payload; /* hexadecimal, NULL when absent */
    const char *peer;    /* NULL when absent */
    const char *mesh;    /* NULL when absent */
};

#define GOLDEN_STATE "82a26964a5616c696365a46e616d65a141"
#define GOLDEN_DATA "82a56576656e74a3637572a464617461a77b2278223a317d"
#define GOLDEN_DATA_220 \
    "83a56576656e74a3637572a5737461746581a26964a5616c696365a77061796c6f616481a17801"
#define GOLDEN_CHANNEL "a163a6726f6f6d2d31"

static const struct golden goldens[] = {
    {"84a174a7636f6e74726f6ca26f70ac6368616e6e656c5f6a6f696e" GOLDEN_CHANNEL
     "a2706cc411" GOLDEN_STATE,
     YO_OP_CHANNEL_JOIN, GOLDEN_STATE, NULL, NULL},
    {"83a174a7636f6e74726f6ca26f70ab706565725f6f6e6c696e65" GOLDEN_CHANNEL,
     YO_OP_PEER_ONLINE, NULL, NULL, NULL},
    {"83a174a7636f6e74726f6ca26f70ac706565725f6f66666c696e65" GOLDEN_CHANNEL,
     YO_OP_PEER_OFFLINE, NULL, NULL, NULL},
    {"83a174a464617461" GOLDEN_CHANNEL "a2706cc418" GOLDEN_DATA, YO_OP_DATA,
     GOLDEN_DATA, NULL, NULL},
    {"83a174a464617461" GOLDEN_CHANNEL "a2706cc427" GOLDEN_DATA_220, YO_OP_DATA,
     GOLDEN_DATA_220, NULL, NULL},
    {"85a174a7636f6e74726f6ca26f70ac6368616e6e656c5f6a6f696e" GOLDEN_CHANNEL
     "a170a0a46d657368a3646576",
     YO_OP_CHANNEL_JOIN, NULL, "", "dev"},
    {"85a174a464617461" GOLDEN_CHANNEL "a2706cc418" GOLDEN_DATA
     "a170a5616c696365a46d657368a3646576",
     YO_OP_DATA, GOLDEN_DATA, "alice", "dev"},
};

#define GOLDEN_COUNT (sizeof(goldens) / sizeof(goldens[0]))

#endif
