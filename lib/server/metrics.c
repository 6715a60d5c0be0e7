/* SPDX-License-Identifier: MIT */
#include "server/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <yomo/error.h>
#include <yomo/version.h>

void yo_metrics_take(struct yo_metrics *metrics, const struct yo_listener_stats *stats)
{
    yo_metric_set(&metrics->handshakes_now, stats->handshakes_now);
    yo_metric_set(&metrics->handshakes_failed, stats->handshakes_failed);
    yo_metric_set(&metrics->packets_in, stats->packets_in);
    yo_metric_set(&metrics->packets_out, stats->packets_out);
    yo_metric_set(&metrics->packets_bad, stats->packets_bad);
    yo_metric_set(&metrics->network_bytes_in, stats->bytes_in);
    yo_metric_set(&metrics->network_bytes_out, stats->bytes_out);
    yo_metric_set(&metrics->handshakes_tcp_full, stats->handshakes_tcp_full);
    yo_metric_set(&metrics->handshakes_tcp_resumed, stats->handshakes_tcp_resumed);
    yo_metric_set(&metrics->handshakes_quic_full, stats->handshakes_quic_full);
    yo_metric_set(&metrics->handshakes_quic_resumed, stats->handshakes_quic_resumed);
    yo_metric_set(&metrics->retries, stats->retries);
    yo_metric_set(&metrics->proven_retry, stats->proven_retry);
    yo_metric_set(&metrics->proven_token, stats->proven_token);
    yo_metric_set(&metrics->version_negotiations, stats->version_negotiations);
    yo_metric_set(&metrics->key_updates, stats->key_updates);
    yo_metric_set(&metrics->stateless_resets, stats->stateless_resets);
    yo_metric_set(&metrics->datagrams_lost, stats->datagrams_lost);
    yo_metric_set(&metrics->messages_bad, stats->messages_bad);
}

uint64_t yo_metrics_connections(const struct yo_metrics *metrics)
{
    return yo_metric_get(&metrics->connections_webtransport) +
           yo_metric_get(&metrics->connections_websocket) +
           yo_metric_get(&metrics->connections_custom) +
           yo_metric_get(&metrics->echoes_webtransport) +
           yo_metric_get(&metrics->echoes_websocket);
}

struct row {
    const char *type, *family, *labels, *help;
    size_t offset;
};

static const struct row rows[] = {
#define YO_METRIC_ROW(field, type, family, labels, help) \
    {type, family, labels, help, offsetof(struct yo_metrics, field)},
    YO_METRICS_MAP(YO_METRIC_ROW)
#undef YO_METRIC_ROW
};

/* A maximum is the largest of the workers', everything else their sum. */
static uint64_t total(const struct row *row, const struct yo_metrics *const *workers,
                      size_t count)
{
    bool largest = row->offset == offsetof(struct yo_metrics, turn_max_microseconds);
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t value = yo_metric_get(
            (const yo_metric *)(const void *)((const char *)workers[i] + row->offset));
        sum = !largest ? sum + value : value > sum ? value : sum;
    }
    return sum;
}

/* --- histograms ------------------------------------------------------------------ */

static const uint32_t bounds[YO_HISTOGRAM_BOUNDS] = {
    50,    100,    250,    500,    1000,    2500,    5000,    10000,   25000,
    50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};

/* By the number of bits of a time: the bucket of the least one that has so many. That of
 * the greatest one is the next at most. */
static const uint8_t first_buckets[] = {0, 0, 0, 0, 0, 0,  0,  1,  2,  3,  4,  5, 5,
                                        6, 7, 8, 9, 10, 11, 12, 13, 14, 14, 15, 16};
#define BITS_MAX (sizeof(first_buckets) - 1) /* 8.4 s; what is longer begins there, too */

void yo_histogram_add(struct yo_histogram *histogram, yo_time took)
{
    uint64_t us = took / YO_US;
    size_t bits = us == 0 ? 0 : 64 - (size_t)__builtin_clzll(us);
    size_t i = first_buckets[bits < BITS_MAX ? bits : BITS_MAX];

    while (i < YO_HISTOGRAM_BOUNDS && us > bounds[i]) {
        i++;
    }
    yo_metric_add(&histogram->counts[i], 1);
    yo_metric_add(&histogram->microseconds, us);
}

struct family {
    const char *name, *help;
    size_t offset; /* of the histograms of all classes, in struct yo_metrics */
};

static const struct family families[] = {
    {"yomo_delivery_seconds",
     "From the arrival of a client's message to its hand-over to the transport of each "
     "receiver",
     offsetof(struct yo_metrics, delivery_time)},
    {"yomo_delivery_queue_seconds",
     "The part of that in which it waited to be sent to its receiver",
     offsetof(struct yo_metrics, queue_time)},
};

static const struct yo_histogram *histogram_of(const struct yo_metrics *metrics,
                                               const struct family *family, int class)
{
    return (const struct yo_histogram *)(const void *)((const char *)metrics +
                                                       family->offset) +
           class;
}

static void print_histogram(struct yo_buf *out, const struct family *family, int class,
                            const struct yo_metrics *const *workers, size_t count)
{
    static const char *const classes[] = {"reliable", "unreliable", "latest"};
    uint64_t us = 0, so_far = 0;

    for (size_t w = 0; w < count; w++) {
        us += yo_metric_get(&histogram_of(workers[w], family, class)->microseconds);
    }
    for (size_t i = 0; i <= YO_HISTOGRAM_BOUNDS; i++) {
        char bound[32] = "+Inf";
        for (size_t w = 0; w < count; w++) {
            so_far +=
                yo_metric_get(&histogram_of(workers[w], family, class)->counts[i]);
        }
        if (i < YO_HISTOGRAM_BOUNDS) { /* no printf of a double: locales */
            snprintf(bound, sizeof(bound), "%u.%06u", bounds[i] / 1000000,
                     bounds[i] % 1000000);
            while (bound[strlen(bound) - 1] == '0' && bound[strlen(bound) - 2] != '.') {
                bound[strlen(bound) - 1] = '\0';
            }
        }
        (void)yo_buf_printf(out, "%s_bucket{delivery=\"%s\",le=\"%s\"} %" PRIu64 "\n",
                            family->name, classes[class], bound, so_far);
    }
    (void)yo_buf_printf(out,
                        "%s_sum{delivery=\"%s\"} %" PRIu64 ".%06u\n"
                        "%s_count{delivery=\"%s\"} %" PRIu64 "\n",
                        family->name, classes[class], us / 1000000,
                        (unsigned)(us % 1000000), family->name, classes[class], so_far);
}

static void print_histograms(struct yo_buf *out,
                             const struct yo_metrics *const *workers, size_t count)
{
    for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
        (void)yo_buf_printf(out, "# HELP %s %s\n# TYPE %s histogram\n",
                            families[f].name, families[f].help, families[f].name);
        for (int class = YOMO_RELIABLE; class <= YOMO_LATEST; class ++) {
            print_histogram(out, &families[f], class, workers, count);
        }
    }
}

int yo_metrics_print(struct yo_buf *out, const struct yo_metrics *const *workers,
                     size_t count)
{
    const char *family = "";

    (void)yo_buf_printf(out,
                        "# HELP yomo_info The version of the library\n"
                        "# TYPE yomo_info gauge\nyomo_info{version=\"%s\"} 1\n"
                        "# HELP yomo_workers Threads that serve\n"
                        "# TYPE yomo_workers gauge\nyomo_workers %zu\n",
                        YOMO_VERSION_STRING, count);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        if (strcmp(row->family, family) != 0) {
            family = row->family;
            (void)yo_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", family, row->help,
                                family, row->type);
        }
        (void)yo_buf_printf(out, "%s%s%s%s %" PRIu64 "\n", family,
                            row->labels ? "{" : "", row->labels ? row->labels : "",
                            row->labels ? "}" : "", total(row, workers, count));
    }
    print_histograms(out, workers, count);
    return out->failed ? YOMO_ERR_NOMEM : YOMO_OK;
}
