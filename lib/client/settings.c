/* SPDX-License-Identifier: MIT */
#include "client/settings.h"

#include <stdlib.h>
#include <yomo/error.h>

#include "base/rand.h"
#include "base/text.h"
#include "base/url.h"
#include "wire/limits.h"

#define RANDOM_ID_BYTES 10 /* enough that no two clients ever have the same */

/* A copy of the option's text in `*out`; NULL when it is not set or empty. */
static int take_text(const struct yomo_mem *mem, const yomo_options *options,
                     const char *name, char **out)
{
    const char *text = yo_options_text(options, name);
    if (!text || !*text) {
        return YOMO_OK;
    }
    *out = yo_strndup(mem, text, strlen(text));
    return *out ? YOMO_OK : YOMO_ERR_NOMEM;
}

static int take_texts(struct yo_settings *settings, const yomo_options *options)
{
    struct {
        const char *name;
        char **out;
    } texts[] = {
        {"id", &settings->id},
        {"public-key", &settings->public_key},
        {"token", &settings->token},
        {"ca", &settings->ca},
        {"state-dir", &settings->state_dir},
        {"origin", &settings->origin},
        {"tls-keylog", &settings->tls_keylog},
        {"qlog-dir", &settings->qlog_dir},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int rv = take_text(settings->mem, options, texts[i].name, texts[i].out);
        if (rv != YOMO_OK) {
            return rv;
        }
    }
    return YOMO_OK;
}

static void take_numbers(struct yo_settings *settings, const yomo_options *options)
{
    settings->message_size_max = (size_t)yo_options_number(options, "message-size-max");
    settings->queue_size = (size_t)yo_options_number(options, "queue-size");
    settings->unreliable_queue = (size_t)yo_options_number(options, "unreliable-queue");
    settings->requests_max = (size_t)yo_options_number(options, "requests-max");
    settings->latest_slots_max = (size_t)yo_options_number(options, "latest-slots-max");
    settings->connect_timeout_ms = yo_options_ms(options, "connect-timeout");
    settings->race_delay_ms = yo_options_ms(options, "race-delay");
    settings->reconnect_min_ms = yo_options_ms(options, "reconnect-min");
    settings->reconnect_max_ms = yo_options_ms(options, "reconnect-max");
    settings->reconnect_attempts = yo_options_number(options, "reconnect-attempts");
    settings->keep_alive_ms = yo_options_ms(options, "keep-alive");
    settings->silence_ms = yo_options_ms(options, "silence-timeout");
    settings->idle_ms = yo_options_ms(options, "idle-timeout");
    settings->congestion =
        (enum yo_congestion)yo_options_choice(options, "congestion-control");
    settings->key_update_packets = yo_options_number(options, "key-update-packets");
    settings->linger_ms = yo_options_ms(options, "linger");
    settings->migrate = yo_options_switch(options, "migrate");
    settings->upgrade = yo_options_switch(options, "upgrade");
    settings->upgrade_interval_ms = yo_options_ms(options, "upgrade-interval");
    settings->stall_ms = yo_options_ms(options, "stall-timeout");
    if (settings->message_size_max > YO_MESSAGE_SIZE_MAX) {
        settings->message_size_max = YO_MESSAGE_SIZE_MAX;
    }
}

/* An id that the URL's own query names, as presencejs pages have it. */
static int id_of_url(struct yo_settings *settings, struct yo_span query)
{
    struct yo_span value = yo_query_get(query, "id");
    if (value.size == 0) {
        return YOMO_OK;
    }
    struct yo_buf id;
    yo_buf_init(&id, settings->mem);
    int rv = yo_percent_decode(&id, value);
    if (rv == YOMO_OK && memchr(id.data, 0, id.size)) {
        rv = YOMO_ERR_INVALID; /* it is handed out as a C string */
    }
    if (rv == YOMO_OK) {
        settings->id = yo_strndup(settings->mem, id.data, id.size);
        rv = settings->id ? YOMO_OK : YOMO_ERR_NOMEM;
    }
    yo_buf_finish(&id);
    return rv == YOMO_ERR_INVALID ? YOMO_ERR_URL : rv;
}

static int make_id(struct yo_settings *settings)
{
    uint8_t bytes[RANDOM_ID_BYTES];
    char text[2 * RANDOM_ID_BYTES + 1];
    yo_rand_bytes(bytes, sizeof(bytes));
    yo_hex_encode(text, yo_span(bytes, sizeof(bytes)));
    settings->id = yo_strndup(settings->mem, text, 2 * RANDOM_ID_BYTES);
    return settings->id ? YOMO_OK : YOMO_ERR_NOMEM;
}

static int choose_id(struct yo_settings *settings, struct yo_span url_text)
{
    struct yo_url url;
    int rv = yo_url_parse(&url, url_text);
    if (rv == YOMO_OK && !settings->id) {
        rv = id_of_url(settings, url.query);
    }
    if (rv == YOMO_OK && !settings->id) {
        rv = make_id(settings);
    }
    if (rv != YOMO_OK) {
        return rv;
    }
    struct yo_span id = yo_span_of(settings->id);
    return id.size <= YO_ID_SIZE_MAX && yo_utf8_valid(id) ? YOMO_OK : YOMO_ERR_OPTION;
}

static struct yo_credentials credentials(const struct yo_settings *settings)
{
    return (struct yo_credentials){
        .id = yo_span_of(settings->id),
        .public_key = yo_span_of(settings->public_key),
        .token = yo_span_of(settings->token),
    };
}

static const char *environment(const char *name, const char *same)
{
    const char *value = getenv(name);
    return value && *value ? value : getenv(same);
}

/* The option if it is set ("none": no proxy), else the environment, but never for this
 * machine itself. */
static int choose_proxy(struct yo_settings *settings, const yomo_options *options)
{
    const char *proxy = yo_options_text(options, "proxy");
    if (!proxy || !*proxy) {
        const char *host = settings->target.host;
        const char *exempt = environment("no_proxy", "NO_PROXY");
        if (!settings->target.secure || yo_host_loopback(host) ||
            yo_host_listed(host, yo_span_of(exempt))) {
            return YOMO_OK;
        }
        proxy = environment("https_proxy", "HTTPS_PROXY");
    }
    if (!proxy || !*proxy || strcmp(proxy, "none") == 0) {
        return YOMO_OK;
    }
    settings->proxy = yo_strndup(settings->mem, proxy, strlen(proxy));
    return settings->proxy ? YOMO_OK : YOMO_ERR_NOMEM;
}

static int init(struct yo_settings *settings, const yomo_options *options)
{
    struct yo_span url = yo_span_of(yo_options_text(options, "url"));
    if (url.size == 0) {
        return YOMO_ERR_OPTION;
    }
    int rv = take_texts(settings, options);
    if (rv == YOMO_OK) {
        take_numbers(settings, options);
        rv = choose_id(settings, url);
    }
    if (rv == YOMO_OK) {
        struct yo_credentials who = credentials(settings);
        int choice = yo_options_choice(options, "transport");
        rv = yo_target_init(&settings->target, settings->mem, url,
                            (enum yo_transport_choice)choice, &who);
    }
    return rv == YOMO_OK ? choose_proxy(settings, options) : rv;
}

int yo_settings_init(struct yo_settings *settings, const struct yomo_mem *mem,
                     const yomo_options *options)
{
    *settings = (struct yo_settings){.mem = mem};
    int rv = init(settings, options);
    if (rv != YOMO_OK) {
        yo_settings_finish(settings);
    }
    return rv;
}

int yo_settings_set_token(struct yo_settings *settings, const yomo_options *options,
                          const char *token)
{
    struct yo_credentials who = credentials(settings);
    struct yo_target target;
    char *copy = yo_strndup(settings->mem, token, strlen(token));
    if (!copy) {
        return YOMO_ERR_NOMEM;
    }
    who.token = yo_span_of(copy);
    int choice = yo_options_choice(options, "transport");
    int rv = yo_target_init(&target, settings->mem,
                            yo_span_of(yo_options_text(options, "url")),
                            (enum yo_transport_choice)choice, &who);
    if (rv != YOMO_OK) {
        yo_free(settings->mem, copy);
        return YOMO_ERR_NOMEM; /* all but the token was good before */
    }
    yo_free(settings->mem, settings->token);
    yo_target_finish(&settings->target);
    settings->token = copy;
    settings->target = target;
    return YOMO_OK;
}

int yo_settings_retarget(const struct yo_settings *settings, struct yo_target *target,
                         struct yo_span url)
{
    const struct yo_target *now = &settings->target;
    enum yo_transport_choice choice = YO_CHOOSE_AUTO;
    if (!now->other && now->webtransport != now->websocket) {
        choice = now->webtransport ? YO_CHOOSE_WEBTRANSPORT : YO_CHOOSE_WEBSOCKET;
    }
    struct yo_credentials who = credentials(settings);
    int rv = yo_target_init(target, settings->mem, url, choice, &who);
    if (rv == YOMO_OK && strcmp(target->scheme, now->scheme) != 0) {
        yo_target_finish(target);
        rv = YOMO_ERR_URL;
    }
    return rv;
}

void yo_settings_finish(struct yo_settings *settings)
{
    if (!settings->mem) {
        return;
    }
    char **const texts[] = {
        &settings->id,    &settings->public_key, &settings->token,
        &settings->ca,    &settings->state_dir,  &settings->origin,
        &settings->proxy, &settings->tls_keylog, &settings->qlog_dir,
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        yo_free(settings->mem, *texts[i]);
        *texts[i] = NULL;
    }
    yo_target_finish(&settings->target);
    settings->mem = NULL;
}
