/* SPDX-License-Identifier: MIT */
/* network.c - the system's inet_pton and inet_ntop do the spelling; they touch no
 * network. */
#include "loop/network.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <yomo/error.h>

#include "base/text.h"

static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

bool yo_ip_v4(const struct yo_ip *ip)
{
    return memcmp(ip->bytes, v4_prefix, sizeof(v4_prefix)) == 0;
}

static struct yo_ip of_v4(const void *bytes)
{
    struct yo_ip ip;

    memcpy(ip.bytes, v4_prefix, sizeof(v4_prefix));
    memcpy(ip.bytes + sizeof(v4_prefix), bytes, 4);
    return ip;
}

struct yo_ip yo_ip_of(const union yo_address *address)
{
    struct yo_ip ip = {{0}};

    if (address->sa.sa_family == AF_INET) {
        return of_v4(&address->in.sin_addr);
    }
    if (address->sa.sa_family == AF_INET6) {
        memcpy(ip.bytes, &address->in6.sin6_addr, sizeof(ip.bytes));
    }
    return ip;
}

static int parse_literal(struct yo_ip *ip, struct yo_span text)
{
    char literal[INET6_ADDRSTRLEN];
    uint8_t bytes[16];

    if (text.size == 0 || text.size >= sizeof(literal) ||
        memchr(text.data, '\0', text.size)) {
        return YOMO_ERR_INVALID;
    }
    memcpy(literal, text.data, text.size);
    literal[text.size] = '\0';
    if (inet_pton(AF_INET, literal, bytes) == 1) {
        *ip = of_v4(bytes);
    } else if (inet_pton(AF_INET6, literal, bytes) == 1) {
        memcpy(ip->bytes, bytes, sizeof(bytes));
    } else {
        return YOMO_ERR_INVALID;
    }
    return YOMO_OK;
}

/* Nothing, or ":443". */
static bool is_port(struct yo_span text, bool allowed)
{
    uint64_t port;

    return text.size == 0 ||
           (allowed && text.data[0] == ':' &&
            yo_parse_u64(yo_span_skip(text, 1), &port) == YOMO_OK && port <= 65535);
}

int yo_ip_parse(struct yo_ip *ip, struct yo_span text, bool port_allowed)
{
    const uint8_t *colon, *bracket;
    size_t size;

    if (text.size == 0) {
        return YOMO_ERR_INVALID;
    }
    if (text.data[0] == '[') {
        text = yo_span_skip(text, 1);
        bracket = memchr(text.data, ']', text.size);
        if (!bracket) {
            return YOMO_ERR_INVALID;
        }
        size = (size_t)(bracket - text.data);
        if (!is_port(yo_span_skip(text, size + 1), port_allowed) ||
            !memchr(text.data, ':', size)) {
            return YOMO_ERR_INVALID;
        }
        return parse_literal(ip, yo_span(text.data, size));
    }
    colon = memchr(text.data, ':', text.size);
    size = colon ? (size_t)(colon - text.data) : text.size;
    if (colon && is_port(yo_span_skip(text, size), port_allowed)) {
        text.size = size; /* one colon only: IPv4 and a port */
    }
    return parse_literal(ip, text);
}

void yo_ip_print(const struct yo_ip *ip, char out[YO_IP_TEXT_SIZE])
{
    char literal[INET6_ADDRSTRLEN] = "?";

    if (yo_ip_v4(ip)) {
        (void)inet_ntop(AF_INET, ip->bytes + sizeof(v4_prefix), literal,
                        sizeof(literal));
        (void)snprintf(out, YO_IP_TEXT_SIZE, "%s", literal);
    } else {
        (void)inet_ntop(AF_INET6, ip->bytes, literal, sizeof(literal));
        (void)snprintf(out, YO_IP_TEXT_SIZE, "[%s]", literal);
    }
}

int yo_network_parse(struct yo_network *network, struct yo_span text)
{
    struct yo_network parsed;
    const uint8_t *slash =
        text.size > 0 ? memchr(text.data, '/', text.size) : NULL;
    size_t size = slash ? (size_t)(slash - text.data) : text.size;
    uint64_t bits = 0;
    unsigned before;

    if (yo_ip_parse(&parsed.ip, yo_span(text.data, size), false) != YOMO_OK) {
        return YOMO_ERR_INVALID;
    }
    /* ::ffff:192.0.2.0/120 is written as IPv6 and counts so. */
    before = memchr(text.data, ':', size) ? 0 : 96;
    if (slash && yo_parse_u64(yo_span_skip(text, size + 1), &bits) != YOMO_OK) {
        return YOMO_ERR_INVALID;
    }
    if (bits > 128 - before) {
        return YOMO_ERR_INVALID;
    }
    parsed.bits = slash ? (uint8_t)(bits + before) : 128;
    *network = parsed;
    return YOMO_OK;
}

bool yo_network_has(const struct yo_network *network, const struct yo_ip *ip)
{
    size_t whole = network->bits / 8;
    unsigned rest = network->bits % 8;

    if (network->bits < 96 && yo_ip_v4(ip)) {
        return false;
    }
    if (memcmp(network->ip.bytes, ip->bytes, whole) != 0) {
        return false;
    }
    return rest == 0 ||
           (network->ip.bytes[whole] ^ ip->bytes[whole]) >> (8 - rest) == 0;
}

bool yo_networks_have(const struct yo_networks *networks, const struct yo_ip *ip)
{
    for (size_t i = 0; i < networks->count; i++) {
        if (yo_network_has(&networks->items[i], ip)) {
            return true;
        }
    }
    return false;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static struct yo_span trimmed(struct yo_span text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text = yo_span_skip(text, 1);
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

bool yo_forwarded_follow(const struct yo_networks *trusted, struct yo_span line,
                         struct yo_ip *ip)
{
    size_t end = line.size;

    while (yo_networks_have(trusted, ip)) {
        size_t begin = end;
        while (begin > 0 && line.data[begin - 1] != ',') {
            begin--;
        }
        struct yo_span word = trimmed(yo_span(line.data + begin, end - begin));
        if (word.size > 0 && yo_ip_parse(ip, word, true) != YOMO_OK) {
            return false;
        }
        if (begin == 0) {
            return yo_networks_have(trusted, ip);
        }
        end = begin - 1;
    }
    return false;
}
