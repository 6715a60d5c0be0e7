/* SPDX-License-Identifier: MIT */
/* auth.c - a request, taken apart: who it claims to be, and what the host is shown of
 * it.
 *
 * Query values are percent-decoded; '+' stays '+'. Queries and tokens reach no log. */
#include <string.h>

#include "base/check.h"
#include "base/rand.h"
#include "base/text.h"
#include "server/door.h"
#include "server/tokens.h"
#include "wire/json.h"
#include "wire/limits.h"
#include "wire/msgpack.h"

/* A name that may be shown to others: not empty, not too long, UTF-8, no NUL in it. */
static bool good_name(struct yo_span name, size_t max)
{
    return name.size > 0 && name.size <= max && yo_utf8_valid(name) &&
           !memchr(name.data, '\0', name.size);
}

/* The decoded value of `name`, "" when it is not there. YOMO_ERR_INVALID: a broken
 * escape, or a NUL. */
static int read_value(char **out, const struct yomo_mem *mem, struct yo_span query,
                      const char *name)
{
    struct yo_buf value;
    int rv;

    yo_buf_init(&value, mem);
    rv = yo_percent_decode(&value, yo_query_get(query, name));
    if (rv == YOMO_OK && value.size > 0 && memchr(value.data, '\0', value.size)) {
        rv = YOMO_ERR_INVALID;
    }
    if (rv == YOMO_OK) {
        *out = yo_strndup(mem, value.data, value.size);
        rv = *out ? YOMO_OK : YOMO_ERR_NOMEM;
    }
    yo_buf_finish(&value);
    return rv;
}

static int read_id(struct yomo_auth *auth, const struct yomo_mem *mem,
                   struct yo_span query)
{
    uint8_t random[8];
    char text[2 * sizeof(random) + 1];
    int rv = read_value(&auth->id, mem, query, "id");

    if (rv != YOMO_OK) {
        return rv;
    }
    if (auth->id[0] != '\0') {
        return good_name(yo_span_of(auth->id), YO_ID_SIZE_MAX) ? YOMO_OK
                                                               : YOMO_ERR_INVALID;
    }
    yo_rand_bytes(random, sizeof(random));
    yo_hex_encode(text, yo_span(random, sizeof(random)));
    yo_free(mem, auth->id);
    auth->id = yo_strndup(mem, text, strlen(text));
    return auth->id ? YOMO_OK : YOMO_ERR_NOMEM;
}

/* Which application the key, or the token, opens. */
static int read_app(struct yomo_auth *auth, const struct yo_config *config)
{
    struct yo_span granted = auth->grants ? yo_grants_app(auth->grants) : YO_SPAN_NONE;
    int rv;

    if (granted.data && (auth->public_key[0] == '\0' || !config->keys)) {
        /* nothing else names one */
        auth->app = yo_strndup(config->mem, granted.data, granted.size);
        return auth->app ? YOMO_OK : YOMO_ERR_NOMEM;
    }
    rv = yo_server_app(auth->server, yo_span_of(auth->public_key), &auth->app);
    if (rv != YOMO_OK) {
        return rv;
    }
    if (!auth->app) {
        auth->why = "unknown public key";
        return YOMO_ERR_AUTH;
    }
    if (granted.data && !yo_span_is(granted, auth->app)) {
        auth->why = "the token is for another application than the public key";
        return YOMO_ERR_AUTH;
    }
    return YOMO_OK;
}

/* What the token says wins over what the query claims. */
static int read_token(struct yomo_auth *auth, const struct yomo_mem *mem,
                      struct yo_span query)
{
    int rv = read_value(&auth->token, mem, query, "token");
    struct yo_span id;

    if (rv != YOMO_OK || !auth->server->config.tokens) {
        return rv;
    }
    rv = yo_server_check_token(auth->server, yo_span_of(auth->token), &auth->grants,
                               &auth->why);
    id = rv == YOMO_OK ? yo_grants_id(auth->grants) : YO_SPAN_NONE;
    if (id.data) {
        yo_free(mem, auth->id);
        auth->id = yo_strndup(mem, id.data, id.size);
        auth->proven = true;
        rv = auth->id ? YOMO_OK : YOMO_ERR_NOMEM;
    }
    return rv;
}

static int fill(struct yomo_auth *auth, const struct yo_config *config,
                struct yo_span query, struct yo_span origin)
{
    const struct yomo_mem *mem = config->mem;
    int rv = read_id(auth, mem, query);

    auth->why = "the id is empty, too long or not UTF-8";
    rv = rv == YOMO_OK ? read_value(&auth->public_key, mem, query, "publickey") : rv;
    rv = rv == YOMO_OK ? read_token(auth, mem, query) : rv;
    rv = rv == YOMO_OK ? read_app(auth, config) : rv;
    if (rv != YOMO_OK) {
        return rv;
    }
    auth->why = NULL;
    auth->origin = yo_strndup(mem, origin.data, origin.size);
    auth->extension = yo_span_is(yo_query_get(query, "yomo"), "1");
    return auth->origin ? YOMO_OK : YOMO_ERR_NOMEM;
}

int yo_auth_create(struct yomo_auth **out, yomo_server *server, struct yo_span query,
                   struct yo_span origin, struct yo_span address,
                   enum yomo_transport_kind transport, const char **why)
{
    struct yomo_auth *auth = yo_calloc(server->config.mem, 1, sizeof(*auth));
    size_t size = address.size < sizeof(auth->address) - 1 ? address.size
                                                           : sizeof(auth->address) - 1;
    int rv;

    *why = yomo_strerror(YOMO_ERR_NOMEM);
    if (!auth) {
        return YOMO_ERR_NOMEM;
    }
    auth->server = yo_server_ref(server);
    auth->transport = transport;
    yo_list_init(&auth->link);
    if (size > 0) {
        memcpy(auth->address, address.data, size);
    }
    rv = fill(auth, &server->config, query, origin);
    if (rv != YOMO_OK) {
        *why = rv == YOMO_ERR_NOMEM ? *why : auth->why;
        yo_auth_free(auth);
        return rv;
    }
    *out = auth;
    return YOMO_OK;
}

void yo_auth_free(struct yomo_auth *auth)
{
    const struct yomo_mem *mem = auth->server->config.mem;
    yomo_server *server = auth->server;

    yo_free(mem, auth->id);
    yo_free(mem, auth->app);
    yo_free(mem, auth->public_key);
    yo_free(mem, auth->token);
    yo_free(mem, auth->origin);
    yo_grants_free(auth->grants);
    yo_blob_unref(auth->data);
    yo_free(mem, auth);
    yo_server_unref(server);
}

/* --- what the host may ask and set ----------------------------------------------- */

const char *yomo_auth_id(const yomo_auth *auth)
{
    return auth ? auth->id : "";
}

const char *yomo_auth_public_key(const yomo_auth *auth)
{
    return auth ? auth->public_key : "";
}

const char *yomo_auth_token(const yomo_auth *auth)
{
    return auth ? auth->token : "";
}

const char *yomo_auth_origin(const yomo_auth *auth)
{
    return auth ? auth->origin : "";
}

const char *yomo_auth_address(const yomo_auth *auth)
{
    return auth ? auth->address : "";
}

int32_t yomo_auth_transport(const yomo_auth *auth)
{
    return auth ? (int32_t)auth->transport : YOMO_TRANSPORT_NONE;
}

static int set_name(struct yomo_auth *auth, char **where, const char *name, size_t max)
{
    char *copy;

    YO_REQUIRE(name && good_name(yo_span_of(name), max));
    copy = yo_strndup(auth->server->config.mem, name, strlen(name));
    if (!copy) {
        return YOMO_ERR_NOMEM;
    }
    yo_free(auth->server->config.mem, *where);
    *where = copy;
    return YOMO_OK;
}

int32_t yomo_auth_set_id(yomo_auth *auth, const char *id)
{
    int rv;

    YO_REQUIRE(auth);
    rv = set_name(auth, &auth->id, id, YO_ID_SIZE_MAX);
    auth->proven |= rv == YOMO_OK;
    return rv;
}

int32_t yomo_auth_set_app(yomo_auth *auth, const char *app)
{
    YO_REQUIRE(auth);
    return set_name(auth, &auth->app, app, YO_APP_SIZE_MAX);
}

int32_t yomo_auth_set_data(yomo_auth *auth, const char *json)
{
    const struct yomo_mem *mem;
    struct yo_blob *data = NULL;
    struct yo_buf map;
    int rv;

    YO_REQUIRE(auth && json);
    mem = auth->server->config.mem;
    yo_buf_init(&map, mem);
    rv = yo_json_to_mp(&map, yo_span_of(json));
    if (rv == YOMO_OK && yo_mp_check_portable(yo_buf_span(&map)) != YO_MP_MAP) {
        rv = YOMO_ERR_JSON;
    }
    if (rv == YOMO_OK && map.size > YO_MEMBER_DATA_SIZE_MAX) {
        rv = YOMO_ERR_TOO_BIG;
    }
    if (rv == YOMO_OK) {
        data = yo_blob_create(mem, yo_buf_span(&map));
        rv = data ? YOMO_OK : YOMO_ERR_NOMEM;
    }
    yo_buf_finish(&map);
    if (rv == YOMO_OK) {
        yo_blob_unref(auth->data);
        auth->data = data;
    }
    return rv;
}
