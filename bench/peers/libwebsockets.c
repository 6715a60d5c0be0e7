/* SPDX-License-Identifier: MIT */
/* libwebsockets.c CERTIFICATE KEY - the `raw` dialect (bench/load/dialect_raw.c) on
 * libwebsockets: the first message names the room, all others go to the others in it.
 * Prints `listening PORT`; ends with its input.
 *
 * A message waits in one counted buffer for all receivers; a connection has a ring of
 * what is for it and writes when the library says that it may, which is how its manual
 * has it. */
#include <libwebsockets.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAITING_MAX 1024 /* messages; one more is lost */

struct message {
    unsigned uses;
    size_t size;
    unsigned char bytes[]; /* LWS_PRE, then the message */
};

struct room {
    struct room *next;
    struct member *members;
    char name[32];
};

struct member {
    struct lws *wsi;
    struct room *room;
    struct member *next, **link;
    unsigned first, count;
    struct message *waiting[WAITING_MAX];
};

static struct room *rooms;

static void release(struct message *message)
{
    if (--message->uses == 0) {
        free(message);
    }
}

static void queue(struct member *member, struct message *message)
{
    if (member->count < WAITING_MAX) {
        member->waiting[(member->first + member->count++) % WAITING_MAX] = message;
        message->uses++;
        lws_callback_on_writable(member->wsi);
    }
}

static struct message *create(const void *bytes, size_t size)
{
    struct message *message = malloc(sizeof(*message) + LWS_PRE + size);

    if (!message) {
        abort();
    }
    message->uses = 1;
    message->size = size;
    memcpy(message->bytes + LWS_PRE, bytes, size);
    return message;
}

static void join(struct member *member, const char *name, size_t size)
{
    struct room *room = rooms;
    struct message *answer = create("joined", 6);

    size = size < sizeof(room->name) - 1 ? size : sizeof(room->name) - 1;
    while (room && (strncmp(room->name, name, size) != 0 || room->name[size])) {
        room = room->next;
    }
    if (!room) {
        room = calloc(1, sizeof(*room));
        if (!room) {
            abort();
        }
        memcpy(room->name, name, size);
        room->next = rooms;
        rooms = room;
    }
    member->room = room;
    member->next = room->members;
    member->link = &room->members;
    if (member->next) {
        member->next->link = &member->next;
    }
    room->members = member;
    queue(member, answer);
    release(answer);
}

static void leave(struct member *member)
{
    if (member->room) {
        *member->link = member->next;
        if (member->next) {
            member->next->link = member->link;
        }
    }
    while (member->count > 0) {
        release(member->waiting[member->first++ % WAITING_MAX]);
        member->count--;
    }
}

static int write_one(struct member *member)
{
    struct message *message;
    int wrote;

    if (member->count == 0) {
        return 0;
    }
    message = member->waiting[member->first % WAITING_MAX];
    member->first = (member->first + 1) % WAITING_MAX;
    member->count--;
    wrote =
        lws_write(member->wsi, message->bytes + LWS_PRE, message->size, LWS_WRITE_TEXT);
    release(message);
    if (member->count > 0) {
        lws_callback_on_writable(member->wsi);
    }
    return wrote < 0 ? -1 : 0;
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user,
                    void *in, size_t size)
{
    struct member *member = user;

    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
        memset(member, 0, sizeof(*member));
        member->wsi = wsi;
        break;
    case LWS_CALLBACK_CLOSED:
        leave(member);
        break;
    case LWS_CALLBACK_RECEIVE:
        if (!member->room) {
            join(member, in, size);
        } else {
            struct message *message = create(in, size);
            for (struct member *m = member->room->members; m; m = m->next) {
                if (m != member) {
                    queue(m, message);
                }
            }
            release(message);
        }
        break;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return write_one(member);
    default:
        break;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct lws_protocols protocols[] = {
        {.name = "room",
         .callback = callback,
         .per_session_data_size = sizeof(struct member),
         .rx_buffer_size = 4096},
        {.name = NULL},
    };
    struct lws_context_creation_info info = {
        .port = 0,
        .iface = "127.0.0.1",
        .protocols = protocols,
        .ssl_cert_filepath = argc == 3 ? argv[1] : NULL,
        .ssl_private_key_filepath = argc == 3 ? argv[2] : NULL,
        .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
                   LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DISABLE_IPV6,
    };
    struct pollfd input = {.events = POLLIN};
    struct lws_context *context;
    struct lws_vhost *host;

    lws_set_log_level(LLL_ERR, NULL);
    context = argc == 3 ? lws_create_context(&info) : NULL;
    host = context ? lws_create_vhost(context, &info) : NULL;
    if (!host) {
        fprintf(stderr, "usage: libwebsockets CERTIFICATE KEY\n");
        return 1;
    }
    printf("listening %d\n", lws_get_vhost_listen_port(host));
    fflush(stdout);
    for (unsigned turn = 0; lws_service(context, 0) >= 0; turn++) {
        char byte;
        if (turn % 256 == 0 && poll(&input, 1, 0) > 0 &&
            fread(&byte, 1, 1, stdin) == 0) {
            break;
        }
    }
    lws_context_destroy(context);
    return 0;
}
