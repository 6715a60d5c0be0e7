/* SPDX-License-Identifier: MIT */
/* sessions.c - invariants:
 *  1. `entries` is ordered, the one used last in front, and never longer than
 *     YO_SESSIONS_MAX;
 *  2. no SSL_SESSION in here is known to anybody else: OpenSSL spoils the one of a
 *     connection that ends without close_notify, as all of QUIC's do. */
#include "transport/tls/sessions.h"

#include <pthread.h>
#include <string.h>
#include <yomo/error.h>

#include "base/list.h"

struct entry {
    struct yo_link link;
    SSL_SESSION *ticket; /* NULL: none */
    bool development;
    uint64_t ticket_mark, token_mark;
    size_t token_size; /* 0: none */
    uint8_t token[YO_TLS_TOKEN_MAX];
    size_t key_size;
    uint8_t key[];
};

struct yo_sessions {
    const struct yomo_mem *mem;
    pthread_mutex_t lock;
    struct yo_link entries;
    size_t count;
    uint64_t marks; /* given out so far */
};

int yo_sessions_create(struct yo_sessions **out, const struct yomo_mem *mem)
{
    struct yo_sessions *sessions = yo_calloc(mem, 1, sizeof(*sessions));
    if (!sessions) {
        return YOMO_ERR_NOMEM;
    }
    if (pthread_mutex_init(&sessions->lock, NULL) != 0) {
        yo_free(mem, sessions);
        return YOMO_ERR_SYSTEM;
    }
    sessions->mem = mem;
    yo_list_init(&sessions->entries);
    *out = sessions;
    return YOMO_OK;
}

static void drop(struct yo_sessions *sessions, struct entry *entry)
{
    yo_list_remove(&entry->link);
    sessions->count--;
    SSL_SESSION_free(entry->ticket);
    OPENSSL_cleanse(entry->token, sizeof(entry->token));
    yo_free(sessions->mem, entry);
}

void yo_sessions_destroy(struct yo_sessions *sessions)
{
    if (!sessions) {
        return;
    }
    while (!yo_list_empty(&sessions->entries)) {
        drop(sessions, YO_CONTAINER(sessions->entries.next, struct entry, link));
    }
    pthread_mutex_destroy(&sessions->lock);
    yo_free(sessions->mem, sessions);
}

/* The entry of `key`, which comes to the front. */
static struct entry *find(struct yo_sessions *sessions, struct yo_span key)
{
    YO_LIST_EACH(link, next, &sessions->entries)
    {
        struct entry *entry = YO_CONTAINER(link, struct entry, link);
        if (yo_span_equal(yo_span(entry->key, entry->key_size), key)) {
            yo_list_remove(link);
            yo_list_push_front(&sessions->entries, link);
            return entry;
        }
    }
    return NULL;
}

/* The same, made when there is none; NULL without memory. */
static struct entry *need(struct yo_sessions *sessions, struct yo_span key)
{
    struct entry *entry = find(sessions, key);
    if (entry) {
        return entry;
    }
    entry = yo_calloc(sessions->mem, 1, sizeof(*entry) + key.size);
    if (!entry) {
        return NULL;
    }
    entry->key_size = key.size;
    memcpy(entry->key, key.data, key.size);
    if (sessions->count == YO_SESSIONS_MAX) {
        drop(sessions, YO_CONTAINER(sessions->entries.prev, struct entry, link));
    }
    yo_list_push_front(&sessions->entries, &entry->link);
    sessions->count++;
    return entry;
}

void yo_sessions_put_ticket(struct yo_sessions *sessions, struct yo_span key,
                            SSL_SESSION *session, bool development)
{
    SSL_SESSION *copy = SSL_SESSION_dup(session);
    if (!copy) {
        return;
    }
    pthread_mutex_lock(&sessions->lock);
    struct entry *entry = need(sessions, key);
    if (entry) {
        SSL_SESSION *old = entry->ticket;
        entry->ticket = copy;
        entry->ticket_mark = ++sessions->marks;
        entry->development = development;
        copy = old;
    }
    pthread_mutex_unlock(&sessions->lock);
    SSL_SESSION_free(copy);
}

SSL_SESSION *yo_sessions_ticket(struct yo_sessions *sessions, struct yo_span key,
                                bool *development, uint64_t *mark)
{
    SSL_SESSION *copy = NULL;
    pthread_mutex_lock(&sessions->lock);
    struct entry *entry = find(sessions, key);
    if (entry && entry->ticket) {
        copy = SSL_SESSION_dup(entry->ticket);
        *development = entry->development;
        *mark = entry->ticket_mark;
    }
    pthread_mutex_unlock(&sessions->lock);
    return copy;
}

void yo_sessions_put_token(struct yo_sessions *sessions, struct yo_span key,
                           struct yo_span token)
{
    if (token.size == 0 || token.size > YO_TLS_TOKEN_MAX) {
        return;
    }
    pthread_mutex_lock(&sessions->lock);
    struct entry *entry = need(sessions, key);
    if (entry) {
        memcpy(entry->token, token.data, token.size);
        entry->token_size = token.size;
        entry->token_mark = ++sessions->marks;
    }
    pthread_mutex_unlock(&sessions->lock);
}

size_t yo_sessions_token(struct yo_sessions *sessions, struct yo_span key,
                         uint8_t out[YO_TLS_TOKEN_MAX], uint64_t *mark)
{
    size_t size = 0;
    pthread_mutex_lock(&sessions->lock);
    struct entry *entry = find(sessions, key);
    if (entry && entry->token_size > 0) {
        size = entry->token_size;
        memcpy(out, entry->token, size);
        *mark = entry->token_mark;
    }
    pthread_mutex_unlock(&sessions->lock);
    return size;
}

void yo_sessions_spent(struct yo_sessions *sessions, struct yo_span key, uint64_t mark)
{
    SSL_SESSION *old = NULL;
    if (mark == 0) {
        return;
    }
    pthread_mutex_lock(&sessions->lock);
    struct entry *entry = find(sessions, key);
    if (entry && entry->ticket && entry->ticket_mark == mark) {
        old = entry->ticket;
        entry->ticket = NULL;
    }
    if (entry && entry->token_mark == mark) {
        entry->token_size = 0;
    }
    pthread_mutex_unlock(&sessions->lock);
    SSL_SESSION_free(old);
}
