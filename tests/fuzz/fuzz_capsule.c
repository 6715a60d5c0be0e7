/* SPDX-License-Identifier: MIT */
/* What a peer can say on the CONNECT stream, on a control stream and on a lane, in
 * pieces: the first byte says of what size. */
#include <assert.h>
#include <yomo/error.h>

#include "base/mem.h"
#include "transport/messages/frames.h"
#include "transport/webtransport/capsule.h"
#include "transport/webtransport/flow.h"
#include "transport/webtransport/settings.h"

#define MESSAGE_MAX 5000

static struct yo_flow flow;

/* Limits only grow, and what is said after that is never more than they allow. */
static void hear(const struct yo_capsule *capsule)
{
    uint64_t before = yo_flow_left(&flow, YO_FLOW_DATA), type, number;
    bool raised;
    if (yo_flow_hear(&flow, capsule->type, capsule->number, &raised) == YOMO_OK) {
        assert(yo_flow_left(&flow, YO_FLOW_DATA) >= before);
        assert(yo_flow_left(&flow, YO_FLOW_UNI) <= UINT64_C(1) << 60);
    }
    yo_flow_blocked(&flow, capsule->number % YO_FLOW_KINDS);
    if (yo_flow_take(&flow, YO_FLOW_DATA, capsule->number) == YOMO_OK) {
        yo_flow_done(&flow, YO_FLOW_DATA, capsule->number);
    }
    while (yo_flow_say(&flow, &type, &number)) {
        yo_flow_said(&flow, type);
    }
}

static void read_capsules(struct yo_capsules *capsules, struct yo_span part)
{
    while (part.size > 0) {
        struct yo_capsule capsule;
        if (yo_capsules_read(capsules, &part, &capsule) != YOMO_OK) {
            return;
        }
        assert(capsule.event != YO_CAPSULE_IS_CLOSE ||
               capsule.text.size <= YO_CLOSE_TEXT_MAX);
        if (capsule.event == YO_CAPSULE_IS_FLOW) {
            hear(&capsule);
        }
    }
}

static bool read_frames(struct yo_frames *frames, struct yo_span part)
{
    struct yo_span message;
    int rv;
    while ((rv = yo_frames_next(frames, &part, MESSAGE_MAX, &message)) > 0) {
        assert(message.size > 0 && message.size <= MESSAGE_MAX);
    }
    assert(yo_frames_kept(frames) <= MESSAGE_MAX);
    return rv == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yo_capsules capsules;
    struct yo_frames frames;
    struct yo_settings_tee tee = {0};
    struct yo_peer_settings settings = {0};
    struct yo_wt_limits limits = {1000, 10, 10};
    bool good = true;

    if (size == 0) {
        return 0;
    }
    size_t piece = data[0] + 1u;
    struct yo_span bytes = yo_span(data + 1, size - 1);
    yo_capsules_init(&capsules, &yo_mem_libc);
    capsules.flow_control = data[0] & 1;
    yo_flow_init(&flow, &limits, &limits);
    yo_frames_init(&frames, &yo_mem_libc);
    while (bytes.size > 0) {
        struct yo_span part =
            yo_span(bytes.data, bytes.size < piece ? bytes.size : piece);
        bytes = yo_span_skip(bytes, piece);
        read_capsules(&capsules, part);
        yo_settings_tee_read(&tee, part, &settings);
        good = good && read_frames(&frames, part);
    }
    yo_frames_finish(&frames);
    yo_capsules_finish(&capsules);
    return 0;
}
