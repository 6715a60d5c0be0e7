/* SPDX-License-Identifier: MIT */
/* floor - measures the floors: floor quic|tls PEERS SIZE SECONDS, or
 * floor handshake SECONDS [GROUPS]. Prints one JSON object. */
#include "floor.h"

#include <string.h>
#include <sys/resource.h>

static int handshakes(const char *seconds, const char *groups)
{
    struct floor_result result = {0};

    floor_handshake(groups, strtod(seconds, NULL), &result);
    printf("{\"floor\":\"handshake\",\"groups\":\"%s\",\"handshakes\":%llu,"
           "\"cpu_seconds\":%.3f,\"wall_seconds\":%.3f,\"cpu_us\":%.1f}\n",
           groups ? groups : "", (unsigned long long)result.deliveries, result.cpu_seconds,
           result.wall_seconds, result.cpu_seconds / (double)result.deliveries * 1e6);
    return 0;
}

int main(int argc, char **argv)
{
    struct floor_options options = {0};
    struct floor_result result = {0};
    struct rlimit files;

    if ((argc == 3 || argc == 4) && strcmp(argv[1], "handshake") == 0) {
        return handshakes(argv[2], argc == 4 ? argv[3] : NULL);
    }
    if (argc != 5 || (strcmp(argv[1], "quic") != 0 && strcmp(argv[1], "tls") != 0)) {
        fprintf(stderr, "usage: floor quic|tls PEERS SIZE SECONDS\n"
                        "       floor handshake SECONDS [GROUPS]\n");
        return 2;
    }
    options.peers = (unsigned)strtoul(argv[2], NULL, 10);
    options.size = (unsigned)strtoul(argv[3], NULL, 10);
    options.seconds = strtod(argv[4], NULL);
    if (options.peers == 0 || options.size < 16 || options.size > 1400) {
        fprintf(stderr, "floor: PEERS from 1, SIZE from 16 to 1400\n");
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (strcmp(argv[1], "quic") == 0) {
        floor_quic(&options, &result);
    } else {
        floor_tls(&options, &result);
    }
    printf("{\"floor\":\"%s\",\"peers\":%u,\"size\":%u,\"deliveries\":%llu,"
           "\"cpu_seconds\":%.3f,\"wall_seconds\":%.3f,\"deliveries_per_cpu_second\":%.0f}\n",
           argv[1], options.peers, options.size, (unsigned long long)result.deliveries,
           result.cpu_seconds, result.wall_seconds,
           result.cpu_seconds > 0 ? (double)result.deliveries / result.cpu_seconds : 0);
    return 0;
}
