/* SPDX-License-Identifier: MIT */
/* resolve.c
 *
 * The happy path: the name goes to getaddrinfo on one of libuv's threads; the addresses
 * come back in the order of RFC 6724, families are made to alternate, and the callback
 * comes from the loop. Literals and localhost take the same way without the thread.
 * Failure modes: no address (RESOLVE); cancelled while the thread is inside
 * getaddrinfo, which cannot be stopped: the struct then lives on until it returns. */
#include "loop/resolve.h"

#include <assert.h>
#include <string.h>
#include <strings.h>
#include <yomo/error.h>

#include "loop/inside.h"

struct yo_resolve {
    struct yo_loop *loop;
    yo_resolve_fn fn; /* NULL once cancelled */
    void *user;
    uint16_t port;
    union yo_address known[2]; /* literals, localhost */
    size_t known_count;
    bool asked; /* the thread has it */
    struct yo_task task;
    uv_getaddrinfo_t request;
};

static bool is_localhost(const char *host)
{
    static const char name[] = "localhost";
    size_t length = strlen(host);
    if (length > 0 && host[length - 1] == '.') {
        length--;
    }
    size_t tail = sizeof(name) - 1;
    return length >= tail && strncasecmp(host + length - tail, name, tail) == 0 &&
           (length == tail || host[length - tail - 1] == '.');
}

static void set_port(union yo_address *address, uint16_t port)
{
    if (address->sa.sa_family == AF_INET) {
        address->in.sin_port = htons(port);
    } else {
        address->in6.sin6_port = htons(port);
    }
}

/* The next entry of `family` from `info` on, or of the other one. */
static const struct addrinfo *next_of(const struct addrinfo *info, int family,
                                      bool same)
{
    for (; info; info = info->ai_next) {
        bool ip = info->ai_family == AF_INET || info->ai_family == AF_INET6;
        if (ip && (info->ai_family == family) == same) {
            return info;
        }
    }
    return NULL;
}

static size_t alternate(union yo_address *out, const struct addrinfo *list,
                        uint16_t port)
{
    size_t count = 0;
    const struct addrinfo *first = list;
    while (first && first->ai_family != AF_INET && first->ai_family != AF_INET6) {
        first = first->ai_next;
    }
    if (!first) {
        return 0;
    }
    int family = first->ai_family;
    const struct addrinfo *queue[2] = {first, next_of(first, family, false)};
    for (size_t turn = 0; count < YO_RESOLVE_MAX && (queue[0] || queue[1]); turn ^= 1) {
        const struct addrinfo *info = queue[turn];
        if (!info) {
            continue;
        }
        memset(&out[count], 0, sizeof(out[count]));
        if ((size_t)info->ai_addrlen <= sizeof(out[count])) {
            memcpy(&out[count], info->ai_addr, info->ai_addrlen);
            set_port(&out[count], port);
            count++;
        }
        queue[turn] = next_of(info->ai_next, family, turn == 0);
    }
    return count;
}

static void answer_known(struct yo_task *task, yo_time now)
{
    struct yo_resolve *resolve = YO_CONTAINER(task, struct yo_resolve, task);
    int error = resolve->known_count > 0 ? YOMO_OK : YOMO_ERR_RESOLVE;
    resolve->fn(resolve->user, error, resolve->known, resolve->known_count, now);
    yo_free(resolve->loop->mem, resolve);
}

static void on_answer(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct yo_resolve *resolve = request->data;
    struct yo_loop *loop = resolve->loop;
    yo_time now = yo_loop_enter(loop);
    if (resolve->fn) {
        union yo_address addresses[YO_RESOLVE_MAX];
        size_t count = status == 0 ? alternate(addresses, list, resolve->port) : 0;
        resolve->fn(resolve->user, count ? YOMO_OK : YOMO_ERR_RESOLVE, addresses, count,
                    now);
    }
    uv_freeaddrinfo(list);
    yo_free(loop->mem, resolve);
    yo_loop_drop(loop);
}

int yo_resolve_start(struct yo_resolve **out, struct yo_loop *loop, const char *host,
                     uint16_t port, yo_resolve_fn fn, void *user)
{
    struct yo_resolve *resolve = yo_calloc(loop->mem, 1, sizeof(*resolve));
    if (!resolve) {
        return YOMO_ERR_NOMEM;
    }
    resolve->loop = loop;
    resolve->fn = fn;
    resolve->user = user;
    resolve->port = port;
    yo_task_init(&resolve->task, answer_known);
    if (is_localhost(host)) {
        yo_address_parse(&resolve->known[0], "::1", port);
        yo_address_parse(&resolve->known[1], "127.0.0.1", port);
        resolve->known_count = 2;
    } else if (yo_address_parse(&resolve->known[0], host, port) == YOMO_OK) {
        resolve->known_count = 1;
    }
    *out = resolve;
    if (resolve->known_count > 0) {
        yo_loop_defer(loop, &resolve->task);
        return YOMO_OK;
    }
    struct addrinfo hints;
    memset(&hints, 0, sizeof(hints));
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM; /* one entry for each address */
    hints.ai_flags = AI_ADDRCONFIG;
    resolve->request.data = resolve;
    int rv = uv_getaddrinfo(loop->uv, &resolve->request, on_answer, host, NULL, &hints);
    if (rv == UV_ENOMEM) {
        yo_free(loop->mem, resolve);
        return YOMO_ERR_NOMEM;
    }
    if (rv != 0) { /* not a name at all */
        yo_loop_defer(loop, &resolve->task);
        return YOMO_OK;
    }
    resolve->asked = true;
    yo_loop_hold(loop);
    yo_loop_touch(loop);
    return YOMO_OK;
}

void yo_resolve_cancel(struct yo_resolve *resolve)
{
    if (!resolve->asked) {
        yo_task_cancel(&resolve->task);
        yo_free(resolve->loop->mem, resolve);
        return;
    }
    resolve->fn = NULL;
    uv_cancel((uv_req_t *)&resolve->request);
}
