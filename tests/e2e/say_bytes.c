/* SPDX-License-Identifier: MIT */
/* say_bytes URL ROOM EVENT HEX STATE-DIR - broadcast bytes once, and end when the server
 * has given them their place. The program's `pub` sends JSON; the browser tests want to
 * see what a page makes of bytes. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <yomo/yomo.h>

struct saying {
    const char *event;
    unsigned char bytes[256];
    size_t size;
    int32_t result;
    int done;
};

static void say(void *user, yomo_room *room)
{
    struct saying *saying = user;
    uint64_t id;
    saying->result = yomo_room_send(room, saying->event, saying->bytes, saying->size,
                                    YOMO_BYTES, YOMO_RELIABLE, NULL, &id);
    saying->done = saying->result < 0;
}

static void said(void *user, yomo_room *room, uint64_t id, int32_t error)
{
    struct saying *saying = user;
    (void)room;
    (void)id;
    saying->result = error;
    saying->done = 1;
}

static size_t from_hex(unsigned char *out, size_t room, const char *hex)
{
    size_t count = 0;
    unsigned byte;
    while (count < room && sscanf(hex, "%2x", &byte) == 1) {
        out[count++] = (unsigned char)byte;
        hex += 2;
    }
    return count;
}

int main(int argc, char **argv)
{
    yomo_client_callbacks callbacks = {
        .size = sizeof callbacks, .on_joined = say, .on_sent = said};
    struct saying saying = {0};
    yomo_options *options;
    yomo_client *client;

    if (argc != 6) {
        fprintf(stderr, "usage: say_bytes URL ROOM EVENT HEX STATE-DIR\n");
        return 2;
    }
    saying.event = argv[3];
    saying.size = from_hex(saying.bytes, sizeof saying.bytes, argv[4]);
    if (yomo_options_create(&options, YOMO_SCOPE_CLIENT) < 0 ||
        yomo_options_set(options, "url", argv[1]) < 0 ||
        yomo_options_set(options, "state-dir", argv[5]) < 0 ||
        yomo_client_create(&client, options, &callbacks, &saying) < 0 ||
        yomo_client_connect(client) < 0 ||
        yomo_client_join(client, argv[2], NULL, NULL) < 0) {
        fprintf(stderr, "say_bytes: could not begin\n");
        return 1;
    }
    while (!saying.done && yomo_client_poll(client) == YOMO_OK) {
        struct pollfd watched = {.fd = yomo_client_fd(client), .events = POLLIN};
        if (saying.done) {
            break;
        }
        if (poll(&watched, 1, yomo_client_timeout_ms(client)) < 0 && errno != EINTR) {
            break;
        }
    }
    if (saying.result < 0) {
        fprintf(stderr, "say_bytes: %s\n", yomo_strerror(saying.result));
    }
    yomo_client_free(client);
    yomo_options_free(options);
    return saying.done && saying.result == YOMO_OK ? 0 : 1;
}
