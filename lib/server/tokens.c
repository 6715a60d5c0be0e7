/* SPDX-License-Identifier: MIT */
/* tokens.c */
#include "server/tokens.h"

#include <openssl/crypto.h>

#include "base/check.h"
#include "loop/loop.h"
#include "server/auth/jwt.h"
#include "transport/tls/setup.h"

int yo_server_load_tokens(struct yomo_server *server, struct yo_auth_keys **out,
                          struct yo_buf *why)
{
    const struct yo_config *config = &server->config;
    const char *path = yo_options_text(config->options, "token-keys");
    struct yo_buf file;
    int rv;

    *out = NULL;
    if (!path) {
        return YOMO_OK;
    }
    yo_tls_setup();
    yo_buf_init(&file, config->mem);
    rv = yo_tls_read_file(&file, path, why);
    if (rv == YOMO_OK) {
        (void)yo_buf_printf(why, "token-keys: %s: ", path);
        rv = yo_auth_keys_parse(out, config->mem, yo_buf_span(&file), why);
    }
    if (file.data) {
        OPENSSL_cleanse(file.data, file.capacity); /* it may be a secret */
    }
    yo_buf_finish(&file);
    if (rv == YOMO_OK) {
        yo_buf_clear(why);
    }
    return rv;
}

void yo_server_take_tokens(struct yomo_server *server, struct yo_auth_keys *keys)
{
    const struct yo_config *config = &server->config;
    struct yo_auth_keys *old;

    if (!keys) {
        return;
    }
    YO_LOG(config->log, YOMO_LOG_INFO, "server", "%zu keys for tokens in %s",
           yo_auth_keys_count(keys), yo_options_text(config->options, "token-keys"));
    pthread_mutex_lock(&server->lock);
    old = server->token_keys;
    server->token_keys = keys;
    pthread_mutex_unlock(&server->lock);
    yo_auth_keys_unref(old);
}

int yo_server_read_tokens(struct yomo_server *server, struct yo_buf *why)
{
    struct yo_auth_keys *keys;
    int rv = yo_server_load_tokens(server, &keys, why);

    if (rv == YOMO_OK) {
        yo_server_take_tokens(server, keys);
    }
    return rv;
}

int yo_server_check_token(struct yomo_server *server, struct yo_span token,
                          struct yo_grants **out, const char **why)
{
    const struct yo_config *config = &server->config;
    const struct yo_jwt_rules rules = {
        .audience = yo_span_of(yo_options_text(config->options, "token-audience")),
        .issuer = yo_span_of(yo_options_text(config->options, "token-issuer")),
        .leeway_s = yo_options_ms(config->options, "token-leeway") / 1000,
    };
    struct yo_auth_keys *keys;
    struct yo_buf claims;
    int rv;

    if (token.size == 0) {
        *why = "no token was given";
        return YOMO_ERR_AUTH;
    }
    pthread_mutex_lock(&server->lock);
    keys = yo_auth_keys_ref(server->token_keys);
    pthread_mutex_unlock(&server->lock);
    yo_buf_init(&claims, config->mem);
    rv = yo_jwt_verify(&claims, keys, &rules, token, yo_wall_ms() / 1000, why);
    if (rv == YOMO_OK) {
        rv = yo_grants_from_claims(out, config->mem, yo_buf_span(&claims), why);
    }
    yo_buf_finish(&claims);
    yo_auth_keys_unref(keys);
    return rv;
}
