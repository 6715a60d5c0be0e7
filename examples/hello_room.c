/* SPDX-License-Identifier: MIT */
/* hello_room.c - join a room, say hello, tell what happens there, leave on Enter.
 *
 *     yomo serve                                   # in one terminal
 *     hello_room https://localhost:8443 demo Ada   # in others
 *
 * The client is polled: its callbacks run inside yomo_client_poll, on this thread, and
 * poll(2) waits for it and for the keyboard at once. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <yomo/yomo.h>

static void on_status(void *user, yomo_client *client, const yomo_status *status)
{
    (void)user, (void)client;
    if (yomo_status_state(status) == YOMO_CLIENT_OPEN) {
        printf("connected over %s\n",
               yomo_transport_name(yomo_status_transport(status)));
    } else if (yomo_status_error(status) != YOMO_OK) { /* it tries again by itself */
        printf("%s\n", yomo_strerror(yomo_status_error(status)));
    }
}

static void on_joined(void *user, yomo_room *room)
{
    (void)user;
    printf("in room %s; press Enter to leave\n", yomo_room_name(room));
    yomo_room_broadcast(room, "chat", "\"hello from C\"", YOMO_RELIABLE);
}

/* `state` is what the peer says about itself: here {"name": "..."}. */
static void on_peer(void *user, yomo_room *room, const yomo_peer *peer, int32_t change)
{
    static const char *const words[] = {"is here", "came", "is now", "left"};

    (void)user, (void)room;
    printf("%s %s %s\n", yomo_peer_id(peer), words[change],
           yomo_peer_state(peer, NULL));
}

static void on_message(void *user, yomo_room *room, const yomo_message *message)
{
    (void)user, (void)room;
    printf("%s: %s %s\n", yomo_message_from(message), yomo_message_event(message),
           yomo_message_json(message, NULL));
}

static void check(int32_t error, const char *what)
{
    if (error != YOMO_OK) {
        fprintf(stderr, "%s: %s\n", what, yomo_strerror(error));
        exit(1);
    }
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "https://localhost:8443";
    const char *room = argc > 2 ? argv[2] : "demo";
    const char *id = argc > 3 ? argv[3] : "hello-room";
    yomo_client_callbacks callbacks = {
        .size = sizeof(callbacks),
        .on_status = on_status,
        .on_joined = on_joined,
        .on_peer = on_peer,
        .on_message = on_message,
    };
    yomo_options *options;
    yomo_client *client;

    setvbuf(stdout, NULL, _IOLBF, 0); /* a line at a time, into a pipe too */
    check(yomo_options_create(&options, YOMO_SCOPE_CLIENT), "options");
    check(yomo_options_set(options, "url", url), "url");
    check(yomo_options_set(options, "id", id), "id");
    check(yomo_client_create(&client, options, &callbacks, NULL), url);
    yomo_options_free(options); /* the client has its own copy */

    check(yomo_client_join(client, room, "{\"name\": \"Hello from C\"}", NULL), room);
    check(yomo_client_connect(client), url); /* neither of the two waits */

    /* YOMO_ERR_CLOSED ends this loop: closed by us, or for good by the server. */
    while (yomo_client_poll(client) == YOMO_OK) {
        struct pollfd watch[] = {
            {.fd = yomo_client_fd(client), .events = POLLIN},
            {.fd = STDIN_FILENO, .events = POLLIN},
        };
        poll(watch, 2, yomo_client_timeout_ms(client));
        if (watch[1].revents != 0) {
            yomo_client_close(client); /* what was said still goes out */
            break;
        }
    }
    yomo_client_free(client); /* a polled client closes inside this call */
    return 0;
}
