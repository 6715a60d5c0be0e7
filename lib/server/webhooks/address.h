/* SPDX-License-Identifier: MIT */
/* address.h - where webhooks may be sent to: public addresses, and those that the
 * operator has listed.
 *
 * What may be reached is decided by the address that is connected to, never by a name.
 * Pure. */
#ifndef YO_WEBHOOKS_ADDRESS_H
#define YO_WEBHOOKS_ADDRESS_H

#include "loop/network.h"

/* Is it an address of the public Internet? Not: this host, private, shared, link-local,
 * multicast, documentation, benchmarking, reserved (the special-purpose registries of
 * RFC 6890), and of IPv6 all that is not global unicast. 64:ff9b::/96 (NAT64, RFC 6052)
 * is what the IPv4 address in it is. 6to4, Teredo, IPv4-compatible and other addresses
 * that lead somewhere else are not public, whatever they lead to. */
bool yo_ip_public(const struct yo_ip *ip);

/* Is it listed, or the IPv4 address that NAT64 would make of it? */
bool yo_ip_listed(const struct yo_ip *ip, const struct yo_networks *list);

#endif
