/* SPDX-License-Identifier: MIT */
#include "transport/webtransport/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

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

struct yo_span yo_sockaddr_key(const struct sockaddr *address, uint8_t key[9])
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
