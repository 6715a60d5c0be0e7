/* SPDX-License-Identifier: MIT */
/* address.c - two tables: what of IPv4 is not public, and what of 2000::/3 is not. */
#include "server/webhooks/address.h"

#include <string.h>

static const struct {
    uint8_t bytes[4], bits;
} v4_special[] = {
    {{0, 0, 0, 0}, 8},       /* this network, RFC 791 3.2 */
    {{10, 0, 0, 0}, 8},      /* private, RFC 1918 */
    {{100, 64, 0, 0}, 10},   /* shared, RFC 6598 */
    {{127, 0, 0, 0}, 8},     /* loopback, RFC 1122 3.2.1.3 */
    {{169, 254, 0, 0}, 16},  /* link-local, RFC 3927; a cloud's metadata */
    {{172, 16, 0, 0}, 12},   /* private, RFC 1918 */
    {{192, 0, 0, 0}, 24},    /* protocol assignments, RFC 6890 2.1 */
    {{192, 0, 2, 0}, 24},    /* documentation, RFC 5737 */
    {{192, 88, 99, 0}, 24},  /* 6to4 relays, RFC 7526 */
    {{192, 168, 0, 0}, 16},  /* private, RFC 1918 */
    {{198, 18, 0, 0}, 15},   /* benchmarking, RFC 2544 */
    {{198, 51, 100, 0}, 24}, /* documentation, RFC 5737 */
    {{203, 0, 113, 0}, 24},  /* documentation, RFC 5737 */
    {{224, 0, 0, 0}, 4},     /* multicast, RFC 5771 */
    {{240, 0, 0, 0}, 4},     /* reserved and broadcast, RFC 1112 4 */
};

static const struct {
    uint8_t bytes[4], bits;
} v6_special[] = {
    {{0x20, 0x01, 0x00, 0x00},
     23}, /* protocol assignments (Teredo, ORCHID), RFC 2928 */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation, RFC 3849 */
    {{0x20, 0x02, 0x00, 0x00}, 16}, /* 6to4, RFC 3056 */
    {{0x3f, 0xff, 0x00, 0x00}, 20}, /* documentation, RFC 9637 */
};

static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};

/* Are the first `bits` (at most 32) of both the same? */
static bool begins(const uint8_t *bytes, const uint8_t prefix[4], unsigned bits)
{
    size_t whole = bits / 8;
    unsigned rest = bits % 8;

    return memcmp(bytes, prefix, whole) == 0 &&
           (rest == 0 || (bytes[whole] ^ prefix[whole]) >> (8 - rest) == 0);
}

static bool v4_public(const uint8_t bytes[4])
{
    for (size_t i = 0; i < sizeof(v4_special) / sizeof(v4_special[0]); i++) {
        if (begins(bytes, v4_special[i].bytes, v4_special[i].bits)) {
            return false;
        }
    }
    return true;
}

static bool is_nat64(const struct yo_ip *ip)
{
    return memcmp(ip->bytes, nat64, sizeof(nat64)) == 0;
}

/* An interface's number that has an IPv4 address in it (ISATAP, RFC 5214 6.1). */
static bool is_isatap(const struct yo_ip *ip)
{
    return (ip->bytes[8] & ~3u) == 0 && ip->bytes[9] == 0 && ip->bytes[10] == 0x5e &&
           ip->bytes[11] == 0xfe;
}

bool yo_ip_public(const struct yo_ip *ip)
{
    if (yo_ip_v4(ip) || is_nat64(ip)) {
        return v4_public(ip->bytes + 12);
    }
    if ((ip->bytes[0] & 0xe0) != 0x20 || is_isatap(ip)) { /* 2000::/3, RFC 4291 2.4 */
        return false;
    }
    for (size_t i = 0; i < sizeof(v6_special) / sizeof(v6_special[0]); i++) {
        if (begins(ip->bytes, v6_special[i].bytes, v6_special[i].bits)) {
            return false;
        }
    }
    return true;
}

bool yo_ip_listed(const struct yo_ip *ip, const struct yo_networks *list)
{
    struct yo_ip inner = {{[10] = 0xff, [11] = 0xff}};

    if (yo_networks_have(list, ip)) {
        return true;
    }
    memcpy(inner.bytes + 12, ip->bytes + 12, 4);
    return is_nat64(ip) && yo_networks_have(list, &inner);
}
