/* SPDX-License-Identifier: MIT */
/* config.h - a server's options, read once and then the same for all workers. */
#ifndef YO_SERVER_CONFIG_H
#define YO_SERVER_CONFIG_H

#include <yomo/server.h>

#include "base/buf.h"
#include "base/log.h"
#include "loop/network.h"
#include "options/options.h"
#include "presence/history.h"
#include "presence/values.h"
#include "session/outbox.h"
#include "session/server_side.h"
#include "wire/limits.h"

#define YO_BIND_MAX 8            /* addresses that a server listens on */
#define YO_PROXIES_MAX 64        /* addresses and networks of trusted proxies */
#define YO_WORKERS_MAX 256       /* what `workers` may be */
#define YO_APP_DEFAULT "default" /* the one application of a server without keys */

struct yo_config {
    const struct yomo_mem *mem; /* of `options` */
    const struct yo_log *log;   /* of `options` */
    yomo_options *options;      /* own copy; texts below are in it */
    yomo_server_callbacks hooks;
    void *hooks_user;

    union yo_address bind[YO_BIND_MAX]; /* with port 0 */
    size_t bind_count;
    uint16_t port, http_port;
    bool http;        /* a plain listener is wanted */
    bool loopback;    /* every address of `bind` is one */
    bool development; /* loopback, and nobody is asked who he is */
    bool keys;        /* there are some */
    bool tokens;      /* every connection needs one */
    bool echo, metrics;
    bool insecure_open;

    union yo_address admin_bind[YO_BIND_MAX]; /* with port 0 */
    size_t admin_bind_count;
    uint16_t admin_port;
    bool admin;     /* there is a listener for operators; /metrics is there and only there */
    bool admin_tls; /* it speaks TLS: not all of its addresses are loopback */
    bool admin_api; /* /admin/v1/ is there, or else on the other doors */
    uint32_t admin_rate;

    uint32_t workers;
    size_t connections_max, members_max, rooms_max; /* rooms: at one worker */
    size_t observers_max;                           /* of one room */
    uint32_t room_message_rate, room_join_rate;     /* in a second; 0: no limit */
    size_t requests_max; /* of one connection at the host, not answered */
    size_t legacy_members_max;
    uint64_t drain_ms;
    size_t parked_max, parked_bytes; /* of one worker */
    struct yo_server_limits limits;
    struct yo_outbox_limits outbox;
    yo_time latest_interval; /* LATEST values to anybody at most so often; 0: as they come */
    struct yo_record_bounds shown, recent; /* what each room keeps (presence/history.h) */
    struct yo_values_bounds values; /* what each room shares (presence/values.h) */
    uint64_t lease_max_ms;
    yo_time room_linger;
    yo_time presence_interval; /* between two tellings of changes in a room */
    const char *mesh, *web_root;
    struct yo_span drain_url; /* absent: clients come back here */
    const char *metrics_token; /* NULL: /metrics, if at all, is open to anybody */
    struct yo_network proxies[YO_PROXIES_MAX]; /* trusted ones */
    size_t proxy_count;
};

/* Copy `options` and `hooks` (may be NULL). YOMO_ERR_NOMEM. */
int yo_config_init(struct yo_config *config, const yomo_options *options,
                   const yomo_server_callbacks *hooks, void *user);

/* Make sense of them. YOMO_ERR_OPTION, with a sentence in `why`. */
int yo_config_read(struct yo_config *config, struct yo_buf *why);

struct yo_app_rules;

/* What the options say about applications (apps.h), from `mem`. The same errors. */
int yo_config_app_rules(const struct yo_config *config, const struct yomo_mem *mem,
                        struct yo_app_rules **out, struct yo_buf *why);

void yo_config_finish(struct yo_config *config); /* accepts zeroed memory */

/* The application that `public_key` opens; absent when none. Without keys that is
 * YO_APP_DEFAULT for any key. */
struct yo_span yo_config_app(const struct yo_config *config, struct yo_span public_key);

/* The same of a set of options that has keys. */
struct yo_span yo_config_app_of(const yomo_options *options, struct yo_span public_key);

/* May a page of `origin` connect? Absent: no page. */
bool yo_config_origin(const struct yo_config *config, struct yo_span origin);

#endif
