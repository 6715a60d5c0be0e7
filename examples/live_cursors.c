/* SPDX-License-Identifier: MIT */
/* live_cursors.c - everybody's cursor, sixty times a second, in a game's loop.
 *
 *     yomo serve                                      # and open http://localhost:8080
 *     live_cursors https://localhost:8443 demo Orbit  # a cursor that goes round
 *
 * A frame has three parts: let the library do what is due, send where our cursor is,
 * draw the others. Cursors are LATEST: only where one is now is worth sending, and it
 * stands again by itself after a packet was lost. The pages of the demo do the same, so
 * both see each other. With a fourth argument it ends after so many frames. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <yomo/yomo.h>

#define WIDTH 64
#define HEIGHT 20
#define CURSORS_MAX 32

struct cursor {
    char id[32];
    double x, y; /* 0 to 1, from the upper left */
};

struct game {
    yomo_room *room;
    struct cursor cursors[CURSORS_MAX];
    int count;
    int joined;
};

static struct cursor *find(struct game *game, const char *id)
{
    for (int i = 0; i < game->count; i++) {
        if (strcmp(game->cursors[i].id, id) == 0) {
            return &game->cursors[i];
        }
    }
    return NULL;
}

static struct cursor *find_or_add(struct game *game, const char *id)
{
    struct cursor *cursor = find(game, id);

    if (!cursor && game->count < CURSORS_MAX && strlen(id) < sizeof(cursor->id)) {
        cursor = &game->cursors[game->count++];
        strcpy(cursor->id, id);
    }
    return cursor;
}

/* The number behind "name": in flat JSON; a real program has its JSON library here. */
static int number_in(const char *json, const char *name, double *number)
{
    char quoted[16];
    const char *at;
    char *end;

    snprintf(quoted, sizeof(quoted), "\"%s\":", name);
    at = strstr(json, quoted);
    if (!at) {
        return 0;
    }
    *number = strtod(at + strlen(quoted), &end);
    return end != at + strlen(quoted) && *number >= 0 && *number <= 1;
}

/* Called inside yomo_client_poll for each message of the event "cursor". */
static void on_cursor(void *user, yomo_room *room, const yomo_message *message)
{
    struct game *game = user;
    const char *json = yomo_message_json(message, NULL);
    struct cursor at, *cursor;

    (void)room;
    if (!json || !number_in(json, "x", &at.x) || !number_in(json, "y", &at.y)) {
        return; /* anybody may send anything */
    }
    cursor = find_or_add(game, yomo_message_from(message));
    if (cursor) {
        cursor->x = at.x;
        cursor->y = at.y;
    }
}

static void on_peer(void *user, yomo_room *room, const yomo_peer *peer, int32_t change)
{
    struct game *game = user;
    struct cursor *cursor = find(game, yomo_peer_id(peer));

    (void)room;
    if (change == YOMO_PEER_LEFT && cursor) {
        *cursor = game->cursors[--game->count];
    }
}

static void on_joined(void *user, yomo_room *room)
{
    struct game *game = user;

    game->joined = 1;
    fprintf(stderr, "in room %s over %s\n", yomo_room_name(room),
            yomo_transport_name(yomo_client_transport(yomo_room_client(room))));
}

static void on_left(void *user, yomo_room *room, int32_t error, const char *text)
{
    struct game *game = user;

    (void)room;
    game->room = NULL; /* the handle is gone when this returns */
    if (error != YOMO_OK) {
        fprintf(stderr, "left: %s %s\n", yomo_strerror(error), text);
    }
}

/* Our cursor goes round; returns where it is. */
static void move(struct game *game, long frame)
{
    double angle = (double)frame / 60;
    char json[64];

    if (game->room && game->joined) {
        snprintf(json, sizeof(json), "{\"x\":%.4f,\"y\":%.4f}", 0.5 + 0.3 * cos(angle),
                 0.5 + 0.3 * sin(angle));
        yomo_room_broadcast(game->room, "cursor", json, YOMO_LATEST);
    }
}

static void draw(const struct game *game)
{
    char screen[HEIGHT][WIDTH + 1];

    for (int row = 0; row < HEIGHT; row++) {
        memset(screen[row], '.', WIDTH);
        screen[row][WIDTH] = '\0';
    }
    for (int i = 0; i < game->count; i++) {
        const struct cursor *cursor = &game->cursors[i];
        screen[(int)(cursor->y * (HEIGHT - 1))][(int)(cursor->x * (WIDTH - 1))] = '@';
    }
    printf("\033[H\033[J"); /* home, erase */
    for (int row = 0; row < HEIGHT; row++) {
        puts(screen[row]);
    }
    printf("%d others\n", game->count);
    fflush(stdout);
}

/* For a program that reads along: where everybody is. */
static void print(const struct game *game)
{
    for (int i = 0; i < game->count; i++) {
        const struct cursor *cursor = &game->cursors[i];
        printf("%s %.2f %.2f\n", cursor->id, cursor->x, cursor->y);
    }
    fflush(stdout);
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
    static struct game game;
    const char *url = argc > 1 ? argv[1] : "https://localhost:8443";
    const char *room = argc > 2 ? argv[2] : "demo";
    const char *name = argc > 3 ? argv[3] : "Orbit";
    long frames = argc > 4 ? atol(argv[4]) : -1;
    yomo_client_callbacks callbacks = {
        .size = sizeof(callbacks),
        .on_joined = on_joined,
        .on_peer = on_peer,
        .on_left = on_left,
    };
    struct timespec rest = {.tv_nsec = 1000000000 / 60};
    yomo_options *options;
    yomo_client *client;
    char state[96];

    check(yomo_options_create(&options, YOMO_SCOPE_CLIENT), "options");
    check(yomo_options_set(options, "url", url), "url");
    check(yomo_client_create(&client, options, &callbacks, &game), url);
    yomo_options_free(options);
    snprintf(state, sizeof(state), "{\"name\":\"%.40s\",\"color\":\"#d9480f\"}", name);
    check(yomo_client_join(client, room, state, &game.room), room);
    check(yomo_room_subscribe(game.room, "cursor", on_cursor, &game, NULL),
          "subscribe");
    check(yomo_client_connect(client), url);

    for (long frame = 0; frame != frames; frame++) {
        if (yomo_client_poll(client) != YOMO_OK) {
            break; /* closed for good: on_left has told why */
        }
        move(&game, frame);
        if (isatty(STDOUT_FILENO)) {
            draw(&game);
        } else if (frame % 60 == 0) {
            print(&game);
        }
        nanosleep(&rest, NULL);
    }
    yomo_client_free(client);
    return 0;
}
