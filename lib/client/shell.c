/* SPDX-License-Identifier: MIT */
/* shell.c - how a client is run: its engine on a runner (loop/runner.h). */
#include "base/check.h"
#include "client/inside.h"

void yo_client_wake(struct yomo_client *client)
{
    client->woken = true;
    yo_runner_wake(&client->runner);
}

static bool turn(void *user, yo_time now)
{
    struct yomo_client *client = user;
    yo_engine_turn(client, now);
    return client->phase != YO_PHASE_OVER;
}

static yo_time deadline(void *user)
{
    return yo_engine_deadline(user);
}

static void hurry(void *user)
{
    yo_engine_hurry(user);
}

static void end_now(void *user)
{
    yo_engine_end_now(user);
}

static void on_closed(void *user)
{
    struct yomo_client *client = user;
    if (client->on.on_closed) {
        client->on.on_closed(client->user, client);
    }
}

static void close_client(void *user)
{
    yomo_client_close(user);
}

static void ref(void *user)
{
    yo_client_ref(user);
}

static void unref(void *user)
{
    yo_client_unref(user);
}

const struct yo_runner_ops yo_client_runner_ops = {
    .thread_name = "yomo-client",
    .turn = turn,
    .deadline = deadline,
    .hurry = hurry,
    .end_now = end_now,
    .on_closed = on_closed,
    .close = close_client,
    .ref = ref,
    .unref = unref,
};

int32_t yomo_client_start(yomo_client *client)
{
    YO_REQUIRE(client);
    return yo_runner_start(&client->runner);
}

int32_t yomo_client_start_on(yomo_client *client, struct uv_loop_s *loop)
{
    YO_REQUIRE(client && loop);
    return yo_runner_start_on(&client->runner, loop);
}

int32_t yomo_client_poll(yomo_client *client)
{
    YO_REQUIRE(client);
    return yo_runner_poll(&client->runner);
}

int32_t yomo_client_fd(yomo_client *client)
{
    YO_REQUIRE(client);
    return yo_runner_fd(&client->runner);
}

int32_t yomo_client_timeout_ms(yomo_client *client)
{
    YO_REQUIRE(client);
    return yo_runner_timeout_ms(&client->runner);
}

void yomo_client_free(yomo_client *client)
{
    if (client) {
        yo_runner_free(&client->runner);
    }
}
