/* SPDX-License-Identifier: MIT */
/* bans_file.c - bans on disk: one JSON object in each line, the whole file written
 * anew, beside the old one, whenever there is one more or less.
 *
 * A line that cannot be read ends the start: whoever is banned must not be let in
 * because of a slip of a pen. What is over is left out.
 *
 * `until` is by the wall clock, the only one that outlives a process; `seconds`, the
 * length of the ban, bounds what a clock that was wrong can make of it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/text.h"
#include "server/handle.h"
#include "transport/tls/setup.h"
#include "wire/json.h"
#include "wire/msgpack.h"

#define FILE_MAX ((size_t)1 << 30)

void yo_ban_print_network(const struct yo_network *network,
                          char out[YO_NETWORK_TEXT_SIZE])
{
    char text[YO_IP_TEXT_SIZE];
    bool v4 = yo_ip_v4(&network->ip);
    unsigned bits = network->bits - (v4 ? 96u : 0u);
    size_t size;

    yo_ip_print(&network->ip, text);
    size = strlen(text);
    if (text[0] == '[') {
        memmove(text, text + 1, size - 2);
        text[size - 2] = '\0';
    }
    if (network->bits == 128) {
        (void)snprintf(out, YO_NETWORK_TEXT_SIZE, "%s", text);
    } else {
        (void)snprintf(out, YO_NETWORK_TEXT_SIZE, "%s/%u", text, bits);
    }
}

uint64_t yo_ban_wall_end(const struct yo_ban *ban)
{
    uint64_t now = yo_steady_ms(), wall = yo_wall_ms();
    uint64_t left = ban->until_ms > now ? ban->until_ms - now : 0;

    return left < UINT64_MAX - wall ? wall + left : UINT64_MAX;
}

/* --- writing --------------------------------------------------------------------- */

static void put_text(struct yo_buf *out, const char *name, struct yo_span text)
{
    if (text.data) {
        (void)yo_buf_printf(out, "\"%s\":", name);
        (void)yo_json_put_string(out, text);
        (void)yo_buf_append_byte(out, ',');
    }
}

/* Under the table's lock, which workers wait for: only a copy. The ban, and then the
 * bytes of its texts. */
static void copy_ban(void *user, const struct yo_ban *ban)
{
    struct yo_buf *out = user;
    const struct yo_span texts[] = {ban->who.app, ban->who.room, ban->who.user,
                                    ban->reason};

    (void)yo_buf_append(out, ban, sizeof(*ban));
    for (size_t i = 0; i < 4; i++) {
        (void)yo_buf_append_span(out, texts[i]);
    }
}

static void put_line(struct yo_buf *out, const struct yo_ban *ban)
{
    char address[YO_NETWORK_TEXT_SIZE];

    (void)yo_buf_append_byte(out, '{');
    put_text(out, "app", ban->who.app);
    put_text(out, "room", ban->who.room);
    put_text(out, "id", ban->who.user);
    if (!ban->who.user.data) {
        yo_ban_print_network(&ban->who.network, address);
        put_text(out, "address", yo_span_of(address));
    }
    put_text(out, "reason", ban->reason);
    (void)yo_buf_printf(out, "\"seconds\":%" PRIu64 ",\"until\":%" PRIu64 "}\n",
                        ban->length_ms / 1000 + (ban->length_ms % 1000 != 0),
                        yo_ban_wall_end(ban));
}

static void put_lines(struct yo_buf *out, struct yo_span copies)
{
    while (copies.size > 0) {
        struct yo_ban ban;
        struct yo_span *const texts[] = {&ban.who.app, &ban.who.room, &ban.who.user,
                                         &ban.reason};
        memcpy(&ban, copies.data, sizeof(ban));
        copies = yo_span_skip(copies, sizeof(ban));
        for (size_t i = 0; i < 4; i++) {
            if (texts[i]->data) {
                texts[i]->data = copies.data;
            }
            copies = yo_span_skip(copies, texts[i]->size);
        }
        put_line(out, &ban);
    }
}

int yo_server_write_bans(struct yomo_server *server)
{
    const struct yo_config *config = &server->config;
    const char *path = yo_options_text(config->options, "bans-file");
    struct yo_buf copies, text, why;
    int rv;

    if (!path) {
        return YOMO_OK;
    }
    yo_buf_init(&copies, config->mem);
    yo_buf_init(&text, config->mem);
    yo_buf_init(&why, config->mem);
    pthread_mutex_lock(&server->bans_file); /* what was read last is written last */
    yo_bans_each(server->bans, yo_steady_ms(), copy_ban, &copies);
    if (!copies.failed) {
        put_lines(&text, yo_buf_span(&copies));
    }
    rv = copies.failed || text.failed
             ? YOMO_ERR_NOMEM
             : yo_tls_write_private_file(path, yo_buf_span(&text), config->mem, &why);
    pthread_mutex_unlock(&server->bans_file);
    if (rv != YOMO_OK) {
        YO_LOG(config->log, YOMO_LOG_ERROR, "server", "bans are not kept: %.*s",
               (int)why.size, why.size > 0 ? (const char *)why.data : "");
    }
    yo_buf_finish(&why);
    yo_buf_finish(&text);
    yo_buf_finish(&copies);
    return rv;
}

/* --- reading --------------------------------------------------------------------- */

static bool good_name(struct yo_span name)
{
    return name.data && name.size > 0 && name.size <= 255;
}

static bool read_number(struct yo_span map, const char *name, uint64_t *out)
{
    struct yo_mp_reader reader;
    struct yo_span value = yo_mp_map_get(map, name);

    if (!value.data) {
        return false;
    }
    yo_mp_reader_init(&reader, value);
    *out = yo_mp_read_uint(&reader);
    return !reader.error;
}

static int read_line(struct yomo_server *server, struct yo_span line,
                     struct yo_buf *scratch)
{
    struct yo_ban ban = {0};
    struct yo_span map, address;
    uint64_t now = yo_steady_ms(), wall = yo_wall_ms(), until, seconds, left;
    int rv;

    yo_buf_clear(scratch);
    rv = yo_json_to_mp(scratch, line);
    if (rv != YOMO_OK) {
        return rv;
    }
    map = yo_buf_span(scratch);
    ban.who.app = yo_mp_as_str(yo_mp_map_get(map, "app"));
    ban.who.room = yo_mp_as_str(yo_mp_map_get(map, "room"));
    ban.who.user = yo_mp_as_str(yo_mp_map_get(map, "id"));
    ban.reason = yo_mp_as_str(yo_mp_map_get(map, "reason"));
    address = yo_mp_as_str(yo_mp_map_get(map, "address"));
    seconds = UINT64_MAX; /* of one that a person wrote */
    if (!read_number(map, "until", &until) ||
        (yo_mp_map_get(map, "seconds").data &&
         !read_number(map, "seconds", &seconds)) ||
        !good_name(ban.who.app) || (ban.who.room.data && !good_name(ban.who.room)) ||
        (ban.who.user.data ? !good_name(ban.who.user)
                           : yo_network_parse(&ban.who.network, address) != YOMO_OK)) {
        return YOMO_ERR_INVALID;
    }
    ban.length_ms = seconds < UINT64_MAX / 1000 ? seconds * 1000 : UINT64_MAX;
    left = until > wall ? until - wall : 0;
    left = left < ban.length_ms ? left : ban.length_ms;
    ban.until_ms = left < UINT64_MAX - now ? now + left : UINT64_MAX;
    return left > 0 ? yo_bans_put(server->bans, &ban, now) : YOMO_OK;
}

static int read_lines(struct yomo_server *server, struct yo_span text, const char *path,
                      struct yo_buf *why)
{
    struct yo_buf scratch;
    size_t number = 0;
    int rv = YOMO_OK;

    yo_buf_init(&scratch, server->config.mem);
    while (text.size > 0 && rv == YOMO_OK) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        struct yo_span line =
            yo_span(text.data, end ? (size_t)(end - text.data) : text.size);
        text = yo_span_skip(text, line.size + 1);
        number++;
        rv = line.size > 0 ? read_line(server, line, &scratch) : YOMO_OK;
    }
    yo_buf_finish(&scratch);
    if (rv == YOMO_OK || rv == YOMO_ERR_NOMEM) {
        return rv;
    }
    (void)yo_buf_printf(why, "%s: line %zu: %s", path, number,
                        rv == YOMO_ERR_FULL ? "more bans than bans-max" : "no ban");
    return YOMO_ERR_FILE;
}

static int read_whole(int fd, struct yo_buf *text)
{
    for (;;) {
        ssize_t got;
        if (text->size > FILE_MAX || yo_buf_reserve(text, 65536) != YOMO_OK) {
            return YOMO_ERR_NOMEM;
        }
        got = read(fd, text->data + text->size, 65536);
        if (got == 0) {
            return YOMO_OK;
        }
        if (got > 0) {
            text->size += (size_t)got;
        } else if (errno != EINTR) {
            return YOMO_ERR_FILE;
        }
    }
}

int yo_server_read_bans(struct yomo_server *server, struct yo_buf *why)
{
    const yomo_options *options = server->config.options;
    const char *path = yo_options_text(options, "bans-file");
    struct yo_buf text;
    int fd, rv;

    if (!path) {
        return YOMO_OK;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        return yo_server_write_bans(server) == YOMO_OK
                   ? YOMO_OK
                   : yo_tls_file_error(why, path, "bans cannot be kept there");
    }
    if (fd < 0) {
        return yo_tls_file_error(why, path, strerror(errno));
    }
    yo_buf_init(&text, server->config.mem);
    rv = yo_tls_check_private(fd, path, why);
    rv = rv == YOMO_OK ? read_whole(fd, &text) : rv;
    if (rv == YOMO_ERR_FILE && why->size == 0) {
        (void)yo_tls_file_error(why, path, strerror(errno));
    }
    rv = rv == YOMO_OK ? read_lines(server, yo_buf_span(&text), path, why) : rv;
    (void)close(fd);
    yo_buf_finish(&text);
    return rv;
}
