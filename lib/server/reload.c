/* SPDX-License-Identifier: MIT */
/* reload.c - other keys for tokens, other secrets and another certificate, for what
 * comes from now on: read by whoever asks; the certificate is handed to each worker as
 * a letter. All is read and all letters are made before anything changes, so that
 * either all of it counts, for all workers, or after an error none. */
#include "base/check.h"
#include "server/admin_auth.h"
#include "server/auth/keys.h"
#include "server/events.h"
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

static void post_tls(struct yomo_server *server, struct yo_tls_server *tls,
                     const char hash[65], struct yo_link *letters)
{
    struct yo_tls_server *old;
    struct yo_link *link;

    for (uint32_t i = 0; (link = yo_list_pop_front(letters)) != NULL; i++) {
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
}

/* --- what the files say ---------------------------------------------------------- */

struct yo_fresh {
    struct yomo_server *server;
    struct yo_auth_keys *keys;  /* NULL: none */
    struct yo_buf admin_secret; /* empty: none */
    bool hooks;
    struct yo_webhook_secrets secrets; /* if `hooks` */
    struct yo_tls_server *tls;         /* NULL: it stays */
    char hash[65];
    struct yo_link letters;
};

void yo_fresh_free(struct yo_fresh *fresh)
{
    const struct yomo_mem *mem;
    struct yo_link *link;

    if (!fresh) {
        return;
    }
    mem = fresh->server->config.mem;
    yo_auth_keys_unref(fresh->keys);
    yo_admin_forget_secret(&fresh->admin_secret);
    yo_webhook_secrets_forget(&fresh->secrets);
    yo_tls_server_unref(fresh->tls);
    while ((link = yo_list_pop_front(&fresh->letters)) != NULL) {
        discard(YO_CONTAINER(link, struct yo_letter, link));
    }
    yo_free(mem, fresh);
}

static int read_all(struct yo_fresh *fresh, struct yo_buf *why)
{
    struct yomo_server *server = fresh->server;
    int rv = yo_server_load_tokens(server, &fresh->keys, why);

    rv = rv == YOMO_OK ? yo_admin_load_secret(server, &fresh->admin_secret, why) : rv;
    if (rv == YOMO_OK && server->webhooks) {
        rv = yo_server_load_webhook_secrets(server, &fresh->secrets, why);
        fresh->hooks = rv == YOMO_OK;
    }
    rv = rv == YOMO_OK ? yo_server_read_tls(server, &fresh->tls, fresh->hash, why) : rv;
    return rv == YOMO_OK
               ? make_letters(server, fresh->tls, fresh->hash, &fresh->letters)
               : rv;
}

int yo_fresh_read(struct yomo_server *server, struct yo_fresh **out, struct yo_buf *why)
{
    struct yo_fresh *fresh = yo_calloc(server->config.mem, 1, sizeof(*fresh));
    int rv;

    if (!fresh) {
        return YOMO_ERR_NOMEM;
    }
    fresh->server = server;
    yo_buf_init(&fresh->admin_secret, server->config.mem);
    yo_list_init(&fresh->letters);
    rv = read_all(fresh, why);
    if (rv != YOMO_OK) {
        yo_fresh_free(fresh);
        return rv;
    }
    *out = fresh;
    return YOMO_OK;
}

void yo_fresh_use(struct yo_fresh *fresh)
{
    struct yomo_server *server = fresh->server;

    yo_server_take_tokens(server, fresh->keys);
    fresh->keys = NULL;
    yo_admin_take_secret(server, &fresh->admin_secret);
    if (fresh->hooks) {
        yo_webhooks_set_secrets(server->webhooks, &fresh->secrets);
    }
    post_tls(server, fresh->tls, fresh->hash, &fresh->letters);
    fresh->tls = NULL;
    yo_fresh_free(fresh);
}

static int reload_files(struct yomo_server *server)
{
    struct yo_fresh *fresh;
    struct yo_buf why;
    int rv;

    pthread_mutex_lock(&server->lock);
    rv = server->state == YO_SERVER_SERVING ? YOMO_OK : YOMO_ERR_STATE;
    pthread_mutex_unlock(&server->lock);
    if (rv != YOMO_OK) {
        return rv;
    }
    yo_buf_init(&why, server->config.mem);
    rv = yo_fresh_read(server, &fresh, &why);
    if (rv == YOMO_OK) {
        yo_fresh_use(fresh);
    } else {
        yo_server_not_reloaded(server, rv, &why);
    }
    yo_buf_finish(&why);
    return rv;
}

int32_t yomo_server_reload(yomo_server *server)
{
    YO_REQUIRE(server);
    return reload_files(server);
}

/* Only if it is another one than the one in use. */
static int renew(struct yomo_server *server, struct yo_buf *why)
{
    struct yo_tls_server *tls = NULL;
    struct yo_link letters;
    char hash[65];
    int rv = yo_server_read_tls(server, &tls, hash, why);
    bool other;

    if (rv != YOMO_OK) {
        return rv;
    }
    pthread_mutex_lock(&server->lock);
    other = memcmp(hash, server->certificate, sizeof(hash)) != 0;
    pthread_mutex_unlock(&server->lock);
    yo_list_init(&letters);
    rv = other ? make_letters(server, tls, hash, &letters) : YOMO_OK;
    if (!other || rv != YOMO_OK) {
        yo_tls_server_unref(tls);
        return rv;
    }
    post_tls(server, tls, hash, &letters);
    return YOMO_OK;
}

void yo_server_renew(struct yomo_server *server)
{
    struct yo_buf why;

    if (yo_options_text(server->config.options, "tls-cert")) {
        return; /* the operator's: reloaded when the operator says so */
    }
    yo_buf_init(&why, server->config.mem);
    if (renew(server, &why) != YOMO_OK) {
        YO_LOG(server->config.log, YOMO_LOG_ERROR, "server",
               "the development certificate was not renewed: %.*s", (int)why.size,
               why.size > 0 ? (const char *)why.data : "");
    }
    yo_buf_finish(&why);
}
