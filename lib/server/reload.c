/* SPDX-License-Identifier: MIT */
/* reload.c - other keys for tokens, and another certificate, for connections to come:
 * read by whoever asks; the certificate is handed to each worker as a letter. Letters are made before anything changes, so that either
 * all workers have the new one or, after an error, none. */
#include "base/check.h"
#include "server/admin_auth.h"
#include "server/tokens.h"

struct reload_letter {
    struct yo_letter letter;
    const struct yomo_mem *mem;
    struct yo_tls_server *tls;
    char hash[65];
};

static void discard(struct yo_letter *letter)
{
    struct reload_letter *reload = YO_CONTAINER(letter, struct reload_letter, letter);

    yo_tls_server_unref(reload->tls);
    yo_free(reload->mem, reload);
}

static void open_letter(struct yo_letter *letter, void *box_user, yo_time now)
{
    struct reload_letter *reload = YO_CONTAINER(letter, struct reload_letter, letter);
    struct yo_worker *worker = box_user;

    (void)now;
    if (worker->listener) {
        yo_listener_set_tls(worker->listener, reload->tls);
        memcpy(worker->certificate, reload->hash, sizeof(worker->certificate));
    }
    discard(letter);
}

static int make_letters(struct yomo_server *server, struct yo_tls_server *tls,
                        const char *hash, struct yo_link *letters)
{
    const struct yomo_mem *mem = server->config.mem;
    struct yo_link *link;

    for (uint32_t i = 0; i < server->worker_count; i++) {
        struct reload_letter *reload = yo_calloc(mem, 1, sizeof(*reload));
        if (!reload) {
            while ((link = yo_list_pop_front(letters)) != NULL) {
                discard(YO_CONTAINER(link, struct yo_letter, link));
            }
            return YOMO_ERR_NOMEM;
        }
        reload->letter.open = open_letter;
        reload->letter.discard = discard;
        reload->mem = mem;
        reload->tls = yo_tls_server_ref(tls);
        memcpy(reload->hash, hash, sizeof(reload->hash));
        yo_list_push_back(letters, &reload->letter.link);
    }
    return YOMO_OK;
}

/* `always` false: only if it is another one than the one in use. */
static int reload(struct yomo_server *server, bool always, struct yo_buf *why)
{
    struct yo_tls_server *tls = NULL, *old;
    struct yo_link letters, *link;
    char hash[65];
    int rv = yo_server_read_tls(server, &tls, hash, why);

    if (rv != YOMO_OK) {
        return rv;
    }
    pthread_mutex_lock(&server->lock);
    always |= memcmp(hash, server->certificate, sizeof(hash)) != 0;
    pthread_mutex_unlock(&server->lock);
    if (!always) {
        yo_tls_server_unref(tls);
        return YOMO_OK;
    }
    yo_list_init(&letters);
    rv = make_letters(server, tls, hash, &letters);
    if (rv != YOMO_OK) {
        yo_tls_server_unref(tls);
        return rv;
    }
    for (uint32_t i = 0; (link = yo_list_pop_front(&letters)) != NULL; i++) {
        yo_mailbox_post(server->desks[i].box,
                        YO_CONTAINER(link, struct yo_letter, link));
    }
    pthread_mutex_lock(&server->lock);
    old = server->tls;
    server->tls = tls;
    memcpy(server->certificate, hash, sizeof(server->certificate));
    pthread_mutex_unlock(&server->lock);
    yo_tls_server_unref(old);
    YO_LOG(server->config.log, YOMO_LOG_INFO, "server", "certificate %s", hash);
    return YOMO_OK;
}

int yo_server_reload_files(struct yomo_server *server)
{
    struct yo_buf why;
    int rv;

    pthread_mutex_lock(&server->lock);
    rv = server->state == YO_SERVER_SERVING ? YOMO_OK : YOMO_ERR_STATE;
    pthread_mutex_unlock(&server->lock);
    if (rv != YOMO_OK) {
        return rv;
    }
    yo_buf_init(&why, server->config.mem);
    rv = yo_server_read_tokens(server, &why);
    rv = rv == YOMO_OK ? yo_admin_read_secret(server, &why) : rv;
    rv = rv == YOMO_OK ? yo_server_read_webhook_secrets(server, &why) : rv;
    rv = rv == YOMO_OK ? reload(server, true, &why) : rv;
    if (rv != YOMO_OK) {
        if (why.size == 0) {
            (void)yo_buf_append_text(&why, yomo_strerror(rv));
        }
        (void)yo_buf_append_byte(&why, 0);
        if (!why.failed) {
            YO_LOG(server->config.log, YOMO_LOG_ERROR, "server",
                   "not reloaded: %s", (const char *)why.data);
            yo_buf_swap(&server->error, &why);
        }
    }
    yo_buf_finish(&why);
    return rv;
}

int32_t yomo_server_reload(yomo_server *server)
{
    YO_REQUIRE(server);
    return yo_server_reload_files(server);
}

void yo_server_renew(struct yomo_server *server)
{
    struct yo_buf why;

    if (yo_options_text(server->config.options, "tls-cert")) {
        return; /* the operator's: reloaded when the operator says so */
    }
    yo_buf_init(&why, server->config.mem);
    if (reload(server, false, &why) != YOMO_OK) {
        YO_LOG(server->config.log, YOMO_LOG_ERROR, "server",
               "the development certificate was not renewed: %.*s", (int)why.size,
               why.size > 0 ? (const char *)why.data : "");
    }
    yo_buf_finish(&why);
}
