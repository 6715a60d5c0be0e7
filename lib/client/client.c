/* SPDX-License-Identifier: MIT */
/* client.c - the handle: made, counted, asked, given back.
 *
 * Its memory goes with the last of its references: the program's, the runner's (from a
 * start to on_closed), and one for each room and each transport of the host's own. */
#include "base/check.h"
#include "client/inside.h"
#include "sessions/trust.h"

static int make_tls(struct yomo_client *client)
{
    return client->settings.target.secure
               ? yo_trust_create(&client->tls, &client->mem, client->options)
               : YOMO_OK;
}

static void destroy(struct yomo_client *client)
{
    struct yomo_mem mem = client->mem;
    yo_engine_finish(client);
    yo_map_finish(&client->rooms);
    yo_map_finish(&client->askings);
    yo_heap_finish(&client->asking_due);
    yo_tls_client_unref(client->tls);
    for (size_t i = 0; i < client->id_count; i++) {
        yo_free(&client->mem, client->ids[i]);
    }
    yo_settings_finish(&client->settings);
    yomo_options_free(client->options);
    pthread_mutex_destroy(&client->lock);
    yo_free(&mem, client);
}

static int init(struct yomo_client *client, const yomo_options *options)
{
    client->options = yo_options_copy(options);
    if (!client->options) {
        return YOMO_ERR_NOMEM;
    }
    client->log = *yo_options_log(client->options);
    int rv = yo_settings_init(&client->settings, &client->mem, client->options);
    if (rv != YOMO_OK) {
        return rv;
    }
    const struct yo_target *target = &client->settings.target;
    if (target->other && !yo_client_knows(client, yo_span_of(target->scheme))) {
        return YOMO_ERR_URL;
    }
    client->message_max = client->settings.message_size_max;
    yo_engine_init(client);
    return make_tls(client);
}

int32_t yomo_client_create(yomo_client **out, const yomo_options *options,
                           const yomo_client_callbacks *callbacks, void *user)
{
    YO_REQUIRE(out && options);
    YO_REQUIRE(!callbacks || callbacks->size >= sizeof(callbacks->size));
    if (yo_options_scope(options) != YOMO_SCOPE_CLIENT) {
        return YOMO_ERR_OPTION;
    }
    const struct yomo_mem *mem = yo_options_mem(options);
    struct yomo_client *client = yo_calloc(mem, 1, sizeof(*client));
    if (!client) {
        return YOMO_ERR_NOMEM;
    }
    client->mem = *mem;
    client->user = user;
    if (callbacks) {
        size_t size = callbacks->size;
        memcpy(&client->on, callbacks,
               size < sizeof(client->on) ? size : sizeof(client->on));
    }
    if (pthread_mutex_init(&client->lock, NULL) != 0) {
        yo_free(mem, client);
        return YOMO_ERR_SYSTEM;
    }
    atomic_init(&client->refs, 1);
    yo_runner_init(&client->runner, &yo_client_runner_ops, client, &client->mem,
                   &client->log, &client->lock);
    yo_map_init(&client->rooms, &client->mem);
    yo_map_init(&client->askings, &client->mem);
    yo_heap_init(&client->asking_due, &client->mem);
    int rv = init(client, options);
    if (rv != YOMO_OK) {
        destroy(client);
        return rv;
    }
    *out = client;
    return YOMO_OK;
}

void yo_client_ref(struct yomo_client *client)
{
    atomic_fetch_add_explicit(&client->refs, 1, memory_order_relaxed);
}

void yo_client_unref(struct yomo_client *client)
{
    if (atomic_fetch_sub_explicit(&client->refs, 1, memory_order_acq_rel) == 1) {
        destroy(client);
    }
}

void yo_client_lock(const struct yomo_client *client)
{
    pthread_mutex_lock((pthread_mutex_t *)&client->lock);
}

void yo_client_unlock(const struct yomo_client *client)
{
    pthread_mutex_unlock((pthread_mutex_t *)&client->lock);
}

void yo_client_post(struct yomo_client *client, struct yo_letter *letter)
{
    yo_runner_post(&client->runner, letter);
}

const struct yo_target *yo_client_target(const struct yomo_client *client)
{
    return client->redirect.mem ? &client->redirect : &client->settings.target;
}

void *yomo_client_user(const yomo_client *client)
{
    return client ? client->user : NULL;
}

int32_t yomo_client_transport(const yomo_client *client)
{
    YO_REQUIRE(client);
    yo_client_lock(client);
    int32_t transport = client->transport;
    yo_client_unlock(client);
    return transport;
}

uint64_t yomo_client_rtt_us(const yomo_client *client)
{
    if (!client) {
        return 0;
    }
    yo_client_lock(client);
    uint64_t rtt = client->rtt_us;
    yo_client_unlock(client);
    return rtt;
}

uint64_t yomo_client_session(const yomo_client *client)
{
    if (!client) {
        return 0;
    }
    yo_client_lock(client);
    uint64_t session = client->session_id;
    yo_client_unlock(client);
    return session;
}

const char *yomo_client_id(const yomo_client *client)
{
    return client ? yo_client_own_id((yomo_client *)(uintptr_t)client) : "";
}

const char *yo_client_own_id(struct yomo_client *client)
{
    yo_client_lock(client);
    const char *id =
        client->id_count > 0 ? client->ids[client->id_count - 1] : client->settings.id;
    yo_client_unlock(client);
    return id;
}

int yo_client_adopt_id(struct yomo_client *client, struct yo_span id)
{
    if (id.size == 0 || yo_span_is(id, yo_client_own_id(client))) {
        return YOMO_OK;
    }
    if (client->id_count == YO_CLIENT_IDS_MAX || memchr(id.data, 0, id.size)) {
        return YOMO_ERR_PROTO;
    }
    char *text = yo_strndup(&client->mem, id.data, id.size);
    if (!text) {
        return YOMO_ERR_NOMEM;
    }
    yo_client_lock(client);
    client->ids[client->id_count++] = text;
    yo_client_unlock(client);
    return YOMO_OK;
}
