/* SPDX-License-Identifier: MIT */
#include "sessions/trust.h"

#include <yomo/error.h>

#include "base/text.h"
#include "transport/tls/devcert.h"

static const char *text(const yomo_options *options, const char *name)
{
    const char *value = yo_options_text(options, name);
    return value && *value ? value : NULL;
}

int yo_trust_create(struct yo_tls_client **out, const struct yomo_mem *mem,
                    const yomo_options *options)
{
    struct yo_tls_client_options wanted = {
        .ca_file = text(options, "ca"),
        .dev_state_dir = text(options, "state-dir"),
        .keylog_file = text(options, "tls-keylog"),
    };
    struct yo_span pin;
    for (size_t i = 0; (pin = yo_options_item(options, "cert-hash", i)).data; i++) {
        if (i == YO_TLS_PINS_MAX || yo_hex_decode(wanted.pins[i], 32, pin) != YOMO_OK) {
            return YOMO_ERR_OPTION;
        }
        wanted.pin_count = i + 1;
    }
    struct yo_buf why;
    yo_buf_init(&why, mem);
    const char *qlog_dir = text(options, "qlog-dir");
    int rv = qlog_dir ? yo_state_dir_ready(qlog_dir, &why) : YOMO_OK;
    rv = rv == YOMO_OK ? yo_tls_client_create(out, mem, &wanted, &why) : rv;
    if (rv != YOMO_OK) {
        YO_LOG(yo_options_log(options), YOMO_LOG_ERROR, "client", "%.*s", (int)why.size,
               why.data ? (const char *)why.data : "");
    }
    yo_buf_finish(&why);
    return rv;
}
