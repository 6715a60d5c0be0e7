/* SPDX-License-Identifier: MIT */
/* udp.c
 *
 * The happy path: uv_poll says that packets wait; recvmmsg takes a batch of them, each
 * perhaps several in one (GRO), and hands them up one by one. What is sent is collected
 * in `out`, neighbours for one peer grow together into one train (GSO), and a flush is
 * one sendmmsg.
 *
 * Failure modes: the kernel takes no more (EAGAIN): the batch stays, `blocked` is set
 * and POLLOUT asked for; the network card or the path refuses a train (EIO, EINVAL):
 * GSO is off from then on and the train goes packet by packet; any other error costs
 * the packet it came for, as the network may lose packets anyway.
 *
 * Invariants:
 *  1. entries lie in `out` one behind the other, none is empty, the last ends at
 * `used`;
 *  2. `blocked` implies that at least one entry waits. */
#ifdef __APPLE__
#define __APPLE_USE_RFC_3542 /* IPV6_RECVPKTINFO and its kin */
#endif
#include "loop/udp.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <yomo/error.h>

#include "loop/inside.h"

#ifdef __linux__
#include <netinet/udp.h>
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#define HAVE_TRAINS 1
#else
#define HAVE_TRAINS 0
#endif

/* Of one GSO send; the IP and UDP headers fit beside it. */
#define TRAIN_SIZE_MAX 65000
#define TRAIN_COUNT_MAX 64 /* UDP_MAX_SEGMENTS of older kernels */
#define OUT_SIZE 131072
#define ENTRIES_MAX 64   /* peers and trains in one batch */
#define SENDS_AT_ONCE 64 /* messages in one sendmmsg */
#define PACKET_SIZE 2048 /* room for a packet without GRO */
#define GRO_SIZE 65536   /* and with */
#define GRO_SKEW 1088    /* between them, or all would fall into the same cache lines */
#define RECEIVES_MAX 32  /* messages in one recvmmsg */
#define BATCHES_AT_ONCE 4 /* then the others have their turn */
#define CONTROL_SIZE 128  /* ECN, packet info, segment size */

struct entry {
    union yo_address local, remote; /* family 0: not given */
    size_t offset, size, segment;
    uint8_t ecn;
};

struct slot { /* where one received message goes */
    union yo_address remote;
    struct iovec iov;
    _Alignas(struct cmsghdr) uint8_t control[CONTROL_SIZE];
};

#ifndef __linux__
struct mmsghdr {
    struct msghdr msg_hdr;
    unsigned msg_len;
};
#endif

struct yo_udp {
    struct yo_loop *loop;
    uv_poll_t poll;
    int fd;
    int watched;
    union yo_address local;
    bool connected, closed;
    bool any; /* bound to no address: each packet must say which one is ours */
    bool wants_writable; /* somebody was told AGAIN */
    bool blocked;
    bool gso, gro;
    struct yo_task task; /* on_error is due */
    int error;
    const struct yo_udp_events *events;
    void *user;
    /* Receiving. */
    size_t receives; /* messages in one batch */
    size_t packet_size;
    uint8_t *in; /* receives * (packet_size + GRO_SKEW) */
    struct slot *slots;
    /* Sending. */
    uint8_t *out;
    size_t used;
    struct entry entries[ENTRIES_MAX];
    size_t first, count; /* entries[first .. count) wait */
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct yo_udp *udp)
{
    int wanted = UV_READABLE | (udp->blocked ? UV_WRITABLE : 0);
    if (!udp->closed && wanted != udp->watched) {
        udp->watched = wanted;
        uv_poll_start(&udp->poll, wanted, on_poll);
        yo_loop_touch(udp->loop);
    }
}

/* --- Receiving -------------------------------------------------------------------- */

/* The address `ip4` as the socket's family shows it. */
static void set_ip4(union yo_address *local, const struct in_addr *ip4)
{
    if (local->sa.sa_family == AF_INET) {
        local->in.sin_addr = *ip4;
    } else {
        memset(&local->in6.sin6_addr, 0, 10);
        memset(local->in6.sin6_addr.s6_addr + 10, 0xff, 2);
        memcpy(local->in6.sin6_addr.s6_addr + 12, ip4, 4);
    }
}

static int control_int(const struct cmsghdr *cmsg)
{
    if (cmsg->cmsg_len >= CMSG_LEN(sizeof(int))) {
        int value;
        memcpy(&value, CMSG_DATA(cmsg), sizeof(value));
        return value;
    }
    return *CMSG_DATA(cmsg); /* IP_TOS comes as one byte */
}

static void read_control(struct msghdr *msg, union yo_address *local, uint8_t *ecn,
                         size_t *segment)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            set_ip4(local, &info.ipi_addr);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            local->in6.sin6_addr = info.ipi6_addr;
            if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) {
                local->in6.sin6_scope_id = info.ipi6_ifindex;
            }
        } else if (c->cmsg_level == IPPROTO_IP && (c->cmsg_type == IP_TOS
#ifdef IP_RECVTOS
                                                   || c->cmsg_type == IP_RECVTOS
#endif
                                                   )) {
            *ecn = (uint8_t)(control_int(c) & 3);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
            *ecn = (uint8_t)(control_int(c) & 3);
#if HAVE_TRAINS
        } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            *segment = (size_t)control_int(c);
#endif
        }
    }
}

/* One received message, which GRO may have made of several packets. */
static void hand_up(struct yo_udp *udp, struct mmsghdr *message, yo_time now)
{
    struct msghdr *msg = &message->msg_hdr;
    union yo_address local = udp->local;
    struct yo_packet packet = {.local = &local, .remote = msg->msg_name};
    struct yo_span bytes = yo_span(msg->msg_iov->iov_base, message->msg_len);
    size_t segment = 0;
    if (msg->msg_flags & MSG_TRUNC) {
        return; /* larger than any packet that QUIC would send us */
    }
    read_control(msg, &local, &packet.ecn, &segment);
    if (segment == 0) {
        segment = bytes.size;
    }
    do {
        packet.bytes = yo_span(bytes.data, bytes.size < segment ? bytes.size : segment);
        bytes = yo_span_skip(bytes, segment);
        udp->events->on_packet(udp->user, &packet, now);
    } while (bytes.size > 0 && !udp->closed);
}

static int receive(struct yo_udp *udp, struct mmsghdr *messages)
{
#ifdef __linux__
    return recvmmsg(udp->fd, messages, (unsigned)udp->receives, MSG_DONTWAIT, NULL);
#else
    int count = 0;
    for (size_t i = 0; i < udp->receives; i++, count++) {
        ssize_t n = recvmsg(udp->fd, &messages[i].msg_hdr, MSG_DONTWAIT);
        if (n < 0) {
            return count > 0 ? count : -1;
        }
        messages[i].msg_len = (unsigned)n;
    }
    return count;
#endif
}

static void prepare(struct yo_udp *udp, struct mmsghdr *messages)
{
    for (size_t i = 0; i < udp->receives; i++) {
        struct slot *slot = &udp->slots[i];
        memset(&messages[i], 0, sizeof(messages[i]));
        slot->iov.iov_base = udp->in + i * (udp->packet_size + GRO_SKEW);
        slot->iov.iov_len = udp->packet_size;
        messages[i].msg_hdr.msg_name = &slot->remote;
        messages[i].msg_hdr.msg_namelen = sizeof(slot->remote);
        messages[i].msg_hdr.msg_iov = &slot->iov;
        messages[i].msg_hdr.msg_iovlen = 1;
        messages[i].msg_hdr.msg_control = slot->control;
        messages[i].msg_hdr.msg_controllen = sizeof(slot->control);
    }
}

/* ICMP errors of a connected socket come up with whatever call is next; they are told
 * at the end of the turn. */
static void report(struct yo_udp *udp, int number)
{
    if (udp->connected && !udp->closed) {
        udp->error = yo_socket_error(number);
        yo_loop_defer(udp->loop, &udp->task);
    }
}

static void on_task(struct yo_task *task, yo_time now)
{
    struct yo_udp *udp = YO_CONTAINER(task, struct yo_udp, task);
    if (udp->events->on_error) {
        udp->events->on_error(udp->user, udp->error, now);
    }
}

static void read_batches(struct yo_udp *udp, yo_time now)
{
    struct mmsghdr messages[RECEIVES_MAX];
    for (int batch = 0; batch < BATCHES_AT_ONCE && !udp->closed; batch++) {
        prepare(udp, messages);
        int count = receive(udp, messages);
        if (count < 0) {
            if (errno == EINTR) {
                continue;
            }
            if (errno != EAGAIN && errno != EWOULDBLOCK) {
                report(udp, errno);
            }
            return;
        }
        if (batch > 0) {
            now = yo_loop_update(udp->loop);
        }
        for (int i = 0; i < count && !udp->closed; i++) {
            hand_up(udp, &messages[i], now);
        }
        if (!udp->closed && udp->events->on_batch_end) {
            udp->events->on_batch_end(udp->user, now);
        }
        if ((size_t)count < udp->receives) {
            return;
        }
    }
}

/* --- Sending ---------------------------------------------------------------------- */

static void put_control(struct msghdr *msg, int level, int type, const void *value,
                        size_t size)
{
    struct cmsghdr *cmsg =
        (struct cmsghdr *)(void *)((uint8_t *)msg->msg_control + msg->msg_controllen);
    cmsg->cmsg_level = level;
    cmsg->cmsg_type = type;
    cmsg->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(cmsg), value, size);
    msg->msg_controllen += CMSG_SPACE(size);
}

static bool is_ip4(const union yo_address *address)
{
    return address->sa.sa_family == AF_INET ||
           IN6_IS_ADDR_V4MAPPED(&address->in6.sin6_addr);
}

static void put_local(struct msghdr *msg, const union yo_address *local)
{
    if (local->sa.sa_family == AF_INET) {
        struct in_pktinfo info;
        memset(&info, 0, sizeof(info));
        info.ipi_spec_dst = local->in.sin_addr;
        put_control(msg, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
    } else if (local->sa.sa_family == AF_INET6) {
        struct in6_pktinfo info;
        memset(&info, 0, sizeof(info));
        info.ipi6_addr = local->in6.sin6_addr;
        info.ipi6_ifindex = local->in6.sin6_scope_id;
        put_control(msg, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
    }
}

/* Describe `size` bytes of `entry` from `offset` on; `control`: CONTROL_SIZE bytes. */
static void describe(struct yo_udp *udp, struct entry *entry, size_t offset,
                     size_t size, struct msghdr *msg, struct iovec *iov,
                     uint8_t *control)
{
    memset(msg, 0, sizeof(*msg));
    memset(control, 0, CONTROL_SIZE);
    iov->iov_base = udp->out + offset;
    iov->iov_len = size;
    msg->msg_iov = iov;
    msg->msg_iovlen = 1;
    msg->msg_control = control;
    if (!udp->connected) {
        msg->msg_name = &entry->remote;
        msg->msg_namelen = yo_address_size(&entry->remote);
        if (udp->any) {
            put_local(msg, &entry->local);
        }
    }
    if (entry->ecn) {
        int tos = entry->ecn;
        const union yo_address *remote = udp->connected ? &udp->local : &entry->remote;
        if (is_ip4(remote)) {
            put_control(msg, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
        } else {
            put_control(msg, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
        }
    }
#if HAVE_TRAINS
    if (size > entry->segment) {
        uint16_t segment = (uint16_t)entry->segment;
        put_control(msg, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment));
    }
#endif
    if (msg->msg_controllen == 0) {
        msg->msg_control = NULL;
    }
}

static int transmit(struct yo_udp *udp, struct mmsghdr *messages, size_t count)
{
#ifdef __linux__
    return sendmmsg(udp->fd, messages, (unsigned)count, MSG_DONTWAIT | MSG_NOSIGNAL);
#else
    int sent = 0;
    for (size_t i = 0; i < count; i++, sent++) {
        if (sendmsg(udp->fd, &messages[i].msg_hdr, MSG_DONTWAIT) < 0) {
            return sent > 0 ? sent : -1;
        }
    }
    return sent;
#endif
}

/* Drop `size` bytes from the front of the entry that waits longest. */
static void done_with(struct yo_udp *udp, size_t size)
{
    struct entry *entry = &udp->entries[udp->first];
    entry->offset += size;
    entry->size -= size;
    if (entry->size == 0 && ++udp->first == udp->count) {
        udp->first = udp->count = 0;
        udp->used = 0;
    }
}

/* Fill `messages` from the front of the queue; without GSO each packet is one. */
static size_t gather(struct yo_udp *udp, struct mmsghdr *messages, struct iovec *iovs,
                     uint8_t (*controls)[CONTROL_SIZE])
{
    size_t count = 0;
    for (size_t i = udp->first; i < udp->count && count < SENDS_AT_ONCE; i++) {
        struct entry *entry = &udp->entries[i];
        size_t step = udp->gso ? entry->size : entry->segment;
        for (size_t at = 0; at < entry->size && count < SENDS_AT_ONCE; at += step) {
            size_t size = entry->size - at < step ? entry->size - at : step;
            describe(udp, entry, entry->offset + at, size, &messages[count].msg_hdr,
                     &iovs[count], controls[count]);
            count++;
        }
    }
    return count;
}

/* The socket's own address, or its way to the peer, is not there any more. */
static bool no_way(int number)
{
    return number == ENETUNREACH || number == EHOSTUNREACH || number == ENETDOWN ||
           number == EADDRNOTAVAIL || number == EINVAL || number == ENODEV;
}

/* What to do about a failed send of the first message. Returns false to stop. */
static bool survive(struct yo_udp *udp, int number, size_t size)
{
    if (number == EINTR) {
        return true;
    }
    if (number == EAGAIN || number == EWOULDBLOCK) {
        udp->blocked = true;
        return false;
    }
    bool train = size > udp->entries[udp->first].segment;
    if (train && (number == EIO || number == EINVAL || number == EMSGSIZE ||
                  number == EOPNOTSUPP)) {
        udp->gso = false;
        YO_LOG(&udp->loop->log, YOMO_LOG_INFO, "loop",
               "no segmentation offload on this path; packets go one by one");
        return true;
    }
    if (udp->connected && number == ECONNREFUSED) {
        /* That was the answer to an earlier packet; this one may still go. */
        report(udp, number);
        return true;
    }
    if (udp->connected && no_way(number)) {
        report(udp, number);
    }
    done_with(udp, size);
    return true;
}

void yo_udp_flush(struct yo_udp *udp)
{
    struct mmsghdr messages[SENDS_AT_ONCE];
    struct iovec iovs[SENDS_AT_ONCE];
    _Alignas(struct cmsghdr) uint8_t controls[SENDS_AT_ONCE][CONTROL_SIZE];
    while (!udp->blocked && !udp->closed && udp->count > udp->first) {
        size_t count = gather(udp, messages, iovs, controls);
        int sent = transmit(udp, messages, count);
        if (sent <= 0) {
            if (!survive(udp, sent < 0 ? errno : EIO, iovs[0].iov_len)) {
                break;
            }
            continue;
        }
        for (int i = 0; i < sent; i++) {
            done_with(udp, iovs[i].iov_len);
        }
    }
    if (!udp->closed) {
        watch(udp);
    }
}

static bool has_room(const struct yo_udp *udp, size_t size)
{
    return udp->count < ENTRIES_MAX && OUT_SIZE - udp->used >= size;
}

uint8_t *yo_udp_space(struct yo_udp *udp, size_t size)
{
    assert(size <= OUT_SIZE);
    if (!udp->blocked && !has_room(udp, size)) {
        yo_udp_flush(udp);
    }
    if (udp->closed || !has_room(udp, size)) {
        udp->wants_writable = !udp->closed;
        return NULL;
    }
    return udp->out + udp->used;
}

static bool same_way(const struct entry *entry, const union yo_address *local,
                     const union yo_address *remote, uint8_t ecn, bool connected)
{
    if (entry->ecn != ecn) {
        return false;
    }
    if (connected) {
        return true;
    }
    return yo_address_equal(&entry->remote, remote) &&
           (local ? yo_address_equal(&entry->local, local)
                  : entry->local.sa.sa_family == AF_UNSPEC);
}

/* Make the new packets part of the train before them. */
static bool couple(struct yo_udp *udp, const union yo_address *local,
                   const union yo_address *remote, uint8_t ecn, size_t size,
                   size_t segment)
{
    if (udp->count == udp->first) {
        return false;
    }
    struct entry *last = &udp->entries[udp->count - 1];
    size_t total = last->size + size;
    bool fits =
        last->size % last->segment == 0 &&
        (segment == last->segment || (segment == size && size <= last->segment)) &&
        total <= TRAIN_SIZE_MAX &&
        (total + last->segment - 1) / last->segment <= TRAIN_COUNT_MAX;
    if (!fits || !same_way(last, local, remote, ecn, udp->connected)) {
        return false;
    }
    last->size = total;
    return true;
}

void yo_udp_commit(struct yo_udp *udp, const union yo_address *local,
                   const union yo_address *remote, uint8_t ecn, size_t size,
                   size_t segment)
{
    if (size == 0) {
        return;
    }
    if (segment == 0 || segment > size) {
        segment = size;
    }
    assert(has_room(udp, size));
    while (size > 0) {
        /* A train that is too long for one send becomes several, as far as there are
         * entries; the rest is lost, as packets are. yo_udp_space's callers ask for
         * 64 KiB at most, so that this does not happen. */
        size_t limit = segment * TRAIN_COUNT_MAX;
        if (limit > TRAIN_SIZE_MAX) {
            limit = TRAIN_SIZE_MAX - TRAIN_SIZE_MAX % segment;
        }
        size_t part = size < limit || segment >= limit ? size : limit;
        if (!couple(udp, local, remote, ecn, part, segment < part ? segment : part)) {
            if (udp->count == ENTRIES_MAX) {
                return;
            }
            struct entry *entry = &udp->entries[udp->count++];
            memset(entry, 0, sizeof(*entry));
            if (local) {
                entry->local = *local;
            }
            if (remote) {
                entry->remote = *remote;
            }
            entry->ecn = ecn;
            entry->offset = udp->used;
            entry->size = part;
            entry->segment = segment < part ? segment : part;
        }
        udp->used += part;
        size -= part;
    }
}

int yo_udp_send(struct yo_udp *udp, const union yo_address *local,
                const union yo_address *remote, uint8_t ecn, struct yo_span bytes,
                size_t segment)
{
    if (bytes.size > OUT_SIZE) {
        return YOMO_ERR_TOO_BIG;
    }
    uint8_t *space = yo_udp_space(udp, bytes.size);
    if (!space) {
        return YOMO_ERR_AGAIN;
    }
    if (bytes.size > 0) {
        memcpy(space, bytes.data, bytes.size);
        yo_udp_commit(udp, local, remote, ecn, bytes.size, segment);
    }
    return YOMO_OK;
}

/* --- Life ------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct yo_udp *udp = poll->data;
    yo_time now = yo_loop_enter(udp->loop);
    if (status < 0) {
        /* POLLERR (ICMP): libuv has stopped the watcher; reading clears the error. */
        events = udp->watched;
        udp->watched = 0;
        watch(udp);
    }
    if (events & UV_READABLE) {
        read_batches(udp, now);
    }
    if ((events & UV_WRITABLE) && !udp->closed) {
        udp->blocked = false;
        yo_udp_flush(udp);
        if (!udp->blocked && !udp->closed && udp->wants_writable) {
            udp->wants_writable = false;
            if (udp->events->on_writable) {
                udp->events->on_writable(udp->user, now);
            }
        }
    }
}

static void set_int(int fd, int level, int option, int value)
{
    /* Whatever the kernel has not is done without. */
    (void)setsockopt(fd, level, option, &value, sizeof(value));
}

static bool is_any(const union yo_address *local)
{
    return local->sa.sa_family == AF_INET6
               ? IN6_IS_ADDR_UNSPECIFIED(&local->in6.sin6_addr)
               : local->in.sin_addr.s_addr == htonl(INADDR_ANY);
}

/* Ask for marks and addresses, and forbid fragments (RFC 9000 14). */
static void set_options(int fd, int family, bool any,
                        const struct yo_udp_options *options)
{
#ifdef IP_RECVTOS
    set_int(fd, IPPROTO_IP, IP_RECVTOS, 1);
#endif
#ifdef IP_PKTINFO
    set_int(fd, IPPROTO_IP, IP_PKTINFO, any);
#endif
#ifdef IP_PMTUDISC_PROBE
    set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
#endif
    if (family == AF_INET6) {
        set_int(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
        set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, any);
#ifdef IPV6_PMTUDISC_PROBE
        set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
#endif
#ifdef IPV6_DONTFRAG
        set_int(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1);
#endif
    }
    if (options->buffer_size > 0) {
        set_int(fd, SOL_SOCKET, SO_RCVBUF, options->buffer_size);
        set_int(fd, SOL_SOCKET, SO_SNDBUF, options->buffer_size);
    }
}

static void find_offloads(struct yo_udp *udp)
{
#if HAVE_TRAINS
    int value = 0;
    socklen_t size = sizeof(value);
    udp->gso = getsockopt(udp->fd, IPPROTO_UDP, UDP_SEGMENT, &value, &size) == 0;
    value = 1;
    udp->gro = setsockopt(udp->fd, IPPROTO_UDP, UDP_GRO, &value, sizeof(value)) == 0;
#endif
    udp->packet_size = udp->gro ? GRO_SIZE : PACKET_SIZE;
    udp->receives = udp->gro && udp->connected ? 4 : RECEIVES_MAX;
}

/* Returns 0, or the errno of what failed. */
static int bind_socket(int fd, const union yo_address *local, bool reuse_port)
{
    if (local->sa.sa_family == AF_INET6) {
        set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    int on = 1;
    if (reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0) {
        return errno;
    }
    return bind(fd, &local->sa, yo_address_size(local)) < 0 ? errno : 0;
}

static int set_up_socket(struct yo_udp *udp, int fd, const union yo_address *local,
                         const union yo_address *remote,
                         const struct yo_udp_options *options)
{
    udp->fd = fd;
    if (fd < 0) {
        int family = local ? local->sa.sa_family : remote->sa.sa_family;
        udp->fd = yo_socket_open(family, SOCK_DGRAM);
        if (udp->fd < 0) {
            return errno;
        }
        int number = local ? bind_socket(udp->fd, local, options->reuse_port) : 0;
        if (number != 0) {
            return number;
        }
    } else if (yo_socket_adopt(fd) < 0) {
        return errno;
    }
    if (options->connected &&
        connect(udp->fd, &remote->sa, yo_address_size(remote)) < 0) {
        return errno;
    }
    socklen_t size = sizeof(udp->local);
    if (getsockname(udp->fd, &udp->local.sa, &size) < 0) {
        return errno;
    }
    udp->any = is_any(&udp->local);
    set_options(udp->fd, udp->local.sa.sa_family, udp->any, options);
    udp->connected = options->connected;
    find_offloads(udp);
    return 0;
}

static void free_udp(struct yo_udp *udp)
{
    const struct yomo_mem *mem = udp->loop->mem;
    yo_free(mem, udp->in);
    yo_free(mem, udp->slots);
    yo_free(mem, udp->out);
    yo_free(mem, udp);
}

int yo_udp_open(struct yo_udp **out, struct yo_loop *loop, int fd,
                const union yo_address *local, const union yo_address *remote,
                const struct yo_udp_options *options,
                const struct yo_udp_events *events, void *user)
{
    int error = YOMO_ERR_NOMEM;
    struct yo_udp *udp = yo_calloc(loop->mem, 1, sizeof(*udp));
    if (!udp) {
        if (fd >= 0) {
            close(fd);
        }
        return YOMO_ERR_NOMEM;
    }
    udp->loop = loop;
    udp->events = events;
    udp->user = user;
    yo_task_init(&udp->task, on_task);
    int number = set_up_socket(udp, fd, local, remote, options);
    if (number != 0) {
        error = yo_socket_error(number);
        goto failed;
    }
    udp->in = yo_malloc(loop->mem, udp->receives * (udp->packet_size + GRO_SKEW));
    udp->slots = yo_calloc(loop->mem, udp->receives, sizeof(*udp->slots));
    udp->out = yo_malloc(loop->mem, OUT_SIZE);
    if (!udp->in || !udp->slots || !udp->out ||
        uv_poll_init(loop->uv, &udp->poll, udp->fd) != 0) {
        goto failed;
    }
    udp->poll.data = udp;
    yo_loop_hold(loop);
    watch(udp);
    *out = udp;
    return YOMO_OK;

failed:
    if (udp->fd >= 0) {
        close(udp->fd);
    }
    free_udp(udp);
    return error;
}

const union yo_address *yo_udp_local(const struct yo_udp *udp)
{
    return &udp->local;
}

static void on_closed(uv_handle_t *handle)
{
    struct yo_udp *udp = handle->data;
    struct yo_loop *loop = udp->loop;
    free_udp(udp);
    yo_loop_drop(loop);
}

void yo_udp_close(struct yo_udp *udp)
{
    if (!udp || udp->closed) {
        return;
    }
    yo_udp_flush(udp);
    udp->closed = true;
    yo_task_cancel(&udp->task);
    uv_close((uv_handle_t *)&udp->poll, on_closed);
    close(udp->fd);
}
