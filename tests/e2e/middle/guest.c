/* SPDX-License-Identifier: MIT */
#include "guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>
#include <yomo/error.h>
#include <yomo/server.h>

#define GUESTS_MAX 8

uint64_t guest_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- what it is told -------------------------------------------------------------- */

static void on_status(void *user, yomo_client *client, const yomo_status *status)
{
    struct guest *guest = user;
    (void)client;
    if (yomo_status_state(status) == YOMO_CLIENT_OPEN) {
        guest->opens++;
        guest->resumed += yomo_status_resumed(status);
        guest->transport = yomo_status_transport(status);
    } else if (yomo_status_state(status) == YOMO_CLIENT_WAITING) {
        guest->waits++;
        fprintf(stderr, "%s waits: %s %s\n", guest->id,
                yomo_error_name(yomo_status_error(status)), yomo_status_text(status));
    }
}

static void on_joined(void *user, yomo_room *room)
{
    struct guest *guest = user;
    (void)room;
    guest->joined++;
}

static void on_message(void *user, yomo_room *room, const yomo_message *message)
{
    struct guest *guest = user;
    int sender = yomo_message_from(message)[0] - 'a';
    const char *event = yomo_message_event(message);
    long number = strtol(yomo_message_data(message, NULL), NULL, 10);
    (void)room;
    assert_in_range(sender, 0, GUEST_SENDERS - 1);
    if (event[0] == 'x') {
        guest->extras++;
        return;
    }
    if (event[0] == 'r') {
        if (number != guest->reliable[sender] + 1) {
            fprintf(stderr, "%s hears %ld after %ld of %c\n", guest->id, number,
                    guest->reliable[sender], 'a' + sender);
            guest->disorder++;
            guest->twice += number <= guest->reliable[sender];
        }
        guest->reliable[sender] = number;
        return;
    }
    long *latest = &guest->latest[sender][event[1] - '0'];
    guest->stale += number <= *latest;
    *latest = number;
    guest->latest_count++;
}

static void on_peer(void *user, yomo_room *room, const yomo_peer *peer, int32_t change)
{
    struct guest *guest = user;
    (void)room, (void)peer;
    guest->came += change == YOMO_PEER_JOINED;
    guest->went += change == YOMO_PEER_LEFT;
    guest->went_stale += change == YOMO_PEER_STALE;
    guest->came_back += change == YOMO_PEER_BACK;
}

static void on_gap(void *user, yomo_room *room, const yomo_gap *gap)
{
    struct guest *guest = user;
    (void)room;
    guest->gaps++;
    fprintf(stderr, "%s misses %llu to %llu\n", guest->id,
            (unsigned long long)yomo_gap_first(gap),
            (unsigned long long)yomo_gap_last(gap));
}

static void on_sent(void *user, yomo_room *room, uint64_t id, int32_t error)
{
    struct guest *guest = user;
    (void)room, (void)id;
    if (error == YOMO_OK) {
        guest->confirmed++;
    } else {
        guest->refused++;
    }
}

static void on_left(void *user, yomo_room *room, int32_t error, const char *text)
{
    struct guest *guest = user;
    (void)room, (void)error, (void)text;
    guest->left++;
}

static void on_closed(void *user, yomo_client *client)
{
    struct guest *guest = user;
    (void)client;
    guest->closed++;
}

/* --- guests ----------------------------------------------------------------------- */

static void set(yomo_options *options, const char *name, const char *value)
{
    if (yomo_options_set(options, name, value) != YOMO_OK) {
        fail_msg("%s", yomo_options_error(options));
    }
}

static void on_log(void *user, int32_t level, const char *module, const char *text)
{
    (void)level;
    fprintf(stderr, "%8llu %s %s: %s\n",
            (unsigned long long)guest_clock_ms() % 100000000, (const char *)user,
            module, text);
}

void guest_begin(struct guest *guest, const struct host *host, const char *id,
                 const char *address, uint16_t port)
{
    char url[128];
    memset(guest, 0, sizeof(*guest));
    guest->id = id;
    snprintf(url, sizeof(url), "https://%s:%u", address, port);
    assert_int_equal(yomo_options_create(&guest->options, YOMO_SCOPE_CLIENT), YOMO_OK);
    set(guest->options, "url", url);
    set(guest->options, "id", id);
    set(guest->options, "cert-hash", host->certificate);
    set(guest->options, "state-dir", host->state_dir);
    set(guest->options, "reconnect-max", "500ms");
    set(guest->options, "proxy", "none");
    if (getenv("YOMO_TRACE")) {
        yomo_options_set_log(guest->options, on_log, (void *)(uintptr_t)id,
                             YOMO_LOG_TRACE);
    }
}

void guest_set(struct guest *guest, const char *name, const char *value)
{
    set(guest->options, name, value);
}

void guest_join(struct guest *guest, const char *room)
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
        .on_gap = on_gap,
    };
    assert_int_equal(
        yomo_client_create(&guest->client, guest->options, &callbacks, guest), YOMO_OK);
    yomo_options_free(guest->options);
    guest->options = NULL;
    assert_int_equal(yomo_client_join(guest->client, room, "{}", &guest->room),
                     YOMO_OK);
    assert_int_equal(yomo_client_connect(guest->client), YOMO_OK);
}

void guests_end(struct guest *guests, int count)
{
    for (int i = 0; i < count; i++) {
        yomo_client_close(guests[i].client);
    }
    for (int i = 0; i < count; i++) {
        GUESTS_UNTIL(guests, count, guests[i].closed == 1);
    }
    for (int i = 0; i < count; i++) {
        yomo_client_free(guests[i].client);
    }
}

void guest_say(struct guest *guest)
{
    char text[32];
    uint64_t id;
    int size = snprintf(text, sizeof(text), "%ld", guest->said + 1);
    assert_int_equal(yomo_room_send(guest->room, "r", text, (size_t)size, YOMO_JSON,
                                    YOMO_RELIABLE, NULL, &id),
                     YOMO_OK);
    guest->said++;
}

void guest_say_latest(struct guest *guest, int key)
{
    char text[32], event[4], name[4];
    int size = snprintf(text, sizeof(text), "%ld", ++guest->latest_said[key]);
    snprintf(event, sizeof(event), "l%d", key);
    snprintf(name, sizeof(name), "%d", key);
    assert_int_equal(yomo_room_send(guest->room, event, text, (size_t)size, YOMO_JSON,
                                    YOMO_LATEST, name, NULL),
                     YOMO_OK);
}

void guests_turn(struct guest *guests, int count, int ms)
{
    struct pollfd fds[GUESTS_MAX];
    assert_in_range(count, 1, GUESTS_MAX);
    for (int i = 0; i < count; i++) {
        int timeout = yomo_client_timeout_ms(guests[i].client);
        fds[i] =
            (struct pollfd){.fd = yomo_client_fd(guests[i].client), .events = POLLIN};
        if (timeout >= 0 && timeout < ms) {
            ms = timeout;
        }
    }
    poll(fds, (nfds_t)count, ms);
    for (int i = 0; i < count; i++) {
        yomo_client_poll(guests[i].client);
    }
}

bool guest_has_all(const struct guest *listener, const struct guest *speaker)
{
    return listener->reliable[speaker->id[0] - 'a'] == speaker->said;
}

/* --- the server ------------------------------------------------------------------- */

static void read_text(const char *json, const char *name, char *out, size_t size)
{
    const char *at = strstr(json, name);
    assert_non_null(at);
    at = strchr(at + strlen(name), ':') + 1;
    at += strspn(at, " \"");
    size_t n = strcspn(at, "\",}");
    assert_true(n < size);
    memcpy(out, at, n);
    out[n] = '\0';
}

void host_begin(struct host *host, const char *const *more)
{
    yomo_options *options;
    const char *workers = getenv("YOMO_WORKERS");
    memset(host, 0, sizeof(*host));
    strcpy(host->state_dir, "/tmp/yomo-middle-XXXXXX");
    assert_non_null(mkdtemp(host->state_dir));
    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_SERVER), YOMO_OK);
    set(options, "port", "0");
    set(options, "http-port", "none");
    set(options, "bind", "127.0.0.1");
    set(options, "state-dir", host->state_dir);
    set(options, "workers", workers ? workers : "1");
    for (; more && *more; more += 2) {
        set(options, more[0], more[1]);
    }
    if (getenv("YOMO_TRACE")) {
        yomo_options_set_log(options, on_log, (void *)(uintptr_t)"server",
                             YOMO_LOG_TRACE);
    }
    assert_int_equal(yomo_server_create(&host->server, options, NULL, NULL), YOMO_OK);
    yomo_options_free(options);
    if (yomo_server_listen(host->server) != YOMO_OK) {
        fail_msg("listen: %s", yomo_server_error(host->server));
    }
    host->port = yomo_server_port(host->server);
    read_text(yomo_server_listening(host->server), "\"certificate_sha256\"",
              host->certificate, sizeof(host->certificate));
}

static void remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char path[512];
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        (void)unlink(path); /* "." and ".." stay */
    }
    closedir(dir);
    assert_int_equal(rmdir(folder), 0);
}

void host_end(struct host *host)
{
    yomo_server_close(host->server);
    yomo_server_free(host->server);
    remove_folder(host->state_dir);
}

long host_metric(const struct host *host, const char *name)
{
    static char text[65536];
    size_t needed = 0;
    assert_int_equal(yomo_server_metrics(host->server, text, sizeof(text), &needed),
                     YOMO_OK);
    assert_true(needed < sizeof(text));
    for (const char *at = text; (at = strstr(at, name)); at++) {
        if ((at == text || at[-1] == '\n') && at[strlen(name)] == ' ') {
            return strtol(at + strlen(name), NULL, 10);
        }
    }
    return -1;
}
