/* SPDX-License-Identifier: MIT */
#include "wall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in local(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void accept_one(struct wall *wall)
{
    int client = accept(wall->tcp, NULL, NULL);
    int server = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = local(wall->behind);
    if (client < 0 || wall->count == WALL_CONNECTIONS_MAX ||
        connect(server, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(client);
        close(server);
        return;
    }
    wall->ends[wall->count][0] = client;
    wall->ends[wall->count][1] = server;
    wall->count++;
}

/* Pass on what came at one end. False when that end is over. */
static bool pass_on(int from, int to)
{
    char bytes[16384];
    ssize_t size = recv(from, bytes, sizeof(bytes), 0);
    for (ssize_t at = 0; at < size;) {
        ssize_t sent = send(to, bytes + at, (size_t)(size - at), MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        at += sent;
    }
    return size > 0;
}

static void drop(struct wall *wall, int index)
{
    close(wall->ends[index][0]);
    close(wall->ends[index][1]);
    wall->count--;
    wall->ends[index][0] = wall->ends[wall->count][0];
    wall->ends[index][1] = wall->ends[wall->count][1];
}

static void *run(void *user)
{
    struct wall *wall = user;
    for (;;) {
        struct pollfd fds[2 + 2 * WALL_CONNECTIONS_MAX];
        int count = wall->count;
        fds[0] = (struct pollfd){.fd = wall->stop[0], .events = POLLIN};
        fds[1] = (struct pollfd){.fd = wall->tcp, .events = POLLIN};
        for (int i = 0; i < 2 * count; i++) {
            fds[2 + i] =
                (struct pollfd){.fd = wall->ends[i / 2][i % 2], .events = POLLIN};
        }
        poll(fds, (nfds_t)(2 + 2 * count), -1);
        if (fds[0].revents) {
            return NULL;
        }
        for (int i = count - 1; i >= 0; i--) {
            const int *ends = wall->ends[i];
            if ((fds[2 + 2 * i].revents && !pass_on(ends[0], ends[1])) ||
                (fds[3 + 2 * i].revents && !pass_on(ends[1], ends[0]))) {
                drop(wall, i);
            }
        }
        if (fds[1].revents) {
            accept_one(wall);
        }
    }
}

/* The same free port for both protocols. */
static void take_ports(struct wall *wall)
{
    for (int i = 0; i < 100; i++) {
        struct sockaddr_in address = local(0);
        socklen_t size = sizeof(address);
        wall->tcp = socket(AF_INET, SOCK_STREAM, 0);
        wall->udp = socket(AF_INET, SOCK_DGRAM, 0);
        assert_int_equal(bind(wall->tcp, (struct sockaddr *)&address, size), 0);
        getsockname(wall->tcp, (struct sockaddr *)&address, &size);
        if (bind(wall->udp, (struct sockaddr *)&address, size) == 0 &&
            listen(wall->tcp, 16) == 0) {
            wall->port = ntohs(address.sin_port);
            return;
        }
        close(wall->tcp);
        close(wall->udp);
    }
    fail_msg("no port is free");
}

void wall_begin(struct wall *wall, uint16_t behind)
{
    *wall = (struct wall){.behind = behind};
    take_ports(wall);
    assert_int_equal(pipe(wall->stop), 0);
    assert_int_equal(pthread_create(&wall->thread, NULL, run, wall), 0);
}

void wall_end(struct wall *wall)
{
    assert_int_equal(write(wall->stop[1], "", 1), 1);
    pthread_join(wall->thread, NULL);
    while (wall->count > 0) {
        drop(wall, 0);
    }
    close(wall->tcp);
    close(wall->udp);
    close(wall->stop[0]);
    close(wall->stop[1]);
}
