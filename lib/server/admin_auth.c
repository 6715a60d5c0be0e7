/* SPDX-License-Identifier: MIT */
#include "server/admin_auth.h"

#include <openssl/crypto.h>

#include "base/check.h"
#include "base/text.h"
#include "server/handle.h"
#include "server/tokens.h"
#include "transport/tls/setup.h"

void yo_admin_forget_secret(struct yo_buf *secret)
{
    if (secret->data) {
        OPENSSL_cleanse(secret->data, secret->capacity);
    }
    yo_buf_finish(secret);
}

/* A header must be able to say it (RFC 6750 2.1), and nobody to guess it. */
static bool good_secret(struct yo_span secret)
{
    for (size_t i = 0; i < secret.size; i++) {
        if (secret.data[i] <= ' ' || secret.data[i] > '~') {
            return false;
        }
    }
    return secret.size >= YO_ADMIN_SECRET_MIN && secret.size <= 4096;
}

int yo_admin_load_secret(struct yomo_server *server, struct yo_buf *secret,
                         struct yo_buf *why)
{
    const char *path = yo_options_text(server->config.options, "admin-token-file");
    int rv;

    if (!path) {
        return YOMO_OK;
    }
    rv = yo_tls_read_private_file(secret, path, why);
    while (secret->size > 0 && strchr("\r\n", secret->data[secret->size - 1])) {
        secret->size--;
    }
    if (rv == YOMO_OK && !good_secret(yo_buf_span(secret))) {
        rv = yo_tls_file_error(
            why, path,
            "a secret of operators has at least 32 characters, all of "
            "them visible ASCII");
    }
    return rv;
}

void yo_admin_take_secret(struct yomo_server *server, struct yo_buf *secret)
{
    if (secret->size > 0) {
        pthread_mutex_lock(&server->lock);
        yo_buf_swap(&server->admin_secret, secret);
        pthread_mutex_unlock(&server->lock);
    }
}

int yo_admin_read_secret(struct yomo_server *server, struct yo_buf *why)
{
    struct yo_buf secret;
    int rv;

    yo_buf_init(&secret, server->config.mem);
    rv = yo_admin_load_secret(server, &secret, why);
    if (rv == YOMO_OK) {
        yo_admin_take_secret(server, &secret);
    }
    yo_admin_forget_secret(&secret);
    return rv;
}

static bool is_secret(struct yomo_server *server, struct yo_span said)
{
    bool is;

    pthread_mutex_lock(&server->lock);
    is = server->admin_secret.size > 0 &&
         yo_span_equal_secret(yo_buf_span(&server->admin_secret), said);
    pthread_mutex_unlock(&server->lock);
    return is;
}

/* Pages send one of these with whatever they ask for (Fetch, W3C Fetch Metadata); a
 * program has no reason to. "none" is what somebody typed into the address bar. */
static bool from_a_page(const struct yo_exchange *exchange)
{
    struct yo_span site = yo_exchange_header(exchange, "Sec-Fetch-Site");

    return yo_exchange_header(exchange, "Origin").data ||
           (site.data && !yo_span_is(site, "none"));
}

int yo_admin_authorise(struct yomo_server *server, const struct yo_exchange *exchange,
                       struct yo_operator *operator, const char ** why)
{
    static const char scheme[] = "Bearer ";
    struct yo_span said = yo_exchange_header(exchange, "Authorization");
    const char *unsaid;
    int rv = YOMO_ERR_AUTH;

    operator->grants = NULL;
    if (from_a_page(exchange)) {
        *why = "pages in browsers may not use this";
        return 403;
    }
    if (said.size <= strlen(scheme) ||
        !yo_span_equal_nocase(yo_span(said.data, strlen(scheme)), yo_span_of(scheme))) {
        *why = "say who you are: Authorization: Bearer SECRET";
        return 401;
    }
    said = yo_span_skip(said, strlen(scheme));
    if (is_secret(server, said)) {
        return 0;
    }
    if (server->config.tokens) {
        rv = yo_server_check_token(server, said, &operator->grants, &unsaid);
    }
    if (rv == YOMO_OK) {
        return 0;
    }
    *why = "that is not the secret, and no token that counts";
    return rv == YOMO_ERR_NOMEM ? 503 : 401;
}

bool yo_operator_may(const struct yo_operator *operator, struct yo_span app,
                     struct yo_span room)
{
    const struct yo_grants *grants = operator->grants;
    struct yo_span granted = grants ? yo_grants_app(grants) : YO_SPAN_NONE;

    if (!grants) {
        return true;
    }
    if (granted.data && !yo_span_equal(granted, app)) {
        return false;
    }
    return ((room.data ? yo_grants_for_room(grants, room) : yo_grants_for_app(grants)) &
            YO_MAY_ADMIN) != 0;
}

bool yo_operator_may_all(const struct yo_operator *operator)
{
    const struct yo_grants *grants = operator->grants;

    return !grants ||
           (!yo_grants_app(grants).data && (yo_grants_for_app(grants) & YO_MAY_ADMIN));
}
