/* SPDX-License-Identifier: MIT */
/* ports.c - for port 0 the kernel names a free TCP port on the first address, and the
 * number is kept if it is free everywhere else too; else another is tried. */
#include "server/ports.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

#define TRIES 64

static const char *const door_names[YO_DOORS] = {"UDP", "TCP", "TCP (plain HTTP)",
                                                   "TCP (admin)"};

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
}

static void set_port(union yo_address *address, uint16_t port)
{
    if (address->sa.sa_family == AF_INET6) {
        address->in6.sin6_port = htons(port);
    } else {
        address->in.sin_port = htons(port);
    }
}

/* A bound socket, or -1 with errno. */
static int open_door(const struct yo_place *place, enum yo_door door, uint16_t port,
                     bool share)
{
    union yo_address address = place->address;
    int fd =
        socket(address.sa.sa_family, door == YO_DOOR_UDP ? SOCK_DGRAM : SOCK_STREAM, 0);
    int one = 1, error;

    if (fd < 0) {
        return -1;
    }
    set_port(&address, port);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0 &&
        (address.sa.sa_family != AF_INET6 ||
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) == 0) &&
        (door == YO_DOOR_UDP ||
         setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0) &&
        (!share || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0) &&
        bind(fd, &address.sa, yo_address_size(&address)) == 0) {
        return fd;
    }
    error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

static uint16_t port_of(int fd)
{
    union yo_address address;
    socklen_t size = sizeof(address);

    memset(&address, 0, sizeof(address));
    return getsockname(fd, &address.sa, &size) == 0 ? yo_address_port(&address) : 0;
}

static bool has_door(const struct yo_place *place, enum yo_door door)
{
    return door == YO_DOOR_PLAIN   ? place->plain
           : door == YO_DOOR_ADMIN ? place->admin
                                   : place->main;
}

static void explain(struct yo_buf *why, const struct yo_place *place, enum yo_door door,
                    uint16_t port)
{
    union yo_address address = place->address;
    char text[64];

    set_port(&address, port);
    yo_address_print(&address, text);
    (void)yo_buf_printf(why, "%s port %s: %s", door_names[door], text, strerror(errno));
}

/* This machine has no such address, or not even its family. */
static bool is_missing(int error)
{
    return error == EADDRNOTAVAIL || error == EAFNOSUPPORT || error == EPROTONOSUPPORT;
}

static int error_of(int error)
{
    return error == EADDRINUSE ? YOMO_ERR_IN_USE : YOMO_ERR_SYSTEM;
}

/* Open `door` at every place that has it, all under the same number. */
static int take_door(struct yo_ports *ports, enum yo_door door, uint16_t *port,
                     struct yo_buf *why)
{
    for (size_t i = 0; i < ports->count; i++) {
        struct yo_place *place = &ports->places[i];
        if (!has_door(place, door)) {
            continue;
        }
        place->fds[door] = open_door(place, door, *port, false);
        if (place->fds[door] < 0) {
            int rv = error_of(errno);
            explain(why, place, door, *port);
            return rv;
        }
        if (*port == 0) {
            *port = port_of(place->fds[door]);
        }
    }
    return YOMO_OK;
}

/* `door` and what has the same number. */
static void drop_doors(struct yo_ports *ports, enum yo_door door)
{
    for (size_t i = 0; i < ports->count; i++) {
        struct yo_place *place = &ports->places[i];
        close_fd(&place->fds[door]);
        if (door == YO_DOOR_TLS) {
            close_fd(&place->fds[YO_DOOR_UDP]);
        }
    }
}

/* Both main doors (TLS), or another one; a number is looked for when none was asked for.
 */
static int take_number(struct yo_ports *ports, enum yo_door door, uint16_t asked,
                       uint16_t *port, struct yo_buf *why)
{
    int rv = YOMO_ERR_IN_USE;

    for (int i = 0; i < TRIES && rv == YOMO_ERR_IN_USE; i++) {
        *port = asked;
        yo_buf_clear(why);
        rv = take_door(ports, door, port, why);
        if (rv == YOMO_OK && door == YO_DOOR_TLS) {
            rv = take_door(ports, YO_DOOR_UDP, port, why);
        }
        if (rv != YOMO_OK) {
            drop_doors(ports, door);
        }
        if (asked != 0) {
            break;
        }
    }
    return rv;
}

static void add_place(struct yo_ports *ports, const union yo_address *address,
                      bool main, bool plain, bool admin)
{
    for (size_t i = 0; i < ports->count; i++) {
        struct yo_place *place = &ports->places[i];
        if (yo_address_equal(&place->address, address)) {
            place->main |= main;
            place->plain |= plain;
            place->admin |= admin;
            return;
        }
    }
    assert(ports->count < YO_PLACES_MAX);
    ports->places[ports->count++] = (struct yo_place){
        .address = *address,
        .main = main,
        .plain = plain,
        .admin = admin,
        .fds = {-1, -1, -1, -1}};
}

/* The plain listener is for loopback, whatever the rest is bound to. */
static void list_places(struct yo_ports *ports, const struct yo_config *config)
{
    static const char *const loopback[] = {"127.0.0.1", "::1"};
    bool some = false;

    for (size_t i = 0; i < config->bind_count; i++) {
        bool plain = config->http && yo_address_loopback(&config->bind[i]);
        add_place(ports, &config->bind[i], true, plain, false);
        some |= plain;
    }
    for (size_t i = 0; i < 2 && config->http && !some; i++) {
        union yo_address address;
        if (yo_address_parse(&address, loopback[i], 0) == YOMO_OK) {
            add_place(ports, &address, false, true, false);
        }
    }
    for (size_t i = 0; config->admin && i < config->admin_bind_count; i++) {
        add_place(ports, &config->admin_bind[i], false, false, true);
    }
}

/* Leave out addresses that are not there. */
static void drop_missing(struct yo_ports *ports, struct yo_buf *missing)
{
    size_t kept = 0;

    for (size_t i = 0; i < ports->count; i++) {
        int fd = open_door(&ports->places[i], YO_DOOR_UDP, 0, false);
        if (fd < 0 && is_missing(errno)) {
            char text[64];
            yo_address_print(&ports->places[i].address, text);
            (void)yo_buf_printf(missing, "%s%s", missing->size > 0 ? ", " : "", text);
            continue;
        }
        close_fd(&fd);
        ports->places[kept++] = ports->places[i];
    }
    ports->count = kept;
}

int yo_ports_take(struct yo_ports *ports, const struct yo_config *config,
                  struct yo_buf *missing, struct yo_buf *why)
{
    bool main = false, admin = false;
    int rv;

    memset(ports, 0, sizeof(*ports));
    list_places(ports, config);
    drop_missing(ports, missing);
    for (size_t i = 0; i < ports->count; i++) {
        main |= ports->places[i].main;
        admin |= ports->places[i].admin;
    }
    if (!main) {
        (void)yo_buf_append_text(why, "none of the addresses to listen on is there");
        return YOMO_ERR_SYSTEM;
    }
    if (config->admin && !admin) {
        (void)yo_buf_append_text(why, "none of the addresses of admin-bind is there");
        return YOMO_ERR_SYSTEM;
    }
    rv = take_number(ports, YO_DOOR_TLS, config->port, &ports->port, why);
    if (rv == YOMO_OK && config->http) {
        rv = take_number(ports, YO_DOOR_PLAIN, config->http_port, &ports->http_port, why);
    }
    if (rv == YOMO_OK && config->admin) {
        rv = take_number(ports, YO_DOOR_ADMIN, config->admin_port, &ports->admin_port,
                         why);
    }
    if (rv != YOMO_OK) {
        yo_ports_release(ports);
    }
    return rv;
}

int yo_ports_open(struct yo_ports *ports, bool only, int fds[][YO_DOORS],
                  struct yo_buf *why)
{
    for (size_t i = 0; i < ports->count; i++) {
        struct yo_place *place = &ports->places[i];
        for (int door = 0; door < YO_DOORS; door++) {
            fds[i][door] = -1;
            if (only || door == YO_DOOR_ADMIN) {
                fds[i][door] = place->fds[door];
                place->fds[door] = -1;
            }
        }
    }
    for (size_t i = 0; i < ports->count && !only; i++) {
        for (int door = 0; door < YO_DOOR_ADMIN; door++) {
            uint16_t port = door == YO_DOOR_PLAIN ? ports->http_port : ports->port;
            int rv;
            if (!has_door(&ports->places[i], (enum yo_door)door)) {
                continue;
            }
            fds[i][door] = open_door(&ports->places[i], (enum yo_door)door, port, true);
            if (fds[i][door] >= 0) {
                continue;
            }
            rv = error_of(errno);
            explain(why, &ports->places[i], (enum yo_door)door, port);
            for (size_t j = 0; j <= i; j++) {
                for (int d = 0; d < YO_DOORS; d++) {
                    close_fd(&fds[j][d]);
                }
            }
            return rv;
        }
    }
    return YOMO_OK;
}

void yo_ports_share(struct yo_ports *ports)
{
    drop_doors(ports, YO_DOOR_PLAIN);
    drop_doors(ports, YO_DOOR_TLS);
}

void yo_ports_release(struct yo_ports *ports)
{
    yo_ports_share(ports);
    drop_doors(ports, YO_DOOR_ADMIN);
}
