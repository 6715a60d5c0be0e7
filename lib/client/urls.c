/* SPDX-License-Identifier: MIT */
#include "client/urls.h"

#include <yomo/error.h>

#include "base/text.h"
#include "base/url.h"

struct scheme {
    const char *name;
    bool webtransport, secure;
    uint16_t port;
};

static const struct scheme schemes[] = {
    {"https", true, true, 443},
    {"wss", false, true, 443},
    {"http", false, false, 80},
    {"ws", false, false, 80},
};

static const struct scheme *find_scheme(struct yo_span name)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (yo_span_equal_nocase(name, yo_span_of(schemes[i].name))) {
            return &schemes[i];
        }
    }
    return NULL;
}

static int choose(struct yo_target *target, const struct yo_url *url,
                  enum yo_transport_choice choice)
{
    const struct scheme *scheme = find_scheme(url->scheme);
    target->port = url->port;
    if (!scheme) {
        target->other = true;
        return YOMO_OK;
    }
    if (url->host.size == 0) {
        return YOMO_ERR_URL;
    }
    target->secure = scheme->secure;
    target->webtransport = scheme->webtransport && choice != YO_CHOOSE_WEBSOCKET;
    target->websocket = choice != YO_CHOOSE_WEBTRANSPORT;
    if (!url->port) {
        target->port = scheme->port;
    }
    return target->webtransport || target->websocket ? YOMO_OK : YOMO_ERR_OPTION;
}

/* Is `pair` ("name=value") one of those that are written anew? */
static bool is_ours(struct yo_span pair, const struct yo_credentials *who)
{
    const struct {
        const char *name;
        bool ours;
    } names[] = {
        {"yomo", true},
        {"id", true},
        {"publickey", who->public_key.data != NULL},
        {"token", who->token.data != NULL},
    };
    const void *equals = memchr(pair.data, '=', pair.size);
    size_t size = equals ? (size_t)((const uint8_t *)equals - pair.data) : pair.size;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].ours && yo_span_is(yo_span(pair.data, size), names[i].name)) {
            return true;
        }
    }
    return false;
}

static void put_own_query(struct yo_buf *out, struct yo_span query,
                          const struct yo_credentials *who)
{
    while (query.size > 0) {
        const void *end = memchr(query.data, '&', query.size);
        size_t size = end ? (size_t)((const uint8_t *)end - query.data) : query.size;
        struct yo_span pair = yo_span(query.data, size);
        if (size > 0 && !is_ours(pair, who)) {
            yo_buf_append_span(out, pair);
            yo_buf_append_byte(out, '&');
        }
        query = yo_span_skip(query, end ? size + 1 : size);
    }
}

static void put_value(struct yo_buf *out, const char *name, struct yo_span value)
{
    if (value.data) {
        yo_buf_append_text(out, name);
        (void)yo_percent_encode(out, value);
    }
}

static int make_path(struct yo_target *target, const struct yo_url *url,
                     const struct yo_credentials *who)
{
    struct yo_buf out;
    yo_buf_init(&out, target->mem);
    if (url->path.size > 1 || (url->path.size == 1 && target->other)) {
        yo_buf_append_span(&out, url->path);
    } else {
        yo_buf_append_text(&out, "/v1");
    }
    yo_buf_append_byte(&out, '?');
    put_own_query(&out, url->query, who);
    yo_buf_append_text(&out, "yomo=1");
    put_value(&out, "&id=", who->id);
    put_value(&out, "&publickey=", who->public_key);
    put_value(&out, "&token=", who->token);
    if (!out.failed) {
        target->path = yo_strndup(target->mem, out.data, out.size);
    }
    yo_buf_finish(&out);
    return target->path ? YOMO_OK : YOMO_ERR_NOMEM;
}

static int make_url(struct yo_target *target, const struct yo_url *url)
{
    struct yo_buf out;
    yo_buf_init(&out, target->mem);
    bool literal = strchr(target->host, ':') != NULL;
    yo_buf_append_text(&out, target->scheme);
    yo_buf_append_text(&out, literal ? "://[" : "://");
    yo_buf_append_span(&out, url->host);
    yo_buf_append_text(&out, literal ? "]" : "");
    if (url->port) {
        (void)yo_buf_printf(&out, ":%u", (unsigned)url->port);
    }
    yo_buf_append_text(&out, target->path);
    if (!out.failed) {
        target->url = yo_strndup(target->mem, out.data, out.size);
    }
    yo_buf_finish(&out);
    return target->url ? YOMO_OK : YOMO_ERR_NOMEM;
}

static void lower(char *text)
{
    for (; *text; text++) {
        if (*text >= 'A' && *text <= 'Z') {
            *text = (char)(*text - 'A' + 'a');
        }
    }
}

static int init(struct yo_target *target, struct yo_span text,
                enum yo_transport_choice choice, const struct yo_credentials *who)
{
    struct yo_url url;
    int rv = yo_url_parse(&url, text);
    if (rv != YOMO_OK || url.scheme.size == 0) {
        return YOMO_ERR_URL;
    }
    rv = choose(target, &url, choice);
    if (rv != YOMO_OK) {
        return rv;
    }
    const void *host = url.host.data ? (const void *)url.host.data : "";
    target->scheme = yo_strndup(target->mem, url.scheme.data, url.scheme.size);
    target->host = yo_strndup(target->mem, host, url.host.size);
    if (!target->scheme || !target->host) {
        return YOMO_ERR_NOMEM;
    }
    lower(target->scheme);
    rv = make_path(target, &url, who);
    return rv == YOMO_OK ? make_url(target, &url) : rv;
}

int yo_target_init(struct yo_target *target, const struct yomo_mem *mem,
                   struct yo_span url, enum yo_transport_choice choice,
                   const struct yo_credentials *who)
{
    *target = (struct yo_target){.mem = mem};
    int rv = init(target, url, choice, who);
    if (rv != YOMO_OK) {
        yo_target_finish(target);
    }
    return rv;
}

void yo_target_finish(struct yo_target *target)
{
    if (!target->mem) {
        return;
    }
    yo_free(target->mem, target->scheme);
    yo_free(target->mem, target->host);
    yo_free(target->mem, target->path);
    yo_free(target->mem, target->url);
    *target = (struct yo_target){0};
}

/* Is `host` the name `name`, or one below it? */
static bool at_or_below(struct yo_span host, struct yo_span name)
{
    if (name.size == 0 || host.size < name.size) {
        return false;
    }
    size_t more = host.size - name.size;
    return yo_span_equal_nocase(yo_span_skip(host, more), name) &&
           (more == 0 || host.data[more - 1] == '.');
}

static bool is_127(const char *host)
{
    if (strncmp(host, "127.", 4) != 0) {
        return false;
    }
    return strspn(host, "0123456789.") == strlen(host);
}

bool yo_host_loopback(const char *host)
{
    return at_or_below(yo_span_of(host), yo_span_of("localhost")) || is_127(host) ||
           strcmp(host, "::1") == 0;
}

bool yo_host_listed(const char *host, struct yo_span list)
{
    while (list.size > 0) {
        const void *end = memchr(list.data, ',', list.size);
        size_t size = end ? (size_t)((const uint8_t *)end - list.data) : list.size;
        struct yo_span name = yo_span(list.data, size);
        list = yo_span_skip(list, end ? size + 1 : size);
        while (name.size > 0 && (name.data[0] == ' ' || name.data[0] == '.')) {
            name = yo_span_skip(name, 1);
        }
        while (name.size > 0 && name.data[name.size - 1] == ' ') {
            name.size--;
        }
        if (yo_span_is(name, "*") || at_or_below(yo_span_of(host), name)) {
            return true;
        }
    }
    return false;
}
