/* SPDX-License-Identifier: MIT */
/* credentials.c - what a server is known by: its certificate and its secret.
 *
 * Both live in the state directory, the secret always and the certificate in
 * development. A server that has a certificate of its own can do without the directory
 * when there is no usual place for one: its secret is then new at each start, and its
 * clients find out by a timeout instead of a reset that it was started anew. */
#include "base/rand.h"
#include "base/text.h"
#include "loop/loop.h"
#include "server/handle.h"
#include "transport/tls/devcert.h"

static int find_state_dir(struct yomo_server *server, struct yo_buf *why)
{
    const char *asked = yo_options_text(server->config.options, "state-dir");
    struct yo_buf *dir = &server->state_dir;
    int rv;

    yo_buf_clear(dir);
    if (asked) {
        rv = yo_buf_append(dir, asked, strlen(asked) + 1);
    } else {
        rv = yo_state_dir_default(dir);
        if (rv == YOMO_ERR_FILE) {
            (void)yo_buf_append_text(why, "there is no home directory: set state-dir");
        }
    }
    return rv == YOMO_OK ? yo_state_dir_ready((const char *)dir->data, why) : rv;
}

int yo_server_read_secret(struct yomo_server *server, struct yo_buf *why)
{
    const yomo_options *options = server->config.options;
    int rv = find_state_dir(server, why);

    if (rv == YOMO_OK) {
        rv = yo_secret_ready((const char *)server->state_dir.data, server->config.mem,
                             server->secret, why);
    }
    if (rv == YOMO_ERR_FILE && yo_options_text(options, "tls-cert") &&
        !yo_options_is_set(options, "state-dir")) {
        YO_LOG(server->config.log, YOMO_LOG_WARN, "server",
               "no state directory (%.*s): secrets are new at each start",
               (int)why->size, (const char *)why->data);
        yo_buf_clear(&server->state_dir);
        yo_buf_clear(why);
        yo_rand_bytes(server->secret, sizeof(server->secret));
        rv = YOMO_OK;
    }
    return rv;
}

int yo_server_ready_qlog(const struct yomo_server *server, struct yo_buf *why)
{
    const char *dir = yo_options_text(server->config.options, "qlog-dir");

    return dir ? yo_state_dir_ready(dir, why) : YOMO_OK;
}

static int read_files(struct yomo_server *server, const char *cert, const char *key,
                      struct yo_tls_server **tls, struct yo_buf *why)
{
    const struct yo_config *config = &server->config;
    struct yo_tls_server_options options = {
        .cert_file = cert,
        .key_file = key,
        .groups = yo_options_text(config->options, "tls-groups"),
        .keylog_file = yo_options_text(config->options, "tls-keylog")};
    struct yo_buf tickets;
    int rv;

    yo_buf_init(&tickets, config->mem);
    if (server->state_dir.size > 0) {
        (void)yo_buf_printf(&tickets, "%s/ticket-key",
                            (const char *)server->state_dir.data);
        (void)yo_buf_append_byte(&tickets, 0);
        options.ticket_key_file = (const char *)tickets.data;
    }
    rv = tickets.failed ? YOMO_ERR_NOMEM
                        : yo_tls_server_create(tls, config->mem, &options, why);
    yo_buf_finish(&tickets);
    return rv;
}

int yo_server_read_tls(struct yomo_server *server, struct yo_tls_server **tls,
                       char hash[65], struct yo_buf *why)
{
    const struct yo_config *config = &server->config;
    const char *cert = yo_options_text(config->options, "tls-cert");
    const char *key = yo_options_text(config->options, "tls-key");
    struct yo_buf cert_path, key_path;
    uint8_t digest[32];
    bool fresh = false;
    int rv = YOMO_OK;

    yo_buf_init(&cert_path, config->mem);
    yo_buf_init(&key_path, config->mem);
    if (!cert) {
        rv = yo_devcert_ready((const char *)server->state_dir.data, yo_wall_ms(),
                              &cert_path, &key_path, &fresh, why);
        cert = (const char *)cert_path.data;
        key = (const char *)key_path.data;
    }
    if (rv == YOMO_OK) {
        rv = read_files(server, cert, key, tls, why);
    }
    if (rv == YOMO_OK) {
        yo_tls_server_hash(*tls, digest);
        yo_hex_encode(hash, yo_span(digest, sizeof(digest)));
        if (fresh) {
            YO_LOG(config->log, YOMO_LOG_INFO, "server",
                   "a development certificate was made: %s", cert);
        }
    }
    yo_buf_finish(&cert_path);
    yo_buf_finish(&key_path);
    return rv;
}
