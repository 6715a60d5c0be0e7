/* SPDX-License-Identifier: MIT */
/* network.h - IP addresses and networks as text, and which of the addresses that proxies
 * tell of is believed.
 *
 * Pure: beside loop/address.c because the system does the spelling. */
#ifndef YO_LOOP_NETWORK_H
#define YO_LOOP_NETWORK_H

#include "base/span.h"
#include "loop/udp.h" /* union yo_address */

/* IPv4 is kept as ::ffff:192.0.2.1, so the two ways to write one are equal. */
struct yo_ip {
    uint8_t bytes[16];
};

#define YO_IP_TEXT_SIZE 64 /* room that yo_ip_print needs */

bool yo_ip_v4(const struct yo_ip *ip);
struct yo_ip yo_ip_of(const union yo_address *address);

/* "192.0.2.1", "2001:db8::1", "[2001:db8::1]"; with `port_allowed` also with a port
 * behind (which needs the brackets). YOMO_ERR_INVALID; `ip` is then as it was. */
int yo_ip_parse(struct yo_ip *ip, struct yo_span text, bool port_allowed);

/* "192.0.2.1", "[2001:db8::1]": as yo_address_print, without a port. */
void yo_ip_print(const struct yo_ip *ip, char out[YO_IP_TEXT_SIZE]);

struct yo_network {
    struct yo_ip ip;
    uint8_t bits; /* of `ip` that count, from the first on; IPv4: 96 more than written */
};

/* "192.0.2.0/24", "2001:db8::/32", or one address. YOMO_ERR_INVALID; `network` is then as
 * it was. */
int yo_network_parse(struct yo_network *network, struct yo_span text);

/* A network of IPv6 has no address of IPv4 in it, however wide it is. */
bool yo_network_has(const struct yo_network *network, const struct yo_ip *ip);

struct yo_networks {
    const struct yo_network *items;
    size_t count;
};

bool yo_networks_have(const struct yo_networks *networks, const struct yo_ip *ip);

/* Where does a connection come from? `ip` is the peer, `line` one X-Forwarded-For header:
 * each proxy has put behind it the address that it saw. As long as `ip` is a proxy that is
 * trusted, its word is taken: `ip` becomes the address that stands last, and so on. What
 * is no address ends that, and so does somebody who is not trusted: what stands before is
 * his word only.
 * True when even the first address of the line is a trusted proxy's: a line that came
 * before this one, if there is one, is to be followed too. */
bool yo_forwarded_follow(const struct yo_networks *trusted, struct yo_span line,
                         struct yo_ip *ip);

#endif
