/* SPDX-License-Identifier: MIT */
/* accept.c - connections that the host brings itself (<yomo/transport.h>): the key is
 * looked at on the caller's thread, everything else happens on the worker that gets it.
 */
#include <yomo/transport.h>

#include "base/check.h"
#include "server/door.h"
#include "server/handle.h"
#include "transport/custom.h"

struct arrival {
    struct yo_letter letter;
    const struct yomo_mem *mem;
    struct yomo_auth *auth;
    yomo_carrier *carrier;
    void *connection;
};

static void open_arrival(struct yo_letter *letter, void *box_user, yo_time now)
{
    struct arrival *arrival = YO_CONTAINER(letter, struct arrival, letter);
    struct yomo_auth *auth = arrival->auth;
    struct yo_worker *worker = box_user;

    auth->worker = worker;
    auth->conn = yo_carrier_open(arrival->carrier, worker->loop, arrival->connection,
                                 true, &yo_door_waiting_events, auth);
    yo_carrier_hold(auth->conn, true);
    yo_free(arrival->mem, arrival);
    yo_door_ask(worker, auth, now);
}

static void discard_arrival(struct yo_letter *letter)
{
    struct arrival *arrival = YO_CONTAINER(letter, struct arrival, letter);

    yo_carrier_reject(arrival->carrier, arrival->connection, YO_CODE_GOING_AWAY,
                      "going away");
    yo_auth_free(arrival->auth);
    yo_free(arrival->mem, arrival);
}

static void on_release(void *user)
{
    yo_server_unref(user);
}

static int choose_worker(struct yomo_server *server, uint32_t *index)
{
    int rv = YOMO_OK;

    pthread_mutex_lock(&server->lock);
    if (server->state != YO_SERVER_SERVING) {
        rv = YOMO_ERR_STATE;
    } else {
        *index = server->next_worker++ % server->worker_count;
    }
    pthread_mutex_unlock(&server->lock);
    if (rv == YOMO_OK &&
        yo_server_connections(server) >= server->config.connections_max) {
        rv = YOMO_ERR_FULL;
    }
    return rv;
}

static int make_carrier(struct yomo_server *server, const yomo_transport *transport,
                        uint32_t index, yomo_carrier **carrier)
{
    struct yo_carrier_options options = {
        .transport = transport,
        .message_size_max = server->config.limits.message_size,
        .on_release = on_release,
        .release_user = yo_server_ref(server),
    };
    int rv = yo_carrier_create(carrier, server->config.mem, server->desks[index].box,
                               &options);

    if (rv != YOMO_OK) {
        yo_server_unref(server);
    }
    return rv;
}

int32_t yomo_server_accept(yomo_server *server, const yomo_transport *transport,
                           void *connection, const char *query, yomo_carrier **carrier)
{
    struct arrival *arrival;
    const char *why;
    uint32_t index;
    int rv;

    YO_REQUIRE(server && transport && transport->size >= sizeof(*transport));
    YO_REQUIRE(transport->send && carrier);
    rv = choose_worker(server, &index);
    if (rv != YOMO_OK) {
        return rv;
    }
    arrival = yo_calloc(server->config.mem, 1, sizeof(*arrival));
    if (!arrival) {
        return YOMO_ERR_NOMEM;
    }
    arrival->letter.open = open_arrival;
    arrival->letter.discard = discard_arrival;
    arrival->mem = server->config.mem;
    arrival->connection = connection;
    rv = yo_auth_create(&arrival->auth, server, yo_span_of(query), YO_SPAN_NONE,
                        yo_span_of("custom"), YOMO_TRANSPORT_CUSTOM, &why);
    if (rv == YOMO_OK) {
        rv = make_carrier(server, transport, index, &arrival->carrier);
        if (rv != YOMO_OK) {
            yo_auth_free(arrival->auth);
        }
    }
    if (rv != YOMO_OK) {
        yo_free(server->config.mem, arrival);
        return rv == YOMO_ERR_AUTH ? YOMO_ERR_DENIED : rv;
    }
    *carrier = arrival->carrier; /* before the worker may close it */
    yo_mailbox_post(server->desks[index].box, &arrival->letter);
    return YOMO_OK;
}
