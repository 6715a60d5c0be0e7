/* SPDX-License-Identifier: MIT */
/* config.c - who may come in is decided here once: development means loopback and no
 * keys, tokens and hook; wider than loopback without either is refused unless the
 * operator asked for it by name. */
#include "server/config.h"

#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/text.h"
#include "base/url.h"
#include "server/apps.h"
#include "wire/limits.h"

/* Addresses of one option. */
struct binding {
    const char *option;
    union yo_address *list; /* [YO_BIND_MAX] */
    size_t *count;
    bool *loopback; /* are all of them */
};

static int add_address(const struct binding *to, const char *literal,
                       struct yo_buf *why)
{
    if (*to->count == YO_BIND_MAX) {
        (void)yo_buf_printf(why, "%s: more than %d addresses", to->option, YO_BIND_MAX);
        return YOMO_ERR_OPTION;
    }
    if (yo_address_parse(&to->list[*to->count], literal, 0) != YOMO_OK) {
        (void)yo_buf_printf(why,
                            "%s: \"%s\" is not an IP address, \"localhost\" or \"*\"",
                            to->option, literal);
        return YOMO_ERR_OPTION;
    }
    *to->loopback &= yo_address_loopback(&to->list[*to->count]);
    (*to->count)++;
    return YOMO_OK;
}

/* A family of names that stand for both address families. */
static int add_both(const struct binding *to, const char *v4, const char *v6,
                    struct yo_buf *why)
{
    int rv = add_address(to, v4, why);

    return rv == YOMO_OK ? add_address(to, v6, why) : rv;
}

static int read_addresses(const yomo_options *options, const struct binding *to,
                          struct yo_buf *why)
{
    *to->loopback = true;
    for (size_t i = 0;; i++) {
        struct yo_span item = yo_options_item(options, to->option, i);
        char literal[64];
        int rv;
        if (!item.data) {
            break;
        }
        if (item.size >= 2 && item.data[0] == '[' && item.data[item.size - 1] == ']') {
            item = yo_span(item.data + 1, item.size - 2);
        }
        if (item.size >= sizeof(literal)) {
            item.size = sizeof(literal) - 1;
        }
        memcpy(literal, item.data, item.size);
        literal[item.size] = '\0';
        if (strcmp(literal, "localhost") == 0) {
            rv = add_both(to, "127.0.0.1", "::1", why);
        } else if (strcmp(literal, "*") == 0) {
            rv = add_both(to, "0.0.0.0", "::", why);
        } else {
            rv = add_address(to, literal, why);
        }
        if (rv != YOMO_OK) {
            return rv;
        }
    }
    return *to->count > 0 ? YOMO_OK : add_both(to, "127.0.0.1", "::1", why);
}

static int read_bind(struct yo_config *config, struct yo_buf *why)
{
    const struct binding to = {.option = "bind",
                               .list = config->bind,
                               .count = &config->bind_count,
                               .loopback = &config->loopback};

    return read_addresses(config->options, &to, why);
}

/* The two halves of "app=publickey". */
static bool split_key(struct yo_span item, struct yo_span *app, struct yo_span *key)
{
    const uint8_t *at = memchr(item.data, '=', item.size);

    if (!at || at == item.data || at == item.data + item.size - 1) {
        return false;
    }
    *app = yo_span(item.data, (size_t)(at - item.data));
    *key = yo_span_skip(item, app->size + 1);
    return app->size <= YO_APP_SIZE_MAX && !memchr(app->data, '\0', app->size);
}

static int read_keys(struct yo_config *config, struct yo_buf *why)
{
    for (size_t i = 0;; i++) {
        struct yo_span item = yo_options_item(config->options, "keys", i), app, key;
        if (!item.data) {
            return YOMO_OK;
        }
        if (!split_key(item, &app, &key)) {
            (void)yo_buf_append_text(why, "keys: each one is written app=publickey");
            return YOMO_ERR_OPTION;
        }
        config->keys = true;
    }
}

static int read_proxies(struct yo_config *config, struct yo_buf *why)
{
    for (size_t i = 0;; i++) {
        struct yo_span item = yo_options_item(config->options, "trusted-proxies", i);
        if (!item.data) {
            return YOMO_OK;
        }
        if (i == YO_PROXIES_MAX) {
            (void)yo_buf_printf(why, "trusted-proxies: more than %d", YO_PROXIES_MAX);
            return YOMO_ERR_OPTION;
        }
        if (yo_network_parse(&config->proxies[i], item) != YOMO_OK) {
            (void)yo_buf_printf(why,
                                "trusted-proxies: \"%.*s\" is not an address "
                                "(192.0.2.1, 2001:db8::1) or a network (192.0.2.0/24)",
                                (int)item.size, (const char *)item.data);
            return YOMO_ERR_OPTION;
        }
        config->proxy_count++;
    }
}

/* The numbers are for everybody in development, and else for who has the token. */
static int read_metrics(struct yo_config *config, struct yo_buf *why)
{
    const char *token = yo_options_text(config->options, "metrics-token");

    config->metrics_token = token;
    config->metrics = yo_options_is_set(config->options, "metrics")
                          ? yo_options_switch(config->options, "metrics")
                          : config->development || config->admin || token;
    for (const char *at = token; token && (at == token || *at); at++) {
        if (*at <= ' ' || *at > '~') { /* no header could say it (RFC 6750 2.1) */
            (void)yo_buf_append_text(
                why,
                "metrics-token: at least one character, all of them visible ASCII");
            return YOMO_ERR_OPTION;
        }
    }
    if (config->metrics && !config->development && !config->admin && !token) {
        (void)yo_buf_append_text(
            why, "metrics: outside development set `metrics-token` too, and give it to "
                 "who may read the numbers, or `admin-port`");
        return YOMO_ERR_OPTION;
    }
    return YOMO_OK;
}

static int read_port(uint16_t *port, const char *name, const char *text,
                     struct yo_buf *why)
{
    uint64_t number;

    if (!text || yo_parse_u64(yo_span_of(text), &number) != YOMO_OK || number > 65535) {
        (void)yo_buf_printf(why, "%s: \"%s\" is not a port number", name,
                            text ? text : "");
        return YOMO_ERR_OPTION;
    }
    *port = (uint16_t)number;
    return YOMO_OK;
}

static int read_ports(struct yo_config *config, struct yo_buf *why)
{
    const char *http = yo_options_text(config->options, "http-port");
    uint64_t port = yo_options_number(config->options, "port");

    if (port > 65535) {
        (void)yo_buf_append_text(why, "port: at most 65535");
        return YOMO_ERR_OPTION;
    }
    config->port = (uint16_t)port;
    /* The default is for development; elsewhere the plain listener must be asked for.
     */
    config->http =
        http && strcmp(http, "none") != 0 &&
        (config->development || yo_options_is_set(config->options, "http-port"));
    return config->http ? read_port(&config->http_port, "http-port", http, why)
                        : YOMO_OK;
}

/* The operator's door: only when asked for, and never without somebody to ask who it is.
 */
static int read_admin(struct yo_config *config, struct yo_buf *why)
{
    bool loopback = true;
    const struct binding to = {.option = "admin-bind",
                               .list = config->admin_bind,
                               .count = &config->admin_bind_count,
                               .loopback = &loopback};
    const char *port = yo_options_text(config->options, "admin-port");
    uint64_t rate = yo_options_number(config->options, "admin-rate");
    bool secret = yo_options_text(config->options, "admin-token-file") != NULL;
    int rv;

    config->admin = port && strcmp(port, "none") != 0;
    config->admin_api = config->admin || secret;
    config->admin_rate = rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate;
    if (!config->admin) {
        return YOMO_OK;
    }
    if (!secret && !config->tokens) {
        (void)yo_buf_append_text(
            why, "admin-port: set `admin-token-file` (or `token-keys`) too: whoever asks "
                 "there must prove that he may");
        return YOMO_ERR_OPTION;
    }
    rv = read_addresses(config->options, &to, why);
    config->admin_tls = !loopback;
    return rv == YOMO_OK ? read_port(&config->admin_port, "admin-port", port, why) : rv;
}

/* What clients are told in a goaway. Of which scheme is theirs to judge: a host may
 * have registered one of its own. */
static int read_drain(struct yo_config *config, struct yo_buf *why)
{
    struct yo_url url;
    struct yo_span text = yo_span_of(yo_options_text(config->options, "drain-url"));

    config->drain_ms = yo_options_ms(config->options, "drain-timeout");
    if (!text.data) {
        return YOMO_OK;
    }
    if (text.size > YO_TEXT_SIZE_MAX || yo_url_parse(&url, text) != YOMO_OK ||
        url.host.size == 0) {
        (void)yo_buf_append_text(
            why, "drain-url: takes a URL, such as https://b.example:8443");
        return YOMO_ERR_OPTION;
    }
    config->drain_url = text;
    return YOMO_OK;
}

static size_t size_option(const yomo_options *options, const char *name)
{
    uint64_t value = yo_options_number(options, name);

    return value > SIZE_MAX ? SIZE_MAX : (size_t)value;
}

static uint32_t u32_option(const yomo_options *options, const char *name)
{
    uint64_t value = yo_options_number(options, name);

    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static void read_limits(struct yo_config *config)
{
    const yomo_options *o = config->options;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    config->workers = u32_option(o, "workers");
    if (config->workers == 0) {
        config->workers = cpus > 0 ? (uint32_t)cpus : 1;
    }
    if (config->workers > YO_WORKERS_MAX) {
        config->workers = YO_WORKERS_MAX;
    }
    config->connections_max = size_option(o, "connections-max");
    config->members_max = size_option(o, "members-max");
    config->observers_max = size_option(o, "observers-max");
    config->room_message_rate = u32_option(o, "room-message-rate");
    config->room_join_rate = u32_option(o, "room-join-rate");
    config->rooms_max = size_option(o, "rooms-total-max") / config->workers + 1;
    config->requests_max = size_option(o, "requests-max");
    config->legacy_members_max = size_option(o, "legacy-members-max");
    config->parked_max = size_option(o, "parked-max") / config->workers + 1;
    config->parked_bytes = size_option(o, "parked-size") / config->workers;
    config->limits = (struct yo_server_limits){
        .message_size = size_option(o, "message-size-max"),
        .datagram_size = size_option(o, "legacy-datagram-max"),
        .rooms = size_option(o, "rooms-max"),
        .room_name_size = YO_CHANNEL_SIZE_MAX,
        .event_size = YO_EVENT_SIZE_MAX,
        .key_size = YO_KEY_SIZE_MAX,
        .state_size = size_option(o, "state-size-max"),
        .messages_per_second = u32_option(o, "message-rate"),
        .messages_burst = u32_option(o, "message-burst"),
        .silence_ms = yo_options_ms(o, "silence-timeout"),
        .errors_max = u32_option(o, "errors-max"),
        .grace_ms = yo_options_ms(o, "grace-time"),
    };
    if (config->limits.message_size > YO_MESSAGE_SIZE_MAX) {
        config->limits.message_size = YO_MESSAGE_SIZE_MAX;
    }
    config->outbox = (struct yo_outbox_limits){
        .reliable_bytes = size_option(o, "queue-size"),
        .unreliable_bytes = size_option(o, "unreliable-queue"),
        .latest_slots = size_option(o, "latest-slots-max"),
    };
}

/* What a room keeps. Who breaks off is noticed after silence-timeout at the latest, and
 * its seat is kept for the grace time after that: what was said in the meantime is
 * recent. */
static int read_history(struct yo_config *config, struct yo_buf *why)
{
    const yomo_options *o = config->options;

    config->shown = (struct yo_record_bounds){
        .messages = size_option(o, "history-messages"),
        .bytes = size_option(o, "history-memory"),
        .age = yo_options_ms(o, "history-age") * YO_MS,
    };
    if (config->shown.messages == 0) {
        config->shown.bytes = 0;
    }
    config->recent = (struct yo_record_bounds){
        .bytes = size_option(o, "resume-log"),
        .age = (config->limits.silence_ms + config->limits.grace_ms) * YO_MS,
    };
    config->values = (struct yo_values_bounds){
        .count = size_option(o, "values-max"),
        .value_size = size_option(o, "value-size-max"),
        .bytes = size_option(o, "values-memory"),
        .line = size_option(o, "lock-line-max"),
    };
    config->lease_max_ms = yo_options_ms(o, "lease-max");
    config->room_linger = yo_options_ms(o, "room-linger") * YO_MS;
    if (config->shown.messages == 0 &&
        strcmp(yo_options_text(o, "history-store"), "memory") != 0) {
        (void)yo_buf_append_text(
            why, "history-store: set history-messages too, which says how many");
        return YOMO_ERR_OPTION;
    }
    return YOMO_OK;
}

static int check_open(const struct yo_config *config, struct yo_buf *why)
{
    if (!config->loopback && !config->keys && !config->tokens &&
        !config->hooks.authenticate && !config->insecure_open) {
        (void)yo_buf_append_text(
            why, "anybody who reaches this server could come in: bind to loopback, set "
                 "`keys` or `token-keys`, use an authenticate hook, or set "
                 "`insecure-open`");
        return YOMO_ERR_OPTION;
    }
    if (!yo_options_text(config->options, "tls-cert") !=
        !yo_options_text(config->options, "tls-key")) {
        (void)yo_buf_append_text(why, "tls-cert and tls-key go together");
        return YOMO_ERR_OPTION;
    }
    return YOMO_OK;
}

int yo_config_app_rules(const struct yo_config *config, const struct yomo_mem *mem,
                        struct yo_app_rules **out, struct yo_buf *why)
{
    /* A token, or the host, may name others. */
    bool closed = !config->tokens && !config->hooks.authenticate;

    return yo_app_rules_read(out, mem, config->options, closed, YO_APP_DEFAULT, why);
}

static int check_app_rules(const struct yo_config *config, struct yo_buf *why)
{
    struct yo_app_rules *rules = NULL;
    int rv = yo_config_app_rules(config, config->mem, &rules, why);

    yo_app_rules_free(rules);
    return rv;
}

int yo_config_init(struct yo_config *config, const yomo_options *options,
                   const yomo_server_callbacks *hooks, void *user)
{
    memset(config, 0, sizeof(*config));
    config->options = yo_options_copy(options);
    if (!config->options) {
        return YOMO_ERR_NOMEM;
    }
    config->mem = yo_options_mem(config->options);
    config->log = yo_options_log(config->options);
    if (hooks) {
        size_t size = hooks->size < sizeof(*hooks) ? hooks->size : sizeof(*hooks);
        memcpy(&config->hooks, hooks, size);
    }
    config->hooks_user = user;
    return YOMO_OK;
}

int yo_config_read(struct yo_config *config, struct yo_buf *why)
{
    const yomo_options *options = config->options;
    int rv = read_bind(config, why);

    rv = rv == YOMO_OK ? read_keys(config, why) : rv;
    rv = rv == YOMO_OK ? read_proxies(config, why) : rv;
    if (rv != YOMO_OK) {
        return rv;
    }
    config->tokens = yo_options_text(options, "token-keys") != NULL;
    config->development = config->loopback && !config->keys && !config->tokens &&
                          !config->hooks.authenticate;
    config->echo = yo_options_is_set(options, "echo")
                       ? yo_options_switch(options, "echo")
                       : config->development;
    config->insecure_open = yo_options_switch(options, "insecure-open");
    config->mesh = yo_options_text(options, "mesh");
    config->web_root = yo_options_text(options, "web-root");
    read_limits(config);
    rv = read_history(config, why);
    config->latest_interval = yo_options_ms(options, "latest-interval") * YO_MS;
    config->presence_interval = yo_options_ms(options, "presence-interval") * YO_MS;
    rv = rv == YOMO_OK ? read_admin(config, why) : rv;
    rv = rv == YOMO_OK ? read_metrics(config, why) : rv;
    rv = rv == YOMO_OK ? read_drain(config, why) : rv;
    rv = rv == YOMO_OK ? read_ports(config, why) : rv;
    rv = rv == YOMO_OK ? check_app_rules(config, why) : rv;
    return rv == YOMO_OK ? check_open(config, why) : rv;
}

void yo_config_finish(struct yo_config *config)
{
    yomo_options_free(config->options);
    memset(config, 0, sizeof(*config));
}

struct yo_span yo_config_app(const struct yo_config *config, struct yo_span public_key)
{
    return config->keys ? yo_config_app_of(config->options, public_key)
                        : yo_span_of(YO_APP_DEFAULT);
}

struct yo_span yo_config_app_of(const yomo_options *options, struct yo_span public_key)
{
    for (size_t i = 0;; i++) {
        struct yo_span item = yo_options_item(options, "keys", i), app, key;
        if (!item.data) {
            return YO_SPAN_NONE;
        }
        if (split_key(item, &app, &key) && yo_span_equal(key, public_key)) {
            return app;
        }
    }
}

/* "localhost" and below, 127.0.0.0/8, ::1. */
static bool loopback_host(struct yo_span host)
{
    char literal[64];
    union yo_address address;
    static const char below[] = ".localhost";

    if (yo_span_equal_nocase(host, yo_span_of("localhost"))) {
        return true;
    }
    if (host.size > strlen(below) &&
        yo_span_equal_nocase(yo_span_skip(host, host.size - strlen(below)),
                             yo_span_of(below))) {
        return true;
    }
    if (host.size >= sizeof(literal)) {
        return false;
    }
    memcpy(literal, host.data, host.size);
    literal[host.size] = '\0';
    return yo_address_parse(&address, literal, 0) == YOMO_OK &&
           yo_address_loopback(&address);
}

bool yo_config_origin(const struct yo_config *config, struct yo_span origin)
{
    struct yo_url url;

    if (!origin.data) {
        return true;
    }
    for (size_t i = 0;; i++) {
        struct yo_span item = yo_options_item(config->options, "origins", i);
        if (!item.data) {
            break;
        }
        if (yo_span_is(item, "*") || yo_span_equal_nocase(item, origin)) {
            return true;
        }
    }
    return yo_url_parse(&url, origin) == YOMO_OK &&
           (yo_span_equal_nocase(url.scheme, yo_span_of("http")) ||
            yo_span_equal_nocase(url.scheme, yo_span_of("https"))) &&
           loopback_host(url.host);
}
