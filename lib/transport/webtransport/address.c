/* SPDX-License-Identifier: MIT */
#include "transport/webtransport/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <yomo/error.h>

struct yo_address_count {
    struct yo_map_node node;
    uint8_t key[9];
    uint32_t count;
};

socklen_t yo_sockaddr_size(const struct sockaddr *address)
{
    return address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in);
}

/* The IPv4 address inside, or NULL. */
static const uint8_t *ip4_of(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        return (const uint8_t *)&((const struct sockaddr_in *)(const void *)address)
            ->sin_addr;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
    return IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) ? in6->sin6_addr.s6_addr + 12 : NULL;
}

void yo_sockaddr_print(const struct sockaddr *address, char out[64])
{
    char text[INET6_ADDRSTRLEN] = "?";
    const uint8_t *ip4 = ip4_of(address);
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
    unsigned port =
        ntohs(address->sa_family == AF_INET ? in->sin_port : in6->sin6_port);
    if (ip4) {
        inet_ntop(AF_INET, ip4, text, sizeof(text));
        snprintf(out, 64, "%s:%u", text, port);
    } else {
        inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
        snprintf(out, 64, "[%s]:%u", text, port);
    }
}

static struct yo_span key_of(const struct sockaddr *address, uint8_t key[9])
{
    const uint8_t *ip4 = ip4_of(address);
    if (ip4) {
        key[0] = 4;
        memcpy(key + 1, ip4, 4);
        return yo_span(key, 5);
    }
    key[0] = 6;
    memcpy(key + 1,
           ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr, 8);
    return yo_span(key, 9);
}

void yo_address_counts_init(struct yo_address_counts *counts,
                            const struct yomo_mem *mem)
{
    counts->mem = mem;
    yo_map_init(&counts->map, mem);
}

void yo_address_counts_finish(struct yo_address_counts *counts)
{
    assert(counts->map.count == 0);
    yo_map_finish(&counts->map);
}

int yo_address_counts_take(struct yo_address_counts *counts,
                           const struct sockaddr *address, uint32_t max,
                           struct yo_address_count **out)
{
    uint8_t bytes[9];
    struct yo_span key = key_of(address, bytes);
    struct yo_map_node *node = yo_map_get(&counts->map, key);
    if (node) {
        struct yo_address_count *count =
            YO_CONTAINER(node, struct yo_address_count, node);
        if (count->count >= max) {
            return YOMO_ERR_FULL;
        }
        count->count++;
        *out = count;
        return YOMO_OK;
    }
    if (max == 0) {
        return YOMO_ERR_FULL;
    }
    struct yo_address_count *count = yo_calloc(counts->mem, 1, sizeof(*count));
    if (!count) {
        return YOMO_ERR_NOMEM;
    }
    memcpy(count->key, bytes, key.size);
    count->count = 1;
    int rv = yo_map_put(&counts->map, &count->node, yo_span(count->key, key.size));
    if (rv != YOMO_OK) {
        yo_free(counts->mem, count);
        return rv;
    }
    *out = count;
    return YOMO_OK;
}

void yo_address_counts_drop(struct yo_address_counts *counts,
                            struct yo_address_count *count)
{
    if (count && --count->count == 0) {
        yo_map_remove(&counts->map, &count->node);
        yo_free(counts->mem, count);
    }
}
