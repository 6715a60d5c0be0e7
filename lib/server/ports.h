/* SPDX-License-Identifier: MIT */
/* ports.h - the sockets of a server: one port number for UDP and TCP on each address,
 * one for plain HTTP on loopback, and the operator's, which only one worker has.
 *
 * A port is first taken without SO_REUSEPORT, which fails when another program has it;
 * only then is it shared among the workers. */
#ifndef YO_SERVER_PORTS_H
#define YO_SERVER_PORTS_H

#include "base/buf.h"
#include "server/config.h"

enum yo_door { YO_DOOR_UDP, YO_DOOR_TLS, YO_DOOR_PLAIN, YO_DOOR_ADMIN };
#define YO_DOORS 4
#define YO_PLACES_MAX (2 * YO_BIND_MAX + 2)

struct yo_place {
    union yo_address address; /* port 0 */
    bool main, plain, admin;  /* which doors are here */
    int fds[YO_DOORS];        /* while they are taken alone; -1: none */
};

struct yo_ports {
    struct yo_place places[YO_PLACES_MAX];
    size_t count;
    uint16_t port, http_port, admin_port;
};

/* Take the ports alone. An address that this machine has not is left out and named in
 * `missing`; none left is an error. YOMO_ERR_IN_USE, YOMO_ERR_SYSTEM, with a sentence.
 */
int yo_ports_take(struct yo_ports *ports, const struct yo_config *config,
                  struct yo_buf *missing, struct yo_buf *why);

/* The sockets of one worker: `fds` has one row for each place, -1 where there is no
 * such door. The only worker gets those that were taken; of several, each call opens
 * new ones. After an error none is open. YOMO_ERR_SYSTEM, YOMO_ERR_IN_USE. */
int yo_ports_open(struct yo_ports *ports, bool only, int fds[][YO_DOORS],
                  struct yo_buf *why);

/* Between taking and sharing: all but what the first call of yo_ports_open gets. */
void yo_ports_share(struct yo_ports *ports);

/* At the end. */
void yo_ports_release(struct yo_ports *ports);

#endif
