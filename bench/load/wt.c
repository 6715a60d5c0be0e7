/* SPDX-License-Identifier: MIT */
/* wt.c - WebTransport sessions of our own client (yomo/webtransport.h), run inside the
 * thread's epoll; messages are datagrams.
 *
 * One client for all members of a thread, or, where no handshake may be resumed, one
 * for each: tickets are a client's. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

struct wt_client {
    struct watcher watcher;
    struct wt_kit *kit;
    yomo_wt_client *client;
    struct wt_client *next, **link;
};

struct wt_kit {
    struct crew *crew;
    yomo_options *options;
    struct wt_client *shared; /* NULL where each member has its own */
    struct wt_client *all;
};

struct wt_link {
    struct member *member; /* NULL once it is closed */
    struct wt_client *own;
    yomo_wt_session *session;
    bool open;
};

static void on_ready(struct watcher *watcher, uint32_t events)
{
    struct wt_client *client = (struct wt_client *)(void *)watcher;

    (void)events;
    yomo_wt_client_poll(client->client);
}

static struct wt_client *create_client(struct wt_kit *kit)
{
    struct wt_client *client = calloc(1, sizeof(*client));

    if (!client ||
        yomo_wt_client_create(&client->client, kit->options, NULL, NULL) != YOMO_OK) {
        free(client);
        return NULL;
    }
    client->watcher.ready = on_ready;
    client->kit = kit;
    client->next = kit->all;
    client->link = &kit->all;
    if (client->next) {
        client->next->link = &client->next;
    }
    kit->all = client;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &client->watcher};
    epoll_ctl(crew_poll(kit->crew), EPOLL_CTL_ADD, yomo_wt_client_fd(client->client),
              &event);
    return client;
}

static void destroy_client(struct wt_client *client)
{
    if (!client) {
        return;
    }
    epoll_ctl(crew_poll(client->kit->crew), EPOLL_CTL_DEL,
              yomo_wt_client_fd(client->client), NULL);
    yomo_wt_client_free(client->client);
    *client->link = client->next;
    if (client->next) {
        client->next->link = client->link;
    }
    free(client);
}

struct wt_kit *wt_kit_create(struct crew *crew)
{
    struct wt_kit *kit = calloc(1, sizeof(*kit));

    if (!kit) {
        return NULL;
    }
    kit->crew = crew;
    if (yomo_options_create(&kit->options, YOMO_SCOPE_CLIENT) != YOMO_OK ||
        yomo_options_set(kit->options, "ca", crew_plan(crew)->ca) != YOMO_OK ||
        (!crew_plan(crew)->fresh && !(kit->shared = create_client(kit)))) {
        wt_kit_destroy(kit);
        return NULL;
    }
    return kit;
}

void wt_kit_destroy(struct wt_kit *kit)
{
    if (kit) {
        while (kit->all) {
            destroy_client(kit->all);
        }
        yomo_options_free(kit->options);
        free(kit);
    }
}

int wt_timeout_ms(const struct wt_kit *kit)
{
    int least = -1;

    for (const struct wt_client *client = kit->all; client; client = client->next) {
        int due = yomo_wt_client_timeout_ms(client->client);
        least = due >= 0 && (least < 0 || due < least) ? due : least;
    }
    return least;
}

void wt_turn(struct wt_kit *kit)
{
    for (struct wt_client *client = kit->all; client; client = client->next) {
        if (yomo_wt_client_timeout_ms(client->client) == 0) {
            yomo_wt_client_poll(client->client);
        }
    }
}

/* --- Sessions --------------------------------------------------------------------- */

static void on_open(void *user, yomo_wt_session *session)
{
    struct wt_link *link = user;

    (void)session;
    link->open = true;
    if (link->member) {
        member_opened(link->member);
    }
}

static void on_datagram(void *user, yomo_wt_session *session, const void *data,
                        size_t size)
{
    struct wt_link *link = user;

    (void)session;
    if (link->member) {
        member_message(link->member, data, size);
    }
}

static void on_closed(void *user, yomo_wt_session *session, const yomo_wt_end *end)
{
    struct wt_link *link = user;
    char why[160];

    (void)session;
    link->session = NULL;
    link->open = false;
    if (!link->member) { /* nobody wants it any more */
        free(link);
        return;
    }
    snprintf(why, sizeof(why), "the session ended: %s, code %u, %s",
             yomo_strerror(yomo_wt_end_error(end)), (unsigned)yomo_wt_end_code(end),
             yomo_wt_end_reason(end));
    member_broken(link->member, why);
}

struct wt_link *wt_open(struct wt_kit *kit, struct member *member)
{
    static const yomo_wt_session_callbacks callbacks = {
        .size = sizeof(callbacks),
        .on_open = on_open,
        .on_datagram = on_datagram,
        .on_closed = on_closed,
    };
    struct wt_link *link = calloc(1, sizeof(*link));
    yomo_wt_request *request = NULL;
    char path[128], url[192];

    if (!link) {
        return NULL;
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(path, sizeof(path), member_plan(member)->dialect->path, member->number);
#pragma GCC diagnostic pop
    snprintf(url, sizeof(url), "https://127.0.0.1:%u%s",
             (unsigned)member_plan(member)->port, path);
    link->member = member;
    link->own = kit->shared ? NULL : create_client(kit);
    if ((!kit->shared && !link->own) ||
        yomo_wt_request_create(&request, url) != YOMO_OK ||
        yomo_wt_request_connect(request,
                                (kit->shared ? kit->shared : link->own)->client,
                                &callbacks, link, &link->session) != YOMO_OK) {
        yomo_wt_request_free(request);
        destroy_client(link->own);
        free(link);
        return NULL;
    }
    yomo_wt_session_set_datagrams(link->session, 1024, 0, YOMO_WT_DROP_NEW);
    return link;
}

bool wt_send(struct wt_link *link, const void *bytes, size_t size)
{
    return link->open && yomo_wt_session_send(link->session, bytes, size, 0) == YOMO_OK;
}

/* What the session's last event is told to stays until then. */
void wt_close(struct wt_link *link)
{
    struct wt_client *own;

    if (!link) {
        return;
    }
    own = link->own;
    link->member = NULL;
    link->open = false;
    if (link->session) {
        yomo_wt_session_close(link->session, 0, NULL);
    } else {
        free(link);
    }
    destroy_client(own);
}
