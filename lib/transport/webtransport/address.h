/* SPDX-License-Identifier: MIT */
/* address.h - peers' addresses, as text and as keys. */
#ifndef YO_WEBTRANSPORT_ADDRESS_H
#define YO_WEBTRANSPORT_ADDRESS_H

#include <sys/socket.h>

#include "base/span.h"

socklen_t yo_sockaddr_size(const struct sockaddr *address);

/* "192.0.2.1:443", "[2001:db8::1]:443"; IPv4-mapped ones as IPv4. */
void yo_sockaddr_print(const struct sockaddr *address, char out[64]);

/* Under what a peer is counted: an IPv4 address, or the /64 that one IPv6 host can use
 * freely. */
struct yo_span yo_sockaddr_key(const struct sockaddr *address, uint8_t key[9]);

#endif
