/* SPDX-License-Identifier: MIT */
/* server.c - the public handle: made, closed, given back. start.c has
 * yomo_server_listen.
 *
 * Options that do not fit together are found by yomo_server_listen and not before,
 * since only a handle can say the sentence. */
#include <yomo/admin.h>

#include "base/check.h"
#include "base/rand.h"
#include "server/admin_auth.h"
#include "server/bans_writer.h"
#include "server/claims.h"
#include "server/handle.h"
#include "server/auth/keys.h"
#include "server/hooks.h"

#define STORE_GRACE_MS 5000 /* a store that fails is tried so long at the end */

static int make_tables(struct yomo_server *server)
{
    const struct yo_config *config = &server->config;
    int rv = yo_bans_create(&server->bans, config->mem,
                            (size_t)yo_options_number(config->options, "bans-max"));

    if (rv == YOMO_OK) {
        rv = yo_apps_create(&server->apps, config->mem);
        if (rv != YOMO_OK) {
            yo_bans_free(server->bans);
        }
    }
    return rv;
}

int32_t yomo_server_create(yomo_server **out, const yomo_options *options,
                           const yomo_server_callbacks *callbacks, void *user)
{
    struct yomo_server *server;
    const struct yomo_mem *mem;

    YO_REQUIRE(out && options && yo_options_scope(options) == YOMO_SCOPE_SERVER);
    YO_REQUIRE(!callbacks || callbacks->size >= sizeof(callbacks->size));
    mem = yo_options_mem(options);
    server = yo_calloc(mem, 1, sizeof(*server));
    if (!server) {
        return YOMO_ERR_NOMEM;
    }
    if (yo_config_init(&server->config, options, callbacks, user) != YOMO_OK) {
        yo_free(mem, server);
        return YOMO_ERR_NOMEM;
    }
    if (make_tables(server) != YOMO_OK) {
        struct yomo_mem keep = *server->config.mem; /* it is the options' */
        yo_config_finish(&server->config);
        yo_free(&keep, server);
        return YOMO_ERR_NOMEM;
    }
    server->mem = *server->config.mem;
    server->user = user;
    server->refs = 1;
    yo_list_init(&server->claims);
    yo_buf_init(&server->error, server->config.mem);
    yo_buf_init(&server->state_dir, server->config.mem);
    yo_buf_init(&server->admin_secret, server->config.mem);
    yo_buf_init(&server->listening, server->config.mem);
    yo_rand_bytes(server->seed, sizeof(server->seed));
    server->epoch = yo_rand_session();
    pthread_mutex_init(&server->lock, NULL);
    pthread_mutex_init(&server->bans_file, NULL);
    pthread_cond_init(&server->ended, NULL);
    *out = server;
    return YOMO_OK;
}

struct yomo_server *yo_server_ref(struct yomo_server *server)
{
    pthread_mutex_lock(&server->lock);
    assert(server->refs > 0);
    server->refs++;
    pthread_mutex_unlock(&server->lock);
    return server;
}

static void drop_workers(struct yomo_server *server)
{
    const struct yomo_mem *mem = server->config.mem;

    for (uint32_t i = 0; i < server->worker_count; i++) {
        yo_worker_free(server->workers[i]);
    }
    yo_bans_writer_free(server->bans_writer);
    server->bans_writer = NULL;
    yo_webhooks_close(server->webhooks); /* rooms have said that they are gone */
    server->webhooks = NULL;
    /* Homes have said their last word; its answers still find the mailboxes. */
    yo_store_close(server->store, STORE_GRACE_MS);
    server->store = NULL;
    for (uint32_t i = 0; server->desks && i < server->worker_count; i++) {
        yo_mailbox_unref(server->desks[i].box);
    }
    yo_free(mem, server->workers);
    yo_free(mem, server->threads);
    yo_free(mem, server->desks);
    yo_free(mem, server->metrics);
    yo_free(mem, server->drains);
    yo_free(mem, server->closes);
}

void yo_server_unref(struct yomo_server *server)
{
    struct yomo_mem mem = server->mem;
    bool last;

    pthread_mutex_lock(&server->lock);
    last = --server->refs == 0;
    pthread_mutex_unlock(&server->lock);
    if (!last) {
        return;
    }
    drop_workers(server);
    yo_crowd_destroy(server->crowd);
    yo_bans_free(server->bans);
    yo_apps_free(server->apps);
    pthread_mutex_destroy(&server->bans_file);
    yo_claims_free(server);
    yo_tls_server_unref(server->tls);
    yo_auth_keys_unref(server->token_keys);
    yo_buf_finish(&server->error);
    yo_buf_finish(&server->state_dir);
    yo_admin_forget_secret(&server->admin_secret);
    yo_buf_finish(&server->listening);
    pthread_cond_destroy(&server->ended);
    pthread_mutex_destroy(&server->lock);
    yomo_options_free(server->applied);
    yo_config_finish(&server->config);
    yo_free(&mem, server);
}

/* --- the end --------------------------------------------------------------------- */

static void open_drain(struct yo_letter *letter, void *box_user, yo_time now)
{
    struct yo_order *order = YO_CONTAINER(letter, struct yo_order, letter);

    yo_worker_drain(box_user, order->grace_ms, now);
}

static void open_close(struct yo_letter *letter, void *box_user, yo_time now)
{
    (void)letter;
    yo_worker_close(box_user, now);
}

static void discard_order(struct yo_letter *letter)
{
    (void)letter; /* the worker is gone already */
}

static void post_order(struct yomo_server *server, uint32_t index,
                       struct yo_order *order,
                       void (*open)(struct yo_letter *, void *, yo_time))
{
    yo_list_init(&order->letter.link);
    order->letter.open = open;
    order->letter.discard = discard_order;
    yo_mailbox_post(server->desks[index].box, &order->letter);
}

void yo_order_close(struct yomo_server *server, uint32_t index)
{
    post_order(server, index, &server->closes[index], open_close);
}

void yomo_server_drain(yomo_server *server, uint32_t grace_ms)
{
    bool serving;

    if (!server) {
        return;
    }
    pthread_mutex_lock(&server->lock);
    serving = server->state == YO_SERVER_SERVING;
    if (serving) {
        server->state = YO_SERVER_DRAINING;
    }
    pthread_mutex_unlock(&server->lock);
    if (serving) {
        YO_LOG_WITH(server->config.log, YOMO_LOG_INFO, "server",
                    yo_log_number(yo_log_number(YO_LOG_NONE, "connections",
                                                yo_server_connections(server)),
                                  "grace_ms", grace_ms),
                    "draining");
    }
    if (serving && server->webhooks) {
        yo_webhooks_drain(server->webhooks, grace_ms);
    }
    for (uint32_t i = 0; serving && i < server->worker_count; i++) {
        server->drains[i].grace_ms = grace_ms;
        post_order(server, i, &server->drains[i], open_drain);
    }
}

void yomo_server_close(yomo_server *server)
{
    bool open;

    if (!server) {
        return;
    }
    pthread_mutex_lock(&server->lock);
    open = server->state == YO_SERVER_SERVING || server->state == YO_SERVER_DRAINING;
    if (open) {
        server->state = YO_SERVER_CLOSING;
    }
    pthread_mutex_unlock(&server->lock);
    for (uint32_t i = 0; open && i < server->worker_count; i++) {
        yo_order_close(server, i);
    }
}

static bool on_a_worker(const struct yomo_server *server)
{
    for (uint32_t i = 0; i < server->worker_count; i++) {
        if (pthread_equal(server->threads[i], pthread_self())) {
            return true;
        }
    }
    return false;
}

void yomo_server_free(yomo_server *server)
{
    bool started;

    if (!server) {
        return;
    }
    yomo_server_close(server);
    pthread_mutex_lock(&server->lock);
    started = server->state > YO_SERVER_FAILED;
    if (started && !on_a_worker(server)) {
        while (server->state != YO_SERVER_ENDED) {
            pthread_cond_wait(&server->ended, &server->lock);
        }
        pthread_mutex_unlock(&server->lock);
        for (uint32_t i = 0; i < server->worker_count; i++) {
            pthread_join(server->threads[i], NULL);
        }
    } else {
        for (uint32_t i = 0; started && i < server->worker_count; i++) {
            pthread_detach(server->threads[i]);
        }
        pthread_mutex_unlock(&server->lock);
    }
    yo_server_unref(server);
}

/* --- what it is ------------------------------------------------------------------ */

const char *yomo_server_error(const yomo_server *server)
{
    return server && server->error.size > 0 ? (const char *)server->error.data : "";
}

uint16_t yomo_server_port(const yomo_server *server)
{
    return server ? server->ports.port : 0;
}

uint16_t yomo_server_http_port(const yomo_server *server)
{
    return server ? server->ports.http_port : 0;
}

uint16_t yomo_server_admin_port(const yomo_server *server)
{
    return server ? server->ports.admin_port : 0;
}

const char *yomo_server_listening(const yomo_server *server)
{
    return server && server->listening.size > 0 ? (const char *)server->listening.data
                                                : "";
}

void *yomo_server_user(const yomo_server *server)
{
    return server ? server->user : NULL;
}

const char *yomo_member_id(const yomo_member *member)
{
    return member ? member->id : "";
}

uint64_t yomo_member_session(const yomo_member *member)
{
    return member ? member->session : 0;
}

const char *yomo_member_room(const yomo_member *member)
{
    return member ? member->room : "";
}

const char *yomo_member_app(const yomo_member *member)
{
    return member ? member->app : "";
}

const char *yomo_member_address(const yomo_member *member)
{
    return member ? member->address : "";
}
