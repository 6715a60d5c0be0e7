/* SPDX-License-Identifier: MIT */
#include "net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

static char server_name[32], client_name[32];
static int home = -1;

static int run(const char *command)
{
    return system(command); /* the test's own words only */
}

static void must(const char *name, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void must(const char *name, const char *format, va_list args)
{
    char what[256], command[512];
    vsnprintf(what, sizeof(what), format, args);
    snprintf(command, sizeof(command), "ip netns exec %s %s", name, what);
    if (run(command) != 0) {
        fail_msg("%s", command);
    }
}

void net_server(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    must(server_name, format, args);
    va_end(args);
}

void net_client(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    must(client_name, format, args);
    va_end(args);
}

static bool make(const char *name)
{
    char command[128];
    snprintf(command, sizeof(command), "ip netns add %s 2>/dev/null", name);
    return run(command) == 0;
}

static void remove_name(const char *name)
{
    char command[128];
    snprintf(command, sizeof(command), "ip netns del %s 2>/dev/null", name);
    (void)run(command);
}

static void cable(int number)
{
    net_client("ip link add c%d type veth peer name s%d netns %s", number, number,
               server_name);
    net_client("ip addr add 10.77.%d.2/24 dev c%d", number, number);
    net_client("ip link set c%d up", number);
    net_server("ip addr add 10.77.%d.1/24 dev s%d", number, number);
    net_server("ip link set s%d up", number);
    net_client("ip route add 10.77.0.1 via 10.77.%d.1 metric %d", number, number);
}

bool net_begin(const char **why)
{
    snprintf(server_name, sizeof(server_name), "yomo-%d-s", (int)getpid());
    snprintf(client_name, sizeof(client_name), "yomo-%d-c", (int)getpid());
    if (run("ip -V >/dev/null 2>&1") != 0 || run("nft -v >/dev/null 2>&1") != 0) {
        *why = "ip or nft is not installed";
        return false;
    }
    home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home < 0 || !make(server_name)) {
        *why = "network namespaces are not permitted here";
        return false;
    }
    if (!make(client_name)) {
        remove_name(server_name);
        *why = "only one network namespace is permitted here";
        return false;
    }
    net_server("ip link set lo up");
    net_client("ip link set lo up");
    net_server("ip addr add 10.77.0.1/32 dev lo");
    cable(1);
    cable(2);
    return true;
}

void net_end(void)
{
    net_leave();
    remove_name(client_name);
    remove_name(server_name);
    close(home);
}

static void enter(const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "/run/netns/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(setns(fd, CLONE_NEWNET), 0);
    close(fd);
}

void net_enter_server(void)
{
    enter(server_name);
}

void net_enter_client(void)
{
    enter(client_name);
}

void net_leave(void)
{
    assert_int_equal(setns(home, CLONE_NEWNET), 0);
}
