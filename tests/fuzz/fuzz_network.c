/* SPDX-License-Identifier: MIT */
/* fuzz_network.c - an address that is read can be written and read again; nobody who is
 * not trusted has a word in who he is. */
#include <stdlib.h>

#include "loop/network.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void follow(struct yo_span line)
{
    struct yo_network items[2];
    struct yo_networks trusted = {items, 2};
    struct yo_ip peer, ip;

    require(yo_network_parse(&items[0], yo_span_of("192.0.2.0/24")) == 0);
    require(yo_network_parse(&items[1], yo_span_of("2001:db8::/32")) == 0);
    require(yo_ip_parse(&peer, yo_span_of("198.51.100.1"), false) == 0);
    ip = peer;
    require(!yo_forwarded_follow(&trusted, line, &ip));
    require(memcmp(&ip, &peer, sizeof(ip)) == 0);
    require(yo_ip_parse(&ip, yo_span_of("192.0.2.1"), false) == 0);
    bool more = yo_forwarded_follow(&trusted, line, &ip);
    require(!more || yo_networks_have(&trusted, &ip));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yo_span text = yo_span(data, size);
    char printed[YO_IP_TEXT_SIZE];
    struct yo_network network;
    struct yo_ip ip, again;

    follow(text);
    if (yo_network_parse(&network, text) == 0) {
        require(network.bits <= 128);
        require(yo_network_has(&network, &network.ip) || network.bits < 96);
    }
    if (yo_ip_parse(&ip, text, true) == 0) {
        yo_ip_print(&ip, printed);
        require(yo_ip_parse(&again, yo_span_of(printed), false) == 0);
        require(memcmp(&ip, &again, sizeof(ip)) == 0);
    }
    return 0;
}
