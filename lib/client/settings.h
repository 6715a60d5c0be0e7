/* SPDX-License-Identifier: MIT */
/* settings.h - the options of a client, read once. */
#ifndef YO_CLIENT_SETTINGS_H
#define YO_CLIENT_SETTINGS_H

#include "client/urls.h"
#include "options/options.h"
#include "transport/transport.h"

struct yo_settings {
    const struct yomo_mem *mem;
    char *id;         /* never "" */
    char *public_key; /* these: NULL when not set */
    char *token;
    char *ca, *state_dir, *origin, *proxy, *tls_keylog, *qlog_dir;
    struct yo_target target;
    size_t message_size_max, queue_size, unreliable_queue, latest_slots_max;
    size_t requests_max; /* without an outcome */
    uint64_t connect_timeout_ms, race_delay_ms;
    uint64_t reconnect_min_ms, reconnect_max_ms, reconnect_attempts; /* 0: no end */
    bool upgrade, migrate;
    uint64_t upgrade_interval_ms, stall_ms; /* stall 0: never */
    uint64_t keep_alive_ms, silence_ms, idle_ms, linger_ms;
    enum yo_congestion congestion; /* QUIC's */
    uint64_t key_update_packets;
};

/* YOMO_ERR_OPTION, YOMO_ERR_URL, YOMO_ERR_NOMEM. */
int yo_settings_init(struct yo_settings *settings, const struct yomo_mem *mem,
                     const yomo_options *options);
void yo_settings_finish(struct yo_settings *settings); /* accepts zeroed memory */

/* Another token, in the target too. YOMO_ERR_NOMEM, and nothing changed. */
int yo_settings_set_token(struct yo_settings *settings, const yomo_options *options,
                          const char *token);

/* The target for another URL of the same scheme, with the same credentials. */
int yo_settings_retarget(const struct yo_settings *settings, struct yo_target *target,
                         struct yo_span url);

#endif
