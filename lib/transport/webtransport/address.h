/* SPDX-License-Identifier: MIT */
/* address.h - peers' addresses: as text, and how many connections each has. */
#ifndef YO_WEBTRANSPORT_ADDRESS_H
#define YO_WEBTRANSPORT_ADDRESS_H

#include <sys/socket.h>

#include "base/map.h"

socklen_t yo_sockaddr_size(const struct sockaddr *address);

/* "192.0.2.1:443", "[2001:db8::1]:443"; IPv4-mapped ones as IPv4. */
void yo_sockaddr_print(const struct sockaddr *address, char out[64]);

/* Connections by address: an IPv4 address, or the /64 that one IPv6 host can use
 * freely. */
struct yo_address_counts {
    const struct yomo_mem *mem;
    struct yo_map map;
};

void yo_address_counts_init(struct yo_address_counts *counts,
                            const struct yomo_mem *mem);
void yo_address_counts_finish(struct yo_address_counts *counts);

/* One more from `address`. YOMO_ERR_FULL when it has `max` already, YOMO_ERR_NOMEM. The
 * handle is for _drop, since the connection's address may change. */
struct yo_address_count;
int yo_address_counts_take(struct yo_address_counts *counts,
                           const struct sockaddr *address, uint32_t max,
                           struct yo_address_count **out);
void yo_address_counts_drop(struct yo_address_counts *counts,
                            struct yo_address_count *count); /* accepts NULL */

#endif
