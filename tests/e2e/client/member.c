/* SPDX-License-Identifier: MIT */
#include "member.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <time.h>
#include <yomo/error.h>

static void count(struct member *member, int *counter)
{
    pthread_mutex_lock(&member->lock);
    (*counter)++;
    pthread_cond_broadcast(&member->changed);
    pthread_mutex_unlock(&member->lock);
}

static void on_status(void *user, yomo_client *client, const yomo_status *status)
{
    struct member *member = user;
    (void)client;
    if (yomo_status_state(status) == YOMO_CLIENT_OPEN) {
        assert_int_equal(yomo_status_extension(status), 1);
        count(member, &member->opens);
    } else if (yomo_status_state(status) == YOMO_CLIENT_WAITING) {
        member->error = yomo_status_error(status);
        count(member, &member->waits);
    }
}

static void on_joined(void *user, yomo_room *room)
{
    struct member *member = user;
    (void)room;
    count(member, &member->joined);
}

static void on_message(void *user, yomo_room *room, const yomo_message *message)
{
    struct member *member = user;
    (void)room;
    snprintf(member->last, sizeof(member->last), "%s",
             yomo_message_json(message, NULL));
    snprintf(member->from, sizeof(member->from), "%s", yomo_message_from(message));
    count(member, &member->messages);
}

static void on_peer(void *user, yomo_room *room, const yomo_peer *peer, int32_t change)
{
    struct member *member = user;
    int *const counters[] = {&member->present, &member->came,  &member->states,
                             &member->went,    &member->stale, &member->back};
    (void)room, (void)peer;
    count(member, counters[change]);
}

static void on_sent(void *user, yomo_room *room, uint64_t id, int32_t error)
{
    struct member *member = user;
    (void)room, (void)id;
    member->sent_error = error;
    count(member, &member->sent);
}

static void on_left(void *user, yomo_room *room, int32_t error, const char *text)
{
    struct member *member = user;
    (void)room, (void)text;
    member->left_error = error;
    count(member, &member->left);
}

static void on_closed(void *user, yomo_client *client)
{
    struct member *member = user;
    (void)client;
    count(member, &member->closed);
}

static void set(yomo_options *options, const char *name, const char *value)
{
    if (yomo_options_set(options, name, value) != YOMO_OK) {
        fail_msg("%s", yomo_options_error(options));
    }
}

void member_begin(struct member *member, uint16_t port, const char *state_dir,
                  const char *id, const char *transport)
{
    member_begin_at(member, "localhost", port, state_dir, id, transport);
}

void member_begin_at(struct member *member, const char *host, uint16_t port,
                     const char *state_dir, const char *id, const char *transport)
{
    static const yomo_client_callbacks callbacks = {
        .size = sizeof(callbacks),
        .on_status = on_status,
        .on_joined = on_joined,
        .on_message = on_message,
        .on_peer = on_peer,
        .on_sent = on_sent,
        .on_left = on_left,
        .on_closed = on_closed,
    };
    yomo_options *options;
    char url[64];
    memset(member, 0, sizeof(*member));
    pthread_mutex_init(&member->lock, NULL);
    pthread_cond_init(&member->changed, NULL);
    snprintf(url, sizeof(url), "https://%s:%u", host, (unsigned)port);
    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_CLIENT), YOMO_OK);
    set(options, "url", url);
    set(options, "id", id);
    set(options, "transport", transport);
    set(options, "state-dir", state_dir);
    set(options, "reconnect-max", "500ms");
    assert_int_equal(yomo_client_create(&member->client, options, &callbacks, member),
                     YOMO_OK);
    yomo_options_free(options);
}

void member_join(struct member *member, const char *room, const char *state)
{
    assert_int_equal(yomo_client_join(member->client, room, state, &member->room),
                     YOMO_OK);
    assert_int_equal(yomo_client_connect(member->client), YOMO_OK);
}

void member_poll(struct member *member, int ms)
{
    struct pollfd fd = {.fd = yomo_client_fd(member->client), .events = POLLIN};
    int timeout = yomo_client_timeout_ms(member->client);
    poll(&fd, 1, timeout < 0 || timeout > ms ? ms : timeout);
    yomo_client_poll(member->client);
}

static void poll_both(struct member *a, struct member *b)
{
    struct pollfd fds[2] = {{.fd = yomo_client_fd(a->client), .events = POLLIN},
                            {.fd = yomo_client_fd(b->client), .events = POLLIN}};
    int timeout = 100;
    int each[2] = {yomo_client_timeout_ms(a->client),
                   yomo_client_timeout_ms(b->client)};
    for (int i = 0; i < 2; i++) {
        if (each[i] >= 0 && each[i] < timeout) {
            timeout = each[i];
        }
    }
    poll(fds, 2, timeout);
    yomo_client_poll(a->client);
    yomo_client_poll(b->client);
}

void member_until2(struct member *a, struct member *b, const int *counter, int value)
{
    uint64_t until = member_clock_ms() + MEMBER_WAIT_MS;
    while (*counter < value) {
        if (member_clock_ms() > until) {
            fail_msg("it was told %d times, not %d", *counter, value);
        }
        poll_both(a, b);
    }
}

static void finish(struct member *member)
{
    assert_int_equal(member->closed, 1);
    pthread_mutex_destroy(&member->lock);
    pthread_cond_destroy(&member->changed);
}

void member_end(struct member *member)
{
    yomo_client_close(member->client);
    MEMBER_UNTIL(member, member->closed > 0);
    yomo_client_free(member->client);
    finish(member);
}

void member_wait_closed(struct member *member)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += MEMBER_WAIT_MS / 1000;
    pthread_mutex_lock(&member->lock);
    while (member->closed == 0) {
        assert_int_equal(
            pthread_cond_timedwait(&member->changed, &member->lock, &until), 0);
    }
    pthread_mutex_unlock(&member->lock);
    finish(member);
}

uint64_t member_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
