/* SPDX-License-Identifier: MIT */
/* address.c - socket addresses as text and back, and how sockets are made here. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <yomo/error.h>

#include "loop/inside.h"

socklen_t yo_address_size(const union yo_address *address)
{
    return address->sa.sa_family == AF_INET6 ? (socklen_t)sizeof(address->in6)
                                             : (socklen_t)sizeof(address->in);
}

uint16_t yo_address_port(const union yo_address *address)
{
    switch (address->sa.sa_family) {
    case AF_INET:
        return ntohs(address->in.sin_port);
    case AF_INET6:
        return ntohs(address->in6.sin6_port);
    default:
        return 0;
    }
}

void yo_address_print(const union yo_address *address, char out[64])
{
    char host[INET6_ADDRSTRLEN] = "?";
    unsigned port = yo_address_port(address);
    if (address->sa.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address->in.sin_addr, host, sizeof(host));
    } else if (address->sa.sa_family == AF_INET6) {
        const struct in6_addr *ip = &address->in6.sin6_addr;
        if (!IN6_IS_ADDR_V4MAPPED(ip)) {
            inet_ntop(AF_INET6, ip, host, sizeof(host));
            snprintf(out, 64, "[%s]:%u", host, port);
            return;
        }
        inet_ntop(AF_INET, ip->s6_addr + 12, host, sizeof(host));
    }
    snprintf(out, 64, "%s:%u", host, port);
}

bool yo_address_loopback(const union yo_address *address)
{
    if (address->sa.sa_family == AF_INET) {
        return ntohl(address->in.sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa.sa_family == AF_INET6) {
        const struct in6_addr *ip = &address->in6.sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(ip) ||
               (IN6_IS_ADDR_V4MAPPED(ip) && ip->s6_addr[12] == 127);
    }
    return false;
}

bool yo_address_equal(const union yo_address *a, const union yo_address *b)
{
    if (a->sa.sa_family != b->sa.sa_family) {
        return false;
    }
    if (a->sa.sa_family == AF_INET) {
        return a->in.sin_port == b->in.sin_port &&
               a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    }
    if (a->sa.sa_family == AF_INET6) {
        return a->in6.sin6_port == b->in6.sin6_port &&
               a->in6.sin6_scope_id == b->in6.sin6_scope_id &&
               memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(struct in6_addr)) ==
                   0;
    }
    return false;
}

int yo_address_parse(union yo_address *address, const char *literal, uint16_t port)
{
    union yo_address parsed;
    memset(&parsed, 0, sizeof(parsed));
    if (inet_pton(AF_INET, literal, &parsed.in.sin_addr) == 1) {
        parsed.in.sin_family = AF_INET;
        parsed.in.sin_port = htons(port);
    } else if (uv_ip6_addr(literal, port, &parsed.in6) !=
               0) { /* takes "fe80::1%eth0" */
        return YOMO_ERR_INVALID;
    }
    *address = parsed;
    return YOMO_OK;
}

int yo_socket_adopt(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    int own = fcntl(fd, F_GETFD);
    if (flags < 0 || own < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, own | FD_CLOEXEC) < 0) {
        return -1;
    }
    return 0;
}

int yo_socket_open(int family, int type)
{
#ifdef SOCK_CLOEXEC
    return socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
#else
    int fd = socket(family, type, 0);
    if (fd >= 0 && yo_socket_adopt(fd) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
#endif
}

int yo_socket_error(int number)
{
    switch (number) {
    case EADDRINUSE:
        return YOMO_ERR_IN_USE;
    case ENOMEM:
    case ENOBUFS:
        return YOMO_ERR_NOMEM;
    case ECONNREFUSED:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case EPERM:
    case EACCES:
        return YOMO_ERR_UNREACHABLE;
    case ETIMEDOUT:
        return YOMO_ERR_TIMEOUT;
    case EPIPE:
    case ECONNRESET:
    case ECONNABORTED:
    case ENOTCONN:
        return YOMO_ERR_CLOSED;
    default:
        return YOMO_ERR_SYSTEM;
    }
}
